/* SPDX-License-Identifier: BSD-2-Clause */
/* What a page map has in some ranges of addresses. */
#include <stdlib.h>

#include "agent/tracks/base/page_map_private.h"

#define PAGE_BYTES 4096ULL
#define CHUNK_BYTES (CHUNK_PAGES * PAGE_BYTES)

struct mask {
	uint64_t first; /* page of the chunk */
	uint64_t words[WORDS];
};

static int mask_part(void *context, uint64_t start, uint64_t end, bool inside)
{
	struct mask *mask = context;
	uint64_t at = start / PAGE_BYTES - mask->first, behind = end / PAGE_BYTES - mask->first;

	while (inside && at < behind) {
		const uint64_t room = 64 - at % 64, count = behind - at < room ? behind - at : room;

		mask->words[at / 64] |= (count == 64 ? ~0ULL : (1ULL << count) - 1) << at % 64;
		at += count;
	}
	return 0;
}

/* False: nothing is left in it. */
static bool keep_in_chunk(struct page_map_chunk *chunk, const struct mask *mask)
{
	uint64_t left = 0;

	for (int w = 0; w < WORDS; w++)
		left |= chunk->cpu[w] &= mask->words[w];
	for (uint32_t i = 0; i < chunk->device_count; i++)
		for (int w = 0; w < WORDS; w++) {
			left |= chunk->devices[i].completed[w] &= mask->words[w];
			left |= chunk->devices[i].exposed[w] &= mask->words[w];
		}
	return left;
}

void page_map__keep(struct page_map *map, const struct address_ranges *ranges)
{
	struct page_map_chunk *chunk, *next;

	HASH_ITER (hh, map->chunks, chunk, next) {
		const uint64_t start = chunk->number * CHUNK_BYTES;
		struct mask mask = {.first = chunk->number * CHUNK_PAGES};

		address_ranges__cut(ranges, start, start + CHUNK_BYTES, mask_part, &mask);
		if (keep_in_chunk(chunk, &mask))
			continue;
		/* Its memory is the slab's, until that is cleared. */
		// NOLINTNEXTLINE(clang-analyzer-core.NullDereference): of uthash
		HASH_DEL(map->chunks, chunk);
		map->bytes -= chunk->device_count * sizeof(*chunk->devices);
		free(chunk->devices);
	}
	map->last = NULL;
}
