/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct page_map, for page_map.c and page_map_walk.c alone. */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_PAGE_MAP_PRIVATE_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_PAGE_MAP_PRIVATE_H

#include <uthash.h>

#include "agent/tracks/base/page_map.h"

#define CHUNK_PAGES PAGE_MAP_CHUNK
#define WORDS (CHUNK_PAGES / 64)

struct chunk_device {
	uint32_t device;
	uint64_t completed[WORDS], exposed[WORDS];
};

struct page_map_chunk {
	uint64_t number; /* of its first page / CHUNK_PAGES */
	uint64_t cpu[WORDS];
	struct chunk_device *devices;
	uint32_t device_count;
	UT_hash_handle hh;
};

struct page_map {
	struct page_map_chunk *chunks; /* uthash */
	struct page_map_chunk *last;   /* most pages lie where the one before did */
	uint64_t newest;	       /* number of the chunk that was added last */
	bool unsorted;		       /* chunks are not in their order */
	uint64_t bytes;
};

#endif
