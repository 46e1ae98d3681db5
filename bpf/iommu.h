/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_IOMMU_H
#define DIRTYSCOPE_BPF_IOMMU_H

#include "bpf/live_mappings.h"

#define IOMMU_WRITE 2		 /* include/linux/iommu.h */
#define DS_UNMAP_STEPS (1 << 20) /* 4 GiB in pages that are not in the ledger */

/* The events name no device and no domain: host-wide sums, in slot 0. */
static __always_inline int iommu__account(__u64 mapped_bytes, __u64 unmapped_bytes, bool map)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_IOMMU);
	struct ds_device_stats *stats = device__stats(DS_SLOT_NONE);

	if (stats && map) {
		ds_add(stats->iommu_maps, 1);
		ds_add(stats->iommu_mapped_bytes, mapped_bytes);
	} else if (stats) {
		ds_add(stats->iommu_unmaps, 1);
		ds_add(stats->iommu_unmapped_bytes, unmapped_bytes);
	}
	event__close(sensor, DS_LOST_NOT);
	return 0;
}

static __always_inline int iommu__fault(struct device *dev)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_IOMMU);
	__u32 slot = DS_SLOT_NONE, lost = DS_LOST_NOT;
	struct ds_device_stats *stats;

	if (dev) /* may be NULL: a fault of a function that has no driver */
		slot = device__slot(dev);
	if (slot == DS_SLOT_NONE)
		lost = dev ? DS_LOST_DEVICES_FULL : DS_LOST_UNKNOWN_DEVICE;
	stats = device__stats(slot);
	if (stats)
		ds_add(stats->iommu_faults, 1);
	event__close_device(sensor, stats, lost);
	return 0;
}

/* ---- domains that are not of the DMA API: memory that VFIO gives to a device ---- */

/* A domain was attached to a group; a group of several devices is known by its first. */
static __always_inline int domain__attach(__u64 domain, struct device *dev)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_IOMMU);
	struct ds_source_info *info;
	__u32 lost = DS_LOST_NOT;
	__u32 slot = dev ? device__slot_found(dev) : DS_SLOT_NONE;

	if (slot == DS_SLOT_NONE)
		lost = dev ? DS_LOST_DEVICES_FULL : DS_LOST_UNKNOWN_DEVICE;
	else if (bpf_map_update_elem(&domains, &domain, &slot, BPF_ANY))
		lost = DS_LOST_DEVICES_FULL;
	info = bpf_map_lookup_elem(&source_infos, &slot);
	if (info && slot != DS_SLOT_NONE)
		source__flag(info, DS_SOURCE_FOREIGN);
	event__close(sensor, lost);
	return 0;
}

static __always_inline int domain__free(__u64 domain)
{
	bpf_map_delete_elem(&domains, &domain);
	return 0;
}

/* false: a domain of the DMA API, whose mappings the dma sensor has. */
static __always_inline bool domain__begin(struct dma_event *event, __u64 domain)
{
	__u32 *slot = bpf_map_lookup_elem(&domains, &domain);

	return slot && dma_event__begin(event, DS_SENSOR_IOMMU, *slot, DS_LOST_NOT);
}

/* iommu_map() may be built on iommu_map_nosync(): what is there already is not counted again. */
static __always_inline int domain__map(__u64 domain, __u64 iova, __u64 phys, __u64 size, int prot,
				       __s64 error)
{
	struct ds_mapping_key key = {.owner = domain, .address = iova, .kind = DS_MAPPING_FOREIGN};
	struct ledger_begin begin = {.phys = phys, .size = size, .direction = DS_DMA_BIDIRECTIONAL};
	struct dma_event event;

	if (error || !(prot & IOMMU_WRITE) || bpf_map_lookup_elem(&mappings, &key) ||
	    !domain__begin(&event, domain))
		return 0;
	ds_add(event.stats->foreign_maps, 1);
	begin.pages = pages__spanned(phys, size);
	begin.slot = event.slot;
	event__lose(event.lost, ledger__add(&key, &begin));
	return dma_event__end(&event);
}

struct domain_walk {
	__u64 domain;
	__u64 iova;
	__u64 left; /* bytes */
	__u32 slot;
	__u32 lost;
};

/* One mapping, or one page that is in none; 1 at the end. */
__weak int domain__unmap_one(struct domain_walk *walk)
{
	struct ds_mapping_key key = {.kind = DS_MAPPING_FOREIGN};
	__u64 size = DS_PAGE_SIZE;
	struct ds_device_stats *stats;
	struct ledger_end end = {};

	if (!walk || !walk->left)
		return 1;
	stats = device__stats(walk->slot);
	if (!stats)
		return 1;
	key.owner = walk->domain;
	key.address = walk->iova;
	end.slot = walk->slot;
	end.lost = walk->lost;
	/* Memory mapped for reading, or before the agent, is passed over page by page. */
	if (ledger__remove(&key, &end) == LEDGER_ENDED) {
		size = end.size;
		ds_add(stats->foreign_unmaps, 1);
	}
	walk->lost = end.lost;
	walk->iova += size;
	walk->left -= size < walk->left ? size : walk->left;
	return 0;
}

static long domain__step(__u32 step, struct domain_walk *walk)
{
	return domain__unmap_one(walk) != 0;
}

/* What the device wrote while it could is not known: all of it counts as written. */
static __always_inline int domain__unmap(__u64 domain, __u64 iova, __u64 size)
{
	struct domain_walk walk = {.domain = domain, .iova = iova, .left = size};
	struct dma_event event;

	if (!size || !domain__begin(&event, domain))
		return 0;
	walk.slot = event.slot;
	walk.lost = event.lost;
	bpf_loop(DS_UNMAP_STEPS, domain__step, &walk, 0);
	event.lost = walk.lost;
	if (walk.left)
		event__lose(event.lost, DS_LOST_TRUNCATED);
	return dma_event__end(&event);
}

#endif
