/* SPDX-License-Identifier: BSD-2-Clause */
/* What a queue said of each message or program that it was given. After cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_QUEUE_RESULTS_H
#define DIRTYSCOPE_TESTS_UNIT_QUEUE_RESULTS_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/clock.h"

#define RESULTS 2048
#define PATIENCE 20.0 /* seconds, where a CPU is emulated */

struct result {
	uintptr_t tag;
	char result[16], reason[512];
	double time;
};

struct results {
	pthread_mutex_t lock; /* a queue tells from a thread of its own */
	struct result rows[RESULTS];
	size_t count;
};

static inline void results__begin(struct results *results)
{
	pthread_mutex_init(&results->lock, NULL);
}

static inline void results__end(struct results *results)
{
	pthread_mutex_destroy(&results->lock);
}

/* For `done` of a queue's options; context: the results. */
static inline void results__take(void *context, void *tag, const char *result, const char *reason)
{
	struct results *results = context;
	struct result *row;

	pthread_mutex_lock(&results->lock);
	if (results->count < RESULTS) {
		row = &results->rows[results->count++];
		row->tag = (uintptr_t)tag;
		row->time = now();
		snprintf(row->result, sizeof(row->result), "%s", result);
		snprintf(row->reason, sizeof(row->reason), "%s", reason);
	}
	pthread_mutex_unlock(&results->lock);
}

static inline void results__await(struct results *results, size_t count)
{
	double until = now() + PATIENCE;
	size_t have = 0;

	while (have < count && now() < until) {
		rest(0.002);
		pthread_mutex_lock(&results->lock);
		have = results->count;
		pthread_mutex_unlock(&results->lock);
	}
	assert_int_equal(have, count);
}

/* Told once; "nothing" where it was not told. */
static inline const struct result *results__of(const struct results *results, uintptr_t tag)
{
	static const struct result nothing = {.result = "nothing"};
	const struct result *found = &nothing;

	for (size_t i = 0; i < results->count; i++)
		if (results->rows[i].tag == tag) {
			assert_ptr_equal(found, &nothing);
			found = &results->rows[i];
		}
	return found;
}

static inline void results__expect(const struct results *results, uintptr_t tag, const char *result,
				   const char *part)
{
	const struct result *found = results__of(results, tag);

	if (strcmp(found->result, result) != 0 || !strstr(found->reason, part))
		fail_msg("%lu: %s (%s), not %s (%s)", tag, found->result, found->reason, result,
			 part);
}

#endif
