/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct page_map, for its own files alone. */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_PAGE_MAP_PRIVATE_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_PAGE_MAP_PRIVATE_H

#include "agent/tracks/base/chunk_hash.h"
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

/* Memory for chunks, which a map keeps until it is freed: most epochs are like the one before. */
struct chunk_slab {
	struct chunk_slab *next; /* the one that is filled after it */
	size_t used, room;
	struct page_map_chunk chunks[];
};

struct page_map {
	struct chunk_slab *slabs, *filling; /* filling: NULL: none has been begun */
	struct page_map_chunk *chunks;	    /* uthash */
	struct page_map_chunk *last;	    /* most pages lie where the one before did */
	uint64_t newest;		    /* number of the chunk that was added last */
	bool unsorted;			    /* chunks are not in their order */
	bool has_devices;		    /* one of them, or it had */
	uint64_t bytes;			    /* of all memory that it has */
};

#endif
