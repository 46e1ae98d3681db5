/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/forecast.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/procfs.h"
#include "agent/tracks/cpu/page_table.h"
#include "agent/tracks/tracks_private.h"

#define NO_GAIN 0.98	    /* a round that leaves this much of the one before gains nothing */
#define PATIENCE 5	    /* such rounds in a row */
#define LOST_MOST 0.9	    /* of an epoch: it did get on */
#define ZERO_PAGE_BYTES 9.0 /* a header, and a byte: save_zero_page(), migration/ram.c */
#define SAMPLE_SECONDS 0.02 /* that reading pages of one process may take */
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

double forecast__dirtied_most(const struct forecast_curve *curve, double seconds, double most)
{
	double pages;
	size_t i = 0;

	while (i < curve->count && curve->seconds[i] < seconds)
		i++;
	if (i == curve->count || seconds <= 0)
		return forecast__dirtied(curve, seconds, most);
	pages = curve->pages[i];
	return pages < most ? pages : most;
}

typedef double (*dirtied_within)(const struct forecast_curve *curve, double seconds, double most);

/* What one run of the model says. */
struct outcome {
	bool converges;
	uint32_t rounds;
	double bytes, seconds, downtime, rate;
	double shortest; /* of its rounds, seconds */
};

/*
 * One round: what is left after it, in pages. pool: the pages that what is left is of; some of
 * those are dirtied again before they are sent.
 */
static double run_round(const struct forecast_curve *curve, const struct forecast_options *options,
			dirtied_within within, double left, double pool, struct outcome *outcome)
{
	const double fits = options->downtime * options->bandwidth / (double)PAGE_BYTES;
	const double at_once = LOOK_SECONDS * options->bandwidth / (double)PAGE_BYTES;
	double seconds, dirtied, sent = left > fits ? ceil((left - fits) / at_once) * at_once : 0;

	sent = sent < left ? sent : left;
	seconds = sent * (double)PAGE_BYTES / options->bandwidth;
	dirtied = within(curve, seconds, (double)options->pages);
	outcome->rounds++;
	outcome->seconds += seconds;
	outcome->bytes += sent * (double)PAGE_BYTES;
	outcome->rate = seconds > 0 ? dirtied / seconds : 0;
	if (seconds > 0 && (outcome->shortest <= 0 || seconds < outcome->shortest))
		outcome->shortest = seconds;
	left -= sent;
	return pool > 0 ? left + dirtied - left * dirtied / pool : dirtied;
}

/* zero: pages that are so. */
static struct outcome run_model(const struct forecast_curve *curve,
				const struct forecast_options *options, dirtied_within within,
				double zero)
{
	const double most = (double)options->pages;
	const double working = curve->count ? curve->pages[curve->count - 1] : 0;
	double left = most - zero, pool = most, best = most;
	const double empty = (zero + options->absent) * ZERO_PAGE_BYTES;
	struct outcome outcome = {.bytes = empty, .seconds = empty / options->bandwidth};
	int stuck = 0;

	do {
		left = run_round(curve, options, within, left, pool, &outcome);
		pool = left > working ? left : working;
		outcome.downtime = left * (double)PAGE_BYTES / options->bandwidth;
		outcome.converges = outcome.downtime <= options->downtime;
		stuck = left > best * NO_GAIN ? stuck + 1 : 0;
		best = left < best ? left : best;
	} while (!outcome.converges && stuck < PATIENCE && outcome.rounds < FORECAST_ROUNDS);
	outcome.bytes += left * (double)PAGE_BYTES;
	return outcome;
}

/* The same pages, in the time that it would have taken without the track. */
static struct forecast_curve undisturbed(const struct forecast_curve *curve)
{
	struct forecast_curve faster = *curve;

	for (size_t i = 0; i < curve->count; i++)
		faster.seconds[i] -= curve->lost[i];
	return faster;
}

void forecast__run(const struct forecast_curve *curve, const struct forecast_options *options,
		   struct forecast *forecast)
{
	const struct forecast_curve faster = undisturbed(curve);
	const struct zero_pages *zero = &options->zero;
	const struct outcome least = run_model(curve, options, forecast__dirtied, zero->value);
	const struct outcome most = run_model(&faster, options, forecast__dirtied_most, zero->low);

	forecast->pages = options->pages;
	forecast->zero = *zero;
	*forecast->reason = '\0';
	if (!least.converges) {
		forecast->verdict = FORECAST_DIVERGES;
	} else if (curve->lower_bound) {
		forecast->verdict = FORECAST_UNKNOWN;
		snprintf(forecast->reason, sizeof(forecast->reason),
			 "the track is a lower bound, more may have been written than it saw");
	} else if (!most.converges &&
		   run_model(curve, options, forecast__dirtied_most, zero->low).converges) {
		const size_t last = curve->count - 1;

		forecast->verdict = FORECAST_UNKNOWN;
		snprintf(forecast->reason, sizeof(forecast->reason),
			 "the track's own faults took up to %.0f %% of the time, and without them "
			 "more may be written: collect less often",
			 100 * curve->lost[last] / curve->seconds[last]);
	} else if (!most.converges) {
		forecast->verdict = FORECAST_UNKNOWN;
		snprintf(forecast->reason, sizeof(forecast->reason),
			 "epochs of %.2f s do not tell what is written within %.2f s: collect more "
			 "often",
			 curve->count ? curve->seconds[0] : 0, least.shortest);
	} else {
		forecast->verdict = FORECAST_CONVERGES;
	}
	if (forecast->verdict == FORECAST_UNKNOWN)
		return;
	forecast->rounds = least.rounds;
	forecast->bytes = least.bytes;
	forecast->seconds = least.seconds;
	forecast->downtime = least.downtime;
	forecast->rate = least.rate;
}

/* ---- of a track ---- */

/* What the first write to a page costs the members in an epoch, seconds; 0: it is not known. */
static double fault_seconds(const struct track *track)
{
	double most = 0;

	for (const struct member *member = track->members; member; member = member->next) {
		struct target_facts facts = {.backend = ""};

		if (member->shared) {
			target__lock(member->shared->target);
			target__facts(member->shared->target, &facts);
			target__unlock(member->shared->target);
		}
		for (size_t i = 0; track->has_costs && i < MEASURED_BACKENDS; i++) {
			const struct backend_cost *cost = &track->costs.rows[i];

			if (!cost->unknown && strcmp(cost->backend, facts.backend) == 0)
				most = fmax(most, cost->fault_ns / 1e9);
		}
	}
	return most;
}

static void make_curve(const struct track *track, const struct forecast_options *options,
		       struct forecast_curve *curve)
{
	const double fault = fault_seconds(track);
	double seconds = 0, lost = 0;

	*curve = (struct forecast_curve){0};
	for (size_t n = 0; n < TRACK_EPOCHS && n < track->epoch; n++) {
		const struct epoch_record *record =
			&track->history[(track->epoch - n) % TRACK_EPOCHS];

		seconds += record->seconds;
		lost += fmin((double)record->pages * fault, record->seconds * LOST_MOST);
		curve->seconds[n] = seconds;
		curve->lost[n] = lost;
		curve->count = n + 1;
	}
	for (const struct member *member = track->members; member; member = member->next) {
		uint64_t sets[TRACK_EPOCHS];
		struct target_facts facts;

		if (member->shared) {
			target__lock(member->shared->target);
			target__facts(member->shared->target, &facts);
			target__unlock(member->shared->target);
			curve->lower_bound |= facts.lower_bound || !facts.device_side ||
					      facts.lost_pages > 0 || facts.events_lost;
		}

		owed_pages__working_set(member->owed, options->start / PAGE_BYTES,
					options->end ? options->end / PAGE_BYTES : UINT64_MAX,
					sets);
		for (size_t n = 0; n < curve->count; n++)
			curve->pages[n] += (double)sets[n];
	}
}

/* Of what is sent, that is neither in memory nor in swap. */
static double absent_pages(const struct member *member, const struct forecast_options *options,
			   const struct residents *residents)
{
	const uint64_t bytes = address_ranges__bytes(&member->ranges, options->start,
						     options->end ? options->end : UINT64_MAX);
	const uint64_t there = residents__count(residents) + residents__swapped(residents);
	const uint64_t pages = bytes / PAGE_BYTES;

	/* Some may have come since the track's last epoch. */
	return pages > there ? (double)(pages - there) : 0;
}

static int look_at_member(const struct tracks *tracks, struct track *track,
			  const struct member *member, struct forecast_options *options,
			  bool *looked)
{
	struct residents *residents = residents__new((uint64_t)(tracks__now() * 1e9));
	struct zero_pages zero;
	int err = residents ? target__residents(member->shared->target, &member->ranges,
						options->start,
						options->end ? options->end : UINT64_MAX,
						&track->work, residents)
			    : -ENOMEM;

	if (!err && member->scope == TRACK_SCOPE_GUEST)
		options->absent += absent_pages(member, options, residents);
	if (!err)
		options->pages += residents__swapped(residents);
	if (!err && residents__count(residents)) {
		residents__look(residents, procfs__reader(tracks->config->procfs, member->pid),
				SAMPLE_SECONDS, &zero);
		if (*looked)
			zero_pages__add(&options->zero, &zero);
		else
			options->zero = zero;
		*looked = true;
		options->pages += residents__count(residents);
	}
	residents__free(residents);
	return err;
}

/* What the first round goes over, and what of it is zero. */
static int look_at_memory(const struct tracks *tracks, struct track *track,
			  struct forecast_options *options)
{
	bool looked = false;
	int err = 0;

	options->zero = (struct zero_pages){0};
	for (const struct member *member = track->members; member && !err; member = member->next)
		if (member->shared)
			err = look_at_member(tracks, track, member, options, &looked);
	/* Where nothing is known of them, none are reckoned with. */
	if (!options->zero.sampled)
		options->zero = (struct zero_pages){0};
	return err;
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

int track__forecast(const struct tracks *tracks, struct track *track,
		    const struct forecast_options *options, struct forecast *forecast)
{
	struct forecast_options filled = *options;
	struct forecast_curve curve;
	int err = 0;

	*forecast = (struct forecast){0};
	make_curve(track, options, &curve);
	if (!curve.count)
		return -ENODATA;
	if (!filled.pages)
		err = look_at_memory(tracks, track, &filled);
	if (err)
		return err;
	forecast__run(&curve, &filled, forecast);
	share(tracks, track, forecast);
	return 0;
}
