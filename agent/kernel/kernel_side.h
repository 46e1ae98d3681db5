/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF side, loaded and attached: probes what this kernel offers, sizes the tables, maps them
 * into the agent. Used by the sampler's thread alone after kernel_side__attach.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_KERNEL_SIDE_H
#define DIRTYSCOPE_AGENT_KERNEL_KERNEL_SIDE_H

#include "agent/base/config.h"
#include "agent/kernel/kernel_error.h"
#include "agent/snapshot/snapshot.h"

struct kernel_side;
struct object_bytes;
struct startup;

struct kernel_options {
	const struct agent_config *config; /* borrowed */
	/* Told how far it is, and asked whether to go on; borrowed until kernel_side__attach has
	 * returned. NULL: nobody asks. */
	struct startup *startup;
	const struct object_bytes *object; /* NULL: the one that is built in */
};

/*
 * Probes and loads; nothing runs yet. On failure *error is filled in: -ENOSYS and -EPERM mean
 * that this kernel or this user cannot run it (exit status 3), -ECANCELED that startup ended it,
 * the rest is a failure (1). A program that the kernel refuses is unavailable, no error.
 */
int kernel_side__new(const struct kernel_options *options, struct kernel_side **kernel,
		     struct kernel_error *error);
/* From here on events are counted. A program that cannot be attached is unavailable, no error;
 * -ENOSYS when none can, -ECANCELED. */
int kernel_side__attach(struct kernel_side *kernel, struct kernel_error *error);
void kernel_side__free(struct kernel_side *kernel);

/* Tables shared with BPF. Never freed before free. */
struct kernel_tables {
	uint32_t cpus;			      /* possible CPUs */
	uint32_t process_slots, source_slots; /* slots 1..N; 0 is nobody's */
	uint64_t memory_pages;		      /* highest PFN + 1; grows with the host */
	volatile struct ds_process_info *process_infos;
	volatile struct ds_process_stats *process_stats;
	volatile struct ds_source_info *source_infos;
	volatile struct ds_device_stats *device_stats; /* rows: from slot * DS_DEVICE_ROWS */
	volatile struct ds_sensor_stats *sensor_stats; /* row: sensor * cpus + cpu */
	int processes_fd, process_slots_fd;	       /* hash key -> slot; stack of free slots */
	int watched_fd; /* hash key -> nanoseconds when it ended, 0 */
	uint32_t max_watched;
	int sources_fd, source_slots_fd;
	int flows_fd, pagecache_fd, charges_fd;
	/* Of the page sets; for agent/kernel/page_sets.c. */
	uint32_t page_regions; /* columns of a set's row of entries */
	uint32_t *set_of, *region_of;
	uint64_t *page_entries;
	const __u64 *pieces_taken;
	int page_banks_fd, free_pieces_fd, free_regions_fd;
	int mappings_fd, buffers_fd;
	int cgroup_events_fd; /* ring of struct ds_cgroup_event */
	int tracked_fd;	      /* hash: pid -> struct ds_tracked */
	uint32_t max_flows;
	uint32_t max_pagecache;
	uint32_t max_charges;
};
const struct kernel_tables *kernel_side__tables(const struct kernel_side *kernel);

/* After the host was given memory: the tables' memory_pages is read again. */
void kernel_side__look_at_memory(struct kernel_side *kernel);

/* Kernel memory of all tables, page sets not included. Bytes. */
uint64_t kernel_side__map_memory(const struct kernel_side *kernel);

/* Events that the sensors of devices' writes have lost so far, by reason. */
void kernel_side__lost(const struct kernel_side *kernel, uint64_t lost[DS_LOST_REASONS]);

/* Fills in sensors, tiers and limits of a snapshot that is being built. -ENOMEM, or 0. */
int kernel_side__sample(struct kernel_side *kernel, struct snapshot *snapshot);

#endif
