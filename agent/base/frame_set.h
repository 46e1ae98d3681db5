/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of page frames of the host, wherever its memory lies: a bitmap that takes memory where it
 * is used. One thread adds at a time; others may drain it meanwhile.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_FRAME_SET_H
#define DIRTYSCOPE_AGENT_BASE_FRAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_SET_REGION_SHIFT 24 /* frames: 64 GiB */
#define FRAME_SET_REGIONS 4096	  /* 256 TiB; no memory lies beyond that */
#define FRAME_SET_FRAMES ((uint64_t)FRAME_SET_REGIONS << FRAME_SET_REGION_SHIFT)

struct frame_region; /* words, and which of them to look at */

struct frame_set {
	struct frame_region **regions; /* NULL: nothing was added yet. All zero is an empty set. */
	uint64_t bytes;		       /* of memory, at most; atomic */
};

void frame_set__free(struct frame_set *set);
/* Bits of the 64 frames from first_pfn on, a multiple of 64, below FRAME_SET_FRAMES. -ENOMEM, 0. */
int frame_set__add(struct frame_set *set, uint64_t first_pfn, uint64_t bits);
/* Those of the 64 frames that are in it. */
uint64_t frame_set__bits(const struct frame_set *set, uint64_t first_pfn);
bool frame_set__has(const struct frame_set *set, uint64_t pfn);

typedef int (*frame_set__each)(void *context, uint64_t first_pfn, uint64_t bits);
/* Takes all that is in it. What `each` returned, or 0; nonzero ends it, and the rest stays. */
int frame_set__drain(struct frame_set *set, frame_set__each each, void *context);

#endif
