/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sums over processes by name: cgroups, VMs. What a process writes is added to the group that it
 * is in at that moment, so a sum never falls when a process moves or ends.
 *
 * A group has a row from its first page on. One that has neither members nor living processes
 * leaves the list after GROUPS_GONE_SECONDS, and its sum goes into the row "(exited)". Where there
 * are more, those that have not written for the longest make room for one that writes, and their
 * sums go into the row "(other)"; when one writes again, it has a new row, from nothing. "(other)"
 * also has what is in no group. The rows' sum is the host's.
 */
#ifndef DIRTYSCOPE_AGENT_INVENTORY_GROUPS_H
#define DIRTYSCOPE_AGENT_INVENTORY_GROUPS_H

#include "agent/snapshot/snapshot.h"

#define GROUPS_MAX 4096	       /* rows, in an agent */
#define GROUPS_GONE_SECONDS 60 /* that one stays listed, once it has gone */

struct groups;
struct group;

struct series_pool;

/* max_rows: beside "(exited)" and "(other)"; limits: of the rows with a series of their own. */
struct groups *groups__new(uint32_t max_rows, const struct series_pool *limits);
void groups__free(struct groups *groups);

/* A reference to the group of that name, made if it is not known; NULL when memory is short. */
struct group *groups__get(struct groups *groups, const char *name);
/* Gives a reference back; group may be NULL. */
void groups__put(struct groups *groups, struct group *group);
const char *group__name(const struct group *group);

/* Pages that were written in it since the last snapshot. */
void groups__add(struct groups *groups, struct group *group, enum ds_writer writer, uint64_t pages);
/* One more, or (more: -1) less, of what makes it exist without a process, such as a directory. */
void group__add_member(struct group *group, int more);
/* Counts one living process; groups__begin starts over. */
void group__add_process(struct group *group);
void groups__begin(struct groups *groups);
/*
 * All rows, by name, the two that begin with "(" first, from the arena. now: seconds, monotonic;
 * seconds: since the last call; totals: pages of the host. -ENOMEM.
 */
int groups__publish(struct groups *groups, double now, double seconds,
		    const uint64_t totals[DS_WRITERS], struct arena *arena,
		    struct snapshot_group **list, size_t *count, struct snapshot_rest *rest);

#endif
