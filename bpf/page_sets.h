/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Page sets: which pages a device wrote. How they are laid out is in bpf/dirtyscope.h; who makes
 * them grow, and sweeps them, is agent/kernel/page_sets.c.
 */
#ifndef DIRTYSCOPE_BPF_PAGE_SETS_H
#define DIRTYSCOPE_BPF_PAGE_SETS_H

#include "bpf/account.h"

/* Set 0 is the shared one, of the unattributed. */
const volatile __u32 ds_regions __weak = 1;	/* columns of a row; column 0 is always empty */
__u32 ds_set_of[DS_SLOTS_MAX] __weak = {};	/* by slot; the agent's */
__u32 ds_region_of[DS_REGIONS_MAX] __weak = {}; /* by PFN >> DS_REGION_SHIFT; 0: none yet */
__u64 ds_memory_pages __weak = 0;		/* highest PFN of the host + 1; the agent's */
__u64 ds_pieces_taken __weak = 0;		/* off the stack, in all */

__u64 ds_zero __weak = 0;

DS_ROWS(page_entries, __u64); /* (set * ds_regions + region) * DS_REGION_PIECES + GiB in it */
DS_FREE_SLOTS(free_regions);
DS_FREE_SLOTS(free_pieces);

struct ds_page_bank {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ds_page_bank);
} page_banks __weak SEC(".maps");

#define DS_MARK_PAGES 512	    /* pages that one call marks at most: a huge page */
#define DS_RANGE_PAGES (1ULL << 20) /* that one event marks at most: 4 GiB */
#define DS_RANGE_STEPS (DS_RANGE_PAGES / 64 + 1)
#define DS_RANGE_PIECES ((int)(DS_RANGE_PAGES >> DS_PIECE_SHIFT) + 1)

static __always_inline __u64 pages__spanned(__u64 offset, __u64 bytes)
{
	const __u64 mask = DS_PAGE_SIZE - 1;

	return bytes ? (bytes >> DS_PAGE_SHIFT) +
			       (((offset & mask) + (bytes & mask) + mask) >> DS_PAGE_SHIFT)
		     : 0;
}

static __always_inline __u64 page__pfn(__u64 page)
{
	return (page - ds_vmemmap_base) / bpf_core_type_size(struct page);
}

/* The entry for a page in the set of a slot, or in the shared set of those that have none. */
static __always_inline volatile __u64 *page_set__entry(__u32 slot, __u64 pfn)
{
	__u64 at = pfn >> DS_REGION_SHIFT;
	__u32 set = ds_set_of[slot % DS_SLOTS_MAX], region, index;

	if (at >= DS_REGIONS_MAX)
		return NULL;
	barrier_var(at); /* else clang drops the bound that the verifier wants to see */
	region = ds_region_of[at % DS_REGIONS_MAX];
	index = (set * ds_regions + region) * DS_REGION_PIECES +
		(pfn >> DS_PIECE_SHIFT) % DS_REGION_PIECES;
	return bpf_map_lookup_elem(&page_entries, &index);
}

/* The word of a page in the piece of an entry's value; NULL: it has none. */
static __always_inline volatile __u64 *page_set__word(__u64 value, __u64 pfn)
{
	__u32 piece = (__u32)value - 1, bank = piece / DS_BANK_PIECES;
	__u32 index = piece % DS_BANK_PIECES * DS_PIECE_WORDS + (pfn >> 6) % DS_PIECE_WORDS;
	void *words = bpf_map_lookup_elem(&page_banks, &bank);

	return words ? bpf_map_lookup_elem(words, &index) : NULL;
}

/*
 * Test first: bits that are set cost no write. The sweep takes the block's bit of the entry before
 * it takes words, so that bit is set after the word, and looked at again after that; where the word
 * was set already, whoever set it may not have come that far yet.
 */
static __always_inline bool page_set__or(volatile __u64 *entry, __u64 pfn, __u64 bits)
{
	__u64 value = *entry;
	__u64 block = 1ULL << (DS_ENTRY_BLOCKS + (pfn >> DS_BLOCK_SHIFT) % DS_ENTRY_BLOCKS);
	volatile __u64 *word = page_set__word(value, pfn);

	if (!word)
		return false;
	if ((*word & bits) != bits) {
		__sync_fetch_and_or(word, bits);
		value = *entry;
	}
	if (!(value & block))
		__sync_fetch_and_or(entry, block);
	return true;
}

/*
 * The column of a region, given to it with the first page that is written there; 0: none is left,
 * or another CPU holds the last one and has not yet said for which region.
 */
static __always_inline __u32 region__of(__u64 at)
{
	__u32 region = 0, old;

	if (at >= DS_REGIONS_MAX)
		return 0;
	barrier_var(at);
	at %= DS_REGIONS_MAX;
	old = ds_region_of[at];
	if (old)
		return old;
	if (bpf_map_pop_elem(&free_regions, &region))
		return ds_region_of[at];
	old = __sync_val_compare_and_swap(&ds_region_of[at], 0, region);
	if (!old)
		return region;
	bpf_map_push_elem(&free_regions, &region, BPF_ANY);
	return old;
}

/* The first page of a GiB. False: there is no piece left. */
static __always_inline bool entry__take_piece(volatile __u64 *entry)
{
	__u32 piece = 0;

	if (bpf_map_pop_elem(&free_pieces, &piece))
		return false;
	if (!__sync_val_compare_and_swap(entry, 0, (__u64)piece + 1)) {
		ds_add(ds_pieces_taken, 1);
		return true;
	}
	bpf_map_push_elem(&free_pieces, &piece, BPF_ANY);
	return true;
}

/*
 * The rare path of a word's pages: no piece is there. Without one for its own set a page still is
 * in the shared set, where that has one. Returns enum ds_lost.
 */
static __always_inline int page_set__take_and_mark(__u32 slot, __u64 pfn, __u64 bits)
{
	volatile __u64 *entry;
	int lost = DS_LOST_NOT;

	if (!region__of(pfn >> DS_REGION_SHIFT))
		return DS_LOST_PFN_RANGE;
	entry = page_set__entry(slot, pfn);
	if (entry && !(__u32)*entry && !entry__take_piece(entry)) {
		lost = DS_LOST_PAGE_SETS_FULL;
		entry = page_set__entry(DS_SLOT_NONE, pfn);
	}
	return entry && page_set__or(entry, pfn, bits) ? lost : DS_LOST_PAGE_SETS_FULL;
}

__weak int page_set__mark_first(__u32 slot, __u64 pfn, __u64 bits)
{
	return page_set__take_and_mark(slot, pfn, bits);
}

struct page_range {
	__u64 pfn;
	__u64 pages;
	__u32 slot;
	__u32 lost;
};

/* The pages of a range that lie in one word. */
static __always_inline __u64 page_range__bits(const struct page_range *range, __u64 *pages)
{
	__u32 bit = range->pfn & 63;
	__u64 bits = ~0ULL;

	*pages = 64 - bit;
	if (range->pages < *pages) {
		*pages = range->pages;
		bits = (1ULL << *pages) - 1;
	}
	return bits << bit;
}

static __always_inline void page_range__advance(struct page_range *range, __u64 pages)
{
	range->pfn += pages;
	range->pages -= pages;
}

/* The pages of one word, up to one without a piece. Small frames: 6.1 adds up those of all calls.
 */
static long page_range__step(__u32 index, struct page_range *range)
{
	volatile __u64 *entry = page_set__entry(range->slot, range->pfn);
	__u64 pages, bits = page_range__bits(range, &pages);

	if (!entry || !page_set__or(entry, range->pfn, bits))
		return 1;
	page_range__advance(range, pages);
	return !range->pages;
}

/* Each GiB may want a piece, which ends the loop: it is taken, and the rest is marked. */
__weak int page_range__mark_all(__u32 slot, __u64 pfn, __u64 pages)
{
	struct page_range range = {.slot = slot, .pfn = pfn, .pages = pages, .lost = DS_LOST_NOT};

	if (pages > DS_RANGE_PAGES) {
		/* A number that the verifier does not know: it would follow it down to 0. */
		range.pages = DS_RANGE_PAGES + *(volatile __u64 *)&ds_zero;
		range.lost = DS_LOST_TRUNCATED;
	}
	for (int i = 0; i <= DS_RANGE_PIECES; i++) {
		__u64 here, bits;
		__u32 lost;

		bpf_loop(DS_RANGE_STEPS, page_range__step, &range, 0);
		if (!range.pages)
			break;
		bits = page_range__bits(&range, &here);
		lost = page_set__mark_first(range.slot, range.pfn, bits);
		event__lose(range.lost, lost);
		if (lost == DS_LOST_PFN_RANGE)
			break;
		page_range__advance(&range, here);
	}
	if (range.pages)
		event__lose(range.lost, DS_LOST_TRUNCATED);
	return range.lost;
}

/* One page, the usual case, is spared the call, which is most of its cost. */
static __always_inline __u32 page_set__mark_page(__u32 slot, __u64 pfn)
{
	volatile __u64 *entry = page_set__entry(slot, pfn);
	__u64 bits = 1ULL << (pfn & 63);

	if (entry && page_set__or(entry, pfn, bits))
		return DS_LOST_NOT;
	return page_set__mark_first(slot, pfn, bits);
}

/* Any number of pages, up to 4 GiB at once, into the set of a slot. Returns enum ds_lost. */
static __always_inline __u32 page_set__mark(__u32 slot, __u64 pfn, __u64 pages)
{
	if (pages == 1)
		return page_set__mark_page(slot, pfn);
	return pages ? page_range__mark_all(slot, pfn, pages) : DS_LOST_NOT;
}

#endif
