/* SPDX-License-Identifier: BSD-2-Clause */
/* What a track's consumer asks for: an epoch's end, what is owed, the forecast. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/errno_text.h"
#include "agent/base/log.h"
#include "agent/host/pins.h"
#include "agent/tracks/cpu/page_table.h"
#include "agent/tracks/tracks_private.h"

/* A live one, locked; NULL with *err. */
static struct track *begin(struct tracks *tracks, uint64_t id, const bool *cancelled,
			   struct track_error *error, int *err)
{
	struct track *track = tracks__find(tracks, id);

	*err = 0;
	*error->message = '\0';
	if (!track) {
		*err = track_error__set(error, -ENOENT, "there is no track %" PRIu64, id);
		return NULL;
	}
	pthread_mutex_lock(&track->lock);
	if (track->ended) {
		*err = track_error__set(error, -ESTALE, "track %" PRIu64 " has ended: %s", id,
					track->reason);
		pthread_mutex_unlock(&track->lock);
		tracks__put(tracks, track);
		return NULL;
	}
	track->touched = tracks__now();
	track->work.cancelled = cancelled;
	return track;
}

void track__end_work(struct track *track)
{
	track_work__step(&track->work, NULL, 0);
	track->work.cancelled = NULL;
	pin_sources__free(track->work.pin_sources);
	track->work.pin_sources = NULL;
}

/* info may be NULL. */
static void finish(struct tracks *tracks, struct track *track, struct track_info *info)
{
	track->touched = tracks__now();
	track__end_work(track);
	track__post(tracks, track);
	if (info)
		*info = track->info; /* which only we change, under its lock */
	pthread_mutex_unlock(&track->lock);
	tracks__put(tracks, track);
}

static void note_epoch(struct track *track, double begun, double ended)
{
	struct epoch_record *record = &track->history[track->epoch % TRACK_EPOCHS];

	track->epoch_seconds = ended - track->epoch_begun;
	track->collect_seconds = tracks__now() - begun;
	track->epoch_begun = ended;
	clock_gettime(CLOCK_REALTIME, &track->collected);
	*record = (struct epoch_record){track->epoch_seconds, track->last.all};
}

int tracks__collect(struct tracks *tracks, uint64_t id, enum ds_evidence evidence,
		    int (*each)(void *context, const struct track_run *run), void *context,
		    const bool *cancelled, struct track_info *info, struct track_error *error)
{
	const double begun = tracks__now();
	double ended;
	int err;
	struct track *track = begin(tracks, id, cancelled, error, &err);

	if (!track)
		return err;
	err = track__run_epoch(tracks, track, error);
	ended = tracks__now();
	if (!err)
		err = track__deliver(tracks, track, evidence, each, context);
	if (!err)
		err = track__too_large(tracks, track, error);
	if (err == -ESRCH) {
		track__end(tracks, track, "the process has ended, or executed another program");
		err = track_error__set(error, -ESTALE, "track %" PRIu64 " has ended: %s", id,
				       track->reason);
	} else if (err == -ECANCELED) {
		/* What was found so far is owed, and comes with the next epoch. */
		track_error__set(error, err, "its client is gone, or the agent stops");
	} else if (err) {
		char reason[128];

		snprintf(reason, sizeof(reason), "an epoch could not be read whole: %s",
			 strerror(-err));
		log_error("track ended", "track=%" PRIu64 " error=%s", id, errno_text(-err).name);
		track__end(tracks, track, *error->message ? error->message : reason);
		err = track_error__set(error, -ESTALE, "track %" PRIu64 " has ended: %s", id,
				       track->reason);
	} else {
		note_epoch(track, begun, ended);
	}
	finish(tracks, track, info);
	return err;
}

int tracks__owed(struct tracks *tracks, uint64_t id, enum ds_evidence evidence,
		 int (*each)(void *context, const struct track_run *run), void *context,
		 const bool *cancelled, struct track_info *info, struct track_error *error)
{
	int err;
	struct track *track = begin(tracks, id, cancelled, error, &err);

	if (!track)
		return err;
	err = track__owed(tracks, track, evidence, each, context);
	if (err)
		track_error__set(error, err, "out of memory");
	finish(tracks, track, info);
	return err;
}

int tracks__acknowledge(struct tracks *tracks, uint64_t id, uint64_t cursor,
			struct track_info *info, struct track_error *error)
{
	int err;
	struct track *track = begin(tracks, id, NULL, error, &err);

	if (!track)
		return err;
	if (cursor > track->cursor) {
		err = track_error__set(error, -ERANGE,
				       "cursor %" PRIu64
				       " was not given out yet; the last one is %" PRIu64,
				       cursor, track->cursor);
	} else {
		for (struct member *member = track->members; member; member = member->next)
			owed_pages__acknowledge(member->owed, cursor);
		if (cursor > track->acknowledged)
			track->acknowledged = cursor;
	}
	finish(tracks, track, info);
	return err;
}

struct in_bytes {
	int (*each)(void *context, uint64_t start, uint64_t pages);
	void *context;
};

/* A part of what is asked for: what is not followed may have been written. */
struct unwritten {
	const struct member *member;
	uint32_t epochs;
	struct in_bytes in_bytes;
};

static int to_bytes(void *context, uint64_t page, uint64_t pages)
{
	const struct in_bytes *in_bytes = context;

	return in_bytes->each(in_bytes->context, page * PAGE_BYTES, pages);
}

static int tell_unwritten(void *context, uint64_t start, uint64_t end, bool inside)
{
	struct unwritten *unwritten = context;

	if (!inside)
		return 0;
	return owed_pages__unwritten(unwritten->member->owed, start / PAGE_BYTES, end / PAGE_BYTES,
				     unwritten->epochs, to_bytes, &unwritten->in_bytes);
}

int tracks__unwritten(struct tracks *tracks, uint64_t id, uint32_t pid, uint64_t start,
		      uint64_t end, uint32_t epochs,
		      int (*each)(void *context, uint64_t start, uint64_t pages), void *context)
{
	struct unwritten unwritten = {.epochs = epochs, .in_bytes = {each, context}};
	struct track_error error;
	int err;
	struct track *track = begin(tracks, id, NULL, &error, &err);

	if (!track)
		return err;
	err = -ESRCH;
	for (const struct member *member = track->members; member; member = member->next) {
		if (member->pid != pid)
			continue;
		unwritten.member = member;
		err = member->ranges.count ? address_ranges__cut(&member->ranges, start, end,
								 tell_unwritten, &unwritten)
					   : tell_unwritten(&unwritten, start, end, true);
	}
	finish(tracks, track, NULL);
	return err;
}

int tracks__forecast(struct tracks *tracks, uint64_t id, const struct forecast_options *options,
		     const bool *cancelled, struct forecast *forecast, struct track_error *error)
{
	int err;
	struct track *track = begin(tracks, id, cancelled, error, &err);

	if (!track)
		return err;
	if (track->kind == TRACK_DEVICE)
		err = track_error__set(error, -EINVAL,
				       "a device is not migrated; forecast a process or a cgroup");
	else
		err = track__forecast(tracks, track, options, forecast);
	if (err == -ECANCELED)
		track_error__set(error, err, "its client is gone, or the agent stops");
	if (err == -ENODATA)
		track_error__set(error, err, "collect the track first: no epoch has ended yet");
	finish(tracks, track, NULL);
	return err;
}
