/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/views.h"

#include <errno.h>
#include <stdlib.h>

void view__counts(struct json *json, const char *key, const uint64_t counts[DS_WRITERS])
{
	json__object(json, key);
	for (int writer = 0; writer < DS_WRITERS; writer++)
		json__u64(json, ds_writer_names[writer], counts[writer]);
	json__end_object(json);
}

void view__rates(struct json *json, const char *key, const double rates[DS_WRITERS])
{
	json__object(json, key);
	for (int writer = 0; writer < DS_WRITERS; writer++)
		json__double(json, ds_writer_names[writer], rates[writer]);
	json__end_object(json);
}

void view__limits(struct json *json, const char *key, const struct snapshot_limits *limits)
{
	json__object(json, key);
	json__u64(json, "processes", limits->processes);
	json__u64(json, "processes_used", limits->processes_used);
	json__u64(json, "devices", limits->devices);
	json__u64(json, "devices_used", limits->devices_used);
	json__u64(json, "flows", limits->flows);
	json__u64(json, "flows_used", limits->flows_used);
	json__u64(json, "requests", limits->requests);
	json__u64(json, "mappings", limits->mappings);
	json__u64(json, "mappings_used", limits->mappings_used);
	json__u64(json, "mapping_bytes_used", limits->mapping_bytes_used);
	json__u64(json, "page_set_bytes", limits->page_set_bytes);
	json__u64(json, "page_set_bytes_used", limits->page_set_bytes_used);
	json__u64(json, "map_memory_bytes", limits->map_memory_bytes);
	json__end_object(json);
}

/* Digits alone: no sign, no blank. */
static bool is_number(const char **at, uint64_t wanted)
{
	char *end;

	if (**at < '0' || **at > '9' || strtoull(*at, &end, 10) != wanted)
		return false;
	*at = end;
	return true;
}

bool view__is_process(const struct process_identity *identity, const char **id)
{
	if (!identity)
		return *(*id)++ == '-';
	if (!is_number(id, identity->tgid))
		return false;
	if (**id != '-')
		return true;
	++*id;
	return is_number(id, identity->start_boottime_ns);
}

struct json view__begin(const struct request *request, struct answer *answer)
{
	struct json json = {.out = &answer->text};

	answer->status = 200;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	if (request->snapshot)
		json__time(&json, "time", &request->snapshot->time);
	return json;
}

int view__end(struct json *json, struct answer *answer)
{
	json__end_object(json);
	text__putc(&answer->text, '\n');
	return answer->text.failed ? -ENOMEM : 0;
}

int view__list(const struct list *list, const struct request *request, struct answer *answer)
{
	struct json json = view__begin(request, answer);
	int err = list__write(list, request, &json);

	return err ? err : view__end(&json, answer);
}
