/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a process has which page frames: PFN -> pages of its address space. It holds what was true
 * when it was told; who asks verifies the answer with the page table. Not for several threads.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_DEVICE_PFN_INDEX_H
#define DIRTYSCOPE_AGENT_TRACKS_DEVICE_PFN_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define PFN_INDEX_ALIASES 64 /* pages of one process on one frame that are told apart */

struct pfn_index;

/* -EPERM: this process may not see PFNs (CAP_SYS_ADMIN). */
int pfn_index__new(struct pfn_index **out);
void pfn_index__free(struct pfn_index *index);
/* At most: what was touched so far. */
uint64_t pfn_index__bytes(const struct pfn_index *index);

/*
 * -ENOMEM, or 0. The zero page is left out. A frame beyond FRAME_SET_FRAMES is
 * left out and counted: no device's set of pages reaches it.
 */
int pfn_index__set(struct pfn_index *index, uint64_t pfn, uint64_t page);
/* Pages that had such a frame, whenever they were set. */
uint64_t pfn_index__beyond(const struct pfn_index *index);
void pfn_index__remove(struct pfn_index *index, uint64_t pfn, uint64_t page);
/*
 * Up to PFN_INDEX_ALIASES pages on that frame; returns how many. -E2BIG: there are more, and all of
 * the page table has to be asked.
 */
int pfn_index__find(const struct pfn_index *index, uint64_t pfn, uint64_t pages[PFN_INDEX_ALIASES]);

#endif
