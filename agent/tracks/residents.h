/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of its memory a process has in pages, and how many of these are zero: of a random sample of
 * them, whose content is read. A migration sends a zero page as a few bytes.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_RESIDENTS_H
#define DIRTYSCOPE_AGENT_TRACKS_RESIDENTS_H

#include <stddef.h>
#include <stdint.h>

#define RESIDENTS_SAMPLE 4096 /* pages, of one process, that are looked at */

/* How many may be: 95 times in 100 it is from low to high. */
struct zero_pages {
	uint64_t sampled; /* pages that were looked at; 0: nothing is known of the others */
	double value, low, high;
};

struct residents;
/* Of a process; seed: of the sample. NULL: memory is short. */
struct residents *residents__new(uint64_t seed);
void residents__free(struct residents *residents);
/* One more page that it has in memory. */
void residents__add(struct residents *residents, uint64_t address);
uint64_t residents__count(const struct residents *residents);
/* One that is in swap: it is not looked at, and none of the others. */
void residents__add_swapped(struct residents *residents);
uint64_t residents__swapped(const struct residents *residents);
/*
 * Reads the sample, for `seconds` at most, and tells what follows from it for all of them. Pages
 * that may not be read, or are gone, are not of the sample.
 */
void residents__look(struct residents *residents, uint32_t tgid, double seconds,
		     struct zero_pages *zero);
/* Adds what is known of another process; where nothing is, of both nothing is. */
void zero_pages__add(struct zero_pages *sum, const struct zero_pages *one);

#endif
