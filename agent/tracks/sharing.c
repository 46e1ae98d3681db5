/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a track's processes share is written through other mappings, too: their own second
 * ones, and other processes'. Those are found, followed for this memory alone, and what they wrote
 * is folded in through the offset into the shared object.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/sharing_private.h"

static const char written[] = "write(2), or a call like it, put something there in this epoch";
static const char unfollowed[] = "a process that maps it for writing cannot be followed";
static const char unexplained[] = "it changed in this epoch, and nobody who is followed wrote it";
static const char open_elsewhere[] =
	"a process that does not map it has it open for writing, and its write(2) is not told";
static const char memfd[] =
	"it changed in this epoch; what write(2) put there is not told from stores";

/* ---- the track's own processes ---- */

static int meet_member(struct tracks *tracks, struct sharing *sharing, struct member *member)
{
	struct span *old = member->spans;
	const struct map_region *regions;
	size_t old_count = member->span_count, count;
	int err = 0;

	member->spans = NULL;
	member->span_count = 0;
	target__lock(member->shared->target);
	regions = target__regions(member->shared->target, &count);
	for (size_t i = 0; i < count && !err; i++) {
		struct object *object;

		err = objects__meet(sharing->objects, tracks->config->procfs,
				    target__reader(member->shared->target), &regions[i], &object);
		if (!err && object)
			object->guest |=
				address_ranges__bytes(target__guest(member->shared->target),
						      regions[i].start, regions[i].end) > 0;
		if (!err && object)
			err = spans__add(&member->spans, &member->span_count, &regions[i]);
	}
	target__unlock(member->shared->target);
	if (!err)
		err = sharing__take_lost(sharing, old, old_count, member->spans,
					 member->span_count);
	free(old);
	return err;
}

static int take_member(struct sharing *sharing, const struct member *member)
{
	int err;

	target__lock(member->shared->target);
	err = sharing__take_written(sharing, member->spans, member->span_count,
				    owed_pages__fresh(member->owed));
	target__unlock(member->shared->target);
	return err;
}

static int give_member(struct sharing *sharing, struct member *member)
{
	int err = 0;

	target__lock(member->shared->target);
	for (size_t i = 0; i < member->span_count && !err; i++) {
		const struct span *span = &member->spans[i];
		const struct object *object = objects__find(sharing->objects, &span->key);

		if (object && !page_map__is_empty(object->pages))
			err = page_map__copy(owed_pages__fresh(member->owed), span->page,
					     object->pages, span->offset, span->pages);
	}
	target__unlock(member->shared->target);
	return err;
}

/* ---- what cannot be told ---- */

static bool is_unfollowed(const struct sharing *sharing, const struct object_key *key)
{
	for (const struct mapper *mapper = sharing->mappers; mapper; mapper = mapper->next)
		for (size_t i = 0; !mapper->shared && i < mapper->span_count; i++)
			if (memcmp(&mapper->spans[i].key, key, sizeof(*key)) == 0)
				return true;
	return false;
}

/*
 * NULL: all that was written to it is told. The time of a guest's memory moves with the stores of
 * each epoch, and a hypervisor does not write(2) to it: only where nobody stored, it is odd.
 */
static const char *doubt(const struct sharing *sharing, const struct object *object)
{
	if (is_unfollowed(sharing, &object->key))
		return unfollowed;
	if (object->modified)
		return written;
	if (object->changed && object->silent && !object->guest)
		return memfd;
	if (object->changed && object->held)
		return open_elsewhere;
	return object->moved && !object->told ? unexplained : NULL;
}

static int list_doubts(struct sharing *sharing, struct member *member)
{
	member->uncovered_count = 0;
	for (size_t i = 0; i < member->span_count; i++) {
		const struct span *span = &member->spans[i];
		const struct object *object = objects__find(sharing->objects, &span->key);
		const char *reason = object ? doubt(sharing, object) : NULL;
		struct not_covered *row;

		if (!reason)
			continue;
		if (member->uncovered_count == member->uncovered_room) {
			size_t room = member->uncovered_room ? member->uncovered_room * 2 : 8;

			row = reallocarray(member->uncovered, room, sizeof(*row));
			if (!row)
				return -ENOMEM;
			member->uncovered = row;
			member->uncovered_room = room;
		}
		row = &member->uncovered[member->uncovered_count++];
		*row = (struct not_covered){.kind = reason == unfollowed ? NOT_COVERED_MAPPER
									 : NOT_COVERED_MAPPING,
					    .start = span->page * PAGE_BYTES,
					    .pages = span->pages,
					    .reason = reason};
		memcpy(row->name, span->name, sizeof(row->name));
	}
	return 0;
}

/* ---- an epoch ---- */

static int meet_members(struct tracks *tracks, struct track *track)
{
	int err = 0;

	objects__begin(track->sharing->objects);
	for (struct member *member = track->members; member && !err; member = member->next)
		err = meet_member(tracks, track->sharing, member);
	if (!err)
		err = sharing__take_lost(track->sharing, track->sharing->gone,
					 track->sharing->gone_count, NULL, 0);
	track->sharing->gone_count = 0;
	return err;
}

int sharing__begin(struct tracks *tracks, struct track *track)
{
	int err;

	track->sharing = calloc(1, sizeof(*track->sharing));
	if (!track->sharing)
		return -ENOMEM;
	track->sharing->objects = objects__new();
	if (!track->sharing->objects)
		return -ENOMEM;
	err = meet_members(tracks, track);
	objects__end(track->sharing->objects);
	if (!err)
		err = sharing__search(tracks, track, false);
	/* What they map is known from here on. */
	for (struct mapper *mapper = track->sharing->mappers; mapper && !err; mapper = mapper->next)
		if (mapper->shared)
			err = sharing__meet_mapper(track->sharing, mapper);
	return err;
}

static void note_told(struct sharing *sharing, const struct member *member)
{
	for (size_t i = 0; i < member->span_count; i++) {
		struct object *object = objects__find(sharing->objects, &member->spans[i].key);

		if (object)
			object->told = !page_map__is_empty(object->pages);
	}
}

int sharing__epoch(struct tracks *tracks, struct track *track)
{
	struct sharing *sharing = track->sharing;
	struct member *member;
	int err = meet_members(tracks, track);

	/* Nobody wrote through a mapping that is new, where no object's time has moved. */
	if (objects__end(sharing->objects) && !err)
		err = sharing__search(tracks, track, true);
	if (!err)
		err = sharing__run_mappers(tracks, track);
	for (member = track->members; member && !err; member = member->next)
		err = take_member(sharing, member);
	for (member = track->members; member && !err; member = member->next) {
		note_told(sharing, member);
		err = give_member(sharing, member);
		if (!err)
			err = list_doubts(sharing, member);
	}
	return err;
}

int sharing__member_gone(struct track *track, const struct member *member)
{
	struct sharing *sharing = track->sharing;
	struct span *more;

	if (!sharing || !member->span_count)
		return 0;
	more = reallocarray(sharing->gone, sharing->gone_count + member->span_count, sizeof(*more));
	if (!more)
		return -ENOMEM;
	sharing->gone = more;
	memcpy(more + sharing->gone_count, member->spans, member->span_count * sizeof(*more));
	sharing->gone_count += member->span_count;
	return 0;
}

void sharing__free(struct tracks *tracks, struct track *track)
{
	if (!track->sharing)
		return;
	while (track->sharing->mappers)
		sharing__drop_mapper(tracks, track->sharing, track->sharing->mappers);
	objects__free(track->sharing->objects);
	free(track->sharing->gone);
	free(track->sharing);
	track->sharing = NULL;
}

void sharing__list(const struct track *track, struct track_info *info)
{
	const struct mapper *mapper = track->sharing ? track->sharing->mappers : NULL;
	const size_t room = sizeof(info->sharers) / sizeof(info->sharers[0]);

	for (; mapper; mapper = mapper->next) {
		if (info->sharer_count == room) {
			info->sharer_more++;
			continue;
		}
		info->sharers[info->sharer_count].pid = mapper->pid;
		info->sharers[info->sharer_count++].followed = mapper->shared;
	}
}
