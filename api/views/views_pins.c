/* SPDX-License-Identifier: BSD-2-Clause */
/* Who holds memory pinned that a device, or the kernel, may write at any time. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/views/views.h"

static uint64_t explained(const struct snapshot_pins *pins)
{
	return pins->pinned_bytes - pins->unexplained_bytes;
}

COLUMN_GETTER(pins, uint64_t, pid, it->pid)
COLUMN_GETTER(pins, const char *, comm, it->comm)
COLUMN_GETTER(pins, uint64_t, pinned, it->pinned_bytes)
COLUMN_GETTER(pins, uint64_t, explained, explained(it))
COLUMN_GETTER(pins, uint64_t, unexplained, it->unexplained_bytes)

static const struct column pins_columns[] = {
	{.name = "pid", .count = pins_pid},
	{.name = "comm", .string = pins_comm},
	{.name = "pinned_bytes", .count = pins_pinned},
	{.name = "explained_bytes", .count = pins_explained},
	{.name = "unexplained_bytes", .count = pins_unexplained},
	{},
};

const struct param_row view_pins_params[] = {
	LIST_PARAMS(pins_columns, "pinned_bytes"),
	FIND_PARAMS("pid or comm", "PID"),
	{},
};

static void write_members(struct json *json, const struct snapshot_pins *pins)
{
	json__u64(json, "pinned_bytes", pins->pinned_bytes);
	json__u64(json, "explained_bytes", explained(pins));
	json__u64(json, "unexplained_bytes", pins->unexplained_bytes);
	json__object(json, "by");
	for (int kind = 0; kind < PIN_KINDS; kind++)
		json__u64(json, pin_kind_names[kind], pins->by[kind]);
	json__end_object(json);
}

static void write_pins(struct json *json, const void *item, const struct snapshot *snapshot)
{
	const struct snapshot_pins *pins = item;

	json__object(json, NULL);
	json__u64(json, "pid", pins->pid);
	if (pins->start_boottime_ns)
		json__u64(json, "start_boottime_ns", pins->start_boottime_ns);
	else
		json__null(json, "start_boottime_ns");
	json__string(json, "comm", pins->comm);
	write_members(json, pins);
	json__string(json, "reason", pins->reason);
	json__end_object(json);
}

static int compare_pin_pid(const void *pid, const void *item)
{
	const struct snapshot_pins *pins = item;

	return *(const uint32_t *)pid < pins->pid ? -1 : *(const uint32_t *)pid > pins->pid;
}

void view__pins_of(struct json *json, uint32_t pid, const struct snapshot *snapshot)
{
	static const struct snapshot_pins none;
	const struct snapshot_pins *pins = NULL;

	if (snapshot->pin_count)
		pins = bsearch(&pid, snapshot->pins, snapshot->pin_count, sizeof(*pins),
			       compare_pin_pid);
	if (!snapshot->pins_known && !pins) {
		json__null(json, "pins");
		return;
	}
	json__object(json, "pins");
	write_members(json, pins ? pins : &none);
	json__end_object(json);
}

static bool pins_hold(const void *item, const char *text)
{
	const struct snapshot_pins *pins = item;
	char pid[12];

	snprintf(pid, sizeof(pid), "%" PRIu32, pins->pid);
	return list__holds(pins->comm, text) || list__holds(pid, text);
}

static bool pins_are(const void *item, const char *id)
{
	char *end;
	unsigned long pid = strtoul(id, &end, 10);

	return end != id && !*end && pid == ((const struct snapshot_pins *)item)->pid;
}

int view__pins(const struct request *request, struct answer *answer)
{
	const struct snapshot *snapshot = request->snapshot;
	const struct list list = {
		.key = "pins",
		.items = snapshot->pins,
		.count = snapshot->pin_count,
		.size = sizeof(struct snapshot_pins),
		.columns = pins_columns,
		.holds = pins_hold,
		.is = pins_are,
		.write = write_pins,
	};
	struct json json = view__begin(request, answer);
	int err;

	json__bool(&json, "known", snapshot->pins_known);
	json__string(&json, "reason", snapshot->pins_reason ? snapshot->pins_reason : "");
	err = list__write(&list, request, &json);
	return err ? err : view__end(&json, answer);
}
