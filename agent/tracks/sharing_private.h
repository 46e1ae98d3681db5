/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of struct sharing, for its own files alone: sharing.c has the track's own processes
 * and the epoch, mappers.c the other processes that map the same, and spans.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_SHARING_PRIVATE_H
#define DIRTYSCOPE_AGENT_TRACKS_SHARING_PRIVATE_H

#include "agent/tracks/shared/objects.h"
#include "agent/tracks/tracks_private.h"

/* A mapping of an object, when it was last looked at. Pages, but for the offset's. */
struct span {
	struct object_key key;
	uint64_t page, pages, offset;
	bool shared;
	char name[64];
};

struct mapper {
	struct shared_target *shared; /* NULL: it cannot be followed */
	uint32_t pid;
	struct page_map *map; /* subscribed */
	struct span *spans;
	size_t span_count;
	bool seen; /* by the last search */
	struct mapper *next;
};

struct sharing {
	struct objects *objects;
	struct mapper *mappers;
	size_t count;
	struct span *gone; /* of members that ended since the last epoch */
	size_t gone_count;
};

/* mappers.c. All: -ENOMEM, or 0, unless said. */
int spans__add(struct span **spans, size_t *count, const struct map_region *region);
/* All of what is in `old` and no longer in `spans`: nobody can tell what was written through it. */
int sharing__take_lost(struct sharing *sharing, const struct span *old, size_t old_count,
		       const struct span *spans, size_t count);
/* What was written through mappings, by the objects' offsets. Under the target's lock. */
int sharing__take_written(struct sharing *sharing, const struct span *spans, size_t count,
			  const struct page_map *map);
/* Finds who maps the members' objects for writing; later: not at the track's start. */
int sharing__search(struct tracks *tracks, struct track *track, bool later);
/* Their mappings as of their last epoch, and what was written through them. */
int sharing__meet_mapper(struct sharing *sharing, struct mapper *mapper);
int sharing__run_mappers(struct tracks *tracks, struct track *track);
void sharing__drop_mapper(struct tracks *tracks, struct sharing *sharing, struct mapper *mapper);

#endif
