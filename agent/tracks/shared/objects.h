/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files, memfds and shared anonymous memory that a track's processes map: what changed in which
 * epoch, beside what anybody stored through a mapping that is followed.
 *
 * Two witnesses. inotify tells of write(2) and its kin (vfs_write(), fs/read_write.c), but
 * since 6.14 not for memfds, whose files are FMODE_NONOTIFY (alloc_file_pseudo(), fs/file_table.c).
 * The time of modification moves with write(2), and with the first store through any mapping
 * (fault_dirty_shared_page(), mm/memory.c): where it stands still, nobody new wrote.
 *
 * Not for several threads; tracks.c has the lock.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_SHARED_OBJECTS_H
#define DIRTYSCOPE_AGENT_TRACKS_SHARED_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "agent/tracks/base/page_map.h"
#include "agent/tracks/shared/maps.h"

struct objects;

struct object {
	struct object_key key;
	struct page_map *pages; /* written in this epoch, by offset: page 0 is its first */
	unsigned regions;	/* of the track's processes, in this epoch */
	bool changed;		/* its time moved, or may have, or cannot be told */
	bool moved;		/* its time moved, or cannot be told */
	bool modified;		/* write(2), in this epoch */
	bool silent;		/* inotify does not tell of it */
	bool told;		/* pages of it are told in this epoch */
	bool guest;		/* the memory of a guest that a process of the track runs */
	bool held;		/* somebody who was looked at has it open for writing */
};

/* NULL when memory is short. */
struct objects *objects__new(void);
void objects__free(struct objects *objects);

/* A new epoch: nothing is met, changed or told. */
void objects__begin(struct objects *objects);
/*
 * A process's region. *object: what it maps, until objects__end; NULL when nobody else can write
 * that. -ENOMEM, or 0.
 */
int objects__meet(struct objects *objects, const char *procfs, uint32_t tgid,
		  const struct map_region *region, struct object **object);
/*
 * Looks whether a process has an object open for writing that is a guest's memory and of which
 * inotify does not tell: object->held.
 */
void objects__look_at_descriptors(struct objects *objects, const char *procfs, uint32_t tgid);
/*
 * Hears of write(2), and forgets what was not met in this epoch. True: something changed, or may
 * have, as memory of hugetlb, whose time of modification stands still.
 */
bool objects__end(struct objects *objects);
/* NULL: no process of the track maps it. */
struct object *objects__find(const struct objects *objects, const struct object_key *key);

#endif
