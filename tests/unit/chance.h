/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers by chance that are the same on every run. */
#ifndef DIRTYSCOPE_TESTS_UNIT_CHANCE_H
#define DIRTYSCOPE_TESTS_UNIT_CHANCE_H

#include <stdint.h>

/* xorshift64; below `below`. */
static inline uint64_t chance(uint64_t below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

#endif
