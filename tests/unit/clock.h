/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIRTYSCOPE_TESTS_UNIT_CLOCK_H
#define DIRTYSCOPE_TESTS_UNIT_CLOCK_H

#include <time.h>

/* Seconds, monotonic. */
static inline double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static inline void rest(double seconds)
{
	const struct timespec time = {(time_t)seconds,
				      (long)((seconds - (double)(time_t)seconds) * 1e9)};

	nanosleep(&time, NULL);
}

#endif
