/* SPDX-License-Identifier: BSD-2-Clause */
/* What the path of a cgroup says: the one that a process is accounted in, and its container. */
#ifndef DIRTYSCOPE_AGENT_HOST_CGROUPS_H
#define DIRTYSCOPE_AGENT_HOST_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINER_ID_SIZE 128
#define CONTAINER_HASH_LENGTH 64 /* of an id by Docker, containerd, CRI-O or Podman */

/*
 * What the innermost container in a cgroup's path is called by what runs it: 64 hex digits (Docker,
 * containerd, CRI-O, Podman, ECS), Fargate's and BuildKit's shorter ids, the names of LXC,
 * systemd-nspawn and Garden. False: not in a container, or its name does not fit.
 */
bool cgroup__container(const char *path, char id[CONTAINER_ID_SIZE]);

/*
 * Of a process's path in the default hierarchy, and that in the memory controller's of version 1:
 * the one that names a container, else the first, unless that is the root.
 */
const char *cgroup__choose(const char *path, const char *memory);

/* Whether it is a path below the root of the cgroup file system, "/a/b", that does not lead out. */
bool cgroup__is_path(const char *path);
/* The directory of a cgroup of version 2, mounted alone or, as systemd does it, beside version 1.
 */
void cgroup__directory(const char *sysfs, const char *path, char *directory, size_t size);

#endif
