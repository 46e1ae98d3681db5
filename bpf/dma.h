/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_DMA_H
#define DIRTYSCOPE_BPF_DMA_H

#include "bpf/live_mappings.h"
#include "bpf/list.h"

#define DMA_MAPPING_ERROR (~0ULL)   /* include/linux/dma-mapping.h */
#define DS_MAX_MAPPING (1ULL << 47) /* bytes; more is no mapping but a mistake */
#define DS_SYNC_ORDERS 6	    /* a sync is looked for in mappings of up to 32 pages */
#define DS_IOVA_LINKS 4096	    /* of one unlink */

/* Adds to the counter of a direction, whose bounds are checked on the register that is used. */
static __always_inline void count(__u64 *counters, __u32 direction, __u64 n)
{
	barrier_var(direction);
	if (direction < DS_DIRECTIONS)
		ds_add(counters[direction], n);
}

static __always_inline bool dma__begin(struct dma_event *event, struct device *dev)
{
	return dma_event__begin(event, DS_SENSOR_DMA, dev ? device__slot(dev) : DS_SLOT_NONE,
				dev ? DS_LOST_DEVICES_FULL : DS_LOST_UNKNOWN_DEVICE);
}

static __always_inline int dma__map(struct device *dev, __u64 phys, __u64 dma_addr, __u64 size,
				    __u32 direction, enum ds_mapping_kind kind)
{
	struct ds_mapping_key key = {.owner = (__u64)dev, .address = dma_addr, .kind = kind};
	struct ledger_begin begin = {.phys = phys, .size = size, .direction = direction};
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	begin.slot = event.slot;
	if (dma_addr == DMA_MAPPING_ERROR || direction >= DS_DIRECTIONS) {
		ds_add(event.stats->failed_maps, 1);
	} else if (size > DS_MAX_MAPPING) {
		event__lose(event.lost, DS_LOST_TRUNCATED);
	} else {
		count(event.stats->maps, direction, 1);
		count(event.stats->mapped_bytes, direction, size);
		begin.pages = pages__spanned(phys == DS_UNKNOWN_MEMORY ? 0 : phys, size);
		if (dma__writes(direction))
			event__lose(event.lost, ledger__add(&key, &begin));
	}
	return dma_event__end(&event);
}

/* A failed allocation has no address; memory outside of the direct map has pages not known here. */
static __always_inline int dma__alloc(struct device *dev, __u64 virt, __u64 dma_addr, __u64 size,
				      __u32 direction)
{
	__u64 phys = virt - ds_page_offset;

	/* vmalloc, of single pages behind an IOMMU; KASLR may put it close to the direct map. */
	if (phys >> DS_PAGE_SHIFT >= ds_memory_pages)
		phys = DS_UNKNOWN_MEMORY;
	return dma__map(dev, phys, virt ? dma_addr : DMA_MAPPING_ERROR, size, direction,
			DS_MAPPING_COHERENT);
}

/* Unmapped, and not in the ledger: where nothing translates, the DMA address says which memory. */
static __always_inline __u32 dma__unmap_unknown(__u32 slot, __u64 dma_addr, __u64 size)
{
	struct ds_source_info *info = bpf_map_lookup_elem(&source_infos, &slot);
	struct ds_device_stats *stats = device__stats(slot);

	if (stats && (!info || !(info->flags & DS_SOURCE_NO_UNMAP)))
		ds_add(stats->unmatched_unmaps, 1);
	if (!info || (info->flags & (DS_SOURCE_DIRECT | DS_SOURCE_TRANSLATED)) != DS_SOURCE_DIRECT)
		return DS_LOST_NOT;
	return dma__completed(slot, dma_addr, size);
}

static __always_inline int dma__unmap(struct device *dev, __u64 dma_addr, __u64 size,
				      __u32 direction, enum ds_mapping_kind kind)
{
	struct ds_mapping_key key = {.owner = (__u64)dev, .address = dma_addr, .kind = kind};
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	if (size > DS_MAX_MAPPING) {
		event__lose(event.lost, DS_LOST_TRUNCATED);
	} else if (direction < DS_DIRECTIONS) {
		count(event.stats->unmaps, direction, 1);
		if (kind != DS_MAPPING_COHERENT) /* which says nothing of streaming ones */
			ledger__unmaps(event.slot);
		if (ds_ledger && size && dma__writes(direction)) {
			struct ledger_end end = {.pages = pages__spanned(dma_addr, size),
						 .size = size,
						 .slot = event.slot,
						 .lost = event.lost};

			if (ledger__remove(&key, &end) == LEDGER_UNKNOWN)
				event__lose(end.lost,
					    dma__unmap_unknown(event.slot, dma_addr, size));
			event.lost = end.lost;
		}
	}
	return dma_event__end(&event);
}

/* The mapping that a sync is about: it may be of a part, as page_pool syncs its pages. */
static __always_inline struct ds_mapping *dma__mapping_around(struct device *dev, __u64 dma_addr,
							      __u64 size, __u64 *offset)
{
	struct ds_mapping_key key = {.owner = (__u64)dev, .address = dma_addr};
	struct ds_mapping *mapping = bpf_map_lookup_elem(&mappings, &key);

	*offset = 0;
	if (mapping && size <= mapping->size)
		return mapping;
	for (int order = 0; order < DS_SYNC_ORDERS; order++) {
		key.address = dma_addr & ~((DS_PAGE_SIZE << order) - 1);
		*offset = dma_addr - key.address;
		mapping = bpf_map_lookup_elem(&mappings, &key);
		if (mapping && *offset + size <= mapping->size)
			return mapping;
	}
	return NULL;
}

/* Returns enum ds_lost. */
static __always_inline __u32 dma__synced(struct device *dev, __u32 slot, __u64 dma_addr, __u64 size)
{
	__u64 offset;
	struct ds_mapping *mapping = dma__mapping_around(dev, dma_addr, size, &offset);

	return mapping ? dma__completed(slot, mapping->phys + offset, size)
		       : dma__unmap_unknown(slot, dma_addr, size);
}

static __always_inline int dma__sync(struct device *dev, __u64 dma_addr, __u64 size,
				     __u32 direction)
{
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	ds_add(event.stats->syncs, 1);
	if (ds_ledger && dma__writes(direction) && size <= DS_MAX_MAPPING)
		event__lose(event.lost, dma__synced(dev, event.slot, dma_addr, size));
	return dma_event__end(&event);
}

/* ---- IOVA space that a driver links piece by piece: dma_iova_link(), drivers/iommu/dma-iommu.c */

static __always_inline int dma__link(struct device *dev, __u64 start, __u64 phys, __u64 offset,
				     __u64 size, __u32 direction, int error)
{
	return dma__map(dev, phys, error ? DMA_MAPPING_ERROR : start + offset, size, direction,
			DS_MAPPING_SINGLE);
}

struct unlink_walk {
	__u64 dev;
	__u64 address;
	__u64 left; /* bytes */
	__u32 direction;
	__u32 slot;
	__u32 lost;
	__u32 pad;
};

/* One link; 1 at the end. */
__weak int unlink__link(struct unlink_walk *walk)
{
	struct ds_mapping_key key = {};
	struct ds_device_stats *stats;
	struct ledger_end end = {};

	if (!walk || !walk->left)
		return 1;
	stats = device__stats(walk->slot);
	if (!stats)
		return 1;
	key.owner = walk->dev;
	key.address = walk->address;
	end.slot = walk->slot;
	end.lost = walk->lost;
	if (ledger__remove(&key, &end) != LEDGER_ENDED || !end.size) {
		ds_add(stats->unmatched_unmaps, 1);
		walk->lost = end.lost;
		walk->left = 0;
		return 1;
	}
	count(stats->unmaps, walk->direction, 1);
	walk->lost = end.lost;
	walk->address += end.size;
	walk->left -= end.size < walk->left ? end.size : walk->left;
	return 0;
}

static long unlink__step(__u32 step, struct unlink_walk *walk)
{
	return unlink__link(walk) != 0;
}

/* Takes away `size` bytes of links from an address on, one ledger entry after the other. */
static __always_inline int dma__unlink(struct device *dev, __u64 address, __u64 size,
				       __u32 direction)
{
	struct unlink_walk walk = {
		.dev = (__u64)dev, .address = address, .left = size, .direction = direction};
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	if (!ds_ledger || !dma__writes(direction)) {
		if (direction < DS_DIRECTIONS && size)
			count(event.stats->unmaps, direction, 1);
		return dma_event__end(&event);
	}
	walk.slot = event.slot;
	walk.lost = event.lost;
	if (!unlink__link(&walk) && walk.left) /* mostly there is one */
		bpf_loop(DS_IOVA_LINKS - 1, unlink__step, &walk, 0);
	event.lost = walk.lost;
	if (walk.left)
		event__lose(event.lost, DS_LOST_TRUNCATED);
	return dma_event__end(&event);
}

/* ---- scatterlists ---- */

/* entries: as given to dma_map_sg; mapped: DMA segments made of them, below 1 on failure. */
static __always_inline int dma__map_list(struct device *dev, __u64 list, __s32 entries,
					 __s32 mapped, __u32 direction)
{
	struct ds_mapping_key key = {.owner = (__u64)dev, .address = list, .kind = DS_MAPPING_LIST};
	struct ledger_begin begin = {.phys = list, .entries = entries, .direction = direction};
	struct list_walk walk = {};
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	if (mapped <= 0 || direction >= DS_DIRECTIONS) {
		ds_add(event.stats->failed_maps, 1);
		return dma_event__end(&event);
	}
	walk.lost = event.lost;
	list__walk(&walk, list, entries, 0);
	event.lost = walk.lost;
	count(event.stats->maps, direction, 1);
	count(event.stats->mapped_bytes, direction, walk.bytes);
	begin.size = walk.bytes;
	begin.pages = walk.pages;
	begin.slot = event.slot;
	if (dma__writes(direction))
		event__lose(event.lost, ledger__add(&key, &begin));
	return dma_event__end(&event);
}

/* The event fires before the unmap: the list still says which pages. */
static __always_inline int dma__unmap_list(struct device *dev, __u64 list, __s32 entries,
					   __u32 direction)
{
	struct ds_mapping_key key = {.owner = (__u64)dev, .address = list, .kind = DS_MAPPING_LIST};
	struct list_walk walk = {};
	struct ledger_end end = {};
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	if (direction < DS_DIRECTIONS) {
		count(event.stats->unmaps, direction, 1);
		ledger__unmaps(event.slot);
		if (dma__writes(direction)) {
			walk.slot = end.slot = event.slot;
			walk.lost = event.lost;
			list__walk(&walk, list, entries, ~0ULL);
			ds_add(event.stats->completed_pages, walk.pages);
			end.pages = walk.pages;
			end.lost = walk.lost;
			if (ds_ledger && ledger__remove(&key, &end) == LEDGER_UNKNOWN)
				ds_add(event.stats->unmatched_unmaps, 1);
			event.lost = end.lost;
		}
	}
	return dma_event__end(&event);
}

static __always_inline int dma__sync_list(struct device *dev, __u64 list, __s32 entries,
					  __u32 direction)
{
	struct list_walk walk = {};
	struct dma_event event;

	if (!dma__begin(&event, dev))
		return 0;
	ds_add(event.stats->syncs, 1);
	if (dma__writes(direction)) {
		walk.slot = event.slot;
		walk.lost = event.lost;
		list__walk(&walk, list, entries, ~0ULL);
		event.lost = walk.lost;
		ds_add(event.stats->completed_pages, walk.pages);
	}
	return dma_event__end(&event);
}

#endif
