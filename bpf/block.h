/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_BLOCK_H
#define DIRTYSCOPE_BPF_BLOCK_H

#include "bpf/page_sets.h"

/* enum req_op, include/linux/blk_types.h: the operations whose data a device writes to memory. */
#define REQ_OP_MASK 0xff
#define REQ_OP_READ 0
#define REQ_OP_DRV_IN 34

#define DS_BLOCK_SEGMENTS 16384 /* of one request; the kernel's own limit is below it */

static __always_inline bool block__is_read(__u32 op_flags)
{
	__u32 op = op_flags & REQ_OP_MASK;

	return op == REQ_OP_READ || op == REQ_OP_DRV_IN;
}

/* At submission: remember who asked, because at completion anybody may be running. */
static __always_inline int block__submit(const struct ds_process_key *process, __u64 bio)
{
	/* Admitted here, where its names can be read; a failure is counted at completion. */
	process__slot(process);
	bpf_map_update_elem(&requests, &bio, process, BPF_ANY);
	return 0;
}

struct block_walk {
	__u64 bio;
	__u64 segments; /* the bio's bio_vec array */
	__u64 left;	/* bytes of the completion not walked yet */
	__u32 bio_left; /* bytes of this bio not walked yet */
	__u32 index;	/* this and done: as in struct bvec_iter */
	__u32 done;
	__u32 slot;
	__u32 lost;
	__u32 whole;	  /* this completion ends the bio */
	__u32 is_virtual; /* the CPU moved the data: only forget the bios */
	__u32 pad;
	struct ds_process_key owner; /* of the bio at hand */
	__u64 owner_pages;
	__u64 owner_bytes;
	__u64 pages;
};

static __always_inline void block__flush_owner(struct block_walk *walk, __u64 requests_done)
{
	__u32 lost;

	if (!walk->owner_bytes)
		return;
	lost = flow__add(&walk->owner, walk->slot, walk->owner_pages, walk->owner_bytes,
			 requests_done);
	event__lose(walk->lost, lost);
	walk->owner_pages = 0;
	walk->owner_bytes = 0;
}

static __always_inline void block__enter_bio(struct block_walk *walk)
{
	struct bio *bio = (void *)walk->bio;
	struct ds_process_key nobody = {}, *owner;
	__u64 key = walk->bio;
	__u32 size;

	walk->segments = (__u64)BPF_CORE_READ(bio, bi_io_vec);
	walk->index = BPF_CORE_READ(bio, bi_iter.bi_idx);
	walk->done = bio__done(bio);
	size = BPF_CORE_READ(bio, bi_iter.bi_size);
	walk->whole = size <= walk->left; /* else it comes again with the rest */
	walk->bio_left = walk->whole ? size : walk->left;
	owner = bpf_map_lookup_elem(&requests, &key);
	if (!owner) {
		event__lose(walk->lost, DS_LOST_UNKNOWN_SUBMITTER);
		owner = &nobody;
	}
	if (owner->start_boottime_ns != walk->owner.start_boottime_ns ||
	    owner->tgid != walk->owner.tgid) {
		block__flush_owner(walk, 1);
		walk->owner = *owner;
	}
}

static __always_inline void block__leave_bio(struct block_walk *walk)
{
	struct bio *bio = (void *)walk->bio;
	__u64 key = walk->bio;

	if (walk->whole)
		bpf_map_delete_elem(&requests, &key);
	walk->bio = (__u64)BPF_CORE_READ(bio, bi_next);
}

/* Marks at most DS_MARK_PAGES of one segment; 1 at the end. */
__weak int block__segment(struct block_walk *walk)
{
	struct bio_vec segment;
	__u64 offset, pages;
	__u32 bytes, most, lost;

	if (!walk)
		return 1;
	if (!walk->bio_left) {
		if (!walk->bio || !walk->left)
			return 1;
		block__enter_bio(walk);
		if (walk->is_virtual) {
			walk->left -= walk->bio_left;
			walk->bio_left = 0;
		}
		if (!walk->bio_left) { /* nothing to walk; an empty bio is a flush */
			block__leave_bio(walk);
			return 0;
		}
	}
	if (bpf_probe_read_kernel(&segment, sizeof(segment),
				  (void *)(walk->segments + walk->index * sizeof(segment))) ||
	    segment.bv_len <= walk->done) {
		event__lose(walk->lost, DS_LOST_TRUNCATED);
		return 1;
	}
	offset = (__u64)segment.bv_offset + walk->done;
	bytes = segment.bv_len - walk->done;
	if (bytes > walk->bio_left)
		bytes = walk->bio_left;
	most = DS_MARK_PAGES * DS_PAGE_SIZE - (offset & (DS_PAGE_SIZE - 1));
	if (bytes > most)
		bytes = most;
	pages = pages__spanned(offset, bytes);
	lost = page_set__mark(walk->slot,
			      page__pfn((__u64)segment.bv_page) + (offset >> DS_PAGE_SHIFT), pages);
	event__lose(walk->lost, lost);
	walk->pages += pages;
	walk->owner_pages += pages;
	walk->owner_bytes += bytes;
	walk->left -= bytes;
	walk->bio_left -= bytes;
	walk->done += bytes;
	if (walk->done >= segment.bv_len) {
		walk->index++;
		walk->done = 0;
	}
	if (!walk->bio_left)
		block__leave_bio(walk);
	return 0;
}

static long block__step(__u32 step, struct block_walk *walk)
{
	return block__segment(walk) != 0;
}

/*
 * Slot of a disk, taken on first sight. A disk that nothing carries (loop, dm, zram) needs none:
 * the CPU moves its data, or the disks below it do, and each of them tells.
 */
static __always_inline __u32 block__slot(struct block_walk *walk, __u64 disk, __u64 diskseq)
{
	struct new_source fresh = {.key = {.kind = DS_SOURCE_DISK, .id = diskseq}, .object = disk};
	__u32 *slot = bpf_map_lookup_elem(&sources, &fresh.key);

	if (slot)
		return *slot;
	walk->is_virtual = !BPF_CORE_READ((struct gendisk *)disk, part0, bd_device.parent);
	return walk->is_virtual ? DS_SLOT_NONE : source__admit(&fresh);
}

/*
 * At completion, before the bios advance (blk_update_request(), block/blk-mq.c): nr_bytes of the
 * chain are done. A failed read counts too: the device may have written before it failed.
 */
static __always_inline int block__complete(__u64 disk, __u64 diskseq, __u64 bio, __u64 nr_bytes,
					   bool failed)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_BLOCK);
	struct block_walk walk = {.bio = bio, .left = nr_bytes, .lost = DS_LOST_NOT};
	struct ds_source_info *info;
	struct ds_device_stats *stats;

	if (disk)
		walk.slot = block__slot(&walk, disk, diskseq);
	if (walk.slot == DS_SLOT_NONE && !walk.is_virtual)
		event__lose(walk.lost, disk ? DS_LOST_DEVICES_FULL : DS_LOST_UNKNOWN_DEVICE);
	info = bpf_map_lookup_elem(&source_infos, &walk.slot);
	stats = device__stats(walk.slot);
	if (!info || !stats) {
		event__close(sensor, DS_LOST_UNKNOWN_DEVICE);
		return 0;
	}
	ds_add(stats->block_requests, 1);
	if (failed)
		ds_add(stats->block_errors, 1);
	walk.is_virtual |= info->flags & DS_SOURCE_VIRTUAL;
	bpf_loop(DS_BLOCK_SEGMENTS, block__step, &walk, 0);
	block__flush_owner(&walk, 1);
	ds_add(stats->block_pages, walk.pages);
	ds_add(stats->block_bytes, nr_bytes - walk.left);
	if (walk.left)
		event__lose(walk.lost, DS_LOST_TRUNCATED);
	event__close_device(sensor, stats, walk.lost);
	return 0;
}

#endif
