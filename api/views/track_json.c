/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/track_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/tracks/cpu/page_table.h"
#include "api/views/page_answer.h"

void track_json__id(struct json *json, const char *key, uint64_t id)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, id);
	json__string(json, key, text);
}

/* Of a device's frames there is none. */
static void put_scope(struct json *json, const struct track_member *member, bool is_process)
{
	char text[48];

	json__string(json, "scope", is_process ? track_scope_names[member->scope] : NULL);
	json__string(json, "scope_reason", member->scope_reason);
	if (!is_process || member->scope == TRACK_SCOPE_PROCESS) {
		json__null(json, "ranges");
		json__u64(json, "ranges_more", 0);
		return;
	}
	json__array(json, "ranges");
	for (size_t i = 0; i < member->range_count; i++) {
		snprintf(text, sizeof(text), "0x%" PRIx64 "-0x%" PRIx64, member->ranges[i].start,
			 member->ranges[i].end);
		json__string(json, NULL, text);
	}
	json__end_array(json);
	json__u64(json, "ranges_more", member->range_more);
}

static void put_member(struct json *json, const struct track_member *member, bool is_process)
{
	json__object(json, NULL);
	if (is_process)
		json__u64(json, "pid", member->pid);
	else
		json__null(json, "pid");
	put_scope(json, member, is_process);
	json__string(json, "backend", *member->backend ? member->backend : NULL);
	json__string(json, "backend_reason",
		     *member->backend_reason ? member->backend_reason : NULL);
	json__bool(json, "lower_bound", member->lower_bound);
	json__bool(json, "device_side", member->device_side);
	json__bool(json, "device_side_complete", member->device_side_complete);
	json__double(json, "start_stopped_us", (double)member->start_stopped_ns / 1000);
	json__double(json, "stopped_us", (double)member->stopped_ns / 1000);
	json__u64(json, "moved_pages", member->moved);
	json__u64(json, "lost_pages", member->lost_pages);
	json__array(json, "not_covered");
	for (size_t i = 0; i < member->not_covered_count; i++)
		page_answer__gap(json, &member->not_covered[i], NULL);
	json__end_array(json);
	json__u64(json, "not_covered_more", member->not_covered_more);
	json__end_object(json);
}

static void put_target(struct json *json, const struct track_info *info)
{
	json__object(json, "target");
	if (info->kind == TRACK_PID)
		json__u64(json, "pid", strtoull(info->target, NULL, 10));
	if (*info->vm)
		json__string(json, "vm", info->vm);
	if (info->kind != TRACK_PID)
		json__string(json, track_kind_names[info->kind], info->target);
	json__end_object(json);
}

static void put_progress(struct json *json, const struct track_progress *progress)
{
	if (!progress->step) {
		json__null(json, "progress");
		return;
	}
	json__object(json, "progress");
	json__string(json, "step", progress->step);
	json__u64(json, "done", progress->done);
	json__u64(json, "of", progress->of);
	json__end_object(json);
}

static void put_costs(struct json *json, const struct track_info *info)
{
	json__array(json, "backend_cost");
	for (size_t i = 0; i < info->backend_cost_count; i++) {
		const struct track_backend_cost *cost = &info->backend_costs[i];

		json__object(json, NULL);
		json__string(json, "backend", cost->backend);
		if (cost->unknown) {
			json__null(json, "scan_ns_per_page");
			json__null(json, "fault_ns");
		} else {
			json__double(json, "scan_ns_per_page", cost->scan_ns_per_page);
			json__double(json, "fault_ns", cost->fault_ns);
		}
		json__string(json, "reason", cost->unknown);
		json__end_object(json);
	}
	json__end_array(json);
}

void track_json__put(struct json *json, const struct track_info *info)
{
	track_json__id(json, "id", info->id);
	put_target(json, info);
	json__string(json, "state", info->ended ? "ended" : info->starting ? "starting" : "active");
	json__string(json, "reason", info->ended ? info->reason : NULL);
	put_progress(json, &info->progress);
	json__time(json, "started", &info->started);
	if (info->collected.tv_sec)
		json__time(json, "collected", &info->collected);
	else
		json__null(json, "collected");
	json__u64(json, "epoch", info->epoch);
	json__u64(json, "cursor", info->cursor);
	json__u64(json, "acknowledged", info->acknowledged);
	page_answer__counts(json, "last_epoch", &info->last);
	json__u64(json, "missed_by_cpu_tracking_total", info->missed_total);
	json__double(json, "epoch_seconds", info->epoch_seconds);
	json__double(json, "collect_seconds", info->collect_seconds);
	json__double(json, "rate", info->rate);
	json__object(json, "working_set");
	json__u64(json, "epochs_1", info->working_set[0]);
	json__u64(json, "epochs_10", info->working_set[1]);
	json__u64(json, "epochs_60", info->working_set[2]);
	json__end_object(json);
	json__u64(json, "memory_bytes", info->bytes);
	put_costs(json, info);
	json__array(json, "members");
	for (size_t i = 0; i < info->member_count; i++)
		put_member(json, &info->members[i], info->kind != TRACK_DEVICE);
	json__end_array(json);
	json__u64(json, "members_more", info->member_more);
	json__array(json, "shared_with");
	for (size_t i = 0; i < info->sharer_count; i++) {
		json__object(json, NULL);
		json__u64(json, "pid", info->sharers[i].pid);
		json__bool(json, "followed", info->sharers[i].followed);
		json__end_object(json);
	}
	json__end_array(json);
	json__u64(json, "shared_with_more", info->sharer_more);
}

int track_json__answer(const struct track_info *info, unsigned status, struct answer *answer)
{
	struct json json = {.out = &answer->text};

	answer->status = status;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	track_json__put(&json, info);
	json__end_object(&json);
	text__putc(&answer->text, '\n');
	return answer->text.failed ? -ENOMEM : 0;
}
