/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/pfn_index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uthash.h>

#include "agent/base/frame_set.h"
#include "agent/tracks/base/page_map.h"
#include "agent/tracks/cpu/page_table.h"

#define ALIASED (1ULL << 63)
#define CELLS_PER_PAGE (PAGE_BYTES / sizeof(uint64_t))
#define REGION_FRAMES (1ULL << FRAME_SET_REGION_SHIFT)
#define REGION_BYTES (REGION_FRAMES * sizeof(uint64_t))

struct aliases {
	uint64_t pfn;
	uint32_t count; /* above PFN_INDEX_ALIASES: not all of them are here */
	uint64_t pages[PFN_INDEX_ALIASES];
	UT_hash_handle hh;
};

/* 64 GiB of frames: address space for all of them, memory for those that come to be used. */
struct cells {
	uint64_t *by_pfn;			      /* page + 1, or ALIASED; 0: none */
	uint8_t seen[REGION_FRAMES / CELLS_PER_PAGE]; /* a byte for each page of cells */
};

struct pfn_index {
	struct cells *regions[FRAME_SET_REGIONS];
	uint64_t zero_pfn;
	uint64_t touched; /* pages of cells */
	struct aliases *aliases;
	struct page_map *beyond; /* pages; NULL: none */
};

int pfn_index__new(struct pfn_index **out)
{
	struct pfn_index *index = calloc(1, sizeof(*index));
	int err;

	*out = NULL;
	if (!index)
		return -ENOMEM;
	err = page_table__zero_pfn(&index->zero_pfn);
	if (err) {
		free(index);
		return err;
	}
	*out = index;
	return 0;
}

static int make_cells(struct pfn_index *index, uint64_t region)
{
	struct cells *cells = calloc(1, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	cells->by_pfn = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cells->by_pfn == MAP_FAILED) {
		free(cells);
		return -ENOMEM;
	}
	/* It is used here and there: a huge page for each cell would be a waste. */
	madvise(cells->by_pfn, REGION_BYTES, MADV_NOHUGEPAGE);
	index->touched += sizeof(*cells) / PAGE_BYTES + 1;
	index->regions[region] = cells;
	return 0;
}

/* NULL: nothing was ever set near it. */
static uint64_t *cell_of(const struct pfn_index *index, uint64_t pfn)
{
	const uint64_t region = pfn >> FRAME_SET_REGION_SHIFT;

	return region < FRAME_SET_REGIONS && index->regions[region]
		       ? &index->regions[region]->by_pfn[pfn % REGION_FRAMES]
		       : NULL;
}

void pfn_index__free(struct pfn_index *index)
{
	struct aliases *aliases, *next;

	if (!index)
		return;
	HASH_ITER (hh, index->aliases, aliases, next) {
		HASH_DEL(index->aliases, aliases);
		free(aliases);
	}
	for (size_t i = 0; i < FRAME_SET_REGIONS; i++)
		if (index->regions[i]) {
			munmap(index->regions[i]->by_pfn, REGION_BYTES);
			free(index->regions[i]);
		}
	page_map__free(index->beyond);
	free(index);
}

uint64_t pfn_index__bytes(const struct pfn_index *index)
{
	return index->touched * PAGE_BYTES + HASH_COUNT(index->aliases) * sizeof(struct aliases);
}

static struct aliases *find_aliases(const struct pfn_index *index, uint64_t pfn)
{
	struct aliases *aliases;

	HASH_FIND(hh, index->aliases, &pfn, sizeof(pfn), aliases);
	return aliases;
}

static void add_alias(struct aliases *aliases, uint64_t page)
{
	for (uint32_t i = 0; i < aliases->count && i < PFN_INDEX_ALIASES; i++)
		if (aliases->pages[i] == page)
			return;
	if (aliases->count < PFN_INDEX_ALIASES)
		aliases->pages[aliases->count] = page;
	if (aliases->count <= PFN_INDEX_ALIASES)
		aliases->count++;
}

static int add_beyond(struct pfn_index *index, uint64_t page)
{
	if (!index->beyond)
		index->beyond = page_map__new();
	return index->beyond ? page_map__add_cpu(index->beyond, page, 1) : -ENOMEM;
}

uint64_t pfn_index__beyond(const struct pfn_index *index)
{
	struct page_counts counts = {0};

	if (index->beyond)
		(void)page_map__walk(index->beyond, DS_EVIDENCE_COMPLETED, &counts, NULL, NULL);
	return counts.all;
}

int pfn_index__set(struct pfn_index *index, uint64_t pfn, uint64_t page)
{
	struct aliases *aliases;
	uint64_t *cell;

	if (!pfn || pfn == index->zero_pfn)
		return 0;
	if (pfn >= FRAME_SET_FRAMES)
		return add_beyond(index, page);
	cell = cell_of(index, pfn);
	if (!cell) {
		int err = make_cells(index, pfn >> FRAME_SET_REGION_SHIFT);

		if (err)
			return err;
		cell = cell_of(index, pfn);
	}
	if (*cell == page + 1)
		return 0;
	if (!*cell) {
		uint8_t *seen = &index->regions[pfn >> FRAME_SET_REGION_SHIFT]
					 ->seen[pfn % REGION_FRAMES / CELLS_PER_PAGE];

		index->touched += !*seen;
		*seen = 1;
		*cell = page + 1;
		return 0;
	}
	if (*cell & ALIASED) {
		add_alias(find_aliases(index, pfn), page);
		return 0;
	}
	aliases = calloc(1, sizeof(*aliases));
	if (!aliases)
		return -ENOMEM;
	aliases->pfn = pfn;
	add_alias(aliases, *cell - 1);
	add_alias(aliases, page);
	HASH_ADD(hh, index->aliases, pfn, sizeof(pfn), aliases);
	*cell = ALIASED;
	return 0;
}

void pfn_index__remove(struct pfn_index *index, uint64_t pfn, uint64_t page)
{
	uint64_t *cell = cell_of(index, pfn);
	struct aliases *aliases;

	if (!cell || !*cell)
		return;
	if (!(*cell & ALIASED)) {
		if (*cell == page + 1)
			*cell = 0;
		return;
	}
	aliases = find_aliases(index, pfn);
	if (aliases->count > PFN_INDEX_ALIASES)
		return; /* not all are known, so none can go */
	for (uint32_t i = 0; i < aliases->count; i++)
		if (aliases->pages[i] == page)
			aliases->pages[i] = aliases->pages[--aliases->count];
	if (aliases->count > 1)
		return;
	*cell = aliases->count ? aliases->pages[0] + 1 : 0;
	HASH_DEL(index->aliases, aliases);
	free(aliases);
}

int pfn_index__find(const struct pfn_index *index, uint64_t pfn, uint64_t pages[PFN_INDEX_ALIASES])
{
	const uint64_t *cell = cell_of(index, pfn);
	const struct aliases *aliases;

	if (!cell || !*cell)
		return 0;
	if (!(*cell & ALIASED)) {
		pages[0] = *cell - 1;
		return 1;
	}
	aliases = find_aliases(index, pfn);
	if (aliases->count > PFN_INDEX_ALIASES)
		return -E2BIG;
	memcpy(pages, aliases->pages, aliases->count * sizeof(*pages));
	return (int)aliases->count;
}
