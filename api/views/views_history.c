/* SPDX-License-Identifier: BSD-2-Clause */
/* The last minutes as columns, for charts. */
#include "api/views/views.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Lines of a chart: more than these cannot be told apart, and each costs a column. */
#define SERIES_PROCESSES 32
#define SERIES_DEVICES 16

const struct param_row view_history_params[] = {
	{
		.name = "window",
		.type = PARAM_INTEGER,
		.min = 1,
		.max = HISTORY_SECONDS,
		.initial = "900",
		.help = "seconds before the newest point",
	},
	{
		.name = "lines",
		.type = PARAM_INTEGER,
		.max = SERIES_PROCESSES,
		.initial = "32",
		.help = "processes at most, and devices; 0 gives the totals alone",
	},
	{},
};

/* One process or device that was among the busiest at some point. */
struct line {
	struct line_key {
		uint64_t start_boottime_ns;
		uint32_t tgid;
		char id[68]; /* "": a process */
	} key;
	char comm[DS_COMM_LEN];
	double sum;
	UT_hash_handle hh;
};

struct lines {
	struct line *hash;
	const struct history_point *points;
	size_t count; /* of points */
};

/* The hash reads padding too, hence memset. */
static void history_process_key(struct line_key *key, const struct history_process *process)
{
	memset(key, 0, sizeof(*key));
	key->tgid = process->tgid;
	key->start_boottime_ns = process->start_boottime_ns;
}

static void history_device_key(struct line_key *key, const struct history_device *device)
{
	memset(key, 0, sizeof(*key));
	snprintf(key->id, sizeof(key->id), "%s", device->id);
}

static struct line *lines__add(struct lines *lines, const struct line_key *key, double rate)
{
	struct line *line;

	HASH_FIND(hh, lines->hash, key, sizeof(*key), line);
	if (!line) {
		line = calloc(1, sizeof(*line));
		if (!line)
			return NULL;
		line->key = *key;
		HASH_ADD(hh, lines->hash, key, sizeof(line->key), line);
	}
	line->sum += rate;
	return line;
}

static void lines__free(struct lines *lines)
{
	struct line *line = lines->hash, *next;

	/* Frees the table alone; the lines stay chained. */
	HASH_CLEAR(hh, lines->hash);
	for (; line; line = next) {
		next = line->hh.next;
		free(line);
	}
}

static int lines__collect(struct lines *processes, struct lines *devices)
{
	for (size_t i = 0; i < processes->count; i++) {
		const struct history_point *point = &processes->points[i];
		struct line_key key;

		for (uint32_t p = 0; p < point->process_count; p++) {
			struct line *line;

			history_process_key(&key, &point->processes[p]);
			line = lines__add(processes, &key, point->processes[p].rate);
			if (!line)
				return -ENOMEM;
			/* The newest name: a process may have changed it. */
			memcpy(line->comm, point->processes[p].comm, sizeof(line->comm));
		}
		for (uint32_t d = 0; d < point->device_count; d++) {
			history_device_key(&key, &point->devices[d]);
			if (!lines__add(devices, &key, point->devices[d].rate))
				return -ENOMEM;
		}
	}
	return 0;
}

/* NULL: it was not among the busiest then. */
static const double *rate_at(const struct history_point *point, const struct line *line)
{
	for (uint32_t p = 0; !line->key.id[0] && p < point->process_count; p++) {
		if (point->processes[p].tgid == line->key.tgid &&
		    point->processes[p].start_boottime_ns == line->key.start_boottime_ns)
			return &point->processes[p].rate;
	}
	for (uint32_t d = 0; line->key.id[0] && d < point->device_count; d++) {
		if (strcmp(point->devices[d].id, line->key.id) == 0)
			return &point->devices[d].rate;
	}
	return NULL;
}

static int by_sum_falling(struct line *a, struct line *b)
{
	return (a->sum < b->sum) - (a->sum > b->sum);
}

/* Has a newer process the same pid? Then this one's line carries its start too. */
static bool is_reused(const struct lines *lines, const struct line *line)
{
	for (const struct line *other = lines->hash; other; other = other->hh.next) {
		if (other->key.tgid == line->key.tgid &&
		    other->key.start_boottime_ns > line->key.start_boottime_ns)
			return true;
	}
	return false;
}

static void name_line(const struct lines *lines, const struct line *line, struct text *name)
{
	name->length = 0;
	if (line->key.id[0]) {
		text__puts(name, "device:");
		text__puts(name, line->key.id);
		return;
	}
	text__printf(name, "process:%" PRIu32 ":%s", line->key.tgid, line->comm);
	if (is_reused(lines, line))
		text__printf(name, "@%" PRIu64, line->key.start_boottime_ns);
}

static void write_lines(struct json *json, struct lines *lines, size_t most)
{
	struct text name = {};

	HASH_SORT(lines->hash, by_sum_falling);
	for (const struct line *line = lines->hash; line && most; line = line->hh.next, most--) {
		name_line(lines, line, &name);
		if (name.failed) {
			json->out->failed = true;
			break;
		}
		json__array(json, name.data);
		for (size_t i = 0; i < lines->count; i++) {
			const double *rate = rate_at(&lines->points[i], line);

			if (rate)
				json__double(json, NULL, *rate);
			else
				json__null(json, NULL);
		}
		json__end_array(json);
	}
	text__free(&name);
}

static void write_totals(struct json *json, const struct history_point *points, size_t count)
{
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		json__array(json, ds_writer_names[writer]);
		for (size_t i = 0; i < count; i++)
			json__double(json, NULL, points[i].rates[writer]);
		json__end_array(json);
	}
	json__array(json, "dirty_pages");
	for (size_t i = 0; i < count; i++)
		json__double(json, NULL, points[i].dirty_pages);
	json__end_array(json);
	json__array(json, "exposed_pages");
	for (size_t i = 0; i < count; i++)
		json__u64(json, NULL, points[i].exposed_pages);
	json__end_array(json);
}

int view__history(const struct request *request, struct answer *answer)
{
	double window = (double)query__get(&request->query, "window")->number;
	size_t most = query__get(&request->query, "lines")->number;
	struct lines processes = {}, devices = {};
	struct history_point *points = NULL;
	struct json json;
	int count, err;

	count = history__read(request->context->history, window, &points);
	if (count < 0)
		return count;
	processes.points = devices.points = points;
	processes.count = devices.count = (size_t)count;
	err = lines__collect(&processes, &devices);
	if (err)
		goto cleanup;
	json = view__begin(request, answer);
	json__array(&json, "time");
	for (int i = 0; i < count; i++)
		json__time(&json, NULL, &points[i].time);
	json__end_array(&json);
	json__object(&json, "series");
	write_totals(&json, points, (size_t)count);
	write_lines(&json, &processes, most);
	write_lines(&json, &devices, most < SERIES_DEVICES ? most : SERIES_DEVICES);
	json__end_object(&json);
	err = view__end(&json, answer);
cleanup:
	lines__free(&processes);
	lines__free(&devices);
	free(points);
	return err;
}
