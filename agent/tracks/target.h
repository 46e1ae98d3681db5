/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One process whose pages are followed, however many tracks ask for them: its CPU side, its page
 * frames, and what devices wrote into them. Each subscriber has a page map of its own, which every
 * epoch adds to. Its calls may come from any thread.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_TARGET_H
#define DIRTYSCOPE_AGENT_TRACKS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "agent/tracks/cpu/cpu_side.h"
#include "agent/tracks/device/write_feed.h"
#include "agent/tracks/residents.h"

struct target_options {
	const char *procfs;
	uint32_t tgid;
	uint64_t start_ticks;		   /* of the process, as in its stat */
	const char *backend;		   /* NULL: the best that works */
	const struct backend_costs *costs; /* as no_faults; NULL: not known */
	const char *no_faults; /* why no sensor counts faults; NULL: one does. Until it is made. */
	const struct scope_want *want; /* of its memory; until it is made */
	struct write_feed *feed;
	const struct kernel_tables *tables; /* who counts faults; NULL: nobody. Outlives it. */
	struct track_sweeps sweeps;
	struct track_work *work; /* of the call; NULL: nobody looks at it, or ends it */
};

struct target;
/*
 * 0, or a negative errno: -ESRCH, -EPERM, -EOPNOTSUPP, -ENOMEM, -ECANCELED. Why it failed is ""
 * where the number says it all.
 */
int target__new(const struct target_options *options, struct target **out, struct reason *why);
/* Write-protection and descriptors are gone when it returns. */
void target__free(struct target *target);

/* A map that gets what the epochs from now on find. -ENOMEM, or 0. The caller's, until it leaves.
 */
int target__subscribe(struct target *target, struct page_map *map);
void target__leave(struct target *target, struct page_map *map);

/*
 * Of a target that does not follow all of its memory: some more. What is new to it comes as written
 * with the next epoch. -ENOENT: it has no guest; -ESRCH, -ENOMEM, or 0.
 */
int target__widen(struct target *target, const struct scope_want *want);

/* Adds all pages that it has and may write. For a consumer that has none of them yet. */
int target__fill(struct target *target, struct page_map *map, struct track_work *work);

/*
 * Ends an epoch: what was written since the last one is in all subscribers' maps. -ESRCH: the
 * process ended or executed another program; -ECANCELED: work was ended half-way, and what was
 * found is in the maps, the rest comes with the next epoch; any other negative errno: the maps are
 * not whole from here on.
 */
int target__epoch(struct target *target, struct track_work *work);
/* False: the process has ended, or executed another program. */
bool target__is_alive(const struct target *target);
/*
 * Adds the pages that it has in memory now, of addresses from start to end - 1 that are in the
 * ranges; none of them: all. -ECANCELED, or another negative errno.
 */
int target__residents(struct target *target, const struct address_ranges *ranges, uint64_t start,
		      uint64_t end, struct track_work *work, struct residents *residents);
/* While reading or clearing a subscriber's map. */
void target__lock(struct target *target);
void target__unlock(struct target *target);

struct target_facts {
	uint32_t tgid;
	uint64_t start_ticks;
	const char *backend;
	bool lower_bound;
	bool events_lost;	    /* of devices' writes, in the last epoch */
	const char *backend_reason; /* why it is not a better one; "" */
	bool device_side; /* false: PFNs may not be read, and no device's write can be told */
	uint64_t start_stopped_ns,
		stopped_ns;	   /* that it stood still: at the start, in the last epoch */
	uint64_t bytes;		   /* of memory that all this takes, at most */
	uint64_t page_table_bytes; /* of the target's, that protecting its memory made */
	uint64_t lost_pages;	   /* of devices, for want of memory */
	uint64_t moved; /* pages that were told since their frame had changed meanwhile */
};
/* Under target__lock. */
void target__facts(const struct target *target, struct target_facts *facts);
/* Under target__lock: whose directory of procfs has its memory, as of the last epoch. */
uint32_t target__reader(const struct target *target);
/* Under target__lock: its mappings, as of the last epoch. */
const struct map_region *target__regions(const struct target *target, size_t *count);
/* Under target__lock: where its guest's memory is, where that was wanted. None: not found. */
const struct address_ranges *target__guest(const struct target *target);
/* Under target__lock: memory that devices, or the kernel for a file, may have written unseen. */
const struct not_covered *target__gaps(struct target *target, size_t *count);
/* Under target__lock: what the last epoch could not follow. */
const struct not_covered *target__not_covered(const struct target *target, size_t *count);

#endif
