/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of a track: copies, so that nobody reads it while it changes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/arena.h"
#include "agent/tracks/forecast.h"
#include "agent/tracks/tracks_private.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void list_not_covered(const struct member *member, const struct not_covered *rows,
			     size_t count, struct track_member *out)
{
	for (size_t i = 0; i < count; i++) {
		if (!rows[i].events && !member__not_covered(member, &rows[i]))
			continue;
		if (out->not_covered_count == COUNT(out->not_covered)) {
			out->not_covered_more++;
			continue;
		}
		out->not_covered[out->not_covered_count].kind = rows[i].kind;
		out->not_covered[out->not_covered_count].start = rows[i].start;
		out->not_covered[out->not_covered_count].pages = rows[i].pages;
		out->not_covered[out->not_covered_count].events = rows[i].events;
		out->not_covered[out->not_covered_count].reason = rows[i].reason;
		memcpy(out->not_covered[out->not_covered_count++].name, rows[i].name,
		       sizeof(rows[i].name));
	}
}

static void describe_member(const struct track *track, const struct member *member,
			    struct track_member *out)
{
	const struct not_covered *rows;
	struct target_facts facts;
	size_t count;

	*out = (struct track_member){.pid = member->pid,
				     .scope = member->scope,
				     .scope_reason = member->scope_reason,
				     .backend = "",
				     .device_side = true,
				     .device_side_complete = !track->losses.count};
	if (!member->shared) {
		list_not_covered(member, track->losses.rows, track->losses.count, out);
		return;
	}
	for (size_t i = 0; i < member->ranges.count; i++) {
		if (out->range_count == COUNT(out->ranges))
			out->range_more++;
		else
			out->ranges[out->range_count++] = member->ranges.list[i];
	}
	target__lock(member->shared->target);
	target__facts(member->shared->target, &facts);
	out->backend = facts.backend;
	out->lower_bound = facts.lower_bound;
	out->device_side = facts.device_side;
	out->device_side_complete = facts.device_side && !facts.lost_pages && !facts.events_lost;
	snprintf(out->backend_reason, sizeof(out->backend_reason), "%s", facts.backend_reason);
	out->start_stopped_ns = facts.start_stopped_ns;
	out->stopped_ns = facts.stopped_ns;
	out->lost_pages = facts.lost_pages;
	out->moved = facts.moved;
	/* First, since a list that is too long is cut. */
	rows = target__gaps(member->shared->target, &count);
	list_not_covered(member, rows, count, out);
	rows = target__not_covered(member->shared->target, &count);
	list_not_covered(member, rows, count, out);
	target__unlock(member->shared->target);
	list_not_covered(member, member->uncovered, member->uncovered_count, out);
}

static uint64_t sum_of_pages(const struct member *member, const struct not_covered *rows,
			     size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += member__not_covered(member, &rows[i]);
	return sum;
}

static uint64_t member_bytes(const struct member *member)
{
	struct target_facts facts = {0};

	if (member->shared) {
		target__lock(member->shared->target);
		target__facts(member->shared->target, &facts);
		target__unlock(member->shared->target);
	}
	return facts.bytes + facts.page_table_bytes + owed_pages__bytes(member->owed);
}

uint64_t track__bytes(const struct track *track)
{
	uint64_t bytes = track->log ? write_log__bytes(track->log) : 0;

	for (const struct member *member = track->members; member; member = member->next)
		bytes += member_bytes(member);
	return bytes;
}

/* What is told of the track as a whole, whether or not the member is listed. */
static void add_member(const struct member *member, struct track_info *info)
{
	const struct not_covered *rows;
	struct target_facts facts;
	uint64_t pages = sum_of_pages(member, member->uncovered, member->uncovered_count);
	size_t count;

	if (!member->shared)
		return;
	target__lock(member->shared->target);
	target__facts(member->shared->target, &facts);
	rows = target__gaps(member->shared->target, &count);
	pages += sum_of_pages(member, rows, count);
	rows = target__not_covered(member->shared->target, &count);
	pages += sum_of_pages(member, rows, count);
	target__unlock(member->shared->target);
	info->lower_bound |=
		facts.lower_bound || !facts.device_side || facts.lost_pages || facts.events_lost;
	info->not_covered_bytes += pages * PAGE_BYTES;
}

_Static_assert(COUNT(((struct track_info *)NULL)->backend_costs) == MEASURED_BACKENDS,
	       "a row for each");

static void list_costs(const struct backend_costs *costs, struct track_info *info)
{
	for (size_t i = 0; i < MEASURED_BACKENDS; i++) {
		const struct backend_cost *cost = &costs->rows[i];

		info->backend_costs[info->backend_cost_count++] = (struct track_backend_cost){
			.backend = cost->backend,
			.unknown = cost->unknown,
			.scan_ns_per_page = cost->unknown ? 0 : cost->scan_ns_per_page,
			.fault_ns = cost->unknown ? 0 : cost->fault_ns,
		};
	}
}

void track__info(const struct track *track, struct track_info *info)
{
	static const size_t spans[] = {1, 10, TRACK_EPOCHS};

	*info = (struct track_info){
		.id = track->id,
		.kind = track->kind,
		.ended = track->ended,
		.started = track->started,
		.collected = track->collected,
		.epoch = track->epoch,
		.cursor = track->cursor,
		.acknowledged = track->acknowledged,
		.last = track->last,
		.delivered = track->delivered,
		.missed_total = track->missed_total,
		.bytes = track__bytes(track),
		.epoch_seconds = track->epoch_seconds,
		.collect_seconds = track->collect_seconds,
		.rate = track->epoch_seconds > 0 ? (double)track->last.all / track->epoch_seconds
						 : 0,
	};
	info->lower_bound = track->losses.count > 0;
	memcpy(info->target, track->target, sizeof(info->target));
	memcpy(info->vm, track->vm, sizeof(info->vm));
	memcpy(info->reason, track->reason, sizeof(info->reason));
	if (track->has_costs)
		list_costs(&track->costs, info);
	for (const struct member *member = track->members; member; member = member->next) {
		uint64_t sets[TRACK_EPOCHS];

		add_member(member, info);
		owed_pages__working_set(member->owed, 0, UINT64_MAX, sets);
		for (size_t i = 0; i < COUNT(spans); i++)
			info->working_set[i] += sets[spans[i] - 1];
		if (info->member_count < COUNT(info->members))
			describe_member(track, member, &info->members[info->member_count++]);
		else
			info->member_more++;
	}
	sharing__list(track, info);
}

void track__post(struct tracks *tracks, const struct track *track)
{
	struct track *own = (struct track *)track;
	struct track_info info;

	track__info(track, &info);
	pthread_mutex_lock(&tracks->lock);
	own->info = info;
	own->published = (struct snapshot_track){
		.id = info.id,
		.ended = info.ended,
		.pid = info.kind == TRACK_PID && info.member_count ? info.members[0].pid : 0,
		.pages = {[DS_TRACK_CPU] = info.last.cpu,
			  [DS_TRACK_DMA] = info.last.dma,
			  [DS_TRACK_BOTH] = info.last.both},
		.missed_total = info.missed_total,
		.bytes = info.bytes,
	};
	pthread_mutex_unlock(&tracks->lock);
}
