/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the BPF programs and the agent share: keys, counters, limits.
 *
 * Everything here is fixed-width and explicitly padded, because both worlds
 * read the same bytes: the tables below are mapped into the agent (BPF_F_MMAPABLE)
 * and read there without a system call.
 *
 * Units: a "page" is 4 KiB of system memory (DS_PAGE_SIZE), times are
 * nanoseconds of CLOCK_BOOTTIME, sizes are bytes.
 */
#ifndef DIRTYSCOPE_BPF_DIRTYSCOPE_H
#define DIRTYSCOPE_BPF_DIRTYSCOPE_H

#include <linux/types.h>

#define DS_PAGE_SHIFT 12
#define DS_PAGE_SIZE (1ULL << DS_PAGE_SHIFT)

#define DS_COMM_LEN 16 /* TASK_COMM_LEN, include/linux/sched.h */
#define DS_NAME_LEN 48
#define DS_BUS_LEN 16

/* Slot 0 of the process and device tables is nobody's: what could not be attributed. */
#define DS_SLOT_NONE 0

enum ds_sensor {
	DS_SENSOR_FAULT,
	DS_SENSOR_PAGECACHE,
	DS_SENSOR_BLOCK,
	DS_SENSOR_NET,
	DS_SENSOR_DMA,
	DS_SENSOR_IOMMU,
	DS_SENSOR_SWIOTLB,
	DS_SENSOR_VIRTIO,
	DS_SENSOR_HW,
	DS_SENSOR_PROCESS,
	DS_SENSOR_COUNT,
};

/* Why an offered event was not counted in full. One event has one reason: the first met. */
enum ds_lost {
	DS_LOST_PROCESSES_FULL,	   /* the process table is full; pages went to "other" */
	DS_LOST_DEVICES_FULL,	   /* the device table is full; pages went to the shared set */
	DS_LOST_UNKNOWN_DEVICE,	   /* the event names no device */
	DS_LOST_UNKNOWN_SUBMITTER, /* in flight before us, or table full: pages counted, flow not */
	DS_LOST_FLOWS_FULL,	   /* flow table full: pages counted, flow not */
	DS_LOST_MAPPINGS_FULL,	   /* ledger full: not recorded */
	DS_LOST_TRUNCATED,	   /* the list of segments was longer than we walk */
	DS_LOST_PFN_RANGE,	   /* a page beyond the page sets: no memory of this host */
	DS_LOST_EVENTS_FULL,	   /* no room to tell of a cgroup: its name is looked for */
	DS_LOST_PAGE_SETS_FULL,	   /* no piece was left for a page; it may be in the shared set */
	DS_LOST_CONTENDED,	   /* the ledger's entry or bucket was held too long */
	DS_LOST_COUNT,
	DS_LOST_NOT = DS_LOST_COUNT, /* the event was counted */
};

/*
 * Pages that one process wrote. A slot has one row, which all CPUs share. What a CPU counts for the
 * process that it met last stays with that CPU (struct ds_sensor_stats) until it meets another one,
 * so that CPUs do not wait for each other's rows. A slot's counters never fall: who takes it next
 * goes on from there.
 */
struct ds_process_stats {
	__u64 first_touch; /* user-mode write faults on a page that was not mapped */
	__u64 rewrite; /* user-mode write faults on a mapped page: copy-on-write, re-protected */
	__u64 kernel;  /* write faults of the kernel at a user address: read(2) into fresh memory */
	__u64 pagecache; /* page-cache pages of files that went from clean to dirty */
	__u64 blockdev;	 /* the same of block devices themselves: metadata, raw writes */
	__u64 tracked;	 /* faults, and in none of the others: bpf/protection.h */
	__u64 pad[2];
};
#define DS_PROCESS_COUNTERS 6

/*
 * The accounting identity, kept per CPU: offered = counted + sum(lost).
 * "offered" rises first, one of the others last; in between the event is in flight.
 */
struct ds_sensor_stats {
	__u64 offered;
	__u64 counted;
	__u64 lost[DS_LOST_COUNT];
	__u32 last_slot; /* of the process met last on this CPU */
	__u32 switches;	 /* to another slot, twice each: odd while one is going on */
	__u64 tracking;	 /* 1: there are rows in `tracked`; set by the agent, for faults */
	struct ds_process_stats kept; /* of last_slot, not in its row yet */
	__u32 hint; /* the slot of the process that a traced function met last on this CPU */
	__u32 pad;
};

/*
 * Page sets: which pages a device wrote. A set is a row of entries, one for each GiB of memory, of
 * which one that was written has a piece: a bitmap of 32 KiB out of a pool. Pieces lie in banks,
 * which user space adds; the programs take pieces off a stack of free ones, in any context.
 *
 * Memory is told apart in regions of 64 GiB, and a row has room for those that exist only: a
 * region gets its column, which all sets share, when the first page of it is written.
 */
#define DS_SLOTS_MAX 8192   /* of sources; a power of two */
#define DS_REGION_SHIFT 24  /* pages */
#define DS_REGIONS_MAX 4096 /* 256 TiB; no memory of a host lies beyond that */
#define DS_REGION_PIECES 64
#define DS_PIECE_SHIFT 18 /* pages */
#define DS_PIECE_WORDS (1u << (DS_PIECE_SHIFT - 6))
#define DS_PIECE_BYTES (DS_PIECE_WORDS * 8ULL)
#define DS_BANK_PIECES 64 /* at most */
/*
 * An entry: number of its piece + 1, and above that a bit for each 32 MiB of the GiB in which a
 * page was written since the last sweep. A bit follows the page's own, and is taken before it.
 */
#define DS_ENTRY_PIECE 0xffffffffULL
#define DS_ENTRY_BLOCKS 32 /* bit of the first; blocks there are */
#define DS_BLOCK_SHIFT 13  /* pages */
#define DS_BLOCK_WORDS (1u << (DS_BLOCK_SHIFT - 6))

/* A process: pids are reused, (tgid, start_boottime) is not. */
struct ds_process_key {
	__u64 start_boottime_ns;
	__u32 tgid;
	__u32 pad;
};

enum ds_slot_state {
	DS_SLOT_FREE,
	DS_SLOT_LIVE,
	DS_SLOT_LEFT, /* of a process only: it went to another cgroup, and has another slot or none
		       */
};

/*
 * Set by BPF when the slot is taken; the agent reads it mapped. What a slot counts was written in
 * one cgroup: a process that moves to another leaves its slot behind.
 */
struct ds_process_info {
	struct ds_process_key key;
	char comm[DS_COMM_LEN]; /* the group leader's; may be any bytes */
	__u64 cgroup_id;	/* of the default hierarchy */
	__u64 exit_ns;		/* 0 while the process lives */
	__u32 uid;		/* real uid, in the initial user namespace */
	__u32 execs;		/* rises with every exec and rename, so that names are read again */
	__u32 state;		/* enum ds_slot_state; written last */
	/* That of the memory controller where it has one of version 1; 0: it is in the default one.
	 */
	__u32 memory_hierarchy;
	__u64 memory_cgroup_id; /* set with memory_hierarchy */
	__u64 pad[7];		/* a row is two cache lines; faults look at the first alone */
};

/* What became of a cgroup; its id is unique within its hierarchy and never used again. */
enum ds_cgroup_event_kind {
	DS_CGROUP_MADE,
	DS_CGROUP_RENAMED,
	DS_CGROUP_REMOVED,
};

#define DS_CGROUP_PATH 1024 /* TRACE_CGROUP_PATH_LEN, kernel/cgroup/cgroup-internal.h */
struct ds_cgroup_event {
	__u64 id;	 /* of its directory (struct kernfs_node), which is st_ino there */
	__u32 hierarchy; /* as /proc/PID/cgroup numbers them; 0: the default one */
	__u16 kind;	 /* enum ds_cgroup_event_kind */
	__u16 length;	 /* of the path, with its end; so much of it is there */
	char path[DS_CGROUP_PATH];
};

/*
 * Pages that a thread of the kernel dirtied and whose memory another cgroup pays for: a part of
 * what the slot has counted, struct ds_pagecache_stats, told after it.
 */
struct ds_charge_key {
	__u64 cgroup_id; /* in the memory controller's hierarchy */
	__u32 hierarchy; /* 0: the default one */
	__u32 slot;
};

/* How a track of ours protects the memory of a process, or did; bits. */
#define DS_PROTECTED_WP 1   /* by userfaultfd: UFFD_FEATURE_WP_ASYNC */
#define DS_PROTECTED_SOFT 2 /* by clearing soft-dirty bits, which nothing undoes */
#define DS_PROTECTED_PAST 4 /* by userfaultfd, and has ended: shared memory stays protected */

/* A process that a track follows, or followed; key: its pid in the initial namespace. */
struct ds_tracked {
	__u64 start_ticks; /* as in its stat, USER_HZ: start_boottime_ns / 10^7 */
	__u32 how;	   /* DS_PROTECTED_* */
	__u32 pad;
};

enum ds_source_kind {
	/*
	 * id: that of the device's directory in sysfs (struct kernfs_node, fs/kernfs/dir.c), which
	 * is st_ino there. Unlike the address of a struct device it is never used again.
	 */
	DS_SOURCE_DEVICE = 1,
	DS_SOURCE_DISK = 2, /* id: the disk's diskseq, unique since boot */
};

/* Where a device shows up. One device may have several: an NVMe function and its disks. */
struct ds_source_key {
	__u64 id;
	__u32 kind;
	__u32 pad;
};

/* Flags of a source. */
#define DS_SOURCE_VIRTUAL 1 /* no hardware behind it (iSCSI); set by the agent */
/* Its driver leaves direct mappings without an unmap, as dma_need_unmap() allows: no ledger. */
#define DS_SOURCE_NO_UNMAP 2
#define DS_SOURCE_DIRECT 4     /* DMA addresses are physical addresses: no IOMMU translates */
#define DS_SOURCE_TRANSLATED 8 /* seen to map through an IOMMU, or another DMA implementation */
#define DS_SOURCE_FOREIGN 16   /* a domain not of the DMA API was attached to it: VFIO */

struct ds_source_info {
	struct ds_source_key key;
	char name[DS_NAME_LEN]; /* dev_name(), or the disk's name */
	char bus[DS_BUS_LEN];	/* of a DS_SOURCE_DEVICE; may be empty */
	__u64 first_seen_ns;
	__u32 flags;
	__u32 state;	  /* enum ds_slot_state; written last */
	__u32 open_maps;  /* direct writable mappings made since the last unmap */
	__u32 remappings; /* of these, at an address that was mapped already */
};

/* DMA directions as the kernel numbers them (include/linux/dma-direction.h). */
enum ds_direction {
	DS_DMA_BIDIRECTIONAL,
	DS_DMA_TO_DEVICE,
	DS_DMA_FROM_DEVICE,
	DS_DMA_NONE,
};
#define DS_DIRECTIONS 3

/*
 * What one source did, as counted on some of the CPUs: a slot has so many rows, and CPUs whose
 * numbers are equal modulo that share one. Slot 0 holds what has no source.
 */
#define DS_DEVICE_ROWS 16 /* a power of two */
struct ds_device_stats {
	__u64 maps[DS_DIRECTIONS];
	__u64 unmaps[DS_DIRECTIONS];
	__u64 mapped_bytes[DS_DIRECTIONS];
	__u64 failed_maps;
	__u64 syncs;
	__u64 unmatched_unmaps; /* of mappings older than the agent, or not in the ledger */
	__s64 exposed_pages;	/* signed: a mapping may be made on one CPU and end on another */
	__u64 completed_pages;	/* pages of ended writable mappings and of syncs for the CPU */
	__u64 block_requests;
	__u64 block_errors;
	__u64 block_pages;
	__u64 block_bytes;
	__u64 net_packets;
	__u64 net_pages;
	__u64 net_bytes;
	__u64 swiotlb_bounces;
	__u64 swiotlb_bytes;
	__u64 iommu_faults;
	__u64 iommu_maps;	    /* slot 0 only: the tracepoint names no device */
	__u64 iommu_unmaps;	    /* slot 0 only */
	__u64 iommu_mapped_bytes;   /* slot 0 only */
	__u64 iommu_unmapped_bytes; /* slot 0 only */
	__u64 lost;		    /* events of any sensor about it that were counted as lost */
	__u64 virtio_buffers;	    /* buffers the driver gave to the device to write */
	__u64 virtio_used;	    /* of these, those that came back */
	__u64 virtio_bytes;	    /* that the device said it wrote into them */
	__u64 virtio_pages;	    /* pages of these bytes */
	__s64 live_mappings;	    /* entries in the ledger; signed as exposed_pages is */
	__u64 foreign_maps;	    /* by iommu_map() into a domain that is not of the DMA API */
	__u64 foreign_unmaps;	    /* the same taken away */
	__u64 reported_pages;	    /* slot 0 only: iova_bitmap_set() names no device */
	__u64 pad[3];
};

/* Who had which source write: process {0, 0} is "not known". */
struct ds_flow_key {
	struct ds_process_key process;
	__u32 slot;
	__u32 pad;
};

struct ds_flow_stats {
	__u64 pages;
	__u64 bytes;
	__u64 requests;
};

/*
 * Page-cache pages dirtied per file system device; key: its dev_t as the kernel packs it. One of
 * several disks (btrfs) has a number of its own that names none of them: its id does.
 */
struct ds_pagecache_stats {
	__u64 pagecache;
	__u64 blockdev;
	__u8 uuid[16]; /* of the file system, where its dev_t has major 0; else 0 */
};

/*
 * The ledger: live mappings through which a device may write; those for reading are not kept.
 * The same address is mapped twice at once where two buffers share it and nothing translates.
 */
enum ds_mapping_kind {
	DS_MAPPING_SINGLE,   /* streaming, one run of memory; address: its DMA address */
	DS_MAPPING_LIST,     /* streaming, a scatterlist; address: that of its first entry */
	DS_MAPPING_COHERENT, /* allocated for the device; address: its DMA address */
	DS_MAPPING_FOREIGN,  /* iommu_map() in a domain not of the DMA API: VFIO; address: IOVA */
};

struct ds_mapping_key {
	__u64 owner; /* address of the struct device, or of the IOMMU domain */
	__u64 address;
	__u32 kind; /* enum ds_mapping_kind */
	__u32 pad;
};

struct ds_mapping {
	__u64 phys;  /* of a list: the address of its first entry; ~0: memory not known */
	__u64 size;  /* bytes; of a list: the sum */
	__u64 pages; /* that it exposes, `live` times */
	__u64 when_ns;
	__u32 slot;
	__u32 tgid;    /* who was running when it was made */
	__u32 entries; /* of a list */
	__u32 live;    /* mapped that often */
	__u32 late;    /* ended mappings of this address whose unmap is still to be told */
	__u32 direction;
	__u32 holder; /* the CPU that changes it now + 1; BPF only */
	__u32 pad;
};

/* A buffer that a virtio driver gave to its device to write. */
#define DS_BUFFER_LISTS 4
struct ds_buffer_key {
	__u64 queue; /* address of the struct virtqueue */
	__u64 token; /* the driver's own */
};

/*
 * One of its scatterlists. Where it has one segment, that is kept: the list itself may be on the
 * driver's stack, or hold another buffer soon.
 */
struct ds_buffer_list {
	__u64 at; /* physical address of its only segment; of more segments: address of the list */
	__u64 bytes;
	__u32 segments;
	__u32 pad;
};

struct ds_buffer {
	struct ds_buffer_list lists[DS_BUFFER_LISTS];
	__u64 size; /* of all, in bytes */
	__u64 pages;
	__u64 check; /* over the lists of several segments, which drivers use again, too */
	__u32 slot;
	__u32 exposed;	 /* 1: its pages are in exposed_pages; the DMA API does not see them */
	__u32 truncated; /* 1: it has more lists than these */
	__u32 pad;
};

/* One run of memory in a scatterlist, read for the agent: bpf/ledger_list.bpf.c. */
#define DS_LIST_SEGMENTS 4096
struct ds_segment {
	__u64 phys;
	__u64 bytes;
};

struct ds_list_request {
	__u64 list;    /* in: address of its first entry */
	__u32 entries; /* in: at most so many */
	__u32 count;   /* out: segments read */
};

/* A task whose memory has pinned pages; bpf/pinned.bpf.c. Threads of one process tell the same. */
struct ds_pinned {
	__u64 start_boottime; /* of the process, nanoseconds */
	__u64 memory;	      /* which address space: processes may share one */
	__u64 pages;	      /* mm->pinned_vm */
	__u32 tgid;
	__u32 pad;
	char comm[DS_COMM_LEN]; /* of the process's first thread */
};

/* Namespaces of the agent's own that hide something of the host from it; bpf/tasks.bpf.c. */
#define DS_OWN_PID_NAMESPACE 1
#define DS_OWN_TIME_NAMESPACE 2
#define DS_OWN_CGROUP_NAMESPACE 4
struct ds_own_namespaces {
	__u32 flags;
	__u32 pad;
};

/* Question to the calibration iterator, and its answer; see bpf/calibrate.bpf.c. */
struct ds_calibration {
	__u64 magic[2];	    /* in: content of the page in the pipe */
	__u64 address;	    /* in: where the process that asks has that page */
	__u64 known_pfn;    /* in: its number; 0: read it from the page table */
	__u64 span_pages;   /* in: highest PFN of the host + 1 */
	__u64 entry_mask;   /* in: bits of a page table's entry that are an address */
	__u64 pipe_inode;   /* in: inode number of the pipe */
	__u64 pfn;	    /* out: number of the page */
	__u64 page;	    /* out: address of its struct page */
	__u64 page_size_of; /* out: sizeof(struct page) */
	__u64 page_offset;  /* out: address of physical address 0 in the direct map */
	__u32 found;	    /* out: 1 when pfn and page_offset are exact */
	__u32 tries;	    /* out: candidates that were looked at */
};

_Static_assert(sizeof(struct ds_sensor_stats) == 192,
	       "one row per sensor and CPU, three cache lines");
_Static_assert(sizeof(struct ds_process_key) == 16, "hash key without holes");
_Static_assert(sizeof(struct ds_process_info) == 128, "two cache lines per process, no holes");
_Static_assert(sizeof(struct ds_process_stats) == 64, "one cache line per process");
_Static_assert(sizeof(struct ds_source_key) == 16, "hash key without holes");
_Static_assert(sizeof(struct ds_source_info) == 104, "no holes");
_Static_assert(sizeof(struct ds_device_stats) == 320, "five cache lines");
_Static_assert(sizeof(struct ds_flow_key) == 24, "hash key without holes");
_Static_assert(sizeof(struct ds_mapping_key) == 24, "hash key without holes");
_Static_assert(sizeof(struct ds_mapping) == 64, "no holes");
_Static_assert(sizeof(struct ds_buffer_key) == 16, "hash key without holes");
_Static_assert(sizeof(struct ds_buffer) == 136, "no holes");

#endif
