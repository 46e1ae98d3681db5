/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which cgroup a number of the kernel side means, and whether it is still there. The names come
 * from one walk over the mounted hierarchies at the start, and then from what the kernel tells;
 * where that was lost, the hierarchies are walked again.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_CGROUP_NAMES_H
#define DIRTYSCOPE_AGENT_INVENTORY_CGROUP_NAMES_H

#include "agent/inventory/groups.h"
#include "agent/kernel/kernel_side.h"

struct cgroup_names;

/* Borrows all three, which outlive it. */
int cgroup_names__new(const char *procfs, const struct kernel_tables *tables, struct groups *groups,
		      struct cgroup_names **out);
void cgroup_names__free(struct cgroup_names *names);

/* Takes what the kernel has told; the first call walks. now: seconds, monotonic. */
void cgroup_names__drain(struct cgroup_names *names, double now);

/* The cgroups that a process is in: of the default hierarchy, and where the memory controller has
 * one of version 1, of that; memory_hierarchy: 0 where it has none. */
struct cgroup_ids {
	uint64_t id;
	uint64_t memory_id;
	uint32_t memory_hierarchy;
};

/*
 * A reference to the group of a process's cgroup, to be put by the caller: the one that names a
 * container, else that of the default hierarchy unless that is its root, else that of memory. NULL:
 * its name is not known, or not yet.
 */
struct group *cgroup_names__group(struct cgroup_names *names, const struct cgroup_ids *ids);

/* Looks for a name that no event has told, at most once in some seconds. True: it has looked, and
 * found new ones. */
bool cgroup_names__look(struct cgroup_names *names, double now);

/* Rises whenever a name has changed. */
uint64_t cgroup_names__renames(const struct cgroup_names *names);

#endif
