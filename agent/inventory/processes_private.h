/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct processes: for processes.c, which samples, and processes_publish.c alone. */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_PROCESSES_PRIVATE_H
#define DIRTYSCOPE_AGENT_INVENTORY_PROCESSES_PRIVATE_H

#include <uthash.h>

#include "agent/inventory/groups.h"
#include "agent/inventory/processes.h"
#include "agent/inventory/series.h"
#include "agent/host/users.h"

struct process_record {
	struct ds_process_key key;
	uint32_t slot; /* DS_SLOT_NONE: it has none now */
	uint32_t execs;
	bool resolved; /* its names were read from /proc */
	bool moved;    /* it wrote something in this interval */
	bool retired;  /* its slot is on its way back */
	enum process_state state;
	double exited_at;
	struct process_identity *identity;
	uint64_t carried[DS_WRITERS + 2]; /* of earlier slots: first_touch, rewrite, kernel, ... */
	uint64_t first_touch, rewrite, kernel;
	double rates[DS_WRITERS];
	struct series series; /* .written is what the process wrote */
	struct group *cgroup, *vm;
	UT_hash_handle hh;
};

/* Order of the counters of a slot, and of process_record.carried. */
enum { FIRST_TOUCH, REWRITE, KERNEL, PAGECACHE, BLOCKDEV, COUNTERS };

struct processes {
	const struct agent_config *config;
	const struct kernel_tables *tables;
	struct procfs_users *users;
	struct process_record *by_key; /* uthash */
	struct process_record **by_slot;
	uint32_t *retired; /* slots taken out of the kernel's table, to be given back at the next
			      sample */
	size_t retired_count;
	uint32_t used; /* slots */
	uint32_t high; /* no slot above it was ever used */
	uint32_t next_check;
	uint64_t lives;		      /* exits and execs that the kernel side has told of */
	uint64_t dropped[DS_WRITERS]; /* of processes no longer listed */
	uint64_t dropped_cpu[CPU_KINDS];
	uint64_t nobody[COUNTERS]; /* slot 0 */
	uint64_t previous_total[DS_WRITERS], previous_cpu[CPU_KINDS];
	struct series_pool pool;
	struct groups *cgroups, *vms;
};

void process_record__free(struct processes *processes, struct process_record *record);
/* It has ended: its slot is on its way back. now: seconds, monotonic. */
void process_record__retire(struct processes *processes, struct process_record *record, double now);
/* Looks at a few of the living, in turn. */
void processes__check_some(struct processes *processes, double now);

#endif
