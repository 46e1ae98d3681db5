/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct kernel_side: for kernel_side.c, load.c, attach.c and ledger.c alone. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_KERNEL_SIDE_PRIVATE_H
#define DIRTYSCOPE_AGENT_KERNEL_KERNEL_SIDE_PRIVATE_H

#include "agent/base/reason.h"
#include "agent/kernel/bpffs.h"
#include "agent/kernel/calibrate.h"
#include "agent/kernel/choice.h"
#include "agent/kernel/kernel_side.h"
#include "agent/kernel/object.h"

#define PAGECACHE_DEVICES 4096
#define FEWEST_SLOTS 64 /* of sources */
#define CHARGES 1024	/* pairs of a kernel's thread and a cgroup that pays */
#define FOREIGN_DOMAINS 1024
#define WATCHED_PER_SLOT 4 /* listed processes that live and have none */

struct dirtyscope; /* the skeleton */

struct kernel_side {
	const struct agent_config *config;
	struct startup *startup; /* NULL once it has started */
	struct object_bytes object;
	struct dirtyscope *skeleton;
	struct program_set set;
	struct calibration calibration;
	struct kernel_tables tables;
	volatile struct ds_segment *segments; /* answer of the program ledger_list */
	struct snapshot_tier tiers[2];
	struct reason no_functions; /* why the kernel takes no programs on them */
	/* Of the programs ledger_list, pinned_memory and refresh_tasks; -1: it does not run here.
	 */
	int list_fd, pinned_fd, refresh_fd;
	struct bpffs bpffs; /* has the links of programs on functions */
	uint64_t map_memory;
	uint64_t lost[DS_SENSOR_COUNT];	 /* as of the last sample */
	double lost_at[DS_SENSOR_COUNT]; /* uptime when it rose */
};

/* Which programs to run, by the kernel's BTF: agent/kernel/load.c. */
void kernel_side__choose(struct kernel_side *kernel, struct btf *btf);
/* Loads what loads of them, -ENOSYS when nothing does. */
int kernel_side__load(struct kernel_side *kernel);
/* One that was chosen. -ECANCELED; or another negative errno when it was refused. */
int kernel_side__load_program(struct kernel_side *kernel, struct program *program);

#endif
