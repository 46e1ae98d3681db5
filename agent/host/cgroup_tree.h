/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All cgroups that exist now, by the directories of the mounted hierarchies: the default one, and
 * that of the memory controller where it is one of version 1.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_CGROUP_TREE_H
#define DIRTYSCOPE_AGENT_HOST_CGROUP_TREE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Told of a cgroup. hierarchy: as /proc/PID/cgroup numbers them, 0 the default one; id: its number
 * there; path: from the host's root, "/" or "/a/b", borrowed during the call. A negative errno ends
 * the walk.
 */
typedef int (*cgroup_tree__found)(void *context, uint32_t hierarchy, uint64_t id, const char *path);

/*
 * Tells of each cgroup. procfs: "/proc". Returns 0, -ENOENT when no hierarchy is mounted with the
 * host's own root in it (a cgroup namespace of one's own, or none mounted), or what found returned.
 * A directory that goes meanwhile, or may not be read, is left out.
 */
int cgroup_tree__walk(const char *procfs, cgroup_tree__found found, void *context);

/*
 * The number of the hierarchy that has a controller, from the text of /proc/PID/cgroup: 0 for the
 * default one, or where the text has none. The text is cut up.
 */
uint32_t cgroup_tree__hierarchy(char *text, size_t length, const char *controller);

#endif
