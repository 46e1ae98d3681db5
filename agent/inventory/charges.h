/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that threads of the kernel dirtied for others, such as those of a loop device: in the sums
 * by cgroup they belong to the cgroup that pays for their memory, where that is known. What is told
 * late, or too often for the kernel's table, stays with the cgroup of the thread.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_CHARGES_H
#define DIRTYSCOPE_AGENT_INVENTORY_CHARGES_H

#include "agent/inventory/cgroup_names.h"
#include "agent/inventory/groups.h"
#include "agent/kernel/kernel_side.h"

struct charges;

/* Borrows all three, which outlive it; NULL when memory is short. */
struct charges *charges__new(const struct kernel_tables *tables, struct cgroup_names *names,
			     struct groups *groups);
void charges__free(struct charges *charges);

/* Reads the kernel's table; before the slots are read. */
void charges__sample(struct charges *charges);
/* Takes out of what a slot has counted what others pay for, and adds it to their cgroups. */
void charges__settle(struct charges *charges, uint32_t slot, uint64_t owed[DS_WRITERS]);
/* The slot is given back. */
void charges__forget_slot(struct charges *charges, uint32_t slot);

#endif
