/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/pfn_index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uthash.h>

#include "agent/tracks/base/page_map.h"
#include "agent/tracks/cpu/page_table.h"

#define ALIASED (1ULL << 63)
#define CELLS_PER_PAGE (PAGE_BYTES / sizeof(uint64_t))

struct aliases {
	uint64_t pfn;
	uint32_t count; /* above PFN_INDEX_ALIASES: not all of them are here */
	uint64_t pages[PFN_INDEX_ALIASES];
	UT_hash_handle hh;
};

struct pfn_index {
	uint64_t *cells; /* by PFN: page + 1, or ALIASED; 0: none */
	uint64_t frames, zero_pfn;
	uint64_t touched; /* pages of cells */
	uint8_t *seen;	  /* a byte for each page of cells */
	struct aliases *aliases;
	struct page_map *beyond; /* pages; NULL: none */
};

int pfn_index__new(uint64_t frames, struct pfn_index **out)
{
	struct pfn_index *index = calloc(1, sizeof(*index));
	int err;

	*out = NULL;
	if (!index)
		return -ENOMEM;
	index->frames = frames;
	err = page_table__zero_pfn(&index->zero_pfn);
	if (err) {
		free(index);
		return err;
	}
	index->seen = calloc(frames / CELLS_PER_PAGE + 1, 1);
	index->cells = mmap(NULL, frames * sizeof(*index->cells), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (index->cells == MAP_FAILED || !index->seen) {
		if (index->cells == MAP_FAILED)
			index->cells = NULL;
		pfn_index__free(index);
		return -ENOMEM;
	}
	/* It is used here and there: a huge page for each cell would be a waste. */
	madvise(index->cells, frames * sizeof(*index->cells), MADV_NOHUGEPAGE);
	*out = index;
	return 0;
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
	if (index->cells)
		munmap(index->cells, index->frames * sizeof(*index->cells));
	free(index->seen);
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
	if (pfn >= index->frames)
		return add_beyond(index, page);
	cell = &index->cells[pfn];
	if (*cell == page + 1)
		return 0;
	if (!*cell) {
		uint8_t *seen = &index->seen[pfn / CELLS_PER_PAGE];

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
	struct aliases *aliases;

	if (pfn >= index->frames || !index->cells[pfn])
		return;
	if (!(index->cells[pfn] & ALIASED)) {
		if (index->cells[pfn] == page + 1)
			index->cells[pfn] = 0;
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
	index->cells[pfn] = aliases->count ? aliases->pages[0] + 1 : 0;
	HASH_DEL(index->aliases, aliases);
	free(aliases);
}

int pfn_index__find(const struct pfn_index *index, uint64_t pfn, uint64_t pages[PFN_INDEX_ALIASES])
{
	const struct aliases *aliases;

	if (pfn >= index->frames || !index->cells[pfn])
		return 0;
	if (!(index->cells[pfn] & ALIASED)) {
		pages[0] = index->cells[pfn] - 1;
		return 1;
	}
	aliases = find_aliases(index, pfn);
	if (aliases->count > PFN_INDEX_ALIASES)
		return -E2BIG;
	memcpy(pages, aliases->pages, aliases->count * sizeof(*pages));
	return (int)aliases->count;
}
