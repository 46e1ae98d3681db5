/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/target_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RING 9 /* points of a rate over a longer time: eight steps */

struct rate_ring {
	double values[RING], times[RING];
	unsigned first, count;
};

struct target_table *target_table__new(enum target_kind kind)
{
	struct target_table *targets = calloc(1, sizeof(*targets));

	if (targets) {
		targets->kind = &target_kinds[kind];
		targets->id = kind;
	}
	return targets;
}

static void free_column(struct target_column *column)
{
	free(column->values);
	free(column->rings);
	free(column);
}

void target_table__free(struct target_table *targets)
{
	if (!targets)
		return;
	while (targets->columns) {
		struct target_column *column = targets->columns;

		targets->columns = column->next;
		free_column(column);
	}
	for (size_t i = 0; i < targets->count; i++) {
		free((char *)targets->slots[i].key.name);
		free(targets->slots[i].policy_track);
	}
	free(targets->slots);
	free(targets->changed);
	free(targets->index);
	free(targets);
}

/* ---- columns ---- */

static bool resize_column(struct target_column *column, size_t before, size_t capacity)
{
	double *values = reallocarray(column->values, capacity, sizeof(*values));
	struct rate_ring *rings;

	if (!values)
		return false;
	column->values = values;
	for (size_t i = before; i < capacity; i++)
		values[i] = NAN;
	if (!column->is_rate)
		return true;
	rings = reallocarray(column->rings, capacity, sizeof(*rings));
	if (!rings)
		return false;
	column->rings = rings;
	memset(rings + before, 0, (capacity - before) * sizeof(*rings));
	return true;
}

struct target_column *target_table__column(struct target_table *targets, const struct field *field,
					   bool is_rate, double over)
{
	struct target_column *column;

	for (column = targets->columns; column; column = column->next)
		if (column->field == field && column->is_rate == is_rate && column->over == over) {
			column->wanted = true;
			return column;
		}
	column = calloc(1, sizeof(*column));
	if (!column)
		return NULL;
	*column = (struct target_column){
		.field = field, .is_rate = is_rate, .over = over, .wanted = true};
	if (targets->capacity && !resize_column(column, 0, targets->capacity)) {
		free_column(column);
		return NULL;
	}
	column->next = targets->columns;
	targets->columns = column;
	return column;
}

void target_table__unwant(struct target_table *targets)
{
	for (struct target_column *column = targets->columns; column; column = column->next)
		column->wanted = false;
}

void target_table__sweep_columns(struct target_table *targets)
{
	struct target_column **at = &targets->columns;

	while (*at) {
		struct target_column *column = *at;

		if (column->wanted) {
			at = &column->next;
			continue;
		}
		*at = column->next;
		free_column(column);
	}
}

static double *point(struct rate_ring *ring, unsigned index, double **time)
{
	unsigned at = (ring->first + index) % RING;

	*time = &ring->times[at];
	return &ring->values[at];
}

/* The change per second since the point before, or since `over` seconds ago; NAN: too early. */
static double rate_of(struct rate_ring *ring, double value, double over, double now)
{
	double *time, *oldest, age, rate = NAN;

	if (isnan(value)) {
		ring->count = 0;
		return NAN;
	}
	if (ring->count) {
		/* A point is dropped when the one after it is old enough as well. */
		while (ring->count > 1) {
			point(ring, 1, &time);
			if (now - *time < over)
				break;
			ring->first = (ring->first + 1) % RING;
			ring->count--;
		}
		oldest = point(ring, 0, &time);
		age = now - *time;
		if (age > 0 && age >= over)
			rate = (value - *oldest) / age;
	}
	if (ring->count)
		point(ring, ring->count - 1, &time);
	if (!ring->count || now - *time >= over / (RING - 1)) {
		if (ring->count == RING) {
			ring->first = (ring->first + 1) % RING;
			ring->count--;
		}
		oldest = point(ring, ring->count++, &time);
		*oldest = value;
		*time = now;
	}
	return rate;
}

static void fill_column(struct target_table *targets, struct target_column *column, double now)
{
	for (size_t i = 0; i < targets->count; i++) {
		double value = NAN;

		if (targets->slots[i].item) {
			struct target_view view = target_table__view(targets, i);

			value = field__number(column->field, &view);
		}
		if (column->is_rate)
			value = rate_of(&column->rings[i], value, column->over, now);
		column->values[i] = value;
	}
}

/* ---- slots ---- */

static uint64_t hash_of(const struct target_key *key)
{
	uint64_t hash = (key->first * 0x9e3779b97f4a7c15) ^ (key->second * 0xc2b2ae3d27d4eb4f);

	for (const char *at = key->name; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
	hash ^= hash >> 29;
	return hash * 0xbf58476d1ce4e5b9;
}

/* Where it is in the index, or would be. */
static uint32_t *place_of(const struct target_table *targets, const struct target_key *key)
{
	size_t at = hash_of(key) & (targets->index_size - 1);

	while (targets->index[at] &&
	       !target_key__equals(&targets->slots[targets->index[at] - 1].key, key))
		at = (at + 1) & (targets->index_size - 1);
	return &targets->index[at];
}

static int rebuild_index(struct target_table *targets, size_t room)
{
	size_t size = 64;

	while (size < 2 * room)
		size *= 2;
	if (size != targets->index_size) {
		uint32_t *index = calloc(size, sizeof(*index));

		if (!index)
			return -ENOMEM;
		free(targets->index);
		targets->index = index;
		targets->index_size = size;
	} else {
		memset(targets->index, 0, size * sizeof(*targets->index));
	}
	for (size_t i = 0; i < targets->count; i++)
		if (targets->slots[i].used)
			*place_of(targets, &targets->slots[i].key) = (uint32_t)i + 1;
	return 0;
}

static int grow(struct target_table *targets)
{
	size_t capacity = targets->capacity ? 2 * targets->capacity : 64;
	struct target_slot *slots = reallocarray(targets->slots, capacity, sizeof(*slots));
	uint32_t *changed;

	if (!slots)
		return -ENOMEM;
	targets->slots = slots;
	changed = reallocarray(targets->changed, capacity, sizeof(*changed));
	if (!changed)
		return -ENOMEM;
	targets->changed = changed;
	for (struct target_column *column = targets->columns; column; column = column->next)
		if (!resize_column(column, targets->capacity, capacity))
			return -ENOMEM;
	/* Without room in the index, a search in it would not end. */
	if (rebuild_index(targets, capacity))
		return -ENOMEM;
	targets->capacity = capacity;
	return 0;
}

/* A free slot, or a new one; -ENOMEM. *from: where to look first, since none before it is free. */
static long take_slot(struct target_table *targets, const struct target_key *key, size_t *from)
{
	struct target_slot *slot;
	char *name = strdup(key->name);
	size_t i = *from;

	while (i < targets->count && targets->slots[i].used)
		i++;
	*from = i;
	if (!name || (i == targets->capacity && grow(targets))) {
		free(name);
		return -ENOMEM;
	}
	if (i == targets->count)
		targets->count++;
	slot = &targets->slots[i];
	*slot = (struct target_slot){.key = *key, .used = true};
	slot->key.name = name;
	*place_of(targets, key) = (uint32_t)i + 1;
	for (struct target_column *column = targets->columns; column; column = column->next)
		if (column->is_rate)
			column->rings[i].count = 0;
	return (long)i;
}

static void drop_gone(struct target_table *targets)
{
	bool dropped = false;

	for (size_t i = 0; i < targets->count; i++) {
		struct target_slot *slot = &targets->slots[i];

		if (!slot->used || slot->generation == targets->generation)
			continue;
		if (slot->item)
			targets->changed[targets->changed_count++] = (uint32_t)i;
		slot->item = NULL;
		if (slot->users)
			continue;
		free((char *)slot->key.name);
		free(slot->policy_track);
		*slot = (struct target_slot){.key = {.name = NULL}};
		dropped = true;
	}
	while (targets->count && !targets->slots[targets->count - 1].used)
		targets->count--;
	if (dropped)
		(void)rebuild_index(targets,
				    targets->capacity); /* its size stays: no memory needed */
}

static void note_follow(struct target_slot *slot, enum target_kind kind,
			struct policy_tracks *policy_tracks)
{
	struct policy_track_facts facts;

	if (!policy_tracks || !policy_tracks__facts(policy_tracks, kind, &slot->key, &facts)) {
		free(slot->policy_track);
		slot->policy_track = NULL;
		return;
	}
	if (!slot->policy_track)
		slot->policy_track = malloc(sizeof(facts));
	if (slot->policy_track)
		*slot->policy_track = facts;
}

static int find_targets(struct target_table *targets, const struct snapshot *snapshot)
{
	size_t count, from = 0;
	const char *item = targets->kind->items(snapshot, &count);
	int err = 0;

	if (!targets->index_size && grow(targets))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++, item += targets->kind->item_size) {
		struct target_key key;
		struct target_slot *slot;
		uint64_t facts;
		long at;

		if (!targets->kind->present(item))
			continue;
		key = targets->kind->key(item);
		at = (long)*place_of(targets, &key) - 1;
		if (at < 0)
			at = take_slot(targets, &key, &from);
		if (at < 0) {
			err = -ENOMEM;
			continue;
		}
		slot = &targets->slots[at];
		if (slot->generation == targets->generation)
			continue; /* a second one of the same name: the first counts */
		facts = targets->kind->facts(item);
		if (slot->facts != facts || !slot->item)
			targets->changed[targets->changed_count++] = (uint32_t)at;
		slot->facts = facts;
		slot->item = item;
		slot->generation = targets->generation;
		targets->present++;
	}
	return err;
}

int target_table__update(struct target_table *targets, const struct snapshot *snapshot,
			 struct policy_tracks *policy_tracks, double now)
{
	const bool followed =
		targets->kind->followed && policy_tracks && policy_tracks__count(policy_tracks);
	int err;

	targets->snapshot = snapshot;
	targets->generation++;
	targets->changed_count = targets->present = 0;
	err = find_targets(targets, snapshot);
	drop_gone(targets);
	for (size_t i = 0; i < targets->count; i++)
		if (targets->slots[i].used && (followed || targets->slots[i].policy_track))
			note_follow(&targets->slots[i], targets->id,
				    followed ? policy_tracks : NULL);
	for (struct target_column *column = targets->columns; column; column = column->next)
		fill_column(targets, column, now);
	return err;
}

struct target_view target_table__view(const struct target_table *targets, size_t slot)
{
	return (struct target_view){
		.item = targets->slots[slot].item,
		.snapshot = targets->snapshot,
		.policy_track = targets->slots[slot].policy_track,
	};
}

void target_table__hold(struct target_table *targets, size_t slot)
{
	targets->slots[slot].users++;
}

void target_table__release(struct target_table *targets, size_t slot)
{
	targets->slots[slot].users--;
}
