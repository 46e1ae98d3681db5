/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/series.h"

#include <stdlib.h>
#include <string.h>

void series__feed(struct series *series, double seconds)
{
	uint64_t delta = 0;

	for (int writer = 0; writer < DS_WRITERS; writer++)
		delta += series->written[writer] - series->published[writer];
	series->rate = seconds > 0 ? delta / seconds : 0;
	if (seconds > 0)
		series->recent += (series->rate - series->recent) * seconds /
				  (seconds + SERIES_RECENT_SECONDS);
}

static int by_recent_falling(const void *a, const void *b)
{
	double left = (*(struct series *const *)a)->recent,
	       right = (*(struct series *const *)b)->recent;

	return (left < right) - (left > right);
}

/*
 * Half of an hour's at once, and half of it over each hour: never more than an hour's in an hour,
 * and a process that turns out to be busy does not wait for the next one.
 */
static void refill(struct series_pool *pool, double now)
{
	double half = pool->most_per_hour / 2;

	if (pool->filled_at <= 0)
		pool->allowance = half;
	else
		pool->allowance += (now - pool->filled_at) * half / 3600;
	if (pool->allowance > half)
		pool->allowance = half;
	pool->filled_at = now;
}

/* Those that have a rate come first; how many they are. */
static size_t keep_busy(struct series **candidates, size_t count)
{
	size_t busy = 0;

	for (size_t i = 0; i < count; i++) {
		struct series *series = candidates[i];

		if (series->recent < SERIES_LEAST_RATE)
			series->busy_since = 0;
		else
			candidates[busy++] = series;
	}
	return busy;
}

void series_pool__promote(struct series_pool *pool, double now, struct series **candidates,
			  size_t count)
{
	size_t busy = keep_busy(candidates, count);

	refill(pool, now);
	/* In order where not all can have what they would get. */
	if (busy > pool->limit - pool->used || busy > pool->allowance)
		qsort(candidates, busy, sizeof(struct series *), by_recent_falling);
	for (size_t i = 0; i < busy; i++) {
		struct series *series = candidates[i];

		if (i >= pool->limit)
			series->busy_since = 0;
		else if (series->busy_since <= 0)
			series->busy_since = now;
		if (series->busy_since <= 0 || now - series->busy_since < pool->hold ||
		    pool->used >= pool->limit || pool->allowance < 1)
			continue;
		series->promoted = true;
		memcpy(series->base, series->published, sizeof(series->base));
		pool->used++;
		pool->allowance -= 1;
	}
}

void series_pool__end(struct series_pool *pool, struct series *series)
{
	if (!series->promoted)
		return;
	for (int writer = 0; writer < DS_WRITERS; writer++)
		pool->exited[writer] += series->written[writer] - series->base[writer];
	series->promoted = false;
	pool->used--;
}

void series_pool__rest(const struct series_pool *pool, const uint64_t totals[DS_WRITERS],
		       const uint64_t promoted[DS_WRITERS], struct snapshot_rest *rest)
{
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		rest->exited[writer] = pool->exited[writer];
		rest->other[writer] = totals[writer] - promoted[writer] - pool->exited[writer];
	}
}
