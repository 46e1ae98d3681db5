/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/guest/guest_ram.h"

void scope__free(struct scope *scope)
{
	free(scope->objects);
	address_ranges__free(&scope->ranges);
	guest_ram__free(scope->guest);
	address_ranges__free(&scope->ram);
	free(scope->spare);
	*scope = (struct scope){0};
}

static bool has_object(const struct scope *scope, const struct object_key *key)
{
	for (size_t i = 0; i < scope->object_count; i++)
		if (memcmp(&scope->objects[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

static int add_object(struct scope *scope, const struct object_key *key)
{
	struct object_key *more;

	if (has_object(scope, key))
		return 0;
	more = reallocarray(scope->objects, scope->object_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	scope->objects = more;
	scope->objects[scope->object_count++] = *key;
	return 0;
}

bool scope_want__is_all(const struct scope_want *want)
{
	return !want->object && !want->ranges && !want->guest;
}

int scope__add(struct scope *scope, const char *procfs, uint32_t tgid,
	       const struct scope_want *want)
{
	int err = 0;

	if (scope_want__is_all(want))
		scope->partial = false;
	if (want->guest) /* also of a whole one: where it is, is asked for */
		return scope->guest ? 0 : guest_ram__new(procfs, tgid, &scope->guest);
	if (!scope->partial)
		return 0;
	if (want->object)
		return add_object(scope, want->object);
	for (size_t i = 0; i < want->ranges->count && !err; i++)
		err = address_ranges__add(&scope->ranges, want->ranges->list[i].start,
					  want->ranges->list[i].end);
	return err;
}

int scope__begin(struct scope *scope, const char *procfs, uint32_t tgid,
		 const struct scope_want *want)
{
	scope->partial = !scope_want__is_all(want);
	return scope__add(scope, procfs, tgid, want);
}

/* ---- the same memory, mapped once more ---- */

struct aliasing {
	const struct map_region *regions, *region; /* all; the one that is looked at */
	size_t count;
	struct address_ranges *wanted;
};

/* What is wanted of one mapping is wanted wherever else its object is mapped. */
static int add_aliases(void *context, uint64_t start, uint64_t end, bool inside)
{
	const struct aliasing *aliasing = context;
	const struct map_region *region = aliasing->region;
	const struct object_key key = map_region__object(region);
	const uint64_t from = region->offset + (start - region->start), to = from + (end - start);
	int err = 0;

	for (size_t i = 0; inside && i < aliasing->count && !err; i++) {
		const struct map_region *other = &aliasing->regions[i];
		const struct object_key its = map_region__object(other);
		const uint64_t last = other->offset + (other->end - other->start);
		const uint64_t low = from > other->offset ? from : other->offset;
		const uint64_t high = to < last ? to : last;

		if (other != region && low < high && memcmp(&its, &key, sizeof(key)) == 0)
			err = address_ranges__add(aliasing->wanted,
						  other->start + (low - other->offset),
						  other->start + (high - other->offset));
	}
	return err;
}

static int add_all_aliases(const struct address_ranges *asked, const struct map_region *regions,
			   size_t count, struct address_ranges *wanted)
{
	struct aliasing aliasing = {.regions = regions, .count = count, .wanted = wanted};
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		aliasing.region = &regions[i];
		if (regions[i].inode && regions[i].shared)
			err = address_ranges__cut(asked, regions[i].start, regions[i].end,
						  add_aliases, &aliasing);
	}
	return err;
}

/* ---- the selection ---- */

struct selecting {
	struct scope *scope;
	const struct map_region *region;
	bool all; /* of the region */
	size_t count;
};

static int take_part(void *context, uint64_t start, uint64_t end, bool inside)
{
	struct selecting *selecting = context;
	struct scope *scope = selecting->scope;
	struct map_region *part;

	if (!inside && !selecting->all)
		return 0;
	if (selecting->count == scope->spare_room) {
		const size_t room = scope->spare_room ? scope->spare_room * 2 : 64;
		struct map_region *more = reallocarray(scope->spare, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		scope->spare = more;
		scope->spare_room = room;
	}
	part = &scope->spare[selecting->count++];
	*part = *selecting->region;
	part->offset += start - part->start;
	part->start = start;
	part->end = end;
	return 0;
}

/* Cut where a range begins or ends, so that who wants more does not change what others have. */
static int select_parts(struct scope *scope, const struct address_ranges *wanted, bool all,
			const struct map_region *regions, size_t *count)
{
	struct selecting selecting = {.scope = scope};
	int err = 0;

	for (size_t i = 0; i < *count && !err; i++) {
		const struct object_key key = map_region__object(&regions[i]);

		selecting.region = &regions[i];
		selecting.all = all || (key.inode && has_object(scope, &key));
		err = address_ranges__cut(wanted, regions[i].start, regions[i].end, take_part,
					  &selecting);
	}
	*count = selecting.count;
	return err;
}

int scope__select(struct scope *scope, struct map_region **regions, size_t *count, size_t *room)
{
	struct address_ranges asked = {0}, wanted = {0};
	struct map_region *before = *regions;
	const size_t room_before = *room;
	int err;

	if (!scope->partial && !scope->guest && !scope->ranges.count)
		return 0;
	err = address_ranges__copy(&asked, &scope->ranges);
	if (!err && scope->guest)
		err = guest_ram__find(scope->guest, *regions, *count, &scope->ram);
	for (size_t i = 0; i < scope->ram.count && !err; i++)
		err = address_ranges__add(&asked, scope->ram.list[i].start, scope->ram.list[i].end);
	if (!err)
		err = address_ranges__copy(&wanted, &asked);
	if (!err)
		err = add_all_aliases(&asked, *regions, *count, &wanted);
	if (!err)
		err = select_parts(scope, &wanted,
				   !scope->partial || (scope->guest && !scope->ram.count), *regions,
				   count);
	address_ranges__free(&asked);
	address_ranges__free(&wanted);
	*regions = scope->spare;
	*room = scope->spare_room;
	scope->spare = before;
	scope->spare_room = room_before;
	return err;
}
