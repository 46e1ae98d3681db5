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

struct roster *roster__new(enum target_kind kind)
{
	struct roster *roster = calloc(1, sizeof(*roster));

	if (roster) {
		roster->kind = &target_kinds[kind];
		roster->id = kind;
	}
	return roster;
}

static void free_column(struct roster_column *column)
{
	free(column->values);
	free(column->rings);
	free(column);
}

void roster__free(struct roster *roster)
{
	if (!roster)
		return;
	while (roster->columns) {
		struct roster_column *column = roster->columns;

		roster->columns = column->next;
		free_column(column);
	}
	for (size_t i = 0; i < roster->count; i++) {
		free((char *)roster->slots[i].key.name);
		free(roster->slots[i].follow);
	}
	free(roster->slots);
	free(roster->changed);
	free(roster->index);
	free(roster);
}

/* ---- columns ---- */

static bool resize_column(struct roster_column *column, size_t before, size_t capacity)
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

struct roster_column *roster__column(struct roster *roster, const struct field *field, bool is_rate,
				     double over)
{
	struct roster_column *column;

	for (column = roster->columns; column; column = column->next)
		if (column->field == field && column->is_rate == is_rate && column->over == over) {
			column->wanted = true;
			return column;
		}
	column = calloc(1, sizeof(*column));
	if (!column)
		return NULL;
	*column = (struct roster_column){
		.field = field, .is_rate = is_rate, .over = over, .wanted = true};
	if (roster->capacity && !resize_column(column, 0, roster->capacity)) {
		free_column(column);
		return NULL;
	}
	column->next = roster->columns;
	roster->columns = column;
	return column;
}

void roster__unwant(struct roster *roster)
{
	for (struct roster_column *column = roster->columns; column; column = column->next)
		column->wanted = false;
}

void roster__sweep_columns(struct roster *roster)
{
	struct roster_column **at = &roster->columns;

	while (*at) {
		struct roster_column *column = *at;

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
		/* One that is followed by another old enough is no longer wanted. */
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

static void fill_column(struct roster *roster, struct roster_column *column, double now)
{
	for (size_t i = 0; i < roster->count; i++) {
		double value = NAN;

		if (roster->slots[i].item) {
			struct target_view view = roster__view(roster, i);

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
static uint32_t *place_of(const struct roster *roster, const struct target_key *key)
{
	size_t at = hash_of(key) & (roster->index_size - 1);

	while (roster->index[at] &&
	       !target_key__equals(&roster->slots[roster->index[at] - 1].key, key))
		at = (at + 1) & (roster->index_size - 1);
	return &roster->index[at];
}

static int rebuild_index(struct roster *roster, size_t room)
{
	size_t size = 64;

	while (size < 2 * room)
		size *= 2;
	if (size != roster->index_size) {
		uint32_t *index = calloc(size, sizeof(*index));

		if (!index)
			return -ENOMEM;
		free(roster->index);
		roster->index = index;
		roster->index_size = size;
	} else {
		memset(roster->index, 0, size * sizeof(*roster->index));
	}
	for (size_t i = 0; i < roster->count; i++)
		if (roster->slots[i].used)
			*place_of(roster, &roster->slots[i].key) = (uint32_t)i + 1;
	return 0;
}

static int grow(struct roster *roster)
{
	size_t capacity = roster->capacity ? 2 * roster->capacity : 64;
	struct roster_slot *slots = reallocarray(roster->slots, capacity, sizeof(*slots));
	uint32_t *changed;

	if (!slots)
		return -ENOMEM;
	roster->slots = slots;
	changed = reallocarray(roster->changed, capacity, sizeof(*changed));
	if (!changed)
		return -ENOMEM;
	roster->changed = changed;
	for (struct roster_column *column = roster->columns; column; column = column->next)
		if (!resize_column(column, roster->capacity, capacity))
			return -ENOMEM;
	/* Without room in the index, a search in it would not end. */
	if (rebuild_index(roster, capacity))
		return -ENOMEM;
	roster->capacity = capacity;
	return 0;
}

/* A free slot, or a new one; -ENOMEM. *from: where to look first, since none before it is free. */
static long take_slot(struct roster *roster, const struct target_key *key, size_t *from)
{
	struct roster_slot *slot;
	char *name = strdup(key->name);
	size_t i = *from;

	while (i < roster->count && roster->slots[i].used)
		i++;
	*from = i;
	if (!name || (i == roster->capacity && grow(roster))) {
		free(name);
		return -ENOMEM;
	}
	if (i == roster->count)
		roster->count++;
	slot = &roster->slots[i];
	*slot = (struct roster_slot){.key = *key, .used = true};
	slot->key.name = name;
	*place_of(roster, key) = (uint32_t)i + 1;
	for (struct roster_column *column = roster->columns; column; column = column->next)
		if (column->is_rate)
			column->rings[i].count = 0;
	return (long)i;
}

static void drop_gone(struct roster *roster)
{
	bool dropped = false;

	for (size_t i = 0; i < roster->count; i++) {
		struct roster_slot *slot = &roster->slots[i];

		if (!slot->used || slot->generation == roster->generation)
			continue;
		if (slot->item)
			roster->changed[roster->changed_count++] = (uint32_t)i;
		slot->item = NULL;
		if (slot->users)
			continue;
		free((char *)slot->key.name);
		free(slot->follow);
		*slot = (struct roster_slot){.key = {.name = NULL}};
		dropped = true;
	}
	while (roster->count && !roster->slots[roster->count - 1].used)
		roster->count--;
	if (dropped)
		(void)rebuild_index(roster,
				    roster->capacity); /* its size stays: no memory needed */
}

static void note_follow(struct roster_slot *slot, enum target_kind kind, struct follows *follows)
{
	struct follow_facts facts;

	if (!follows || !follows__facts(follows, kind, &slot->key, &facts)) {
		free(slot->follow);
		slot->follow = NULL;
		return;
	}
	if (!slot->follow)
		slot->follow = malloc(sizeof(facts));
	if (slot->follow)
		*slot->follow = facts;
}

static int find_targets(struct roster *roster, const struct snapshot *snapshot)
{
	size_t count, from = 0;
	const char *item = roster->kind->items(snapshot, &count);
	int err = 0;

	if (!roster->index_size && grow(roster))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++, item += roster->kind->item_size) {
		struct target_key key;
		struct roster_slot *slot;
		uint64_t facts;
		long at;

		if (!roster->kind->present(item))
			continue;
		key = roster->kind->key(item);
		at = (long)*place_of(roster, &key) - 1;
		if (at < 0)
			at = take_slot(roster, &key, &from);
		if (at < 0) {
			err = -ENOMEM;
			continue;
		}
		slot = &roster->slots[at];
		if (slot->generation == roster->generation)
			continue; /* a second one of the same name: the first counts */
		facts = roster->kind->facts(item);
		if (slot->facts != facts || !slot->item)
			roster->changed[roster->changed_count++] = (uint32_t)at;
		slot->facts = facts;
		slot->item = item;
		slot->generation = roster->generation;
		roster->present++;
	}
	return err;
}

int roster__update(struct roster *roster, const struct snapshot *snapshot, struct follows *follows,
		   double now)
{
	const bool followed = roster->kind->followed && follows && follows__count(follows);
	int err;

	roster->snapshot = snapshot;
	roster->generation++;
	roster->changed_count = roster->present = 0;
	err = find_targets(roster, snapshot);
	drop_gone(roster);
	for (size_t i = 0; i < roster->count; i++)
		if (roster->slots[i].used && (followed || roster->slots[i].follow))
			note_follow(&roster->slots[i], roster->id, followed ? follows : NULL);
	for (struct roster_column *column = roster->columns; column; column = column->next)
		fill_column(roster, column, now);
	return err;
}

struct target_view roster__view(const struct roster *roster, size_t slot)
{
	return (struct target_view){
		.item = roster->slots[slot].item,
		.snapshot = roster->snapshot,
		.follow = roster->slots[slot].follow,
	};
}

void roster__hold(struct roster *roster, size_t slot)
{
	roster->slots[slot].users++;
}

void roster__release(struct roster *roster, size_t slot)
{
	roster->slots[slot].users--;
}
