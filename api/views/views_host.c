/* SPDX-License-Identifier: BSD-2-Clause */
/* The host as a whole: the summary, the sensors, the events. */
#include "api/views/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/version.h"

const struct param_row view_events_params[] = {
	{
		.name = "after",
		.type = PARAM_INTEGER,
		.max = INT64_MAX, /* what JSON readers take */
		.initial = "0",
		.help = "only events with a higher id",
	},
	{
		.name = "limit",
		.type = PARAM_INTEGER,
		.max = EVENTS_KEPT,
		.initial = "100",
		.help = "events at most, the oldest first",
	},
	{},
};

const struct param_row view_stream_params[] = {
	{
		.name = "after",
		.type = PARAM_INTEGER,
		.max = INT64_MAX,
		.help = "begin with the events of a higher id; else only new ones",
	},
	{},
};

static const char *const sensor_states[] = {
	[SENSOR_ACTIVE] = "active",
	[SENSOR_PARTIAL] = "partial",
	[SENSOR_UNAVAILABLE] = "unavailable",
};

static bool is_degraded(const struct snapshot *snapshot)
{
	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++)
		if (snapshot->sensors[sensor].losing)
			return true;
	return false;
}

/* null where the host does not tell. */
static void write_writeback(struct json *json, const struct snapshot_writeback *writeback)
{
	if (!writeback->known) {
		json__null(json, "writeback");
		return;
	}
	json__object(json, "writeback");
	json__u64(json, "waiting", writeback->waiting);
	json__u64(json, "under_writeback", writeback->under_writeback);
	json__u64(json, "throttle_at", writeback->throttle_at);
	json__end_object(json);
}

static void write_namespaces(struct json *json, const struct snapshot *snapshot)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} kinds[] = {
		{"pid", DS_OWN_PID_NAMESPACE},
		{"time", DS_OWN_TIME_NAMESPACE},
		{"cgroup", DS_OWN_CGROUP_NAMESPACE},
	};

	if (!snapshot->namespaces_known) {
		json__null(json, "namespaces");
		return;
	}
	json__object(json, "namespaces");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		json__string(json, kinds[i].name,
			     snapshot->own_namespaces & kinds[i].flag ? "own" : "host");
	json__end_object(json);
}

/* null where nothing is recorded. */
static void write_record(struct json *json, const struct snapshot_record *record)
{
	if (record->state == RECORD_OFF) {
		json__null(json, "record");
		return;
	}
	json__object(json, "record");
	json__string(json, "state", record_state_names[record->state]);
	json__string(json, "reason", record->reason);
	json__u64(json, "bytes", record->bytes);
	json__u64(json, "limit", record->limit);
	json__u64(json, "snapshots", record->snapshots);
	json__u64(json, "missed", record->missed);
	json__end_object(json);
}

/* null where it is this host that is looked at. */
static size_t count_groups(const struct snapshot_group *groups, size_t rows)
{
	size_t count = 0;

	for (size_t i = 0; i < rows; i++)
		count += strcmp(groups[i].name, SNAPSHOT_EXITED) != 0 &&
			 strcmp(groups[i].name, SNAPSHOT_OTHER) != 0;
	return count;
}

static void write_replay(struct json *json, const struct snapshot_replay *replay)
{
	if (!replay) {
		json__null(json, "replay");
		return;
	}
	json__object(json, "replay");
	json__string(json, "file", replay->file);
	json__time(json, "recorded", &replay->recorded);
	json__string(json, "version", replay->version);
	json__string(json, "revision", replay->revision);
	json__u64(json, "position", replay->position);
	json__u64(json, "snapshots", replay->snapshots);
	json__u64(json, "rounds", replay->rounds);
	json__bool(json, "truncated", replay->truncated);
	json__bool(json, "ended", replay->ended);
	json__end_object(json);
}

void view__summary_fields(struct json *json, const struct snapshot *snapshot)
{
	uint64_t states[SENSOR_UNAVAILABLE + 1] = {};

	json__time(json, "time", &snapshot->time);
	json__string(json, "version", dirtyscope_version());
	json__string(json, "revision", dirtyscope_revision());
	json__string(json, "host", snapshot->hostname);
	json__string(json, "kernel", snapshot->kernel);
	json__double(json, "uptime", snapshot->uptime);
	json__double(json, "interval", snapshot->interval);
	json__u64(json, "sequence", snapshot->sequence);
	json__u64(json, "memory_pages", snapshot->memory_pages);
	view__counts(json, "totals", snapshot->totals);
	view__rates(json, "rates", snapshot->rates);
	json__object(json, "cpu_totals");
	for (int kind = 0; kind < CPU_KINDS; kind++)
		json__u64(json, cpu_kind_names[kind], snapshot->cpu_totals[kind]);
	json__end_object(json);
	json__object(json, "cpu_rates");
	for (int kind = 0; kind < CPU_KINDS; kind++)
		json__double(json, cpu_kind_names[kind], snapshot->cpu_rates[kind]);
	json__end_object(json);
	json__u64(json, "tracked_faults", snapshot->tracked_faults);
	json__u64(json, "dirty_pages", snapshot->dirty_pages);
	json__u64(json, "dirty_pages_total", snapshot->dirty_pages_total);
	json__u64(json, "exposed_pages", snapshot->exposed_pages);
	json__u64(json, "reported_pages", snapshot->reported_pages);
	write_writeback(json, &snapshot->writeback);
	write_namespaces(json, snapshot);
	json__u64(json, "processes", snapshot->process_count);
	json__u64(json, "devices", snapshot->device_count);
	json__u64(json, "flows", snapshot->flow_count);
	json__u64(json, "cgroups", count_groups(snapshot->cgroups, snapshot->cgroup_count));
	json__u64(json, "vms", count_groups(snapshot->vms, snapshot->vm_count));
	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++)
		states[snapshot->sensors[sensor].state]++;
	json__object(json, "sensors");
	for (size_t state = 0; state <= SENSOR_UNAVAILABLE; state++)
		json__u64(json, sensor_states[state], states[state]);
	json__end_object(json);
	json__bool(json, "degraded", is_degraded(snapshot));
	view__limits(json, "limits", &snapshot->limits);
	write_record(json, &snapshot->record);
	write_replay(json, snapshot->replay);
}

int view__summary(const struct request *request, struct answer *answer)
{
	struct json json = {.out = &answer->text};

	answer->status = 200;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	view__summary_fields(&json, request->snapshot);
	return view__end(&json, answer);
}

static void write_program(struct json *json, const struct snapshot_program *program)
{
	static const char *const states[] = {
		[PROGRAM_ACTIVE] = "active",
		[PROGRAM_REPLACED] = "replaced",
		[PROGRAM_UNAVAILABLE] = "unavailable",
	};

	json__object(json, NULL);
	json__string(json, "name", program->name);
	json__string(json, "hook", program->hook);
	json__string(json, "state", states[program->state]);
	json__string(json, "reason", program->reason);
	json__u64(json, "runs", program->runs);
	json__u64(json, "run_time_ns", program->run_time_ns);
	json__u64(json, "missed", program->missed);
	json__u64(json, "verified_instructions", program->verified_instructions);
	json__end_object(json);
}

static void write_sensor(struct json *json, const struct snapshot_sensor *sensor)
{
	json__object(json, NULL);
	json__string(json, "name", ds_sensor_names[sensor->id]);
	json__string(json, "state", sensor_states[sensor->state]);
	json__string(json, "reason", sensor->reason);
	json__string(json, "yields", sensor->yields);
	json__string(json, "blind", sensor->blind);
	json__u64(json, "offered", sensor->offered);
	json__u64(json, "counted", sensor->counted);
	json__object(json, "lost");
	for (int reason = 0; reason < DS_LOST_REASONS; reason++)
		json__u64(json, ds_lost_names[reason], sensor->lost[reason]);
	json__end_object(json);
	json__array(json, "programs");
	for (size_t i = 0; i < sensor->program_count; i++)
		write_program(json, &sensor->programs[i]);
	json__end_array(json);
	json__end_object(json);
}

int view__sensors(const struct request *request, struct answer *answer)
{
	const struct snapshot *snapshot = request->snapshot;
	struct json json = view__begin(request, answer);

	json__u64(&json, "total", DS_SENSOR_COUNT);
	json__array(&json, "sensors");
	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++)
		write_sensor(&json, &snapshot->sensors[sensor]);
	json__end_array(&json);
	json__array(&json, "tiers");
	for (size_t i = 0; i < snapshot->tier_count; i++) {
		json__object(&json, NULL);
		json__string(&json, "name", snapshot->tiers[i].name);
		json__bool(&json, "available", snapshot->tiers[i].available);
		json__string(&json, "reason", snapshot->tiers[i].reason);
		json__end_object(&json);
	}
	json__end_array(&json);
	json__u64(&json, "net_virtual_packets", snapshot->net_virtual_packets);
	view__limits(&json, "limits", &snapshot->limits);
	return view__end(&json, answer);
}

void view__id(struct json *json, const char *key, uint64_t id)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)id);
	json__string(json, key, digits);
}

void view__event(struct json *json, const struct event *event)
{
	json__object(json, NULL);
	view__id(json, "id", event->id);
	json__time(json, "time", &event->time);
	json__string(json, "type", event->type);
	json__string(json, "severity", event->severity);
	json__string(json, "subject", event->subject);
	json__string(json, "message", event->message);
	json__end_object(json);
}

int view__events(const struct request *request, struct answer *answer)
{
	uint64_t after = query__get(&request->query, "after")->number;
	uint64_t limit = query__get(&request->query, "limit")->number;
	struct event *events = NULL;
	uint64_t oldest = 0;
	struct json json;
	int count, err;

	count = events__read(request->context->events, after, limit, &events, &oldest);
	if (count < 0)
		return count;
	json = view__begin(request, answer);
	if (oldest)
		view__id(&json, "oldest", oldest);
	else
		json__null(&json, "oldest");
	json__array(&json, "events");
	for (int i = 0; i < count; i++)
		view__event(&json, &events[i]);
	json__end_array(&json);
	err = view__end(&json, answer);
	free(events);
	return err;
}

int view__stream(const struct request *request, struct answer *answer)
{
	const struct query_value *after = query__get(&request->query, "after");
	struct stream_start *start = &answer->stream;

	answer->status = 200;
	answer->type = TYPE_STREAM;
	*start = (struct stream_start){.wanted = true, .has_after = after};
	if (after)
		start->after = after->number;
	if (!*request->last_event_id)
		return 0;
	/* A browser that connects again asks for the same path, with the header. */
	start->has_after = true;
	if (url__integer(request->last_event_id, 0, INT64_MAX, &start->after))
		answer__error(answer, 400, "invalid_header",
			      "Last-Event-ID must be the id of an event, a number");
	return 0;
}
