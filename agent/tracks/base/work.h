/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call that may take long: whether it is still wanted, and how far it has come. One thread does
 * the work, any other may end it or look.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_WORK_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_WORK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pin_sources;

struct track_work {
	const bool *cancelled, *stopping; /* atomic: either ends it; NULL: never */
	/* Atomic: */
	const char *step;  /* static; NULL: nothing is being done */
	uint64_t done, of; /* of the step; of 0: not known */
	/* What all members of this call are read with (agent/host/pins.h); NULL: not yet needed. */
	struct pin_sources *pin_sources;
};

struct track_progress {
	const char *step; /* NULL: nothing is being done */
	uint64_t done, of;
};

/* work may be NULL in all of these: then nobody looks, and nobody ends it. */
static inline int track_work__check(const struct track_work *work)
{
	if (!work)
		return 0;
	return (work->cancelled && __atomic_load_n(work->cancelled, __ATOMIC_ACQUIRE)) ||
			       (work->stopping && __atomic_load_n(work->stopping, __ATOMIC_ACQUIRE))
		       ? -ECANCELED
		       : 0;
}

/* step NULL: it is over. */
static inline void track_work__step(struct track_work *work, const char *step, uint64_t of)
{
	if (!work)
		return;
	__atomic_store_n(&work->done, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&work->of, of, __ATOMIC_RELAXED);
	__atomic_store_n(&work->step, step, __ATOMIC_RELEASE);
}

/* -ECANCELED: it is no longer wanted. */
static inline int track_work__advance(struct track_work *work, uint64_t done)
{
	if (!work)
		return 0;
	__atomic_fetch_add(&work->done, done, __ATOMIC_RELAXED);
	return track_work__check(work);
}

static inline struct track_progress track_work__progress(const struct track_work *work)
{
	return (struct track_progress){
		.step = __atomic_load_n(&work->step, __ATOMIC_ACQUIRE),
		.done = __atomic_load_n(&work->done, __ATOMIC_RELAXED),
		.of = __atomic_load_n(&work->of, __ATOMIC_RELAXED),
	};
}

#endif
