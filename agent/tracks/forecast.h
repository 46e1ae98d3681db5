/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pre-copy migration or an iterative checkpoint of a target would do, from what a track has
 * seen of it.
 *
 * The model is QEMU's (migration_iteration_run(), migration/migration.c). All resident pages are
 * sent first. What is left is looked at each 100 ms; once it fits the downtime allowed, what was
 * dirtied since the last look at the dirty pages is added: a round. If it still fits, the target
 * stops and the rest is sent; if not, the next round begins. In a time t the target dirties W(t)
 * distinct pages. W is measured: the distinct pages of the last 1, 2, ... epochs, over the time
 * they lasted; between them it is a straight line, beyond them it goes on as in their second half,
 * to no more than the target has. Pages dirtied before they were sent count once, as if chosen by
 * chance. It does not converge when rounds no longer leave less.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_FORECAST_H
#define DIRTYSCOPE_AGENT_TRACKS_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tracks/owed_pages.h"

#define FORECAST_ROUNDS 200 /* then it is given up, as QEMU's and others' are by hand */

struct forecast_options {
	double bandwidth;    /* bytes per second, above 0 */
	double downtime;     /* seconds, 0 or more */
	uint64_t start, end; /* of the addresses that are sent, bytes; end 0: all of them */
	uint64_t pages;	     /* that the first round sends; 0: all that are resident */
};

struct forecast_curve {
	double seconds[TRACK_EPOCHS]; /* rising */
	double pages[TRACK_EPOCHS];
	size_t count;
};

struct forecast_device {
	char id[64];
	double share; /* of the pages written in the last epoch, 0 to 1 */
};

struct forecast {
	bool converges;
	uint32_t rounds;  /* that are sent before the last one, in which the target stands still */
	double bytes;	  /* in all, the last round with them */
	double seconds;	  /* until it stands still, or until no round gains on the one before */
	double downtime;  /* of the last round; what it would be where it does not converge */
	double rate;	  /* pages per second that are dirtied in a round of the last length */
	uint64_t pages;	  /* that the first round sends */
	double cpu_share; /* of the pages of the last epoch that the CPUs wrote */
	struct forecast_device devices[8]; /* the largest share first */
	size_t device_count;
};

/* Distinct pages that are dirtied within that time. */
double forecast__dirtied(const struct forecast_curve *curve, double seconds, double most);
/* Fills in all but shares. */
void forecast__run(const struct forecast_curve *curve, const struct forecast_options *options,
		   struct forecast *forecast);

#endif
