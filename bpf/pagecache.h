/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_PAGECACHE_H
#define DIRTYSCOPE_BPF_PAGECACHE_H

#include "bpf/account.h"

#define S_IFMT 0170000
#define S_IFBLK 0060000

/* Which inode the mapping belongs to: a file on a device, or the block device itself. */
static __always_inline bool mapping__is_blockdev(__u64 mapping, __u32 *dev)
{
	struct inode *inode = DS_FIELD((struct address_space *)mapping, host);
	struct super_block *super = DS_FIELD(inode, i_sb);
	bool blockdev = (DS_FIELD(inode, i_mode) & S_IFMT) == S_IFBLK;

	*dev = blockdev ? DS_FIELD(inode, i_rdev) : DS_FIELD(super, s_dev);
	return blockdev;
}

/*
 * The folio is the unit: the kernel keeps one dirty flag for all of its pages.
 *
 * Plain adds to this CPU's rows are exact here: the event fires under the i_pages lock, with
 * interrupts off (__folio_mark_dirty(), mm/page-writeback.c), so nothing nests in between.
 */
static __always_inline int pagecache__account(const struct ds_process_key *process, __u64 pages,
					      __u64 mapping)
{
	struct ds_sensor_stats *sensor = sensor__stats(DS_SENSOR_PAGECACHE);
	struct ds_pagecache_stats *cache;
	__u32 lost = DS_LOST_NOT, dev = 0;
	struct ds_process_stats *stats;
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
	stats = process__stats(slot);
	if (stats && blockdev)
		stats->blockdev += pages;
	else if (stats)
		stats->pagecache += pages;

	cache = bpf_map_lookup_elem(&pagecache_devices, &dev);
	if (!cache) {
		struct ds_pagecache_stats zero = {};

		bpf_map_update_elem(&pagecache_devices, &dev, &zero, BPF_NOEXIST);
		cache = bpf_map_lookup_elem(&pagecache_devices, &dev);
	}
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

#endif
