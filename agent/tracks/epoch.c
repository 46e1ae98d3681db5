/* SPDX-License-Identifier: BSD-2-Clause */
/* One epoch of a track: who belongs to it now, and what was written since the last one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/tracks_private.h"

/* ---- members ---- */

int track__add_members(struct tracks *tracks, struct track *track, bool later,
		       struct track_error *error)
{
	int err;

	if (track->kind != TRACK_DEVICE && !later)
		track__measure(tracks, track);
	switch (track->kind) {
	case TRACK_PID:
		return later ? 0
			     : track__add_process(tracks, track,
						  (uint32_t)strtoul(track->target, NULL, 10), false,
						  error);
	case TRACK_CGROUP:
		return track__add_cgroup(tracks, track, later, error);
	default:
		break;
	}
	if (later)
		return 0;
	if (!track__new_member(track, 0))
		return track__refuse(error, -ENOMEM, 0, "out of memory");
	err = write_log__new(tracks->feed, &track->log);
	if (!err)
		err = track_sweeps__first(&tracks->sweeps);
	losses__start(&track->losses, tracks->feed);
	if (!err)
		err = write_log__drain(track->log, write_log__discard, NULL);
	return err ? track__refuse(error, err, 0, strerror(-err)) : 0;
}

/* ---- epochs ---- */

struct frames {
	struct page_map *map;
	unsigned device; /* that is asked for */
};

static int take_frames(void *context, unsigned device, enum ds_evidence evidence,
		       uint64_t first_pfn, uint64_t bits)
{
	const struct frames *frames = context;

	for (; bits && device == frames->device; bits &= bits - 1) {
		int err = page_map__add_device(
			frames->map, first_pfn + (uint64_t)__builtin_ctzll(bits), device, evidence);

		if (err)
			return err;
	}
	return 0;
}

static int run_device_epoch(struct tracks *tracks, struct track *track)
{
	struct frames frames = {.map = owed_pages__fresh(track->members->owed)};
	int err = track_sweeps__await(&tracks->sweeps, track_sweeps__ask(&tracks->sweeps));

	if (err)
		return err;
	losses__epoch(&track->losses, tracks->feed, true);
	frames.device = write_feed__find(tracks->feed, track->target);
	return write_log__drain(track->log, take_frames, &frames);
}

int track__run_epoch(struct tracks *tracks, struct track *track, struct track_error *error)
{
	int err;

	if (track->kind == TRACK_DEVICE)
		return run_device_epoch(tracks, track);
	err = track__add_members(tracks, track, true, error);
	for (struct member *member = track->members, *next; member && !err; member = next) {
		next = member->next;
		err = target__epoch(member->shared->target, &track->work);
		if (err == -ESRCH && track->kind == TRACK_CGROUP) {
			err = sharing__member_gone(track, member);
			track__unlink_member(track, member);
			track__free_member(tracks, member);
		}
	}
	if (!err)
		err = sharing__epoch(tracks, track);
	for (struct member *member = track->members; member && !err; member = member->next)
		err = member__keep_scope(member);
	return err;
}
