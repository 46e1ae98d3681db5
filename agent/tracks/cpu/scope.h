/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a process's memory is followed: all of it, or what those who follow it want. What one
 * wanted stays until nobody follows the process any more. Not for several threads at once.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_SCOPE_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tracks/base/address_ranges.h"
#include "agent/tracks/shared/maps.h"

/* One of them; none: all of its memory. */
struct scope_want {
	const struct object_key *object;     /* what it maps of it */
	const struct address_ranges *ranges; /* these addresses */
	bool guest; /* of a hypervisor: its guest's memory, wherever it is */
};

/* All zero: all of its memory. */
struct scope {
	bool partial; /* only what follows */
	struct object_key *objects;
	size_t object_count;
	struct address_ranges ranges;
	struct guest_ram *guest;   /* NULL: its guest's memory is not asked for */
	struct address_ranges ram; /* where that is, as of the last selection; none: not found */
	struct map_region *spare;
	size_t spare_room;
};

void scope__free(struct scope *scope);
/* The first want, and one more. -ENOENT: it has no guest; -ESRCH, -ENOMEM, or 0. */
int scope__begin(struct scope *scope, const char *procfs, uint32_t tgid,
		 const struct scope_want *want);
int scope__add(struct scope *scope, const char *procfs, uint32_t tgid,
	       const struct scope_want *want);
bool scope_want__is_all(const struct scope_want *want);
/*
 * Of all mappings of the process leaves those that are wanted, cut to it. Memory that is shared is
 * also followed where the process maps the same once more. Where a guest's memory is wanted and not
 * found, all of it is. The array is the caller's, on the heap, and becomes another one. -ENOMEM, or
 * 0.
 */
int scope__select(struct scope *scope, struct map_region **regions, size_t *count, size_t *room);

#endif
