/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/files.h"

#define MOUNTINFO_LIMIT (16UL << 20)
#define CGROUP_LIMIT (64UL << 10)
#define DEPTH_LIMIT 256 /* of directories; each holds a descriptor */
#define ROOT_ID 1	/* of a hierarchy: kernfs_create_root(), fs/kernfs/dir.c */

struct walk {
	cgroup_tree__found found;
	void *context;
	uint32_t hierarchy;
	char path[PATH_MAX]; /* of the directory at hand */
};

/* "a,b,name=c" */
static bool names_controller(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (list && *list) {
		if (!strncmp(list, name, length) && (!list[length] || list[length] == ','))
			return true;
		list = strchr(list, ',');
		list += list != NULL;
	}
	return false;
}

uint32_t cgroup_tree__hierarchy(char *text, size_t length, const char *controller)
{
	char *end = text + length, *stop;

	for (char *line = text; line < end; line = stop + 1) {
		char *controllers, *path;
		uint64_t number;

		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			break;
		*stop = '\0';
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*controllers++ = *path = '\0';
		if (names_controller(controllers, controller) &&
		    files__parse_u64(line, strlen(line), &number) && number <= UINT32_MAX)
			return (uint32_t)number;
	}
	return 0;
}

static int walk_directory(struct walk *walk, int fd, size_t length, int depth);

static int walk_child(struct walk *walk, int parent, const struct dirent *entry, size_t length,
		      int depth)
{
	size_t slash = length > 1, name = strlen(entry->d_name);
	int fd, err;

	if (length + slash + name >= sizeof(walk->path) || depth >= DEPTH_LIMIT)
		return 0;
	fd = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0; /* it has gone */
	walk->path[length] = '/';
	memcpy(walk->path + length + slash, entry->d_name, name + 1);
	/* The entry's number is that of the directory: kernfs_fop_readdir(), fs/kernfs/dir.c. */
	err = walk->found(walk->context, walk->hierarchy, entry->d_ino, walk->path);
	if (err)
		close(fd);
	else
		err = walk_directory(walk, fd, length + slash + name, depth + 1);
	walk->path[length] = '\0';
	return err;
}

/* Closes fd. length: of the path, "/" at the root. */
static int walk_directory(struct walk *walk, int fd, size_t length, int depth)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	int err = 0;

	if (!directory) {
		close(fd);
		return 0;
	}
	while (!err && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			err = walk_child(walk, dirfd(directory), entry, length, depth);
	closedir(directory);
	return err;
}

static int walk_mount(struct walk *walk, const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct stat root;

	if (fd < 0)
		return -ENOENT;
	/* Of a part of it the paths from the root are not known. */
	if (fstat(fd, &root) || root.st_ino != ROOT_ID) {
		close(fd);
		return -ENOENT;
	}
	strcpy(walk->path, "/");
	err = walk->found(walk->context, walk->hierarchy, ROOT_ID, walk->path);
	if (err) {
		close(fd);
		return err;
	}
	return walk_directory(walk, fd, 1, 0);
}

/* "\040" and the like are blanks: proc_pid_mountinfo(5). */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		if (in[0] == '\\' && in[1] && in[2] && in[3]) {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

/* Walks the mount of one line when it is of the hierarchy that is wanted; 1: it is not. */
static int walk_line(struct walk *walk, char *line)
{
	char *fields[5], *rest = line, *tail = strstr(line, " - "), *type, *options;
	int err;

	if (!tail)
		return 1;
	*tail = '\0';
	tail += 3;
	for (int i = 0; i < 5; i++)
		fields[i] = strsep(&rest, " ");
	type = strsep(&tail, " ");
	(void)strsep(&tail, " ");
	options = tail;
	if (!fields[4] || !options)
		return 1;
	if (walk->hierarchy ? strcmp(type, "cgroup") != 0 || !names_controller(options, "memory")
			    : strcmp(type, "cgroup2") != 0)
		return 1;
	unescape(fields[4]);
	err = walk_mount(walk, fields[4]);
	return err == -ENOENT ? 1 : err; /* it may be mounted elsewhere, too */
}

static int walk_hierarchy(struct walk *walk, const char *mounts, size_t length)
{
	char *text = strndup(mounts, length), *rest = text, *line;
	int err = 1;

	if (!text)
		return -ENOMEM;
	while (err == 1 && (line = strsep(&rest, "\n")))
		err = walk_line(walk, line);
	free(text);
	return err == 1 ? -ENOENT : err;
}

static int read_own(const char *procfs, const char *name, size_t limit, char **text, size_t *length)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/self/%s", procfs, name);
	return files__read_all(AT_FDCWD, path, limit, text, length);
}

int cgroup_tree__walk(const char *procfs, cgroup_tree__found found, void *context)
{
	struct walk walk = {.found = found, .context = context};
	char *mounts = NULL, *own = NULL;
	size_t length, own_length;
	uint32_t memory;
	int err;

	err = read_own(procfs, "mountinfo", MOUNTINFO_LIMIT, &mounts, &length);
	if (!err)
		err = read_own(procfs, "cgroup", CGROUP_LIMIT, &own, &own_length);
	if (err)
		goto cleanup;
	memory = cgroup_tree__hierarchy(own, own_length, "memory");
	err = walk_hierarchy(&walk, mounts, length);
	if (memory && (!err || err == -ENOENT)) {
		int without = err;

		walk.hierarchy = memory;
		err = walk_hierarchy(&walk, mounts, length);
		if (err == -ENOENT)
			err = without;
	}
cleanup:
	free(mounts);
	free(own);
	return err;
}
