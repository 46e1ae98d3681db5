/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/forecast.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/cpu/page_table.h"
#include "agent/tracks/tracks_private.h"

#define NO_GAIN 0.98 /* a round that leaves this much of the one before gains nothing */
#define PATIENCE 5   /* such rounds in a row */
#define LOOK_SECONDS \
	0.1 /* between two looks at what is left: BUFFER_DELAY, migration/migration.c */

/* Beyond what was measured: on as in its second half, since a single epoch may be short, or odd. */
static double beyond(const struct forecast_curve *curve, double seconds)
{
	const size_t last = curve->count - 1, middle = last / 2;
	const double length = curve->seconds[last] - (last ? curve->seconds[middle] : 0);
	const double pages = curve->pages[last] - (last ? curve->pages[middle] : 0);

	return curve->pages[last] +
	       (length > 0 ? pages / length * (seconds - curve->seconds[last]) : 0);
}

double forecast__dirtied(const struct forecast_curve *curve, double seconds, double most)
{
	double from_seconds = 0, from_pages = 0, pages = 0;
	size_t i = 0;

	while (i < curve->count && curve->seconds[i] < seconds) {
		from_seconds = curve->seconds[i];
		from_pages = curve->pages[i++];
	}
	if (i < curve->count)
		pages = from_pages + (curve->pages[i] - from_pages) * (seconds - from_seconds) /
					     (curve->seconds[i] - from_seconds);
	else if (curve->count)
		pages = beyond(curve, seconds);
	return pages < most ? pages : most;
}

/*
 * One round: what is left after it, in pages. pool: the pages that what is left is of; some of
 * those are dirtied again before they are sent.
 */
static double run_round(const struct forecast_curve *curve, const struct forecast_options *options,
			double left, double pool, struct forecast *forecast)
{
	const double fits = options->downtime * options->bandwidth / (double)PAGE_BYTES;
	const double at_once = LOOK_SECONDS * options->bandwidth / (double)PAGE_BYTES;
	double seconds, dirtied, sent = left > fits ? ceil((left - fits) / at_once) * at_once : 0;

	sent = sent < left ? sent : left;
	seconds = sent * (double)PAGE_BYTES / options->bandwidth;
	dirtied = forecast__dirtied(curve, seconds, (double)options->pages);
	forecast->rounds++;
	forecast->seconds += seconds;
	forecast->bytes += sent * (double)PAGE_BYTES;
	forecast->rate = seconds > 0 ? dirtied / seconds : 0;
	left -= sent;
	return pool > 0 ? left + dirtied - left * dirtied / pool : dirtied;
}

void forecast__run(const struct forecast_curve *curve, const struct forecast_options *options,
		   struct forecast *forecast)
{
	const double most = (double)options->pages;
	const double working = curve->count ? curve->pages[curve->count - 1] : 0;
	double left = most, pool = most, best = most;
	int stuck = 0;

	forecast->pages = options->pages;
	do {
		left = run_round(curve, options, left, pool, forecast);
		pool = left > working ? left : working;
		forecast->downtime = left * (double)PAGE_BYTES / options->bandwidth;
		forecast->converges = forecast->downtime <= options->downtime;
		stuck = left > best * NO_GAIN ? stuck + 1 : 0;
		best = left < best ? left : best;
	} while (!forecast->converges && stuck < PATIENCE && forecast->rounds < FORECAST_ROUNDS);
	forecast->bytes += left * (double)PAGE_BYTES;
}

/* ---- of a track ---- */

static void make_curve(const struct track *track, const struct forecast_options *options,
		       struct forecast_curve *curve)
{
	double seconds = 0;

	*curve = (struct forecast_curve){0};
	for (size_t n = 0; n < TRACK_EPOCHS && n < track->epoch; n++) {
		seconds += track->history[(track->epoch - n) % TRACK_EPOCHS].seconds;
		curve->seconds[n] = seconds;
		curve->count = n + 1;
	}
	for (const struct member *member = track->members; member; member = member->next) {
		uint64_t sets[TRACK_EPOCHS];

		owed_pages__working_set(member->owed, options->start / PAGE_BYTES,
					options->end ? options->end / PAGE_BYTES : UINT64_MAX,
					sets);
		for (size_t n = 0; n < curve->count; n++)
			curve->pages[n] += (double)sets[n];
	}
}

static uint64_t resident_pages(const struct track *track, const struct forecast_options *options)
{
	uint64_t sum = 0;

	for (const struct member *member = track->members; member; member = member->next)
		if (member->shared)
			sum += target__resident(member->shared->target, options->start,
						options->end);
	return sum;
}

static int by_share(const void *a, const void *b)
{
	const struct forecast_device *one = a, *other = b;

	return one->share > other->share ? -1 : one->share < other->share;
}

static void share(const struct tracks *tracks, const struct track *track, struct forecast *forecast)
{
	struct forecast_device all[PAGE_MAP_DEVICES];
	size_t count = 0;

	if (!track->last.all)
		return;
	forecast->cpu_share = (double)track->last.cpu / (double)track->last.all;
	for (unsigned device = 0; device < PAGE_MAP_DEVICES; device++) {
		if (!track->device_pages[device])
			continue;
		snprintf(all[count].id, sizeof(all[count].id), "%s",
			 write_feed__device(tracks->feed, device));
		all[count++].share = (double)track->device_pages[device] / (double)track->last.all;
	}
	qsort(all, count, sizeof(*all), by_share);
	for (size_t i = 0; i < count && i < sizeof(forecast->devices) / sizeof(*all); i++)
		forecast->devices[forecast->device_count++] = all[i];
}

int track__forecast(const struct tracks *tracks, const struct track *track,
		    const struct forecast_options *options, struct forecast *forecast)
{
	struct forecast_options filled = *options;
	struct forecast_curve curve;

	*forecast = (struct forecast){0};
	make_curve(track, options, &curve);
	if (!curve.count)
		return -ENODATA;
	if (!filled.pages)
		filled.pages = resident_pages(track, options);
	forecast__run(&curve, &filled, forecast);
	share(tracks, track, forecast);
	return 0;
}
