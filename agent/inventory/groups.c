/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/base/arena.h"
#include "agent/inventory/series.h"

#define ROOM_SHARE 16 /* of the rows, that leave at once where there is no room */

struct group {
	char *name;
	uint32_t references;
	uint32_t members; /* that make it exist */
	uint32_t processes;
	bool listed;	/* it has a row */
	uint64_t moved; /* the round in which it was written last */
	double gone_at; /* 0: it is there */
	struct series series;
	UT_hash_handle hh;
};

struct groups {
	struct group *by_name; /* uthash; also of those without a row, while somebody holds them */
	uint32_t max_rows, rows;
	uint64_t round; /* snapshots */
	uint64_t full;	/* the round in which each row was written, so that there is no room */
	struct series_pool pool;
	uint64_t exited[DS_WRITERS];	     /* of those that have gone */
	uint64_t previous_total[DS_WRITERS]; /* of the host */
};

struct groups *groups__new(uint32_t max_rows, const struct series_pool *limits)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (groups) {
		groups->max_rows = max_rows;
		groups->pool = *limits;
		groups->round = 1;
	}
	return groups;
}

static void free_group(struct groups *groups, struct group *group)
{
	HASH_DEL(groups->by_name, group);
	free(group->name);
	free(group);
}

void groups__free(struct groups *groups)
{
	struct group *group, *next;

	if (!groups)
		return;
	HASH_ITER (hh, groups->by_name, group, next)
		free_group(groups, group);
	free(groups);
}

struct group *groups__get(struct groups *groups, const char *name)
{
	struct group *group;

	HASH_FIND_STR(groups->by_name, name, group);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return NULL;
		group->name = strdup(name);
		if (!group->name) {
			free(group);
			return NULL;
		}
		HASH_ADD_KEYPTR(hh, groups->by_name, group->name, strlen(group->name), group);
	}
	group->references++;
	return group;
}

void groups__put(struct groups *groups, struct group *group)
{
	if (group && !--group->references && !group->listed)
		free_group(groups, group);
}

const char *group__name(const struct group *group)
{
	return group->name;
}

void group__add_member(struct group *group, int more)
{
	group->members += more;
}

void group__add_process(struct group *group)
{
	group->processes++;
}

void groups__begin(struct groups *groups)
{
	struct group *group, *next;

	HASH_ITER (hh, groups->by_name, group, next)
		group->processes = 0;
}

/* Its row ends. Nothing was written in it in this round. */
static void unlist(struct groups *groups, struct group *group)
{
	series_pool__end(&groups->pool, &group->series);
	memset(&group->series, 0, sizeof(group->series));
	group->listed = false;
	group->gone_at = 0;
	groups->rows--;
	if (!group->references)
		free_group(groups, group);
}

/*
 * Those that have not written for the longest go, what they had is left to "(other)". A few at once
 * where they are equal: names without end must not cost a look at all rows each. False: all have
 * written in this round.
 */
static bool make_room(struct groups *groups)
{
	uint32_t most = groups->max_rows / ROOM_SHARE + 1;
	uint64_t longest = groups->round;
	struct group *group, *next;

	HASH_ITER (hh, groups->by_name, group, next)
		if (group->listed && group->moved < longest)
			longest = group->moved;
	if (longest == groups->round)
		return false;
	HASH_ITER (hh, groups->by_name, group, next) {
		if (!group->listed || group->moved != longest)
			continue;
		unlist(groups, group);
		if (!--most)
			break;
	}
	return true;
}

static bool list_group(struct groups *groups, struct group *group)
{
	if (groups->rows >= groups->max_rows) {
		if (groups->full == groups->round || !make_room(groups)) {
			groups->full = groups->round;
			return false;
		}
	}
	group->listed = true;
	groups->rows++;
	return true;
}

void groups__add(struct groups *groups, struct group *group, enum ds_writer writer, uint64_t pages)
{
	if (!pages || (!group->listed && !list_group(groups, group)))
		return; /* what has no row is left to "(other)" */
	group->moved = groups->round;
	group->series.written[writer] += pages;
}

/* Those that have gone leave the list; their sums are in "(exited)" from then on. */
static void leave(struct groups *groups, double now)
{
	struct group *group, *next;

	HASH_ITER (hh, groups->by_name, group, next) {
		if (!group->listed)
			continue;
		if (group->members || group->processes || group->moved == groups->round) {
			group->gone_at = 0;
		} else if (!group->gone_at) {
			group->gone_at = now;
		} else if (now - group->gone_at >= GROUPS_GONE_SECONDS) {
			for (int writer = 0; writer < DS_WRITERS; writer++)
				groups->exited[writer] += group->series.written[writer];
			unlist(groups, group);
		}
	}
}

static int groups_by_name(const void *a, const void *b)
{
	return strcmp(((const struct snapshot_group *)a)->name,
		      ((const struct snapshot_group *)b)->name);
}

static void fill_row(struct group *group, double seconds, struct snapshot_group *row)
{
	struct series *series = &group->series;

	row->processes = group->processes;
	row->promoted = series->promoted;
	memcpy(row->written, series->written, sizeof(row->written));
	memcpy(row->base, series->base, sizeof(row->base));
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		uint64_t delta = series->written[writer] - series->published[writer];

		row->rates[writer] = seconds > 0 ? delta / seconds : 0;
	}
}

static void promote(struct groups *groups, double now, double seconds, struct series **candidates)
{
	struct group *group, *next;
	size_t count = 0;

	HASH_ITER (hh, groups->by_name, group, next) {
		if (!group->listed)
			continue;
		series__feed(&group->series, seconds);
		if (!group->series.promoted && !group->gone_at)
			candidates[count++] = &group->series;
	}
	series_pool__promote(&groups->pool, now, candidates, count);
}

/* The rows that are no group: what is not in the others. */
static void fill_rest(struct groups *groups, double seconds, const uint64_t totals[DS_WRITERS],
		      struct snapshot_group *rows, size_t count)
{
	struct snapshot_group *exited = &rows[count], *other = &rows[count + 1];

	exited->name = SNAPSHOT_EXITED;
	other->name = SNAPSHOT_OTHER;
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		double rate = seconds > 0
				      ? (totals[writer] - groups->previous_total[writer]) / seconds
				      : 0;

		exited->written[writer] = groups->exited[writer];
		other->written[writer] = totals[writer] - groups->exited[writer];
		for (size_t i = 0; i < count; i++) {
			other->written[writer] -= rows[i].written[writer];
			rate -= rows[i].rates[writer];
		}
		other->rates[writer] = rate > 0 ? rate : 0; /* a difference of sums may be -1e-12 */
		groups->previous_total[writer] = totals[writer];
	}
}

int groups__publish(struct groups *groups, double now, double seconds,
		    const uint64_t totals[DS_WRITERS], struct arena *arena,
		    struct snapshot_group **list, size_t *listed, struct snapshot_rest *rest)
{
	uint64_t promoted[DS_WRITERS] = {0};
	struct snapshot_group *rows;
	struct series **candidates;
	struct group *group, *next;
	size_t count = 0;

	leave(groups, now);
	rows = arena__alloc(arena, (groups->rows + 2) * sizeof(*rows));
	candidates = malloc((groups->rows + 1) * sizeof(struct series *));
	if (!rows || !candidates) {
		free(candidates);
		return -ENOMEM;
	}
	promote(groups, now, seconds, candidates);
	free(candidates);
	HASH_ITER (hh, groups->by_name, group, next) {
		struct snapshot_group *row = &rows[count];

		if (!group->listed)
			continue;
		row->name = arena__strdup(arena, group->name);
		if (!row->name)
			return -ENOMEM;
		fill_row(group, seconds, row);
		for (int writer = 0; writer < DS_WRITERS && row->promoted; writer++)
			promoted[writer] += row->written[writer] - row->base[writer];
		memcpy(group->series.published, group->series.written, sizeof(row->written));
		count++;
	}
	fill_rest(groups, seconds, totals, rows, count);
	series_pool__rest(&groups->pool, totals, promoted, rest);
	qsort(rows, count + 2, sizeof(*rows), groups_by_name);
	groups->round++;
	*list = rows;
	*listed = count + 2;
	return 0;
}
