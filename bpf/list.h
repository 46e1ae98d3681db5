/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Scatterlists: arrays of segments, chained; include/linux/scatterlist.h. */
#ifndef DIRTYSCOPE_BPF_LIST_H
#define DIRTYSCOPE_BPF_LIST_H

#include "bpf/page_sets.h"

#define SG_CHAIN 1UL
#define SG_END 2UL

struct list_walk {
	__u64 entry;
	__u64 pages;
	__u64 bytes;
	__u64 mark;   /* so many bytes are put into the set of the slot */
	__u64 marked; /* pages of these bytes */
	__u64 check;  /* over all segments */
	__u64 last;   /* physical address of the segment walked last */
	__u32 left;   /* entries not walked yet */
	__u32 segments;
	__u32 slot;
	__u32 lost;
};

/* Who only reads lists may sleep, and 6.1 has no stack of free pieces for such programs. */
#ifdef DS_LIST_IS_READ
#define list__segment list__segment_read
#endif

/* One entry; 1 at the end. */
__weak int list__segment(struct list_walk *walk)
{
	__u64 phys, length, link;
	struct scatterlist *entry;

	if (!walk || !walk->entry || !walk->left)
		return 1;
	entry = (void *)walk->entry;
	link = BPF_CORE_READ(entry, page_link);
	if (link & SG_CHAIN) { /* not a segment but the way to the next array */
		walk->entry = link & ~(SG_CHAIN | SG_END);
		return 0;
	}
	length = BPF_CORE_READ(entry, length);
	if (link & ~(SG_CHAIN | SG_END))
		phys = (page__pfn(link & ~(SG_CHAIN | SG_END)) << DS_PAGE_SHIFT) +
		       BPF_CORE_READ(entry, offset);
	else /* mapped by the driver itself (virtqueue_add_inbuf_premapped()) */
		phys = BPF_CORE_READ(entry, dma_address);
	walk->segments++;
	walk->last = phys;
	walk->pages += pages__spanned(phys, length);
	walk->bytes += length;
	walk->check = (walk->check << 7 | walk->check >> 57) ^ phys ^ length << 48;
#ifndef DS_LIST_IS_READ
	__u64 marked = length < walk->mark ? length : walk->mark;
	if (marked) {
		__u64 pages = pages__spanned(phys, marked);
		__u32 lost = page_set__mark(walk->slot, phys >> DS_PAGE_SHIFT, pages);

		event__lose(walk->lost, lost);
		walk->marked += pages;
		walk->mark -= marked;
	}
#endif
	walk->left--;
	walk->entry = link & SG_END ? 0 : walk->entry + bpf_core_type_size(struct scatterlist);
	return 0;
}

static long list__step(__u32 step, struct list_walk *walk)
{
	return list__segment(walk) != 0;
}

/*
 * Walks on with a list of at most that many entries; what earlier walks found stays in *walk, its
 * slot and loss among it. mark: how many bytes of the list, from its start, are put into the set
 * of the slot. A list that is longer than we walk is a loss.
 */
static __always_inline void list__walk(struct list_walk *walk, __u64 list, __s32 entries,
				       __u64 mark)
{
	walk->entry = list;
	walk->left = entries > 0 ? entries : 0;
	walk->mark = mark;
	bpf_loop(DS_LIST_SEGMENTS, list__step, walk, 0);
	if (walk->left && walk->entry)
		event__lose(walk->lost, DS_LOST_TRUNCATED);
}

#endif
