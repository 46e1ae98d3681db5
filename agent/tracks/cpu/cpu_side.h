/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process's own CPUs wrote since the last epoch, page by page, from outside of it. One table
 * of backends, best first; the first one that can be had is taken.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_CPU_SIDE_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_CPU_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "agent/kernel/kernel_side.h"
#include "agent/tracks/base/not_covered.h"
#include "agent/tracks/base/page_map.h"
#include "agent/tracks/cpu/backend_cost.h"
#include "agent/tracks/cpu/page_table.h"
#include "agent/tracks/cpu/scope.h"
#include "agent/tracks/shared/maps.h"

/* What is known of a mapping from one epoch to the next. */
enum range_state {
	RANGE_NEW,
	RANGE_HELD, /* its writes are noted */
	RANGE_LEFT, /* they are not */
};

struct range {
	uint64_t start, end, inode, offset;
	enum range_state state;
	bool hugetlb;
};

struct cpu_side {
	const struct cpu_backend *backend;
	const char *procfs;
	uint32_t process;		    /* its number */
	uint32_t tgid;			    /* whose directory has its memory: procfs__reader() */
	uint64_t start_ticks;		    /* of the process, as in its stat; 0: not known */
	struct page_table *pagemap;	    /* borrowed */
	struct track_work *work;	    /* of the call that runs; borrowed, may be NULL */
	const struct backend_costs *costs;  /* for the start; NULL: not known */
	const struct kernel_tables *tables; /* who counts faults is told; borrowed, may be NULL */
	bool is_told;			    /* that its memory is protected */
	const char *no_faults; /* why no sensor counts its faults, for the start; NULL: one does */
	int uffd;	       /* -1: none */
	uint64_t stopped_ns; /* that the target stood still for the start; of an epoch: the last */
	struct map_region *regions; /* of this epoch, by address */
	size_t region_count, region_room;
	struct range *ranges, *ranges_before; /* of the regions; of those of the last epoch */
	size_t range_room, range_before_count, range_before_room;
	/*
	 * Pages that had something in them when they were looked at, for backends that cannot tell
	 * an empty page from a written one. NULL: none of these.
	 */
	struct page_map *known;
	/*
	 * Pages that were there at the end of the last epoch, of private mappings only those that
	 * are the process's own; for backends whose kernel tells nothing of one that is emptied.
	 * NULL: none of these.
	 */
	struct page_map *held_pages;
	uint64_t zero_pfn;	   /* 0: not known */
	uint64_t page_table_bytes; /* of the target's, that protecting its memory made */
	uint64_t shared_bytes;	   /* of address space that was protected unpopulated */
	unsigned own_userfaults;   /* of the target's own, at the start */
	bool careful;		   /* somebody else's userfaultfd holds, or may hold, some of it */
	bool given_way;		   /* all was let go, since the target wants to use userfaultfd */
	struct scope scope;	   /* regions: only what is wanted */
	struct not_covered *not_covered;
	size_t not_covered_count, not_covered_room;
	/*
	 * Entries of the page table that a backend read, of pages that were new to it. May be NULL.
	 */
	int (*seen)(void *context, uint64_t address, const uint64_t *entries, size_t count);
	void *seen_context;
	char reason[256]; /* why no better backend was taken; "" for the best */
};

struct cpu_backend {
	const char *name;
	bool lower_bound; /* it counts what it can, and finds no pages */
	/* 0, or a negative errno with why. From here on writes are noted. */
	int (*start)(struct cpu_side *side, struct reason *why);
	/* Adds what was written since the last call, and begins anew, without a gap. */
	int (*epoch)(struct cpu_side *side, struct page_map *written);
	void (*end)(struct cpu_side *side);
};

extern const struct cpu_backend cpu_wp_async, cpu_soft_dirty, cpu_faults;
/* NULL-terminated, best first. */
extern const struct cpu_backend *const cpu_backends[];

/*
 * Starts the best backend that works (or the one of that name; NULL: any). -ESRCH when it is gone,
 * -EPERM, -EOPNOTSUPP when the named one does not work; side->reason says why.
 */
int cpu_side__start(struct cpu_side *side, const char *name);
void cpu_side__end(struct cpu_side *side);

/* For the backends. */
/*
 * Before anything is protected: from here on faults that this causes are not counted as the
 * target's own. how: DS_PROTECTED_*.
 */
void cpu_side__will_protect(struct cpu_side *side, uint32_t how);
int cpu_side__read_regions(struct cpu_side *side);
/* Has nobody written that page, although it is there? A file's as it is, or the zero page. */
bool cpu_side__is_only_read(const struct cpu_side *side, uint64_t entry);
/*
 * For a mapping that is new: what it shows of a file was not at that address before, and no page
 * table tells it. Adds the places of the file's data; nothing of a private mapping that cannot be
 * written, whose content anybody has who has the file. -ENOMEM, or 0.
 */
int cpu_side__take_file(const struct cpu_side *side, const struct map_region *region,
			struct page_map *written);
/* -ENOMEM, or 0. Neighbours of the same reason become one. */
int cpu_side__leave_out(struct cpu_side *side, const struct map_region *region, const char *reason);

#endif
