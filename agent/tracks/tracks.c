/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/tracks.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/arena.h"
#include "agent/base/log.h"
#include "agent/tracks/forecast.h"
#include "agent/tracks/host_lock.h"
#include "agent/tracks/tracks_private.h"

#define KEEP_SECONDS 600 /* that an ended track stays listed */
#define KEEPER_MS 500	 /* between two looks at idle tracks */

const char *const track_kind_names[TRACK_KINDS] = {"pid", "cgroup", "device"};
const char *const track_scope_names[TRACK_SCOPES] = {"process", "guest", "ranges"};

double tracks__now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int track_error__set(struct track_error *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return err;
}

/* ---- the list ---- */

/* With a reference; NULL: none. */
struct track *tracks__find(struct tracks *tracks, uint64_t id)
{
	struct track *track;

	pthread_mutex_lock(&tracks->lock);
	for (track = tracks->list; track; track = track->next)
		if (track->id == id) {
			track->references++;
			break;
		}
	pthread_mutex_unlock(&tracks->lock);
	return track;
}

static void destroy(struct track *track)
{
	address_ranges__free(&track->asked);
	pthread_mutex_destroy(&track->lock);
	free(track);
}

void tracks__put(struct tracks *tracks, struct track *track)
{
	bool last;

	pthread_mutex_lock(&tracks->lock);
	last = --track->references == 0;
	pthread_mutex_unlock(&tracks->lock);
	if (!last)
		return;
	track__drop_members(tracks, track);
	destroy(track);
}

/* Takes it off the list, whose reference is the caller's then. False: it was not on it. */
static bool unlist(struct tracks *tracks, const struct track *track)
{
	bool found = false;

	pthread_mutex_lock(&tracks->lock);
	for (struct track **at = &tracks->list; *at && !found; at = &(*at)->next)
		if (*at == track) {
			*at = track->next;
			found = true;
			break;
		}
	pthread_mutex_unlock(&tracks->lock);
	return found;
}

/* Under its lock: it stays listed for a while, and costs nothing more. */
void track__end(struct tracks *tracks, struct track *track, const char *reason)
{
	char subject[32];

	if (track->ended)
		return;
	track__drop_members(tracks, track);
	track->ended = true;
	track->ended_at = tracks__now();
	snprintf(track->reason, sizeof(track->reason), "%s", reason);
	track__post(tracks, track);
	snprintf(subject, sizeof(subject), "%" PRIu64, track->id);
	events__add(tracks->events, "track", "info", subject, "track of %s %s ended: %s",
		    track_kind_names[track->kind], track->target, reason);
}

/* ---- the keeper ---- */

/* Returns whether it ended so long ago that it need not be listed any more. */
static bool look_at(struct tracks *tracks, struct track *track)
{
	const double now = tracks__now();
	char reason[64];
	bool over;

	if (pthread_mutex_trylock(&track->lock))
		return false; /* somebody is at it */
	if (!track->ended && now - track->touched > tracks->config->track_idle) {
		snprintf(reason, sizeof(reason), "not collected for %g s",
			 tracks->config->track_idle);
		track__end(tracks, track, reason);
	} else if (!track->ended && track->kind == TRACK_PID && track->members &&
		   !target__is_alive(track->members->shared->target)) {
		track__end(tracks, track, "the process has ended, or executed another program");
	}
	over = track->ended && now - track->ended_at > KEEP_SECONDS;
	pthread_mutex_unlock(&track->lock);
	return over;
}

static void look_at_all(struct tracks *tracks)
{
	struct track *track;
	uint64_t after = 0;

	/* By id, since the list may change between two of them. */
	for (;;) {
		uint64_t next = UINT64_MAX;

		pthread_mutex_lock(&tracks->lock);
		for (track = tracks->list; track; track = track->next)
			if (track->id > after && track->id < next)
				next = track->id;
		pthread_mutex_unlock(&tracks->lock);
		if (next == UINT64_MAX)
			return;
		after = next;
		track = tracks__find(tracks, next);
		if (!track)
			continue;
		if (look_at(tracks, track) && unlist(tracks, track))
			tracks__put(tracks, track);
		tracks__put(tracks, track);
	}
}

static void *tracks_keep(void *argument)
{
	struct tracks *tracks = argument;
	struct pollfd stop = {.fd = tracks->keeper_stop, .events = POLLIN};

	while (poll(&stop, 1, KEEPER_MS) <= 0)
		look_at_all(tracks);
	return NULL;
}

/* ---- life ---- */

struct tracks *tracks__new(const struct agent_config *config, struct events *events,
			   struct snapshot_store *store)
{
	struct tracks *tracks = calloc(1, sizeof(*tracks));

	if (!tracks)
		return NULL;
	tracks->config = config;
	tracks->events = events;
	tracks->store = store;
	tracks->next_id = 1;
	tracks->keeper_stop = tracks->host_lock = -1;
	pthread_mutex_init(&tracks->lock, NULL);
	pthread_mutex_init(&tracks->targets_lock, NULL);
	pthread_mutex_init(&tracks->costs_lock, NULL);
	tracks->feed = write_feed__new();
	if (!tracks->feed) {
		tracks__free(tracks);
		return NULL;
	}
	return tracks;
}

const struct page_listener *tracks__listener(struct tracks *tracks)
{
	return write_feed__listener(tracks->feed);
}

int tracks__serve(struct tracks *tracks, const struct kernel_tables *tables,
		  const struct track_sweeps *sweeps)
{
	int err;

	tracks->keeper_stop = eventfd(0, EFD_CLOEXEC);
	if (tracks->keeper_stop < 0)
		return -errno;
	err = -pthread_create(&tracks->keeper, NULL, tracks_keep, tracks);
	if (err) {
		close(tracks->keeper_stop);
		tracks->keeper_stop = -1;
		return err;
	}
	pthread_mutex_lock(&tracks->lock);
	tracks->tables = tables;
	tracks->sweeps = *sweeps;
	tracks->serving = true;
	pthread_mutex_unlock(&tracks->lock);
	return 0;
}

void tracks__interrupt(struct tracks *tracks)
{
	if (tracks)
		__atomic_store_n(&tracks->stopping, true, __ATOMIC_RELEASE);
}

void tracks__suspend(struct tracks *tracks)
{
	if (!tracks)
		return;
	if (tracks->keeper_stop >= 0) {
		eventfd_write(tracks->keeper_stop, 1);
		pthread_join(tracks->keeper, NULL);
		close(tracks->keeper_stop);
		tracks->keeper_stop = -1;
	}
	pthread_mutex_lock(&tracks->lock);
	tracks->serving = false;
	pthread_mutex_unlock(&tracks->lock);
	while (tracks->list) {
		struct track *track = tracks->list;

		tracks->list = track->next;
		tracks__put(tracks, track);
	}
}

void tracks__free(struct tracks *tracks)
{
	if (!tracks)
		return;
	tracks__suspend(tracks);
	write_feed__free(tracks->feed);
	if (tracks->host_lock >= 0)
		close(tracks->host_lock);
	pthread_mutex_destroy(&tracks->targets_lock);
	pthread_mutex_destroy(&tracks->costs_lock);
	pthread_mutex_destroy(&tracks->lock);
	free(tracks);
}

/* ---- start and stop ---- */

static int name_target(const struct track_request *request, struct track *track,
		       struct track_error *error)
{
	int length;

	if (request->kind == TRACK_PID)
		length = snprintf(track->target, sizeof(track->target), "%" PRIu32, request->pid);
	else
		length = snprintf(track->target, sizeof(track->target), "%s", request->path);
	if (length <= 0 || (size_t)length >= sizeof(track->target))
		return track_error__set(error, -EINVAL, "%s: it is empty, or longer than %zu bytes",
					track_kind_names[request->kind], sizeof(track->target) - 1);
	return 0;
}

/* Under the lock: with the first track, and for good. */
static int lock_host(struct tracks *tracks, struct track_error *error)
{
	int err = 0;

	if (!tracks->host_locked && !tracks->config->allow_second)
		err = host_lock__take(&tracks->host_lock);
	if (err)
		return track_error__set(error, err,
					"another agent tracks on this host (it holds %s); with "
					"--allow-second each gets what the other has left",
					HOST_LOCK_PATH);
	tracks->host_locked = true;
	return 0;
}

/* Takes a place on the list, so that two starts at once cannot both have the last one. */
static int enlist(struct tracks *tracks, struct track *track, struct track_error *error)
{
	uint32_t count = 0;
	int err = 0;

	pthread_mutex_lock(&tracks->lock);
	for (const struct track *one = tracks->list; one; one = one->next)
		count += !one->ended;
	if (!tracks->serving) {
		err = track_error__set(error, -EAGAIN,
				       "the agent is not sampling yet; try again in a second");
	} else if (count >= tracks->config->max_tracks) {
		err = track_error__set(error, -ENOSPC,
				       "there are %" PRIu32
				       " tracks already; stop one, or see --max-tracks",
				       count);
	} else {
		err = lock_host(tracks, error);
	}
	if (!err) {
		track->id = tracks->next_id++;
		track->references = 2; /* the list's and the caller's */
		track->info =
			(struct track_info){.id = track->id, .kind = track->kind, .starting = true};
		memcpy(track->info.target, track->target, sizeof(track->target));
		clock_gettime(CLOCK_REALTIME, &track->info.started);
		track->next = tracks->list;
		tracks->list = track;
	}
	pthread_mutex_unlock(&tracks->lock);
	return err;
}

int track__too_large(const struct tracks *tracks, const struct track *track,
		     struct track_error *error)
{
	const uint64_t bytes = track__bytes(track);

	if (bytes <= tracks->config->track_memory)
		return 0;
	return track_error__set(error, -ENOSPC,
				"it takes %" PRIu64 " bytes; --track-memory allows %" PRIu64, bytes,
				tracks->config->track_memory);
}

int tracks__start(struct tracks *tracks, const struct track_request *request, const bool *cancelled,
		  struct track_info *info, struct track_error *error)
{
	struct track *track = calloc(1, sizeof(*track));
	char subject[32];
	int err;

	*error->message = '\0';
	if (!track)
		return track_error__set(error, -ENOMEM, "out of memory");
	track->kind = request->kind;
	track->whole_process = request->whole_process;
	snprintf(track->backend, sizeof(track->backend), "%s",
		 request->backend ? request->backend : "");
	track->work = (struct track_work){.cancelled = cancelled, .stopping = &tracks->stopping};
	pthread_mutex_init(&track->lock, NULL);
	/* Nobody can do anything with it before it is whole. */
	pthread_mutex_lock(&track->lock);
	err = name_target(request, track, error);
	if (!err && request->ranges && address_ranges__copy(&track->asked, request->ranges))
		err = track_error__set(error, -ENOMEM, "out of memory");
	if (!err)
		err = enlist(tracks, track, error);
	if (err) {
		pthread_mutex_unlock(&track->lock);
		destroy(track);
		return err;
	}
	err = track__add_members(tracks, track, false, error);
	if (!err && track->kind != TRACK_DEVICE)
		err = sharing__begin(tracks, track);
	if (!err)
		err = track__too_large(tracks, track, error);
	clock_gettime(CLOCK_REALTIME, &track->started);
	track->epoch_begun = track->touched = tracks__now();
	track__end_work(track);
	if (!err) {
		track__post(tracks, track);
		*info = track->info; /* which only we change, under its lock */
	}
	pthread_mutex_unlock(&track->lock);
	if (err == -ECANCELED)
		track_error__set(error, err, "its client is gone, or the agent stops");
	if (err) {
		if (unlist(tracks, track))
			tracks__put(tracks, track);
		tracks__put(tracks, track);
		return err;
	}
	snprintf(subject, sizeof(subject), "%" PRIu64, track->id);
	events__add(tracks->events, "track", "info", subject, "track of %s %s started",
		    track_kind_names[track->kind], track->target);
	tracks__put(tracks, track);
	return 0;
}

int tracks__stop(struct tracks *tracks, uint64_t id)
{
	struct track *track = tracks__find(tracks, id);
	bool found;

	if (!track)
		return -ENOENT;
	/* A collect in progress ends first. */
	pthread_mutex_lock(&track->lock);
	if (!track->ended)
		track__end(tracks, track, "stopped");
	pthread_mutex_unlock(&track->lock);
	found = unlist(tracks, track);
	if (found)
		tracks__put(tracks, track);
	tracks__put(tracks, track);
	return found ? 0 : -ENOENT;
}

/* ---- reading ---- */

/* Under tracks->lock. */
static void copy_info(const struct track *track, struct track_info *info)
{
	*info = track->info;
	info->progress = track_work__progress(&track->work);
}

int tracks__get(struct tracks *tracks, uint64_t id, struct track_info *info)
{
	int err = -ENOENT;

	pthread_mutex_lock(&tracks->lock);
	for (const struct track *track = tracks->list; track && err; track = track->next)
		if (track->id == id) {
			copy_info(track, info);
			err = 0;
		}
	pthread_mutex_unlock(&tracks->lock);
	return err;
}

int tracks__list(struct tracks *tracks, struct track_info **infos, size_t *count)
{
	size_t total = 0, at;

	pthread_mutex_lock(&tracks->lock);
	for (const struct track *track = tracks->list; track; track = track->next)
		total++;
	*infos = calloc(total + 1, sizeof(**infos));
	*count = *infos ? total : 0;
	/* The list has the newest first. */
	at = *count;
	for (const struct track *track = tracks->list; track && at; track = track->next)
		copy_info(track, &(*infos)[--at]);
	pthread_mutex_unlock(&tracks->lock);
	return *infos ? 0 : -ENOMEM;
}

const char *tracks__device(const struct tracks *tracks, unsigned bit)
{
	return write_feed__device(tracks->feed, bit);
}

int tracks__publish(struct tracks *tracks, struct snapshot *snapshot)
{
	size_t count = 0;
	int err = 0;

	pthread_mutex_lock(&tracks->lock);
	for (const struct track *track = tracks->list; track; track = track->next)
		count++;
	snapshot->tracks = arena__alloc(snapshot->arena, (count + 1) * sizeof(*snapshot->tracks));
	if (!snapshot->tracks)
		err = -ENOMEM;
	/* The list has the newest first. One that is being started has no numbers yet. */
	for (const struct track *track = tracks->list; track && !err; track = track->next)
		if (track->published.id)
			snapshot->track_count++;
	count = snapshot->track_count;
	for (const struct track *track = tracks->list; track && !err; track = track->next)
		if (track->published.id)
			snapshot->tracks[--count] = track->published;
	pthread_mutex_unlock(&tracks->lock);
	return err;
}
