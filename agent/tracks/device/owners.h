/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose the frames are that a device wrote: processes that had it write (its flows) and have the
 * frame in their page table now. Frames of the page cache, or of the kernel, are nobody's.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_DEVICE_OWNERS_H
#define DIRTYSCOPE_AGENT_TRACKS_DEVICE_OWNERS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/frame_set.h"
#include "agent/snapshot/snapshot.h"
#include "agent/tracks/base/page_map.h"
#include "agent/tracks/base/work.h"

struct owner {
	uint64_t pfn, address; /* of the page in the process, bytes */
	uint32_t pid;
};

struct owners {
	struct owner *rows; /* by pfn */
	size_t count, room;
	struct frame_set wanted;
};

struct owners_options {
	const char *procfs;
	struct snapshot_store *store; /* its latest snapshot has the flows */
	const char *device;	      /* id */
	struct track_work *work;      /* of the call; may be NULL */
};
/*
 * Whose are those of the map, whose pages are PFNs, as far as a tenth of a second of CPU time finds
 * them: the rest is nobody's. -ENOMEM, or 0; freed by owners__free either way.
 */
int owners__find(const struct owners_options *options, struct page_map *map, struct owners *owners);
void owners__free(struct owners *owners);
/*
 * The owner of a frame and how many of the next `pages` frames, this one included, are his, one
 * after the other. NULL: nobody's, as many frames as that.
 */
const struct owner *owners__run(const struct owners *owners, uint64_t pfn, uint64_t pages,
				uint64_t *run);

#endif
