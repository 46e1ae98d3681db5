/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets a time series of its own: the busiest, from the moment they are promoted, for life.
 * All else is in "other". A promoted one counts from what it had in the last snapshot, which stays
 * in "other"; when it goes, its series moves to "exited". So no sum ever falls.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_SERIES_H
#define DIRTYSCOPE_AGENT_INVENTORY_SERIES_H

#include "agent/snapshot/snapshot.h"

/* A process, cgroup or VM that may get one. */
struct series {
	bool promoted;
	uint64_t written[DS_WRITERS];
	uint64_t published[DS_WRITERS]; /* as of the last snapshot; the owner keeps it */
	uint64_t base[DS_WRITERS];
	double rate; /* over all writers */
};

struct series_pool {
	uint32_t limit, used;
	uint64_t exited[DS_WRITERS]; /* of series that have ended */
};

/* Promotes the busiest of `candidates` that have a rate, while the pool has room; reorders them. */
void series_pool__promote(struct series_pool *pool, struct series **candidates, size_t count);
/* Its owner leaves the list. */
void series_pool__end(struct series_pool *pool, struct series *series);
/* What is not in a series of its own: totals less the promoted less the ended. */
void series_pool__rest(const struct series_pool *pool, const uint64_t totals[DS_WRITERS],
		       const uint64_t promoted[DS_WRITERS], struct snapshot_rest *rest);

#endif
