/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one consumer is owed: the pages of each epoch until it acknowledges them, and how fast and
 * how widely its target writes. Not for several threads at once; tracks.c has the lock.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_OWED_PAGES_H
#define DIRTYSCOPE_AGENT_TRACKS_OWED_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/tracks/base/page_map.h"

#define TRACK_EPOCHS 60	    /* that the working set looks back */
#define TRACK_OWED_EPOCHS 8 /* kept apart; older ones are acknowledged only together */

/* Pages of one process, or of a device's memory, on their way to the consumer. */
struct owed_pages;
struct owed_pages *owed_pages__new(void);
void owed_pages__free(struct owed_pages *owed);
/* Where an epoch's findings go; emptied by owed_pages__deliver. */
struct page_map *owed_pages__fresh(struct owed_pages *owed);
/*
 * Closes an epoch: what is fresh becomes owed under that cursor (higher than any before).
 * epoch: its counts; *all: everything owed, to be walked until the next call. -ENOMEM: nothing
 * has changed.
 */
int owed_pages__deliver(struct owed_pages *owed, uint64_t cursor, enum ds_evidence evidence,
			struct page_counts *epoch, struct page_map **all);
/* Everything owed, without closing an epoch. */
int owed_pages__all(struct owed_pages *owed, struct page_map **all);
/* Forgets what was delivered up to that cursor and not written since. */
void owed_pages__acknowledge(struct owed_pages *owed, uint64_t cursor);
uint64_t owed_pages__bytes(const struct owed_pages *owed);
/* Distinct pages, of those from first to end - 1, that the last n epochs wrote: sets[n - 1]. */
void owed_pages__working_set(const struct owed_pages *owed, uint64_t first, uint64_t end,
			     uint64_t sets[TRACK_EPOCHS]);
/*
 * Calls `each` for the runs, of the pages from first to end - 1, that none of the last n epochs
 * wrote; nonzero ends it and is returned.
 */
int owed_pages__unwritten(const struct owed_pages *owed, uint64_t first, uint64_t end, uint32_t n,
			  int (*each)(void *context, uint64_t page, uint64_t pages), void *context);

#endif
