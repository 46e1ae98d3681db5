/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes have written, by slot: the rows that all CPUs share, and what each CPU still keeps
 * for the process that it met last (struct ds_process_stats). For one thread.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PROCESS_COUNTS_H
#define DIRTYSCOPE_AGENT_KERNEL_PROCESS_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/dirtyscope.h"

/* Borrowed, until process_counts__free. */
struct process_counts_tables {
	const volatile struct ds_process_stats *rows;	/* of slots 0..slots */
	const volatile struct ds_sensor_stats *sensors; /* row: sensor * cpus + cpu */
	uint32_t slots;
	uint32_t cpus; /* possible ones: a CPU that comes has its rows already */
};

struct process_counts;

/* -ENOMEM, or 0. */
int process_counts__new(const struct process_counts_tables *tables, struct process_counts **counts);
void process_counts__free(struct process_counts *counts);

/* Notes which CPUs keep something for which slot: what they count from now on for another slot is
 * told after the next look. Costs a load for each CPU. */
void process_counts__look(struct process_counts *counts);

/*
 * Raises *sum to what has been counted in a slot so far. A counter never falls, and is never above
 * the truth. False: a CPU was handing its part over meanwhile, which may be missing until the next
 * read. True: all that was counted before the last look is in *sum.
 */
bool process_counts__read(const struct process_counts *counts, uint32_t slot,
			  struct ds_process_stats *sum);

#endif
