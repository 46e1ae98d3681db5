/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_PAGECACHE_H
#define DIRTYSCOPE_BPF_PAGECACHE_H

#include "bpf/account.h"

#define S_IFMT 0170000
#define S_IFBLK 0060000
#define DS_MINOR_BITS 20 /* MINORBITS, include/linux/kdev_t.h */

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

/* Part of what threads of the kernel have counted: who pays for the memory. */
DS_TABLE(charges, struct ds_charge_key, struct ds_pagecache_stats, 0);

/* In memory for the reason given at struct new_process. */
struct new_charge {
	__u64 folio;
	__u64 pages;
	__u32 slot;
	__u32 blockdev;
};

/*
 * A thread of the kernel dirties pages on behalf of others: a loop device's, writeback's. Where
 * there is no room, they stay with the thread's own cgroup.
 */
__weak int charge__add(const struct new_charge *fresh)
{
	struct ds_pagecache_stats *charge, zero = {};
	struct ds_charge_key key = {};
	struct ds_process_info *info;
	struct cgroup *payer;

	payer = fresh ? folio__payer(fresh->folio) : NULL;
	if (!payer)
		return 0;
	key.slot = fresh->slot;
	key.cgroup_id = BPF_CORE_READ(payer, kn, id);
	key.hierarchy = BPF_CORE_READ(payer, root, hierarchy_id);
	info = bpf_map_lookup_elem(&process_infos, &key.slot);
	if (!info || key.cgroup_id == (key.hierarchy ? info->memory_cgroup_id : info->cgroup_id))
		return 0;
	charge = bpf_map_lookup_elem(&charges, &key);
	if (!charge) {
		bpf_map_update_elem(&charges, &key, &zero, BPF_NOEXIST);
		charge = bpf_map_lookup_elem(&charges, &key);
	}
	if (charge)
		ds_add(*(fresh->blockdev ? &charge->blockdev : &charge->pagecache), fresh->pages);
	return 0;
}

/* Which inode the mapping belongs to: a file on a device, or the block device itself. */
static __always_inline bool mapping__is_blockdev(__u64 mapping, __u32 *dev)
{
	struct inode *inode = DS_FIELD((struct address_space *)mapping, host);
	struct super_block *super = DS_FIELD(inode, i_sb);
	bool blockdev = (DS_FIELD(inode, i_mode) & S_IFMT) == S_IFBLK;

	*dev = blockdev ? DS_FIELD(inode, i_rdev) : DS_FIELD(super, s_dev);
	return blockdev;
}

/* A file system that is met for the first time; in memory as struct new_process is. */
struct new_files {
	__u64 mapping; /* of one of its files, or 0 */
	__u32 dev;
	__u32 pad;
};

__weak int pagecache__meet(const struct new_files *fresh)
{
	struct ds_pagecache_stats stats = {};
	struct address_space *mapping;
	struct super_block *super;
	__u32 dev;

	if (!fresh)
		return 0;
	dev = fresh->dev;
	mapping = (void *)fresh->mapping; /* not in the macro: it would look for it in the kernel */
	if (!(dev >> DS_MINOR_BITS)) {
		super = BPF_CORE_READ(mapping, host, i_sb);
		bpf_core_read(stats.uuid, sizeof(stats.uuid), &super->s_uuid);
	}
	bpf_map_update_elem(&pagecache_devices, &dev, &stats, BPF_NOEXIST);
	return 0;
}

static __always_inline struct ds_pagecache_stats *pagecache__device(__u32 dev, __u64 mapping)
{
	struct ds_pagecache_stats *cache = bpf_map_lookup_elem(&pagecache_devices, &dev);
	struct new_files fresh = {.mapping = mapping, .dev = dev};

	if (cache)
		return cache;
	pagecache__meet(&fresh);
	return bpf_map_lookup_elem(&pagecache_devices, &dev);
}

/*
 * The folio is the unit: the kernel keeps one dirty flag for all of its pages. charged: the folio
 * whose cgroup is asked for, or 0.
 *
 * Plain adds to this CPU's rows are exact here: the event fires under the i_pages lock, with
 * interrupts off (__folio_mark_dirty(), mm/page-writeback.c), so nothing nests in between.
 */
static __always_inline int pagecache__account(const struct ds_process_key *process, __u64 pages,
					      __u64 mapping, __u64 charged)
{
	struct ds_sensor_stats *sensor = sensor__stats(DS_SENSOR_PAGECACHE);
	struct ds_pagecache_stats *cache;
	__u32 lost = DS_LOST_NOT, dev = 0;
	bool blockdev;
	__u32 slot;

	if (!sensor)
		return 0;
	sensor->offered++;
	/* A NULL mapping is possible (folio truncated meanwhile): then it is nobody's file. */
	blockdev = mapping && mapping__is_blockdev(mapping, &dev);
	slot = process__slot_cached(sensor, process, bpf_get_current_task());
	if (slot == DS_SLOT_NONE)
		event__lose(lost, DS_LOST_PROCESSES_FULL);
	if (blockdev)
		sensor->kept.blockdev += pages;
	else
		sensor->kept.pagecache += pages;
	if (charged && slot != DS_SLOT_NONE) { /* after its row, as the agent reads them */
		struct new_charge fresh = {
			.folio = charged, .pages = pages, .slot = slot, .blockdev = blockdev};

		charge__add(&fresh);
	}

	cache = pagecache__device(dev, mapping);
	if (!cache)
		event__lose(lost, DS_LOST_DEVICES_FULL);
	else if (blockdev)
		ds_add(cache->blockdev, pages);
	else
		ds_add(cache->pagecache, pages);
	if (lost < DS_LOST_COUNT)
		sensor->lost[lost]++;
	else
		sensor->counted++;
	return 0;
}

/*
 * The same of a file in memory alone (tmpfs, memfd, shm), which the kernel's own accounting of
 * dirty pages leaves out, and which is on no device. page: address of the one that write(2) filled.
 * Interrupts are on here.
 */
static __always_inline int pagecache__account_memory(const struct ds_process_key *process,
						     __u64 page)
{
	__u64 pages = folio__clean_pages(page__head(page));
	struct ds_sensor_stats *sensor;
	struct ds_pagecache_stats *cache;
	struct ds_process_stats *stats;
	__u32 lost = DS_LOST_NOT, slot;

	if (!pages)
		return 0;
	sensor = event__offer(DS_SENSOR_PAGECACHE);
	if (!sensor)
		return 0;
	slot = process__slot_hinted(sensor, process, bpf_get_current_task());
	if (slot == DS_SLOT_NONE)
		event__lose(lost, DS_LOST_PROCESSES_FULL);
	stats = bpf_map_lookup_elem(&process_stats, &slot);
	if (stats)
		ds_add(stats->pagecache, pages);
	cache = pagecache__device(0, 0);
	if (cache)
		ds_add(cache->pagecache, pages);
	else
		event__lose(lost, DS_LOST_DEVICES_FULL);
	event__close(sensor, lost);
	return 0;
}

#endif
