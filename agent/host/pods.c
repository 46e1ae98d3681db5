/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/pods.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <uthash.h>

#include "agent/host/cgroups.h"

#define ENTRIES_MOST 65536 /* of one directory: who may write into it must not fill our memory */

struct entry {
	char *key;  /* a pod's uid, a container's id */
	char *text; /* "NAMESPACE\0POD", "CONTAINER" */
	UT_hash_handle hh;
};

struct listing {
	const char *folder;
	/* Adds what a file name says; text is changed. */
	void (*read)(struct listing *listing, char *text);
	struct timespec changed; /* when it was read last, as the directory said */
	struct entry *entries;	 /* uthash */
};

struct pods {
	const char *logs;
	struct listing pods, containers;
};

static bool is_uid(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		bool dash = length == POD_UID_LENGTH && (i == 8 || i == 13 || i == 18 || i == 23);

		if (dash ? text[i] != '-' && text[i] != '_' : !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return length == 32 || length == POD_UID_LENGTH;
}

/* "podUID", or as systemd has it, "kubepods-burstable-podUID.slice" with underscores for dashes. */
bool pods__uid(const char *cgroup, char uid[POD_UID_LENGTH + 1])
{
	static const char slice[] = ".slice";

	while (*cgroup) {
		size_t length = strcspn(cgroup, "/"), end = length;

		if (length > sizeof(slice) - 1 &&
		    !memcmp(cgroup + length - (sizeof(slice) - 1), slice, sizeof(slice) - 1))
			end -= sizeof(slice) - 1;
		for (size_t at = 0; at + 3 < end; at++) {
			size_t rest = end - at - 3;

			if (memcmp(cgroup + at, "pod", 3) != 0 || (at && cgroup[at - 1] != '-') ||
			    !is_uid(cgroup + at + 3, rest))
				continue;
			for (size_t i = 0; i < rest; i++)
				uid[i] = cgroup[at + 3 + i] == '_' ? '-' : cgroup[at + 3 + i];
			uid[rest] = '\0';
			return true;
		}
		cgroup += length;
		cgroup += *cgroup == '/';
	}
	return false;
}

static void add(struct listing *listing, const char *key, const char *text, size_t size)
{
	struct entry *entry;

	HASH_FIND_STR(listing->entries, key, entry);
	if (entry || HASH_COUNT(listing->entries) >= ENTRIES_MOST)
		return;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return;
	entry->key = strdup(key);
	entry->text = malloc(size);
	if (!entry->key || !entry->text) {
		free(entry->key);
		free(entry->text);
		free(entry);
		return;
	}
	memcpy(entry->text, text, size);
	HASH_ADD_KEYPTR(hh, listing->entries, entry->key, strlen(entry->key), entry);
}

/* NAMESPACE_POD_UID: no name of Kubernetes has an underscore. */
static void read_pod(struct listing *listing, char *text)
{
	char *name = strchr(text, '_'), *uid = strrchr(text, '_');

	if (!name || name == uid || !is_uid(uid + 1, strlen(uid + 1)))
		return;
	*name = *uid = '\0';
	add(listing, uid + 1, text, (size_t)(uid - text) + 1);
}

/* POD_NAMESPACE_CONTAINER-ID.log */
static void read_container(struct listing *listing, char *text)
{
	char *name = strrchr(text, '_'), *dash = strrchr(text, '-'), *end = strrchr(text, '.');

	if (!name || !dash || !end || dash < name || strcmp(end, ".log") != 0 ||
	    end - dash != CONTAINER_HASH_LENGTH + 1)
		return;
	*dash = *end = '\0';
	add(listing, dash + 1, name + 1, (size_t)(dash - name));
}

static void clear(struct listing *listing)
{
	struct entry *entry, *next;

	HASH_ITER (hh, listing->entries, entry, next) {
		HASH_DEL(listing->entries, entry);
		free(entry->key);
		free(entry->text);
		free(entry);
	}
}

/* Reads the directory anew if it has changed. */
static bool refresh(const struct pods *pods, struct listing *listing)
{
	struct dirent *file;
	struct stat now;
	char path[PATH_MAX];
	DIR *directory;

	if (snprintf(path, sizeof(path), "%s/%s", pods->logs, listing->folder) >=
		    (int)sizeof(path) ||
	    stat(path, &now) || !memcmp(&now.st_mtim, &listing->changed, sizeof(listing->changed)))
		return false;
	directory = opendir(path);
	if (!directory)
		return false;
	/* Changes within one tick of the kernel's clock have one time: look again until it is past.
	 */
	listing->changed = now.st_mtim;
	if (time(NULL) - now.st_mtim.tv_sec < 2)
		listing->changed.tv_sec = 0;
	clear(listing);
	while ((file = readdir(directory)))
		listing->read(listing, file->d_name);
	closedir(directory);
	return true;
}

static const char *find(const struct pods *pods, struct listing *listing, const char *key)
{
	struct entry *entry;

	HASH_FIND_STR(listing->entries, key, entry);
	if (!entry && refresh(pods, listing))
		HASH_FIND_STR(listing->entries, key, entry);
	return entry ? entry->text : NULL;
}

bool pods__find(struct pods *pods, const char *cgroup, struct pod *pod)
{
	char uid[POD_UID_LENGTH + 1], id[CONTAINER_ID_SIZE];

	if (!pods__uid(cgroup, uid))
		return false;
	pod->namespace = find(pods, &pods->pods, uid);
	if (!pod->namespace)
		return false;
	pod->name = pod->namespace + strlen(pod->namespace) + 1;
	pod->container = cgroup__container(cgroup, id) ? find(pods, &pods->containers, id) : NULL;
	return true;
}

struct pods *pods__new(const char *logs)
{
	struct pods *pods = calloc(1, sizeof(*pods));

	if (pods)
		*pods = (struct pods){
			.logs = logs,
			.pods = {.folder = "pods", .read = read_pod},
			.containers = {.folder = "containers", .read = read_container},
		};
	return pods;
}

void pods__free(struct pods *pods)
{
	if (!pods)
		return;
	clear(&pods->pods);
	clear(&pods->containers);
	free(pods);
}
