/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/residents.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "agent/tracks/cpu/page_table.h"

#define BATCH 32 /* pages of one call */
#define Z 1.96	 /* of 95 % */

struct residents {
	uint64_t swapped;
	uint64_t count, next; /* next: the number of the page that is taken into the sample */
	uint64_t state;	      /* of the chance */
	double weight;
	uint64_t sample[RESIDENTS_SAMPLE];
	unsigned char pages[BATCH * PAGE_BYTES];
};

/* xorshift64: above 0, below 1. */
static double chance(struct residents *residents)
{
	residents->state ^= residents->state << 13;
	residents->state ^= residents->state >> 7;
	residents->state ^= residents->state << 17;
	return ((double)(residents->state >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t below(struct residents *residents, uint64_t limit)
{
	return (uint64_t)(chance(residents) * (double)limit);
}

struct residents *residents__new(uint64_t seed)
{
	struct residents *residents = calloc(1, sizeof(*residents));

	if (residents) {
		residents->state = seed ? seed : 1;
		residents->weight = 1;
	}
	return residents;
}

void residents__free(struct residents *residents)
{
	free(residents);
}

/* How many pages are left out before the next one is taken: algorithm L of Li, 1994. */
static void leap(struct residents *residents)
{
	residents->weight *= exp(log(chance(residents)) / RESIDENTS_SAMPLE);
	residents->next += 1 + (uint64_t)(log(chance(residents)) / log1p(-residents->weight));
}

void residents__add(struct residents *residents, uint64_t address)
{
	const uint64_t number = residents->count++;

	if (number < RESIDENTS_SAMPLE) {
		residents->sample[number] = address;
		residents->next = number;
		if (number == RESIDENTS_SAMPLE - 1)
			leap(residents);
		return;
	}
	if (number != residents->next)
		return;
	residents->sample[below(residents, RESIDENTS_SAMPLE)] = address;
	leap(residents);
}

uint64_t residents__count(const struct residents *residents)
{
	return residents->count;
}

void residents__add_swapped(struct residents *residents)
{
	residents->swapped++;
}

uint64_t residents__swapped(const struct residents *residents)
{
	return residents->swapped;
}

/* ---- what is in them ---- */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The sample is in the order of addresses at first: a look that ends early must not see those. */
static void shuffle(struct residents *residents, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		const size_t other = below(residents, i);
		const uint64_t kept = residents->sample[i - 1];

		residents->sample[i - 1] = residents->sample[other];
		residents->sample[other] = kept;
	}
}

static bool is_zero(const unsigned char *page)
{
	const uint64_t *words = (const void *)page;
	uint64_t any = 0;

	for (size_t i = 0; i < PAGE_BYTES / sizeof(*words) && !any; i += 8)
		for (size_t k = i; k < i + 8; k++)
			any |= words[k];
	return !any;
}

/* How many of these could be read; *zero: and have no bit set. */
static size_t look_at(struct residents *residents, uint32_t tgid, size_t first, size_t count,
		      uint64_t *zero)
{
	struct iovec there[BATCH], here = {residents->pages, count * PAGE_BYTES};
	ssize_t got;

	for (size_t i = 0; i < count; i++)
		there[i] =
			(struct iovec){// NOLINTNEXTLINE(performance-no-int-to-ptr)
				       (void *)(uintptr_t)residents->sample[first + i], PAGE_BYTES};
	got = process_vm_readv((pid_t)tgid, &here, 1, there, count, 0);
	if (got <= 0)
		return 0;
	for (size_t i = 0; i < (size_t)got / PAGE_BYTES; i++)
		*zero += is_zero(residents->pages + i * PAGE_BYTES);
	return (size_t)got / PAGE_BYTES;
}

/* Wilson's interval, which holds where few or none are zero, too; of all of them it is exact. */
static void extrapolate(uint64_t count, uint64_t sampled, uint64_t found, struct zero_pages *zero)
{
	const double n = (double)sampled, p = n > 0 ? (double)found / n : 0;
	const double middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n);
	const double width = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n));

	*zero = (struct zero_pages){.sampled = sampled};
	if (!sampled) {
		zero->high = (double)count;
		return;
	}
	zero->value = zero->low = zero->high = p * (double)count;
	if (sampled == count)
		return;
	zero->low = fmax((middle - width) * (double)count, 0);
	zero->high = fmin((middle + width) * (double)count, (double)count);
}

void residents__look(struct residents *residents, uint32_t tgid, double seconds,
		     struct zero_pages *zero)
{
	const size_t count =
		residents->count < RESIDENTS_SAMPLE ? residents->count : RESIDENTS_SAMPLE;
	const double until = now() + seconds;
	uint64_t sampled = 0, found = 0;

	shuffle(residents, count);
	for (size_t i = 0, wanted, got; i < count && now() < until;
	     i += got < wanted ? got + 1 : got) {
		wanted = count - i < BATCH ? count - i : BATCH;
		/* Where it ends early, the next one is the page that cannot be read. */
		got = look_at(residents, tgid, i, wanted, &found);
		sampled += got;
	}
	extrapolate(residents->count, sampled, found, zero);
}

void zero_pages__add(struct zero_pages *sum, const struct zero_pages *one)
{
	const bool known = sum->sampled && one->sampled;

	sum->sampled = known ? sum->sampled + one->sampled : 0;
	sum->value = known ? sum->value + one->value : 0;
	sum->low = known ? sum->low + one->low : 0;
	sum->high += one->high;
}
