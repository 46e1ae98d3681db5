/* SPDX-License-Identifier: BSD-2-Clause */
/* The processes of a cgroup, and of those below it, as they come and go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host/cgroups.h"
#include "agent/base/files.h"
#include "agent/tracks/tracks_private.h"

#define PROCS_MAX (1UL << 20) /* bytes of a cgroup.procs */
#define CGROUP_DEPTH 32

static struct member *find_member(const struct track *track, uint32_t pid)
{
	struct member *member = track->members;

	while (member && member->pid != pid)
		member = member->next;
	return member;
}

/* One that cannot be followed is told of once, and does not stop the others. */
static int add_listed(struct tracks *tracks, struct track *track, const char *list, bool later,
		      struct track_error *error)
{
	while (*list) {
		uint32_t pid = (uint32_t)strtoul(list, NULL, 10);
		struct member *member = pid ? find_member(track, pid) : NULL;
		struct track_error why;
		int err = 0;

		list += strcspn(list, "\n");
		list += strspn(list, "\n");
		if (!pid)
			continue;
		if (member)
			member->seen = true;
		else
			err = track__add_process(tracks, track, pid, later, &why);
		if (err == -ENOMEM)
			return track__refuse(error, err, 0, "out of memory");
		if (err && err != -ESRCH && err != -EINVAL)
			*error = why;
	}
	return 0;
}

static int add_cgroup(struct tracks *tracks, struct track *track, const char *path, bool later,
		      int depth, struct track_error *error)
{
	char file[PATH_MAX], *list;
	struct dirent *entry;
	size_t length;
	DIR *directory;
	int err;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	err = files__read_all(AT_FDCWD, file, PROCS_MAX, &list, &length);
	if (err)
		return err;
	err = add_listed(tracks, track, list, later, error);
	free(list);
	directory = err || depth >= CGROUP_DEPTH ? NULL : opendir(path);
	while (directory && !err && (entry = readdir(directory))) {
		if (entry->d_type != DT_DIR || !files__is_component(entry->d_name))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		err = add_cgroup(tracks, track, file, later, depth + 1, error);
		if (err == -ENOENT) /* gone since */
			err = 0;
	}
	if (directory)
		closedir(directory);
	return err;
}

int track__add_cgroup(struct tracks *tracks, struct track *track, bool later,
		      struct track_error *error)
{
	char path[PATH_MAX];
	int err;

	if (!cgroup__is_path(track->target))
		return track__refuse(
			error, -EINVAL, 0,
			"a cgroup is a path below the cgroup file system, like /system.slice");
	for (struct member *member = track->members; member; member = member->next)
		member->seen = false;
	*error->message = '\0';
	cgroup__directory(tracks->config->sysfs, track->target, path, sizeof(path));
	err = add_cgroup(tracks, track, path, later, 0, error);
	if (err == -ENOENT)
		return track__refuse(error, -ENOENT, 0,
				     "there is no such cgroup, or it is not of version 2");
	if (err)
		return err;
	for (struct member *member = track->members, *next; member; member = next) {
		next = member->next;
		if (member->seen)
			continue;
		err = sharing__member_gone(track, member);
		if (err)
			return err;
		track__unlink_member(track, member);
		track__free_member(tracks, member);
	}
	if (!track->members && !later)
		return *error->message
			       ? -EOPNOTSUPP
			       : track__refuse(error, -ESRCH, 0, "no process is in that cgroup");
	return 0;
}
