/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What devices wrote, on its way from the sampler's sweeps to the tracks: each log collects it
 * until its target drains it. The sampler adds, any thread drains; nothing is lost in between.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_DEVICE_WRITE_FEED_H
#define DIRTYSCOPE_AGENT_TRACKS_DEVICE_WRITE_FEED_H

#include <stdint.h>

#include "agent/kernel/page_listener.h"
#include "agent/tracks/base/page_map.h"

/* How the tracks hear what devices wrote. All of it from any thread. */
struct track_sweeps {
	/* Nothing was written since the last sweep, and nothing is exposed. */
	bool (*idle)(void *context);
	/* Asks for a sweep of all that devices wrote up to this call. Never 0. */
	uint64_t (*ask)(void *context);
	/* Until it has reached the listener. 0, or a negative errno. */
	int (*await)(void *context, uint64_t asked);
	void *context;
};

/* Whoever begins to listen: a sweep that had begun before may not tell him. */
static inline int track_sweeps__first(const struct track_sweeps *sweeps)
{
	return sweeps->await(sweeps->context, sweeps->ask(sweeps->context));
}

/* For track_sweeps__await; no sweep is asked for where it would tell nothing. */
static inline uint64_t track_sweeps__ask(const struct track_sweeps *sweeps)
{
	return sweeps->idle(sweeps->context) ? 0 : sweeps->ask(sweeps->context);
}

static inline int track_sweeps__await(const struct track_sweeps *sweeps, uint64_t asked)
{
	return asked ? sweeps->await(sweeps->context, asked) : 0;
}

struct write_feed;
struct write_log;

/* NULL when memory is short. */
struct write_feed *write_feed__new(void);
void write_feed__free(struct write_feed *feed);
/* For devices__listen; lives as long as the feed. */
const struct page_listener *write_feed__listener(const struct write_feed *feed);
/* Id of a device that a log told of; "other" for the last number, which all that do not fit share.
 */
const char *write_feed__device(const struct write_feed *feed, unsigned device);
/* The number of a device of that id, given to it now if it has none; thread-safe. */
unsigned write_feed__name(struct write_feed *feed, const char *id);
/* PAGE_MAP_DEVICES when it has not been seen. */
unsigned write_feed__find(const struct write_feed *feed, const char *id);

/* Events that the sensors of devices' writes lost, in all, as of the last sweep. */
void write_feed__lost(const struct write_feed *feed, uint64_t lost[DS_LOST_REASONS]);

/* From here on it collects. -ENOMEM, or 0. */
int write_log__new(struct write_feed *feed, struct write_log **out);
void write_log__free(struct write_log *log);
/* At most; a set takes memory only where devices write. */
uint64_t write_log__bytes(const struct write_log *log);
/* Pages that could not be kept, for want of memory: the set is not whole then. */
uint64_t write_log__lost(const struct write_log *log);

/* Takes all that is in it. What `each` returned, or 0; nonzero ends it, and the rest stays. */
int write_log__drain(struct write_log *log,
		     int (*each)(void *context, unsigned device, enum ds_evidence evidence,
				 uint64_t first_pfn, uint64_t bits),
		     void *context);
/* An `each` for write_log__drain that does nothing with the pages. */
int write_log__discard(void *context, unsigned device, enum ds_evidence evidence,
		       uint64_t first_pfn, uint64_t bits);

#endif
