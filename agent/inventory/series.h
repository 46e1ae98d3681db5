/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets a time series of its own: who has been among the busiest for a while, from then on, for
 * life, and so many an hour at most. Else each short process would be a series that Prometheus
 * keeps for weeks. All else is in "other". A promoted one counts from what it had in the last
 * snapshot, which stays in "other"; when it goes, its pages move to "exited". So no sum ever falls.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_SERIES_H
#define DIRTYSCOPE_AGENT_INVENTORY_SERIES_H

#include "agent/snapshot/snapshot.h"

/* Below one page a minute nobody is busy. */
#define SERIES_LEAST_RATE (1.0 / 60)
#define SERIES_RECENT_SECONDS 60.0

/* A process, a cgroup or the like that may get one. All 0 at first. */
struct series {
	bool promoted;
	uint64_t written[DS_WRITERS];
	uint64_t published[DS_WRITERS]; /* as of the last snapshot; the owner keeps it */
	uint64_t base[DS_WRITERS];
	double rate;	   /* of the last interval, over all writers, pages/s */
	double recent;	   /* the same of about the last minute: an average that forgets */
	double busy_since; /* among the busiest without a break; 0: it is not */
};

struct series_pool {
	uint32_t limit;	      /* series at once */
	double hold;	      /* seconds among the busiest before one gets a series */
	double most_per_hour; /* new ones in any hour */

	uint32_t used;
	double allowance;	     /* new ones that may come at once; half of an hour's at most */
	double filled_at;	     /* 0: never */
	uint64_t exited[DS_WRITERS]; /* of series that have ended */
};

/* Its rates, of an interval of so many seconds. */
void series__feed(struct series *series, double seconds);
/*
 * Gives series to those that qualify, the busiest first, while there is room. candidates: all that
 * live and have none; they are reordered. now: seconds, monotonic, above 0.
 */
void series_pool__promote(struct series_pool *pool, double now, struct series **candidates,
			  size_t count);
/* Its owner leaves the list. */
void series_pool__end(struct series_pool *pool, struct series *series);
/* What is not in a series of its own: totals less the promoted less the ended. */
void series_pool__rest(const struct series_pool *pool, const uint64_t totals[DS_WRITERS],
		       const uint64_t promoted[DS_WRITERS], struct snapshot_rest *rest);

#endif
