/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/series.h"

#include <stdlib.h>
#include <string.h>

static int by_rate_falling(const void *a, const void *b)
{
	double left = (*(struct series *const *)a)->rate,
	       right = (*(struct series *const *)b)->rate;

	return (left < right) - (left > right);
}

void series_pool__promote(struct series_pool *pool, struct series **candidates, size_t count)
{
	uint32_t room = pool->limit - pool->used;

	if (!room)
		return;
	if (count > room)
		qsort(candidates, count, sizeof(*candidates), by_rate_falling);
	for (size_t i = 0; i < count && pool->used < pool->limit; i++) {
		struct series *series = candidates[i];

		if (series->promoted || series->rate <= 0)
			continue;
		series->promoted = true;
		memcpy(series->base, series->published, sizeof(series->base));
		pool->used++;
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
