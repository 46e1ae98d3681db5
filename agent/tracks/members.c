/* SPDX-License-Identifier: BSD-2-Clause */
/* What a track follows: processes, or the frames that one device writes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "agent/host/procfs.h"
#include "agent/tracks/tracks_private.h"

/* ---- targets, shared ---- */

int track__refuse(struct track_error *error, int err, uint32_t pid, const char *why)
{
	if (pid)
		snprintf(error->message, sizeof(error->message), "process %u: %s", pid, why);
	else
		snprintf(error->message, sizeof(error->message), "%s", why);
	return err;
}

static int check_process(const struct tracks *tracks, uint32_t pid, uint64_t *start_ticks,
			 struct track_error *error)
{
	struct procfs_stat stat;
	int err = procfs__stat(tracks->config->procfs, pid, &stat);

	if (err == -ENOENT || err == -ESRCH)
		return track__refuse(error, -ESRCH, pid, "there is none with this pid");
	if (err)
		return track__refuse(error, err, pid, strerror(-err));
	if (stat.kernel_thread)
		return track__refuse(error, -EINVAL, pid,
				     "it is a kernel thread and has no memory of its own");
	if (stat.state == 'Z' || stat.state == 'X')
		return track__refuse(error, -ESRCH, pid, "it has ended");
	if (pid == (uint32_t)getpid())
		return track__refuse(error, -EINVAL, pid,
				     "it is this agent, which cannot stop itself");
	*start_ticks = stat.start_ticks;
	return 0;
}

static int make_target(struct tracks *tracks, const struct track *track, uint32_t pid,
		       uint64_t start_ticks, const struct object_key *object,
		       struct target **target, struct track_error *error)
{
	const struct target_options options = {
		.procfs = tracks->config->procfs,
		.tgid = pid,
		.start_ticks = start_ticks,
		.backend = *track->backend ? track->backend : NULL,
		.object = object,
		.feed = tracks->feed,
		.frames = tracks->frames,
		.hand_over = tracks->hand_over,
		.context = tracks->context,
	};
	char why[256];
	int err = target__new(&options, target, why, sizeof(why));

	return err ? track__refuse(error, err, pid, *why ? why : strerror(-err)) : 0;
}

/* Two descriptors on the same memory cannot be had (-EBUSY): whoever wants more of it widens it. */
static int widen(struct shared_target *shared, const struct object_key *object)
{
	int err = target__widen(shared->target, object);

	if (err || object || !shared->partial)
		return err;
	shared->partial = false;
	/* What was not followed until now would come as written to the one who joins. */
	return target__epoch(shared->target);
}

int track__get_target(struct tracks *tracks, const struct track *track, uint32_t pid,
		      const struct object_key *object, struct shared_target **out,
		      struct track_error *error)
{
	struct shared_target *shared;
	uint64_t start_ticks = 0;
	int err = check_process(tracks, pid, &start_ticks, error);

	if (err)
		return err;
	pthread_mutex_lock(&tracks->starting);
	for (shared = tracks->targets; shared; shared = shared->next)
		if (shared->pid == pid && shared->start_ticks == start_ticks)
			break;
	if (!shared) {
		shared = calloc(1, sizeof(*shared));
		err = shared ? make_target(tracks, track, pid, start_ticks, object, &shared->target,
					   error)
			     : -ENOMEM;
		if (err) {
			free(shared);
			pthread_mutex_unlock(&tracks->starting);
			return err;
		}
		shared->partial = object;
		shared->pid = pid;
		shared->start_ticks = start_ticks;
		shared->next = tracks->targets;
		tracks->targets = shared;
	} else {
		err = widen(shared, object);
		if (err) {
			pthread_mutex_unlock(&tracks->starting);
			return track__refuse(error, err, pid, strerror(-err));
		}
	}
	shared->users++;
	pthread_mutex_unlock(&tracks->starting);
	*out = shared;
	return 0;
}

void track__put_target(struct tracks *tracks, struct shared_target *shared)
{
	pthread_mutex_lock(&tracks->starting);
	if (--shared->users == 0) {
		for (struct shared_target **at = &tracks->targets; *at; at = &(*at)->next)
			if (*at == shared) {
				*at = shared->next;
				break;
			}
		target__free(shared->target);
		free(shared);
	}
	pthread_mutex_unlock(&tracks->starting);
}

/* ---- members ---- */

void track__free_member(struct tracks *tracks, struct member *member)
{
	if (member->shared) {
		target__leave(member->shared->target, owed_pages__fresh(member->owed));
		track__put_target(tracks, member->shared);
	}
	owed_pages__free(member->owed);
	free(member->spans);
	free(member->uncovered);
	free(member);
}

void track__drop_members(struct tracks *tracks, struct track *track)
{
	sharing__free(tracks, track);
	while (track->members) {
		struct member *member = track->members;

		track->members = member->next;
		track__free_member(tracks, member);
	}
	write_log__free(track->log);
	track->log = NULL;
}

static struct member *new_member(struct track *track, uint32_t pid)
{
	struct member *member = calloc(1, sizeof(*member)), **end = &track->members;

	if (!member)
		return NULL;
	member->pid = pid;
	member->seen = true;
	member->owed = owed_pages__new();
	if (!member->owed) {
		free(member);
		return NULL;
	}
	while (*end)
		end = &(*end)->next;
	*end = member;
	return member;
}

void track__unlink_member(struct track *track, struct member *member)
{
	for (struct member **at = &track->members; *at; at = &(*at)->next)
		if (*at == member) {
			*at = member->next;
			return;
		}
}

/* later: it came after the track began, so that all of it is new to the consumer. */
int track__add_process(struct tracks *tracks, struct track *track, uint32_t pid, bool later,
		       struct track_error *error)
{
	struct member *member = new_member(track, pid);
	int err;

	if (!member)
		return track__refuse(error, -ENOMEM, 0, "out of memory");
	err = track__get_target(tracks, track, pid, NULL, &member->shared, error);
	if (!err)
		err = target__subscribe(member->shared->target, owed_pages__fresh(member->owed));
	if (!err && later)
		err = target__fill(member->shared->target, owed_pages__fresh(member->owed));
	if (!err)
		return 0;
	track__unlink_member(track, member);
	track__free_member(tracks, member);
	return err;
}

int track__add_members(struct tracks *tracks, struct track *track, bool later,
		       struct track_error *error)
{
	int err;

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
	if (!new_member(track, 0))
		return track__refuse(error, -ENOMEM, 0, "out of memory");
	err = write_log__new(tracks->feed, tracks->frames, &track->log);
	if (!err)
		err = tracks->hand_over(tracks->context);
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
	int err = tracks->hand_over(tracks->context);

	frames.device = write_feed__find(tracks->feed, track->target);
	return err ? err : write_log__drain(track->log, take_frames, &frames);
}

int track__run_epoch(struct tracks *tracks, struct track *track, struct track_error *error)
{
	int err;

	if (track->kind == TRACK_DEVICE)
		return run_device_epoch(tracks, track);
	err = track__add_members(tracks, track, true, error);
	for (struct member *member = track->members, *next; member && !err; member = next) {
		next = member->next;
		err = target__epoch(member->shared->target);
		if (err == -ESRCH && track->kind == TRACK_CGROUP) {
			err = sharing__member_gone(track, member);
			track__unlink_member(track, member);
			track__free_member(tracks, member);
		}
	}
	return err ? err : sharing__epoch(tracks, track);
}
