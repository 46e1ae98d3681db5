/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/users.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/files.h"

#define PASSWD_LIMIT (16UL << 20)

struct user {
	uint32_t uid;
	const char *name; /* in users->data */
};

struct procfs_users {
	char *path;
	struct stat seen; /* of what was read */
	bool tried;
	char *data;
	struct user *users; /* by uid, then by place in the file */
	size_t count;
	char number[12]; /* of a uid that has no name */
};

static int compare_users(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	/* The first line of a uid gives its name, as in getpwuid(). */
	return x->name < y->name ? -1 : x->name > y->name;
}

/* name:password:uid:...; the line is cut into its name in place. */
static bool parse_line(char *line, size_t length, struct user *user)
{
	char *name_end = memchr(line, ':', length), *password_end, *uid_end;
	const char *end = line + length;
	uint64_t uid;

	/* "+" and "-" lines belong to NIS. */
	if (!name_end || name_end == line || *line == '#' || *line == '+' || *line == '-')
		return false;
	password_end = memchr(name_end + 1, ':', (size_t)(end - name_end - 1));
	if (!password_end)
		return false;
	uid_end = memchr(password_end + 1, ':', (size_t)(end - password_end - 1));
	if (!uid_end ||
	    !files__parse_u64(password_end + 1, (size_t)(uid_end - password_end - 1), &uid) ||
	    uid > UINT32_MAX)
		return false;
	*name_end = '\0';
	user->uid = (uint32_t)uid;
	user->name = line;
	return true;
}

static void parse(struct procfs_users *users, char *data, size_t length)
{
	size_t lines = 1, count = 0;
	struct user *list;

	for (size_t i = 0; i < length; i++)
		lines += data[i] == '\n';
	list = calloc(lines, sizeof(*list));
	if (!list) {
		free(data);
		return;
	}
	for (char *line = data, *end = data + length; line < end;) {
		char *stop = memchr(line, '\n', (size_t)(end - line));

		if (!stop)
			stop = end;
		count += parse_line(line, (size_t)(stop - line), &list[count]);
		line = stop + 1;
	}
	qsort(list, count, sizeof(*list), compare_users);
	free(users->data);
	free(users->users);
	users->data = data;
	users->users = list;
	users->count = count;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void procfs_users__refresh(struct procfs_users *users)
{
	struct stat now;
	size_t length;
	char *data;

	if (stat(users->path, &now) || (users->tried && same_file(&now, &users->seen)))
		return;
	users->tried = true;
	users->seen = now;
	if (!files__read_all(AT_FDCWD, users->path, PASSWD_LIMIT, &data, &length))
		parse(users, data, length);
}

struct procfs_users *procfs_users__new(const char *passwd)
{
	struct procfs_users *users = calloc(1, sizeof(*users));

	if (!users)
		return NULL;
	users->path = strdup(passwd);
	if (!users->path) {
		free(users);
		return NULL;
	}
	procfs_users__refresh(users);
	return users;
}

void procfs_users__free(struct procfs_users *users)
{
	if (!users)
		return;
	free(users->path);
	free(users->data);
	free(users->users);
	free(users);
}

const char *procfs_users__name(struct procfs_users *users, uint32_t uid)
{
	size_t low = 0, high = users->count;

	/* The first of equal uids: bsearch() would give any. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (users->users[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < users->count && users->users[low].uid == uid)
		return users->users[low].name;
	snprintf(users->number, sizeof(users->number), "%" PRIu32, uid);
	return users->number;
}
