/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct kernel_side: for kernel_side.c, kernel_load.c and ledger.c alone. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_KERNEL_SIDE_PRIVATE_H
#define DIRTYSCOPE_AGENT_KERNEL_KERNEL_SIDE_PRIVATE_H

#include "agent/kernel/choice.h"
#include "agent/kernel/kernel_side.h"

#define PAGECACHE_DEVICES 256
#define FOREIGN_DOMAINS 1024

struct dirtyscope; /* the skeleton */

struct kernel_side {
	const struct agent_config *config;
	struct dirtyscope *skeleton;
	struct program_set set;
	struct calibration calibration;
	struct kernel_tables tables;
	volatile struct ds_segment *segments; /* answer of the program ledger_list */
	struct snapshot_tier tiers[2];
	char fentry_reason[128];
	uint64_t map_memory;
	uint64_t lost[DS_SENSOR_COUNT];	 /* as of the last sample */
	double lost_at[DS_SENSOR_COUNT]; /* uptime when it rose */
};

/* Chooses the programs and loads what loads: agent/kernel/load.c. */
int kernel_side__load(struct kernel_side *kernel, struct btf *btf);

#endif
