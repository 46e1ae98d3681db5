/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pre-copy migration or an iterative checkpoint of a target would do, from what a track has
 * seen of it.
 *
 * The model is QEMU's (migration_iteration_run(), migration/migration.c). All resident pages are
 * sent first, of those that are zero only that they are (save_zero_page(), migration/ram.c). What
 * is left is looked at each 100 ms; once it fits the downtime allowed, what was dirtied since the
 * last look at the dirty pages is added: a round. If it still fits, the target stops and the rest
 * is sent; if not, the next round begins. In a time t the target dirties W(t) distinct pages. W is
 * measured: the distinct pages of the last 1, 2, ... epochs, over the time they lasted; beyond them
 * it goes on as in their second half, to no more than the target has. Pages dirtied before they
 * were sent count once, as if chosen by chance. It does not converge when rounds no longer leave
 * less.
 *
 * Between the points that were measured W is not known, only bounded. The number of distinct pages
 * grows ever more slowly, so it lies on or above the straight line between two points, and on or
 * below the later point; below the first point all of its pages may have been written at once. A
 * track also slows what it follows, by a fault for each page and epoch: the most is reckoned over
 * the time without these, as if one thread had had them all.
 *
 * The model runs by both: what converges by the most, converges; what does not converge by the
 * least, does not; the rest is not known, and a track with shorter epochs, or with fewer faults,
 * would tell. A curve that is a lower bound itself has no most, so that it can never say
 * "converges".
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_FORECAST_H
#define DIRTYSCOPE_AGENT_TRACKS_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tracks/owed_pages.h"
#include "agent/tracks/residents.h"

enum forecast_verdict {
	FORECAST_UNKNOWN, /* see the reason; the numbers of the rounds are not known */
	FORECAST_CONVERGES,
	FORECAST_DIVERGES,
};

#define FORECAST_ROUNDS 200 /* then it is given up, as QEMU's and others' are by hand */

struct forecast_options {
	double bandwidth;    /* bytes per second, above 0 */
	double downtime;     /* seconds, 0 or more */
	uint64_t start, end; /* of the addresses that are sent, bytes; end 0: all of them */
	uint64_t pages;	     /* that the first round goes over; 0: all that are in memory or swap */
	/*
	 * How many of them are zero, and sent as a few bytes. With pages 0: what a look at the
	 * target's memory says. sampled 0: none.
	 */
	struct zero_pages zero;
	double absent; /* pages of a guest that it never had, which are sent as if they were zero */
};

struct forecast_curve {
	double seconds[TRACK_EPOCHS]; /* rising */
	double lost[TRACK_EPOCHS];    /* of these, that the track's own faults may have cost */
	double pages[TRACK_EPOCHS];
	size_t count;
	bool lower_bound; /* more may have been written than was seen */
};

struct forecast_device {
	char id[64];
	double share; /* of the pages written in the last epoch, 0 to 1 */
};

struct forecast {
	enum forecast_verdict verdict;
	char reason[160]; /* of FORECAST_UNKNOWN: a sentence without its end */
	uint32_t rounds;  /* that are sent before the last one, in which the target stands still */
	double bytes;	  /* in all, the last round with them */
	double seconds;	  /* until it stands still, or until no round gains on the one before */
	double downtime;  /* of the last round; what it would be where it does not converge */
	double rate;	  /* pages per second that are dirtied in a round of the last length */
	uint64_t pages;	  /* that the first round goes over */
	struct zero_pages zero; /* of those; sampled 0: not known, and none are reckoned with */
	double cpu_share;	/* of the pages of the last epoch that the CPUs wrote */
	struct forecast_device devices[8]; /* the largest share first */
	size_t device_count;
};

/* Distinct pages that are dirtied within that time: at least, and at most. */
double forecast__dirtied_most(const struct forecast_curve *curve, double seconds, double most);
double forecast__dirtied(const struct forecast_curve *curve, double seconds, double most);
/* Fills in all but shares. */
void forecast__run(const struct forecast_curve *curve, const struct forecast_options *options,
		   struct forecast *forecast);

#endif
