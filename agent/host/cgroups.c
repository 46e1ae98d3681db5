/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/cgroups.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum hierarchy {
	HIERARCHY_OTHER,
	HIERARCHY_SYSTEMD,
	HIERARCHY_MEMORY,
	HIERARCHY_DEFAULT,
	HIERARCHIES,
};

static bool has_controller(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *item = list; item; item = strchr(item, ',')) {
		item += *item == ',';
		if (!strncmp(item, name, length) && (!item[length] || item[length] == ','))
			return true;
	}
	return false;
}

static enum hierarchy classify(const char *id, const char *controllers)
{
	if (!strcmp(id, "0") && !*controllers)
		return HIERARCHY_DEFAULT;
	if (has_controller(controllers, "memory"))
		return HIERARCHY_MEMORY;
	if (has_controller(controllers, "name=systemd"))
		return HIERARCHY_SYSTEMD;
	return HIERARCHY_OTHER;
}

/* The kernel adds it once the cgroup is removed; the name should not change for that. */
static void strip_deleted(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t length = strlen(path), end = sizeof(suffix) - 1;

	if (length > end && !strcmp(path + length - end, suffix))
		path[length - end] = '\0';
}

const char *cgroup__choose(char *text, size_t length)
{
	const char *paths[HIERARCHIES] = {};
	char *end = text + length;

	for (char *line = text, *stop; line < end; line = stop + 1) {
		char *controllers, *path;
		enum hierarchy hierarchy;

		/* A line without an end was cut: its path would be wrong. */
		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			break;
		*stop = '\0';
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path || path[1] != '/')
			continue;
		*controllers++ = '\0';
		*path++ = '\0';
		strip_deleted(path);
		hierarchy = classify(line, controllers);
		if (!paths[hierarchy] || strlen(path) > strlen(paths[hierarchy]))
			paths[hierarchy] = path;
	}
	for (int i = HIERARCHIES - 1; i >= 0; i--)
		if (paths[i] && strcmp(paths[i], "/") != 0)
			return paths[i];
	for (int i = HIERARCHIES - 1; i >= 0; i--)
		if (paths[i])
			return paths[i];
	return "";
}

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
