/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/base/arena.h"
#include "agent/inventory/series.h"

struct group {
	char *name;
	uint32_t processes;
	struct series series;
	UT_hash_handle hh;
};

struct groups {
	struct group *by_name; /* uthash */
	struct group overflow; /* not listed: its sum is in "other" */
	struct series_pool pool;
};

struct groups *groups__new(uint32_t max_series)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (groups)
		groups->pool.limit = max_series;
	return groups;
}

void groups__free(struct groups *groups)
{
	struct group *group, *next;

	if (!groups)
		return;
	HASH_ITER (hh, groups->by_name, group, next) {
		HASH_DEL(groups->by_name, group);
		free(group->name);
		free(group);
	}
	free(groups);
}

struct group *groups__find(struct groups *groups, const char *name)
{
	struct group *group;

	HASH_FIND_STR(groups->by_name, name, group);
	if (group)
		return group;
	if (HASH_COUNT(groups->by_name) >= GROUPS_MAX)
		return &groups->overflow;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->name = strdup(name);
	if (!group->name) {
		free(group);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, groups->by_name, group->name, strlen(group->name), group);
	return group;
}

void group__add(struct group *group, enum ds_writer writer, uint64_t pages)
{
	group->series.written[writer] += pages;
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

static int groups_by_name(const void *a, const void *b)
{
	return strcmp(((const struct snapshot_group *)a)->name,
		      ((const struct snapshot_group *)b)->name);
}

int groups__publish(struct groups *groups, double seconds, struct arena *arena,
		    struct snapshot_group **list, size_t *listed, struct snapshot_rest *rest)
{
	uint64_t totals[DS_WRITERS], promoted[DS_WRITERS] = {0};
	size_t count = HASH_COUNT(groups->by_name), candidates = 0, next_row = 0;
	struct snapshot_group *rows = arena__alloc(arena, (count + 1) * sizeof(*rows));
	struct series **moved = malloc((count + 1) * sizeof(struct series *));
	struct group *group, *next;
	int err = -ENOMEM;

	if (!rows || !moved)
		goto cleanup;
	memcpy(totals, groups->overflow.series.written, sizeof(totals));
	HASH_ITER (hh, groups->by_name, group, next) {
		struct snapshot_group *row = &rows[next_row++];

		row->name = arena__strdup(arena, group->name);
		if (!row->name)
			goto cleanup;
		group->series.rate = 0;
		for (int writer = 0; writer < DS_WRITERS; writer++) {
			uint64_t delta =
				group->series.written[writer] - group->series.published[writer];

			row->rates[writer] = seconds > 0 ? delta / seconds : 0;
			group->series.rate += row->rates[writer];
			totals[writer] += group->series.written[writer];
		}
		if (group->series.rate > 0 && !group->series.promoted)
			moved[candidates++] = &group->series;
	}
	series_pool__promote(&groups->pool, moved, candidates);
	next_row = 0;
	HASH_ITER (hh, groups->by_name, group, next) { /* in the same order */
		struct snapshot_group *row = &rows[next_row++];

		row->processes = group->processes;
		row->promoted = group->series.promoted;
		memcpy(row->written, group->series.written, sizeof(row->written));
		memcpy(row->base, group->series.base, sizeof(row->base));
		for (int writer = 0; writer < DS_WRITERS && row->promoted; writer++)
			promoted[writer] += row->written[writer] - row->base[writer];
		memcpy(group->series.published, group->series.written, sizeof(row->written));
	}
	series_pool__rest(&groups->pool, totals, promoted, rest);
	qsort(rows, count, sizeof(*rows), groups_by_name);
	*list = rows;
	*listed = count;
	err = 0;
cleanup:
	free(moved);
	return err;
}
