/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uthash for chunks of pages, whose keys are 64-bit numbers. Instead of <uthash.h>, and not after
 * it.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_CHUNK_HASH_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_CHUNK_HASH_H

#include <stdint.h>

/*
 * Chunks are numbered one after the other, and so are the buckets then: most lookups follow each
 * other in memory as well.
 */
#define HASH_FUNCTION(key, length, hash)                           \
	do {                                                       \
		const uint64_t number_ = *(const uint64_t *)(key); \
		(hash) = (unsigned)(number_ ^ number_ >> 16);      \
	} while (0)

#include <uthash.h>

/* Buckets of two at most, not of ten. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 2U

#endif
