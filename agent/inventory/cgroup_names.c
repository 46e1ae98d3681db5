/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/cgroup_names.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/base/log.h"
#include "agent/host/cgroup_tree.h"
#include "agent/host/cgroups.h"

#define LOOK_SECONDS 5	  /* between two walks for a name that no event has told */
#define FORGET_SECONDS 60 /* after its end, when nobody asks for it any more */

struct cgroup_key {
	uint64_t id;
	uint32_t hierarchy;
	uint32_t pad;
};

struct cgroup_name {
	struct cgroup_key key;
	char *path;
	struct group *group; /* a reference, once it was asked for; NULL */
	double removed_at;   /* 0: it is there */
	uint64_t walked;     /* the walk that has seen it last */
	UT_hash_handle hh;
};

struct cgroup_names {
	const char *procfs;
	const struct kernel_tables *tables;
	struct groups *groups;
	struct ring_buffer *ring;
	struct cgroup_name *by_key; /* uthash */
	uint64_t lost;		    /* events, as of the last drain */
	uint64_t walks, renames;
	double now, looked_at, forgot_at;
	bool unknown_told;	      /* in the log */
	bool has_default, has_memory; /* a name of that hierarchy was ever told */
};

/* ---- what is known ---- */

static struct cgroup_name *find_name(struct cgroup_names *names, uint32_t hierarchy, uint64_t id)
{
	struct cgroup_key key = {.id = id, .hierarchy = hierarchy};
	struct cgroup_name *name;

	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): no byte of it is */
	HASH_FIND(hh, names->by_key, &key, sizeof(key), name);
	return name;
}

static void let_go(struct cgroup_names *names, struct cgroup_name *name)
{
	if (!name->group)
		return;
	if (!name->removed_at)
		group__add_member(name->group, -1);
	groups__put(names->groups, name->group);
	name->group = NULL;
}

static void free_name(struct cgroup_names *names, struct cgroup_name *name)
{
	let_go(names, name);
	HASH_DEL(names->by_key, name);
	free(name->path);
	free(name);
}

static void remove_name(struct cgroup_names *names, struct cgroup_name *name)
{
	if (name->removed_at)
		return;
	if (name->group)
		group__add_member(name->group, -1);
	name->removed_at = names->now;
}

static void restore_name(struct cgroup_name *name)
{
	if (name->removed_at && name->group)
		group__add_member(name->group, 1);
	name->removed_at = 0;
}

static int set_name(struct cgroup_names *names, uint32_t hierarchy, uint64_t id, const char *path)
{
	struct cgroup_key key = {.id = id, .hierarchy = hierarchy};
	struct cgroup_name *name = find_name(names, hierarchy, id);
	char *copy;

	*(hierarchy ? &names->has_memory : &names->has_default) = true;
	if (name && !strcmp(name->path, path)) {
		name->walked = names->walks;
		restore_name(name); /* a walk had missed it */
		return 0;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	if (name) {
		let_go(names, name);
		free(name->path);
		names->renames++;
	} else {
		name = calloc(1, sizeof(*name));
		if (!name) {
			free(copy);
			return -ENOMEM;
		}
		name->key = key;
		HASH_ADD(hh, names->by_key, key, sizeof(name->key), name);
	}
	name->path = copy;
	name->walked = names->walks;
	return 0;
}

static int found_one(void *context, uint32_t hierarchy, uint64_t id, const char *path)
{
	return set_name(context, hierarchy, id, path);
}

/* What is below a cgroup of version 1 is renamed with it. */
static void rename_below(struct cgroup_names *names, uint32_t hierarchy, const char *old,
			 const char *new)
{
	size_t length = strlen(old);
	struct cgroup_name *name, *next;
	char path[PATH_MAX];

	HASH_ITER (hh, names->by_key, name, next) {
		if (name->key.hierarchy != hierarchy || strncmp(name->path, old, length) != 0 ||
		    name->path[length] != '/')
			continue;
		if (snprintf(path, sizeof(path), "%s%s", new, name->path + length) <
		    (int)sizeof(path))
			(void)set_name(names, hierarchy, name->key.id, path);
	}
}

static int take_event(void *context, void *data, size_t size)
{
	const struct ds_cgroup_event *event = data;
	struct cgroup_names *names = context;
	struct cgroup_name *name = find_name(names, event->hierarchy, event->id);
	char *old = NULL;

	if (event->kind == DS_CGROUP_REMOVED) {
		if (name)
			remove_name(names, name);
		return 0;
	}
	if (event->kind == DS_CGROUP_RENAMED && name)
		old = strdup(name->path);
	(void)set_name(names, event->hierarchy, event->id, event->path);
	if (old)
		rename_below(names, event->hierarchy, old, event->path);
	free(old);
	return 0;
}

/* ---- walks ---- */

/* What it does not see is not there any more. */
static void walk(struct cgroup_names *names)
{
	struct cgroup_name *name, *next;
	int err;

	names->walks++;
	names->looked_at = names->now;
	err = cgroup_tree__walk(names->procfs, found_one, names);
	if (err) {
		if (!names->unknown_told)
			log_warn("cgroups that are older than the agent have no name here",
				 "reason=\"no hierarchy is mounted with the host's root in it\"");
		names->unknown_told = true;
		return;
	}
	HASH_ITER (hh, names->by_key, name, next)
		if (name->walked != names->walks)
			remove_name(names, name);
}

static uint64_t lost_events(const struct kernel_tables *tables)
{
	uint64_t lost = 0;

	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++) {
		const volatile struct ds_sensor_stats *row =
			&tables->sensor_stats[DS_SENSOR_PROCESS * tables->cpus + cpu];

		lost += row->lost[DS_LOST_EVENTS_FULL] + row->lost[DS_LOST_TRUNCATED];
	}
	return lost;
}

static void forget_removed(struct cgroup_names *names)
{
	struct cgroup_name *name, *next;

	names->forgot_at = names->now;
	HASH_ITER (hh, names->by_key, name, next)
		if (name->removed_at && names->now - name->removed_at > FORGET_SECONDS)
			free_name(names, name);
}

void cgroup_names__drain(struct cgroup_names *names, double now)
{
	uint64_t lost = lost_events(names->tables);

	names->now = now;
	if (!names->walks || lost != names->lost) {
		names->lost = lost;
		walk(names);
	}
	(void)ring_buffer__consume(names->ring);
	if (now - names->forgot_at > FORGET_SECONDS / 4.0)
		forget_removed(names);
}

bool cgroup_names__look(struct cgroup_names *names, double now)
{
	size_t before = HASH_COUNT(names->by_key);

	if (now - names->looked_at < LOOK_SECONDS)
		return false;
	names->now = now;
	walk(names);
	(void)ring_buffer__consume(names->ring);
	return HASH_COUNT(names->by_key) != before;
}

/* ---- questions ---- */

static struct cgroup_name *choose(struct cgroup_names *names, const struct cgroup_ids *ids)
{
	struct cgroup_name *name = find_name(names, 0, ids->id), *memory;

	/* A hierarchy that is mounted nowhere has no names. */
	if (!ids->memory_hierarchy || !names->has_memory)
		return name;
	memory = find_name(names, ids->memory_hierarchy, ids->memory_id);
	if (!names->has_default || !name || !memory)
		return names->has_default ? NULL : memory;
	return cgroup__choose(name->path, memory->path) == name->path ? name : memory;
}

struct group *cgroup_names__group(struct cgroup_names *names, const struct cgroup_ids *ids)
{
	struct cgroup_name *name = choose(names, ids);

	if (!name)
		return NULL;
	if (!name->group) {
		name->group = groups__get(names->groups, name->path);
		if (!name->group)
			return NULL;
		if (!name->removed_at)
			group__add_member(name->group, 1);
	}
	return groups__get(names->groups, name->path);
}

uint64_t cgroup_names__renames(const struct cgroup_names *names)
{
	return names->renames;
}

/* ---- life ---- */

int cgroup_names__new(const char *procfs, const struct kernel_tables *tables, struct groups *groups,
		      struct cgroup_names **out)
{
	struct cgroup_names *names = calloc(1, sizeof(*names));

	*out = NULL;
	if (!names)
		return -ENOMEM;
	names->procfs = procfs;
	names->tables = tables;
	names->groups = groups;
	names->ring = ring_buffer__new(tables->cgroup_events_fd, take_event, names, NULL);
	if (!names->ring) {
		free(names);
		return -errno;
	}
	*out = names;
	return 0;
}

void cgroup_names__free(struct cgroup_names *names)
{
	struct cgroup_name *name, *next;

	if (!names)
		return;
	HASH_ITER (hh, names->by_key, name, next)
		free_name(names, name);
	ring_buffer__free(names->ring);
	free(names);
}
