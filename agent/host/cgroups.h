/* SPDX-License-Identifier: BSD-2-Clause */
/* What the text of /proc/PID/cgroup says: the cgroup that a process is accounted in, and its
 * container. */
#ifndef DIRTYSCOPE_AGENT_HOST_CGROUPS_H
#define DIRTYSCOPE_AGENT_HOST_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINER_ID_LENGTH 64

/*
 * The path in the default hierarchy ("0::/x"). On a host that still runs version 1, where that is
 * "/" or missing: the path of the memory hierarchy, else of name=systemd, else the longest. Points
 * into `text`, which is cut up; "" when there is none. " (deleted)" is removed.
 */
const char *cgroup__choose(char *text, size_t length);
/* The id of the innermost container in a cgroup's path: 64 hex digits. False: not in a container.
 */
bool cgroup__container(const char *path, char id[CONTAINER_ID_LENGTH + 1]);

/* Whether it is a path below the root of the cgroup file system, "/a/b", that does not lead out. */
bool cgroup__is_path(const char *path);
/* The directory of a cgroup of version 2, mounted alone or, as systemd does it, beside version 1.
 */
void cgroup__directory(const char *sysfs, const char *path, char *directory, size_t size);

#endif
