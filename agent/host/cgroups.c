/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/cgroups.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "ID", "docker-ID.scope", "cri-containerd-ID.scope", "crio-ID", "pod.slice:cri-containerd:ID". */
static const char *container_in(const char *component, size_t length)
{
	static const char scope[] = ".scope", monitor[] = "conmon-";
	const char *id;

	if (length > sizeof(scope) - 1 &&
	    !memcmp(component + length - (sizeof(scope) - 1), scope, sizeof(scope) - 1))
		length -= sizeof(scope) - 1;
	if (length < CONTAINER_ID_LENGTH)
		return NULL;
	id = component + length - CONTAINER_ID_LENGTH;
	if (strspn(id, "0123456789abcdef") < CONTAINER_ID_LENGTH)
		return NULL;
	if (id > component && id[-1] != '-' && id[-1] != ':')
		return NULL;
	/* The cgroup of a container's monitor is not the container's. */
	if (memmem(component, length, monitor, sizeof(monitor) - 1))
		return NULL;
	return id;
}

bool cgroup__container(const char *path, char id[CONTAINER_ID_LENGTH + 1])
{
	const char *found = NULL;

	while (*path) {
		size_t length = strcspn(path, "/");
		const char *candidate = container_in(path, length);

		if (candidate)
			found = candidate;
		path += length;
		path += *path == '/';
	}
	if (!found)
		return false;
	memcpy(id, found, CONTAINER_ID_LENGTH);
	id[CONTAINER_ID_LENGTH] = '\0';
	return true;
}

const char *cgroup__choose(const char *path, const char *memory)
{
	char id[CONTAINER_ID_LENGTH + 1];

	if (cgroup__container(path, id))
		return path;
	if (cgroup__container(memory, id))
		return memory;
	return strcmp(path, "/") != 0 ? path : memory;
}

bool cgroup__is_path(const char *path)
{
	return path[0] == '/' && !strstr(path, "/..");
}

void cgroup__directory(const char *sysfs, const char *path, char *directory, size_t size)
{
	static const char alone[] = "/fs/cgroup", beside[] = "/fs/cgroup/unified";
	char procs[PATH_MAX];

	snprintf(procs, sizeof(procs), "%s%s/cgroup.procs", sysfs, alone);
	snprintf(directory, size, "%s%s%s", sysfs, access(procs, F_OK) ? beside : alone, path);
}
