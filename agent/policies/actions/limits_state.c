/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/limits_state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/host/cgroups.h"
#include "agent/base/files.h"

#define STATE_MAX (1024 * 1024)

/* A limit is an array in the order of enum io_key; null is "max". */
static json_t *limit_json(const struct io_limit *limit)
{
	json_t *array = json_array();

	for (int key = 0; key < IO_KEYS; key++)
		json_array_append_new(array,
				      limit->values[key] == IO_NO_LIMIT
					      ? json_null()
					      : json_integer((json_int_t)limit->values[key]));
	return array;
}

static bool read_limit(const json_t *array, struct io_limit *limit)
{
	if (json_array_size(array) != IO_KEYS)
		return false;
	for (size_t key = 0; key < IO_KEYS; key++) {
		const json_t *value = json_array_get(array, key);

		if (!json_is_null(value) &&
		    (!json_is_integer(value) || json_integer_value(value) < 0))
			return false;
		limit->values[key] =
			json_is_null(value) ? IO_NO_LIMIT : (uint64_t)json_integer_value(value);
	}
	return true;
}

static int read_entry(json_t *item, struct limit_entry **entries)
{
	struct limit_entry *entry = calloc(1, sizeof(*entry));
	const char *cgroup, *disk;
	json_t *before, *set;

	if (!entry)
		return -ENOMEM;
	if (json_unpack(item, "{s:s, s:s, s:o, s:o}", "cgroup", &cgroup, "disk", &disk, "before",
			&before, "set", &set) ||
	    strlen(cgroup) >= sizeof(entry->cgroup) || strlen(disk) >= sizeof(entry->disk) ||
	    !cgroup__is_path(cgroup) || !read_limit(before, &entry->before) ||
	    !read_limit(set, &entry->set)) {
		free(entry);
		return -EBADMSG;
	}
	snprintf(entry->cgroup, sizeof(entry->cgroup), "%s", cgroup);
	snprintf(entry->disk, sizeof(entry->disk), "%s", disk);
	entry->next = *entries;
	*entries = entry;
	return 0;
}

int limits_state__read(const char *path, struct limit_entry **entries)
{
	json_t *document, *item;
	char *text;
	size_t length, i;
	int err = files__read_all(AT_FDCWD, path, STATE_MAX, &text, &length);

	*entries = NULL;
	if (err)
		return err;
	document = json_loadb(text, length, 0, NULL);
	free(text);
	if (!json_is_array(document))
		err = -EBADMSG;
	json_array_foreach(document, i, item)
	{
		if (!err)
			err = read_entry(item, entries);
	}
	json_decref(document);
	return err;
}

static int write_whole(const char *path, const char *text)
{
	const size_t length = strlen(text);
	int err = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length || fsync(fd))
		err = errno ? -errno : -EIO;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

void limits_state__make_directory(const char *path)
{
	char directory[PATH_MAX];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash && slash != directory) {
		*slash = '\0';
		/* Whether it worked is seen when the file is written. */
		(void)mkdir(directory, 0755);
	}
}

int limits_state__write(const char *path, const struct limit_entry *entries)
{
	char fresh[PATH_MAX], *text;
	json_t *document;
	int err;

	if (!entries)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	document = json_array();
	for (; entries; entries = entries->next)
		json_array_append_new(document, json_pack("{s:s, s:s, s:o, s:o}", "cgroup",
							  entries->cgroup, "disk", entries->disk,
							  "before", limit_json(&entries->before),
							  "set", limit_json(&entries->set)));
	text = json_dumps(document, JSON_INDENT(1));
	json_decref(document);
	if (!text)
		return -ENOMEM;
	limits_state__make_directory(path);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	err = write_whole(fresh, text);
	free(text);
	if (!err && rename(fresh, path))
		err = -errno;
	return err;
}
