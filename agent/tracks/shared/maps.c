/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/shared/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/host/procfs.h"

struct object_key map_region__object(const struct map_region *region)
{
	return (struct object_key){region->inode, region->major, region->minor};
}

/* Who protects a part of a mapping splits it (userfaultfd_register_range()): then it is one. */
void map_region__path(const struct map_region *region, const char *procfs, uint32_t tgid,
		      char *path, size_t size)
{
	snprintf(path, size, "%s/%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64, procfs, tgid,
		 region->start, region->end);
	if (region->start == region->mapping_start && region->end == region->mapping_end)
		return;
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
		snprintf(path, size, "%s/%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64, procfs, tgid,
			 region->mapping_start, region->mapping_end);
}

bool map_region__is_hugetlb(const struct map_region *region, const char *procfs, uint32_t tgid)
{
	char path[PATH_MAX];
	struct statfs status;

	if (!region->inode)
		return false;
	map_region__path(region, procfs, tgid, path, sizeof(path));
	return !statfs(path, &status) && status.f_type == HUGETLBFS_MAGIC;
}

/* A hexadecimal or decimal number and the one character that must follow it. */
static bool take(char **at, int base, char end, uint64_t *value)
{
	char *stop;

	errno = 0;
	*value = strtoull(*at, &stop, base);
	if (stop == *at || errno || *stop != end || **at == '-' || **at == '+')
		return false;
	*at = stop + 1;
	return true;
}

bool maps__parse(char *line, struct map_region *region)
{
	uint64_t major, minor;
	char *at = line, *flags;

	*region = (struct map_region){0};
	if (!take(&at, 16, '-', &region->start) || !take(&at, 16, ' ', &region->end) ||
	    strlen(at) < 5 || at[4] != ' ')
		return false;
	flags = at;
	at += 5;
	if (!take(&at, 16, ' ', &region->offset) || !take(&at, 16, ':', &major) ||
	    !take(&at, 16, ' ', &minor))
		return false;
	region->inode = strtoull(at, &at, 10);
	at += strspn(at, " ");
	snprintf(region->name, sizeof(region->name), "%s", at);
	region->readable = flags[0] == 'r';
	region->writable = flags[1] == 'w';
	region->shared = flags[3] == 's';
	region->major = (uint32_t)major;
	region->minor = (uint32_t)minor;
	region->mapping_start = region->start;
	region->mapping_end = region->end;
	return region->start < region->end;
}

/* *count: the lines there were. */
static int read_file(const char *procfs, uint32_t id,
		     int (*each)(void *context, const struct map_region *region), void *context,
		     size_t *count)
{
	struct map_region region;
	char path[64], *line = NULL;
	size_t capacity = 0;
	ssize_t length;
	int err = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%u/maps", procfs, id);
	*count = 0;
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && (length = getline(&line, &capacity, file)) > 0) {
		++*count;
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (maps__parse(line, &region))
			err = each(context, &region);
	}
	if (!err && ferror(file))
		err = errno == ESRCH ? -ESRCH : -EIO;
	free(line);
	if (fclose(file) && !err)
		err = -EIO;
	return err;
}

int maps__read(const char *procfs, uint32_t tgid,
	       int (*each)(void *context, const struct map_region *region), void *context)
{
	size_t lines;
	int err = read_file(procfs, tgid, each, context, &lines);
	uint32_t reader;

	if (err || lines)
		return err;
	/* Of a kernel thread, or of a process whose first thread has ended. */
	reader = procfs__reader(procfs, tgid);
	return reader == tgid ? 0 : read_file(procfs, reader, each, context, &lines);
}
