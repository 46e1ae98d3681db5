/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/host/cgroups.h"
#include "agent/base/errno_text.h"
#include "agent/base/files.h"
#include "agent/base/log.h"
#include "agent/policies/actions/limits_state.h"
#include "agent/base/text.h"

const char *const io_key_names[IO_KEYS] = {"rbps", "wbps", "riops", "wiops"};

#define IO_MAX_BYTES 65536

struct claim {
	uint64_t id;
	struct limit_entry *entry;
	struct io_limit limit;
	struct claim *next;
};

struct limits {
	const char *sysfs, *state;
	struct events *events;
	struct limit_entry *entries;
	struct claim *claims;
	uint64_t next_id;
	int lock; /* held while this agent is the one that has limits; below 0: it is not */
};

/* ---- io.max ---- */

static bool parse_value(const char *text, size_t length, uint64_t *value)
{
	*value = IO_NO_LIMIT;
	return (length == 3 && memcmp(text, "max", 3) == 0) ||
	       files__parse_u64(text, length, value);
}

static bool parse_line(const char *line, size_t length, struct io_limit *limit)
{
	const char *end = line + length;

	while (line < end) {
		size_t word = strcspn(line, " \n");
		bool known = false;

		for (int key = 0; key < IO_KEYS; key++) {
			size_t name = strlen(io_key_names[key]);

			if (word <= name || strncmp(line, io_key_names[key], name) != 0 ||
			    line[name] != '=')
				continue;
			known = true;
			if (!parse_value(line + name + 1, word - name - 1, &limit->values[key]))
				return false;
		}
		if (word && !known)
			return false;
		line += word + 1;
	}
	return true;
}

bool io_limit__parse(const char *text, const char *disk, struct io_limit *limit)
{
	const size_t length = strlen(disk);

	for (int key = 0; key < IO_KEYS; key++)
		limit->values[key] = IO_NO_LIMIT;
	for (const char *line = text; *line; line += *line == '\n') {
		size_t size = strcspn(line, "\n");

		if (strncmp(line, disk, length) == 0 && line[length] == ' ')
			return parse_line(line + length + 1, size - length - 1, limit);
		line += size;
	}
	return true;
}

static void path_of(const struct limits *limits, const char *cgroup, char path[PATH_MAX])
{
	size_t length;

	cgroup__directory(limits->sysfs, cgroup, path, PATH_MAX);
	length = strlen(path);
	snprintf(path + length, PATH_MAX - length, "/io.max");
}

static int read_limit(const struct limits *limits, const char *cgroup, const char *disk,
		      struct io_limit *limit)
{
	char path[PATH_MAX], *text;
	size_t length;
	int err;

	path_of(limits, cgroup, path);
	err = files__read_all(AT_FDCWD, path, IO_MAX_BYTES, &text, &length);
	if (err)
		return err;
	if (!io_limit__parse(text, disk, limit))
		err = -EBADMSG;
	free(text);
	return err;
}

static int write_limit(const struct limits *limits, const char *cgroup, const char *disk,
		       const struct io_limit *limit)
{
	struct text line = {0};
	char path[PATH_MAX];
	int fd, err = 0;

	path_of(limits, cgroup, path);
	text__puts(&line, disk);
	for (int key = 0; key < IO_KEYS; key++) {
		text__printf(&line, " %s=", io_key_names[key]);
		if (limit->values[key] == IO_NO_LIMIT)
			text__puts(&line, "max");
		else
			text__u64(&line, limit->values[key]);
	}
	text__putc(&line, '\n');
	fd = line.failed ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	/* The kernel takes a line by one write, whole or not at all. */
	if (fd < 0 || write(fd, line.data, line.length) != (ssize_t)line.length)
		err = line.failed ? -ENOMEM : -errno;
	if (fd >= 0)
		close(fd);
	text__free(&line);
	return err;
}

static bool is_same(const struct io_limit *left, const struct io_limit *right)
{
	return memcmp(left, right, sizeof(*left)) == 0;
}

/* ---- entries: what is changed, and what was there ---- */

static struct limit_entry *find_entry(const struct limits *limits, const char *cgroup,
				      const char *disk)
{
	struct limit_entry *entry = limits->entries;

	while (entry && (strcmp(entry->cgroup, cgroup) != 0 || strcmp(entry->disk, disk) != 0))
		entry = entry->next;
	return entry;
}

static void drop_entry(struct limits *limits, struct limit_entry *entry)
{
	for (struct limit_entry **at = &limits->entries; *at; at = &(*at)->next)
		if (*at == entry) {
			*at = entry->next;
			break;
		}
	free(entry);
}

static void save(const struct limits *limits)
{
	int err = limits_state__write(limits->state, limits->entries);

	if (err)
		log_error("limits cannot be written down; they would outlive a crash",
			  "file=%s error=%s", limits->state, errno_text(-err).name);
}

/* The strictest of all claims on it, and of what was there. */
static struct io_limit strictest(const struct limits *limits, const struct limit_entry *entry)
{
	struct io_limit limit = entry->before;

	for (const struct claim *claim = limits->claims; claim; claim = claim->next)
		for (int key = 0; claim->entry == entry && key < IO_KEYS; key++)
			if (claim->limit.values[key] < limit.values[key])
				limit.values[key] = claim->limit.values[key];
	return limit;
}

/* Has what is claimed take effect. */
static int apply(struct limits *limits, struct limit_entry *entry)
{
	const struct io_limit before = entry->set;
	struct io_limit wanted;
	int err = read_limit(limits, entry->cgroup, entry->disk, &wanted);

	/* What somebody else has set since is not loosened, and is what comes back at the end. */
	if (!err && !is_same(&wanted, &entry->set))
		entry->before = entry->set = wanted;
	wanted = strictest(limits, entry);
	if (is_same(&wanted, &entry->set))
		return 0;
	entry->set = wanted;
	/* Written down first: after a crash in between, there is nothing to restore. */
	err = limits_state__write(limits->state, limits->entries);
	if (!err)
		err = write_limit(limits, entry->cgroup, entry->disk, &wanted);
	if (err)
		entry->set = before;
	return err;
}

/* What was there comes back, unless somebody else has changed it meanwhile. */
static int restore(const struct limits *limits, const struct limit_entry *entry, const char **how)
{
	struct io_limit now;
	int err = read_limit(limits, entry->cgroup, entry->disk, &now);

	*how = "restored";
	if (err == -ENOENT || err == -ENODEV) {
		*how = "gone with its cgroup";
		return 0;
	}
	if (!err && is_same(&now, &entry->before))
		return 0;
	if (!err && !is_same(&now, &entry->set)) {
		*how = "left alone: somebody else has changed it";
		return 0;
	}
	return err ? err : write_limit(limits, entry->cgroup, entry->disk, &entry->before);
}

/*
 * Two agents with one file would lift each other's limits as those of a crash. The lock goes with
 * the agent, however it ends.
 */
static int take_lock(struct limits *limits)
{
	char path[PATH_MAX];
	int err;

	if (limits->lock >= 0)
		return 0;
	snprintf(path, sizeof(path), "%s.lock", limits->state);
	limits_state__make_directory(limits->state);
	limits->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (limits->lock < 0)
		return -errno;
	if (flock(limits->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	err = -errno;
	close(limits->lock);
	limits->lock = -1;
	return err;
}

/* ---- for everybody ---- */

struct limits *limits__new(const char *sysfs, const char *state, struct events *events)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		return NULL;
	*limits = (struct limits){
		.sysfs = sysfs, .state = state, .events = events, .next_id = 1, .lock = -1};
	return limits;
}

void limits__recover(struct limits *limits)
{
	struct limit_entry *left = NULL, *next;
	int err = limits_state__read(limits->state, &left);
	const bool any = left;

	if (any && take_lock(limits)) {
		log_info("limits of another agent, which is alive, are left alone", "file=%s",
			 limits->state);
		while ((next = left)) {
			left = next->next;
			free(next);
		}
		return;
	}
	if (err && err != -ENOENT)
		log_error("limits of an earlier run cannot be read; look at io.max",
			  "file=%s error=%s", limits->state, errno_text(-err).name);
	for (struct limit_entry *entry = left; entry; entry = next) {
		const char *how;

		next = entry->next;
		err = restore(limits, entry, &how);
		events__add(limits->events, "action", err ? "error" : "warning", entry->cgroup,
			    "io.max of disk %s, limited by an agent that did not end well: %s",
			    entry->disk, err ? strerror(-err) : how);
		if (err) {
			/* It is tried again at the next start, or when it is claimed here. */
			entry->next = limits->entries;
			limits->entries = entry;
		} else {
			free(entry);
		}
	}
	if (any)
		save(limits);
}

uint64_t limits__claim(struct limits *limits, const char *cgroup, const char *disk,
		       const struct io_limit *limit, struct reason *why)
{
	struct limit_entry *entry = find_entry(limits, cgroup, disk);
	struct claim *claim = calloc(1, sizeof(*claim));
	bool is_new = !entry;
	int err = 0;

	if (!claim || strlen(cgroup) >= sizeof(entry->cgroup) ||
	    strlen(disk) >= sizeof(entry->disk) || !cgroup__is_path(cgroup)) {
		free(claim);
		reason__set(why, "the cgroup's path is too long, or no path");
		return 0;
	}
	err = take_lock(limits);
	if (err) {
		free(claim);
		reason__set(why, "%s.lock: %s", limits->state,
			    err == -EWOULDBLOCK ? "another agent has it, and limits of its own"
						: strerror(-err));
		return 0;
	}
	if (is_new) {
		entry = calloc(1, sizeof(*entry));
		err = entry ? read_limit(limits, cgroup, disk, &entry->before) : -ENOMEM;
		if (!err) {
			snprintf(entry->cgroup, sizeof(entry->cgroup), "%s", cgroup);
			snprintf(entry->disk, sizeof(entry->disk), "%s", disk);
			entry->set = entry->before;
			entry->next = limits->entries;
			limits->entries = entry;
		}
	}
	if (err) {
		reason__set(why, "%s",
			    err == -ENOENT
				    ? "the cgroup has no io.max: it is gone, it is the root, "
				      "or its parent's "
				      "cgroup.subtree_control has no io"
				    : strerror(-err));
		free(claim);
		free(entry);
		return 0;
	}
	*claim = (struct claim){limits->next_id++, entry, *limit, limits->claims};
	limits->claims = claim;
	err = apply(limits, entry);
	if (!err)
		return claim->id;
	reason__set(why, "io.max of disk %s: %s", disk, strerror(-err));
	limits->claims = claim->next;
	free(claim);
	if (is_new) {
		drop_entry(limits, entry);
		save(limits);
	}
	return 0;
}

/* The last claim on an entry is gone. */
static int give_back(struct limits *limits, struct limit_entry *entry, struct reason *why)
{
	const char *how;
	int err = restore(limits, entry, &how);

	reason__set(why, "io.max of disk %s: %s", entry->disk, err ? strerror(-err) : how);
	if (err)
		return err;
	drop_entry(limits, entry);
	save(limits);
	return 0;
}

int limits__release(struct limits *limits, uint64_t id, struct reason *why)
{
	struct limit_entry *entry = NULL;

	for (struct claim **at = &limits->claims; *at; at = &(*at)->next) {
		struct claim *claim = *at;

		if (claim->id != id)
			continue;
		entry = claim->entry;
		*at = claim->next;
		free(claim);
		break;
	}
	if (!entry) {
		reason__set(why, "no such limit");
		return -ENOENT;
	}
	for (const struct claim *claim = limits->claims; claim; claim = claim->next)
		if (claim->entry == entry) {
			reason__set(why, "another policy still limits disk %s", entry->disk);
			return apply(limits, entry);
		}
	return give_back(limits, entry, why);
}

void limits__free(struct limits *limits)
{
	struct reason why;

	if (!limits)
		return;
	while (limits->claims) {
		struct claim *claim = limits->claims;

		limits->claims = claim->next;
		free(claim);
	}
	for (struct limit_entry *entry = limits->entries, *next; entry; entry = next) {
		next = entry->next;
		/* What cannot be restored stays written down, for the next start. */
		if (give_back(limits, entry, &why))
			log_error("a limit could not be restored", "cgroup=%s reason=\"%s\"",
				  entry->cgroup, why.text);
	}
	while (limits->entries)
		drop_entry(limits, limits->entries);
	if (limits->lock >= 0)
		close(limits->lock);
	free(limits);
}
