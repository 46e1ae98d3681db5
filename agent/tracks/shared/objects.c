/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/shared/objects.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uthash.h>

#include "agent/base/files.h"

#define TICK_NS 20000000LL /* a file's time is as coarse as a jiffy, 10 ms at most */

struct entry {
	struct object object;
	struct timespec time; /* of its last modification, when we looked */
	bool met, known;      /* in this epoch; in an earlier one, too */
	bool untimed;	      /* of hugetlb: its time does not move with stores */
	bool recent;	      /* it was that very tick: another write may have had the same time */
	int watch;	      /* -1: none */
	UT_hash_handle hh;
};

struct objects {
	struct entry *entries; /* uthash, by key */
	int inotify;	       /* -1: there is none */
};

struct objects *objects__new(void)
{
	struct objects *objects = calloc(1, sizeof(*objects));

	if (objects)
		objects->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return objects;
}

static void forget(struct objects *objects, struct entry *entry)
{
	HASH_DEL(objects->entries, entry);
	if (entry->watch >= 0)
		inotify_rm_watch(objects->inotify, entry->watch);
	page_map__free(entry->object.pages);
	free(entry);
}

void objects__free(struct objects *objects)
{
	struct entry *entry, *next;

	if (!objects)
		return;
	HASH_ITER (hh, objects->entries, entry, next)
		forget(objects, entry);
	if (objects->inotify >= 0)
		close(objects->inotify);
	free(objects);
}

void objects__begin(struct objects *objects)
{
	struct entry *entry, *next;

	HASH_ITER (hh, objects->entries, entry, next) {
		entry->known |= entry->met;
		entry->met = false;
		entry->object.changed = entry->object.moved = false;
		entry->object.modified = entry->object.told = false;
		entry->object.guest = entry->object.held = false;
		entry->object.regions = 0;
		page_map__clear(entry->object.pages);
	}
}

static struct entry *find(const struct objects *objects, const struct object_key *key)
{
	struct entry *entry;

	HASH_FIND(hh, objects->entries, key, sizeof(*key), entry);
	return entry;
}

struct object *objects__find(const struct objects *objects, const struct object_key *key)
{
	struct entry *entry = find(objects, key);

	return entry && entry->met ? &entry->object : NULL;
}

static bool is_memfd(const char *name)
{
	return strncmp(name, "/memfd:", 7) == 0;
}

static int add(struct objects *objects, const struct object_key *key,
	       const struct map_region *region, const char *path, bool is_hugetlb,
	       struct entry **out)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->object.key = *key;
	entry->object.pages = page_map__new();
	if (!entry->object.pages) {
		free(entry);
		return -ENOMEM;
	}
	entry->watch = -1;
	if (objects->inotify >= 0)
		entry->watch = inotify_add_watch(objects->inotify, path, IN_MODIFY);
	entry->object.silent = entry->watch < 0 || is_memfd(region->name);
	entry->untimed = is_hugetlb;
	HASH_ADD(hh, objects->entries, object.key, sizeof(entry->object.key), entry);
	*out = entry;
	return 0;
}

static void look_at_time(struct entry *entry, const struct stat *stat)
{
	const struct timespec *time = &stat->st_mtim;
	struct timespec now;
	long long age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (now.tv_sec - time->tv_sec) * 1000000000LL + (now.tv_nsec - time->tv_nsec);
	entry->object.moved = entry->known && (time->tv_sec != entry->time.tv_sec ||
					       time->tv_nsec != entry->time.tv_nsec);
	entry->object.changed = entry->object.moved || (entry->known && entry->recent);
	entry->recent = age < TICK_NS;
	entry->time = *time;
}

int objects__meet(struct objects *objects, const char *procfs, uint32_t tgid,
		  const struct map_region *region, struct object **object)
{
	const struct object_key key = map_region__object(region);
	char path[PATH_MAX];
	struct entry *entry;
	struct stat stat_;
	int err = 0;

	*object = NULL;
	if (!key.inode)
		return 0;
	entry = find(objects, &key);
	if (!entry || !entry->met) {
		map_region__path(region, procfs, tgid, path, sizeof(path));
		err = stat(path, &stat_) ? -errno : 0;
		if (err == -ENOENT || (!err && !S_ISREG(stat_.st_mode)))
			return 0; /* gone meanwhile; or a device, which has no such memory */
		if (!entry && add(objects, &key, region, path,
				  map_region__is_hugetlb(region, procfs, tgid), &entry))
			return -ENOMEM;
		if (err)
			entry->object.changed = entry->object.moved = true;
		else
			look_at_time(entry, &stat_);
		entry->met = true;
	}
	entry->object.regions++;
	*object = &entry->object;
	return 0;
}

/* ---- who has it open ---- */

/* fdinfo has the flags of open(2), octal: Documentation/filesystems/proc.rst. */
static bool is_for_writing(const char *procfs, uint32_t tgid, const char *name)
{
	char path[PATH_MAX], text[512];
	const char *flags;

	snprintf(path, sizeof(path), "%s/%" PRIu32 "/fdinfo/%s", procfs, tgid, name);
	if (files__read(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return true; /* nobody can tell */
	flags = strstr(text, "flags:");
	return !flags || (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool is_wanted(const struct entry *entry)
{
	return entry->met && entry->object.guest && entry->object.silent && !entry->object.held;
}

static void look_at_descriptor(struct objects *objects, const char *procfs, uint32_t tgid,
			       int directory, const char *name)
{
	char link[64];
	const ssize_t length = readlinkat(directory, name, link, sizeof(link) - 1);
	struct entry *entry, *next;
	struct stat stat_;

	if (length <= 0)
		return;
	link[length] = '\0';
	if (!is_memfd(link) || fstatat(directory, name, &stat_, 0))
		return;
	HASH_ITER (hh, objects->entries, entry, next)
		if (is_wanted(entry) && entry->object.key.inode == stat_.st_ino &&
		    entry->object.key.major == major(stat_.st_dev) &&
		    entry->object.key.minor == minor(stat_.st_dev))
			entry->object.held = is_for_writing(procfs, tgid, name);
}

void objects__look_at_descriptors(struct objects *objects, const char *procfs, uint32_t tgid)
{
	struct entry *one, *next;
	struct dirent *entry;
	bool wanted = false;
	char path[PATH_MAX];
	DIR *directory;

	HASH_ITER (hh, objects->entries, one, next)
		wanted |= is_wanted(one);
	if (!wanted)
		return;
	snprintf(path, sizeof(path), "%s/%" PRIu32 "/fd", procfs, tgid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		look_at_descriptor(objects, procfs, tgid, dirfd(directory), entry->d_name);
	if (directory)
		closedir(directory);
}

static void hear(struct objects *objects)
{
	_Alignas(struct inotify_event) char buffer[4096];
	struct entry *entry, *next;
	ssize_t length;

	while (objects->inotify >= 0 &&
	       (length = read(objects->inotify, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0; at < length;) {
			const struct inotify_event *event = (const void *)(buffer + at);

			at += (ssize_t)(sizeof(*event) + event->len);
			HASH_ITER (hh, objects->entries, entry, next)
				if (entry->watch == event->wd || event->mask & IN_Q_OVERFLOW)
					entry->object.modified = true;
		}
}

bool objects__end(struct objects *objects)
{
	struct entry *entry, *next;
	bool changed = false;

	hear(objects);
	HASH_ITER (hh, objects->entries, entry, next) {
		changed |= entry->met &&
			   (entry->object.changed || entry->object.modified || entry->untimed);
		if (!entry->met)
			forget(objects, entry);
	}
	return changed;
}
