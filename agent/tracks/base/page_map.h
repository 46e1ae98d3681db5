/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages were written, and by whom: one bitmap per writer in chunks of 512 pages, so that
 * merging and counting follow what is in it, not how large its address space is. A page is a
 * number: an address / 4096, or a PFN. Not for several threads at once.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_PAGE_MAP_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_PAGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/snapshot/snapshot.h"
#include "agent/tracks/base/address_ranges.h"

#define PAGE_MAP_DEVICES 64 /* devices are numbers below it */
#define PAGE_MAP_CHUNK 512

struct page_map;

/* NULL when memory is short. */
struct page_map *page_map__new(void);
void page_map__free(struct page_map *map);
/* Of memory, also where it is empty. */
uint64_t page_map__bytes(const struct page_map *map);

/* -ENOMEM, or 0; then all or some of the pages are in it. */
int page_map__add_cpu(struct page_map *map, uint64_t page, uint64_t pages);
int page_map__add_device(struct page_map *map, uint64_t page, unsigned device,
			 enum ds_evidence evidence);
/* The same for a range. */
int page_map__add_device_pages(struct page_map *map, uint64_t page, uint64_t pages, unsigned device,
			       enum ds_evidence evidence);
/*
 * Adds to `in` those of the pages that the CPU side of `by` has, and to `out` the others. Fast
 * where one call's pages follow those of the one before. -ENOMEM, or 0.
 */
int page_map__divide(struct page_map *by, uint64_t page, uint64_t pages, struct page_map *in,
		     struct page_map *out);
void page_map__remove_cpu(struct page_map *map, uint64_t page, uint64_t pages);
/*
 * Calls `each` for the runs, of these pages, that the CPU side of the map has (has: true) or has
 * not; it must not change the map. Nonzero ends it and is returned.
 */
int page_map__split(const struct page_map *map, uint64_t page, uint64_t pages,
		    int (*each)(void *context, uint64_t page, uint64_t pages, bool has),
		    void *context);
/*
 * Calls `each` for the runs, of these pages, of whole chunks (PAGE_MAP_CHUNK pages, which one page
 * table holds) of which the CPU side of the map has some, and for those of which it has none.
 * *cursor: NULL first, for ranges in ascending order; the map must not grow meanwhile. What `each`
 * returned, or 0: nonzero ends it.
 */
struct page_map_chunk;
int page_map__by_chunk(struct page_map *map, const struct page_map_chunk **cursor, uint64_t page,
		       uint64_t pages,
		       int (*each)(void *context, uint64_t page, uint64_t pages, bool has),
		       void *context);
int page_map__merge(struct page_map *into, const struct page_map *from);
/*
 * What `from` has of its pages page..page + pages - 1 becomes pages to.. of `into`, with the same
 * writers. They may be the same map. -ENOMEM, or 0.
 */
int page_map__copy(struct page_map *into, uint64_t to, const struct page_map *from, uint64_t page,
		   uint64_t pages);
/* Forgets all pages that are not in the ranges, whoever wrote them. */
void page_map__keep(struct page_map *map, const struct address_ranges *ranges);
/* Has the CPU side more than so many? */
bool page_map__has_more(const struct page_map *map, uint64_t pages);
/* Adds up, by device, the pages that it has with that evidence or a better one. */
void page_map__count_devices(const struct page_map *map, enum ds_evidence evidence,
			     uint64_t pages[PAGE_MAP_DEVICES]);
/* What each has becomes the other's. */
void page_map__swap(struct page_map *one, struct page_map *other);
bool page_map__is_empty(const struct page_map *map);
/* It is empty then, and keeps the memory of its chunks for those that come. */
void page_map__clear(struct page_map *map);

struct page_counts {
	uint64_t cpu, dma, both, all;
	uint64_t missed; /* a device wrote them, with evidence completed or better, and the CPU side
			    did not tell */
};

/* Neighbours that the same wrote. */
struct page_run {
	uint64_t page, pages;
	bool cpu;
	uint64_t devices; /* a bit for each */
};

/*
 * Counts what a device has with that evidence or a better one; calls `each` (may be NULL) for the
 * runs in their order. 0, -ENOMEM, or what `each` returned: nonzero ends it.
 */
int page_map__walk(struct page_map *map, enum ds_evidence evidence, struct page_counts *counts,
		   int (*each)(void *context, const struct page_run *run), void *context);
/*
 * Calls `each` for 64 pages at a time, in no order, with a bit for each that anybody wrote, if
 * there is one; nonzero ends it and is returned.
 */
int page_map__each_word(const struct page_map *map,
			int (*each)(void *context, uint64_t page, uint64_t bits), void *context);

#endif
