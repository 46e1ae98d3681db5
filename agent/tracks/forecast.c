/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/forecast.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/pagemap.h"
#include "agent/tracks/tracks_private.h"

#define NO_GAIN 0.98 /* a round that leaves this much of the one before gains nothing */
#define PATIENCE 3   /* such rounds in a row */

double forecast__dirtied(const struct forecast_curve *curve, double seconds, double most)
{
	double from_seconds = 0, from_pages = 0, pages = 0;

	for (size_t i = 0; i < curve->count; i++) {
		double length = curve->seconds[i] - from_seconds;
		double slope = length > 0 ? (curve->pages[i] - from_pages) / length : 0;

		pages = from_pages + slope * (seconds - from_seconds);
		if (seconds <= curve->seconds[i])
			break;
		from_seconds = curve->seconds[i];
		from_pages = curve->pages[i];
	}
	return pages < most ? pages : most;
}

void forecast__run(const struct forecast_curve *curve, const struct forecast_options *options,
		   struct forecast *forecast)
{
	const double most = (double)options->pages;
	double left = most;
	int stuck = 0;

	forecast->pages = options->pages;
	for (forecast->rounds = 0; forecast->rounds < FORECAST_ROUNDS && stuck < PATIENCE;) {
		double before = left, seconds = left * (double)PAGE_BYTES / options->bandwidth;

		forecast->converges = seconds <= options->downtime;
		if (forecast->converges)
			break;
		forecast->rounds++;
		forecast->seconds += seconds;
		forecast->bytes += left * (double)PAGE_BYTES;
		left = forecast__dirtied(curve, seconds, most);
		forecast->rate = seconds > 0 ? left / seconds : 0;
		stuck = left > before * NO_GAIN ? stuck + 1 : 0;
	}
	forecast->downtime = left * (double)PAGE_BYTES / options->bandwidth;
	forecast->bytes += left * (double)PAGE_BYTES;
}

/* ---- of a track ---- */

static void make_curve(const struct track *track, struct forecast_curve *curve)
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

		owed_pages__working_set(member->owed, sets);
		for (size_t n = 0; n < curve->count; n++)
			curve->pages[n] += (double)sets[n];
	}
}

static uint64_t resident_pages(const struct tracks *tracks, const struct track *track)
{
	uint64_t sum = 0;

	for (const struct member *member = track->members; member; member = member->next)
		if (member->shared)
			sum += target__resident(member->shared->target);
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
	make_curve(track, &curve);
	if (!curve.count)
		return -ENODATA;
	if (!filled.pages)
		filled.pages = resident_pages(tracks, track);
	forecast__run(&curve, &filled, forecast);
	share(tracks, track, forecast);
	return 0;
}
