/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct processes: for processes.c, processes_slots.c and processes_publish.c alone.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_PROCESSES_PRIVATE_H
#define DIRTYSCOPE_AGENT_INVENTORY_PROCESSES_PRIVATE_H

#include <uthash.h>

#include "agent/inventory/cgroup_names.h"
#include "agent/inventory/charges.h"
#include "agent/inventory/groups.h"
#include "agent/inventory/processes.h"
#include "agent/inventory/series.h"
#include "agent/host/users.h"
#include "agent/kernel/process_counts.h"

struct process_record {
	struct ds_process_key key;
	uint32_t slot;	/* the one that it counts in; DS_SLOT_NONE: it has none now */
	uint32_t slots; /* that and one for each cgroup that it left, on their way back */
	uint32_t execs;
	bool resolved; /* its names were read from /proc */
	bool watched;  /* it lives and has no slot: the kernel side tells of its end */
	bool moved;    /* it wrote something in this interval */
	enum process_state state;
	double exited_at;
	struct process_identity *identity;
	uint64_t first_touch, rewrite, kernel, tracked;
	double rates[DS_WRITERS];
	struct series series; /* .written is what the process wrote */
	struct group *cgroup; /* a reference; the one that it was in last; NULL: not known */
	struct group *vm, *pod, *comm; /* references; NULL: none, or not known */
	UT_hash_handle hh;
};

/* What is known of a slot of the kernel's table. */
struct process_slot {
	struct process_record *record; /* NULL: nobody has it */
	struct group *cgroup;	       /* a reference; NULL: not known, or not yet */
	struct ds_process_stats seen;  /* counted in it, ever: no record gets that again */
	uint64_t owed[DS_WRITERS];     /* the part that is in no cgroup yet */
	uint64_t moved;		       /* the sample in which it counted something last */
	double retired_at;	       /* 0: it is not on its way back */
};

struct processes {
	const struct agent_config *config;
	const struct kernel_side *kernel;
	const struct kernel_tables *tables;
	struct process_counts *counts;
	struct procfs_users *users;
	struct process_record *by_key; /* uthash */
	struct process_slot *slots;    /* by slot */
	uint32_t *retired; /* slots taken out of the kernel's table, to be given back at the next
			      drain */
	size_t retired_count;
	uint32_t used; /* slots */
	uint32_t high; /* no slot above it was ever used */
	uint32_t next_check;
	uint32_t owing; /* slots that owe something to a cgroup */
	uint64_t samples;
	double refreshed_at;
	bool namespaces_known;
	struct ds_own_namespaces own;
	uint32_t watched;	      /* records */
	uint64_t watched_lives;	      /* as .lives, when the watched were looked at */
	uint64_t lives;		      /* exits, execs and moves that the kernel side has told of */
	uint64_t renames;	      /* of cgroups, as of the last sample */
	uint64_t dropped[DS_WRITERS]; /* of processes no longer listed */
	uint64_t dropped_cpu[CPU_KINDS];
	uint64_t dropped_tracked;
	struct ds_process_stats nobody; /* slot 0 */
	uint64_t previous_total[DS_WRITERS], previous_cpu[CPU_KINDS];
	struct series_pool pool;
	struct groups *cgroups, *vms, *pods, *comms;
	struct pods *pod_names;
	struct cgroup_names *names;
	struct charges *charges;
	bool had_vms, had_pods;
};

/* ---- processes.c: who ---- */

struct process_record *process_record__new(struct processes *processes,
					   const struct ds_process_info *info);
void process_record__free(struct processes *processes, struct process_record *record);
/* Reads the names from /proc; a process that is gone keeps what the kernel side saw. */
void process_record__resolve(struct processes *processes, struct process_record *record);
/* The kernel side saw an exec or a rename. */
void process_record__take_name(struct processes *processes, struct process_record *record,
			       const struct ds_process_info *info);
/* It is in that cgroup now; takes a reference of its own. */
void process_record__enter(struct processes *processes, struct process_record *record,
			   struct group *cgroup);

/* ---- processes_slots.c: what ---- */

/* The record of a live slot, its counters read; NULL: none, for now. */
struct process_record *process_slot__visit(struct processes *processes, uint32_t slot, double now);
/* It has ended: its slot is on its way back. now: seconds, monotonic. */
void process_record__end(struct processes *processes, struct process_record *record, double now);
/* Looks at a few of those that write, in turn: they may have become VMs. */
void processes__check_some(struct processes *processes);

/* ---- processes_room.c: when there are more than slots ---- */

struct slot_age {
	uint64_t moved;
	uint32_t slot;
};

/* The slots that have not counted for the longest go back, until some are free. now: seconds. */
void processes__make_room(struct processes *processes, double now);
/* It lives and has no slot; one that cannot be watched any more leaves the list. */
void process_record__watch(struct processes *processes, struct process_record *record);
void process_record__unwatch(struct processes *processes, struct process_record *record);
/* Ends those that were told to have ended. */
void processes__check_watched(struct processes *processes, double now);
/* Takes a slot out of the kernel's table: processes_slots.c. */
void process_slot__retire(struct processes *processes, uint32_t slot, double now);

#endif
