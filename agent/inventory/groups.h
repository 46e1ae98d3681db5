/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sums over processes by name: cgroups, VMs. What a process writes is added to the group that it
 * is in at that moment, so a sum never falls when a process moves or ends. A group without
 * processes stays for as long as the agent runs, up to GROUPS_MAX; names beyond are "other".
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_GROUPS_H
#define DIRTYSCOPE_AGENT_INVENTORY_GROUPS_H

#include "agent/snapshot/snapshot.h"

#define GROUPS_MAX 4096

struct groups;
struct group;

struct groups *groups__new(uint32_t max_series);
void groups__free(struct groups *groups);
/* Made if it is not known; the overflow group beyond GROUPS_MAX, NULL when memory is short. */
struct group *groups__find(struct groups *groups, const char *name);
void group__add(struct group *group, enum ds_writer writer, uint64_t pages);
/* Counts one living process; groups__begin starts over. */
void group__add_process(struct group *group);
void groups__begin(struct groups *groups);
int groups__publish(struct groups *groups, double seconds, struct arena *arena,
		    struct snapshot_group **list, size_t *count, struct snapshot_rest *rest);

#endif
