/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a process's memory a track is told of: all of it, what was asked for, or the memory of
 * the guest that it runs. The target may follow more, for another track.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/host/procfs.h"
#include "agent/tracks/tracks_private.h"

_Static_assert(TRACK_VM_NAME >= VM_NAME_SIZE, "a machine's name fits");

static const char not_found[] =
	"which of its mappings are its guest's memory could not be told, so all of it is followed";

int track__want(const struct tracks *tracks, struct track *track, uint32_t pid,
		struct member *member, struct scope_want *want, struct track_error *error)
{
	struct procfs_vm vm;
	int err;

	*want = (struct scope_want){0};
	if (track->kind != TRACK_PID)
		return 0;
	err = procfs__vm(tracks->config->procfs, pid, &vm);
	if (err == -ENOMEM)
		return track__refuse(error, err, 0, "out of memory");
	if (!err)
		memcpy(track->vm, vm.name, strlen(vm.name) + 1);
	if (track->asked.count) {
		member->scope = TRACK_SCOPE_RANGES;
		want->ranges = &track->asked;
		return address_ranges__copy(&member->ranges, &track->asked);
	}
	/* What is wrong with the process is told when it is looked at. */
	want->guest = !err && !track->whole_process;
	if (want->guest)
		member->scope = TRACK_SCOPE_GUEST;
	return 0;
}

int member__read_scope(struct member *member)
{
	int err;

	/* One that could not be told at first may be told in a later epoch. */
	if (member->scope != TRACK_SCOPE_GUEST && !member->scope_reason)
		return 0;
	target__lock(member->shared->target);
	err = address_ranges__copy(&member->ranges, target__guest(member->shared->target));
	target__unlock(member->shared->target);
	member->scope = member->ranges.count ? TRACK_SCOPE_GUEST : TRACK_SCOPE_PROCESS;
	member->scope_reason = member->ranges.count ? NULL : not_found;
	return err;
}

static bool holds_mapping(struct target *target, const struct address_range *range)
{
	const struct map_region *regions;
	bool found = false;
	size_t count;

	target__lock(target);
	regions = target__regions(target, &count);
	for (size_t i = 0; i < count; i++)
		found |= regions[i].start < range->end && regions[i].end > range->start;
	target__unlock(target);
	return found;
}

int member__check_scope(const struct track *track, const struct member *member,
			struct track_error *error)
{
	for (size_t i = 0; i < track->asked.count; i++) {
		const struct address_range *range = &track->asked.list[i];

		if (!holds_mapping(member->shared->target, range))
			return track_error__set(error, -EINVAL,
						"target.ranges: process %" PRIu32
						" has no mapping in 0x%" PRIx64 "-0x%" PRIx64
						"; see /proc/%" PRIu32 "/maps",
						member->pid, range->start, range->end, member->pid);
	}
	return 0;
}

int member__keep_scope(struct member *member)
{
	int err;

	if (!member->shared)
		return 0;
	err = member__read_scope(member);
	if (err || !member->ranges.count)
		return err;
	target__lock(member->shared->target);
	page_map__keep(owed_pages__fresh(member->owed), &member->ranges);
	target__unlock(member->shared->target);
	return 0;
}

uint64_t member__not_covered(const struct member *member, const struct not_covered *row)
{
	/* What has no place may be anywhere. */
	if (!row->start || !member->ranges.count)
		return row->pages;
	return address_ranges__bytes(&member->ranges, row->start,
				     row->start + row->pages * PAGE_BYTES) /
	       PAGE_BYTES;
}
