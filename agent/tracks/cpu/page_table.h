/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process's page table, from outside: PFNs out of /proc/PID/pagemap, and PAGEMAP_SCAN, which
 * finds what was written and protects it again in one step (fs/proc/task_mmu.c, Linux 6.7).
 * Addresses are in bytes, of whole pages.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_PAGE_TABLE_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_PAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/host/pagemap_scan.h"
#include "agent/tracks/base/work.h"

#define PAGE_BYTES 4096ULL

/* An entry of the file: Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_FILE (1ULL << 61) /* of a file, or of shared memory: no copy of its own */
#define PAGEMAP_SOFT_DIRTY (1ULL << 55)
#define PAGEMAP_PFN(entry) ((entry) & ((1ULL << 55) - 1))

/*
 * Where nothing was there to be protected, the kernel notes that in a swap entry that is none: a
 * PTE marker (include/linux/swapops.h), of a type that no swap file has, with at most 3 bits in it.
 */
static inline bool page_table__has_page(uint64_t entry)
{
	enum { TYPE_BITS = 5, MOST_SWAPFILES = 23, MOST_MARKERS = 7 }; /* include/linux/swap.h */
	const uint64_t type = PAGEMAP_PFN(entry) & ((1 << TYPE_BITS) - 1);
	const uint64_t offset = PAGEMAP_PFN(entry) >> TYPE_BITS;

	return entry & PAGEMAP_PRESENT ||
	       (entry & PAGEMAP_SWAPPED && !(type >= MOST_SWAPFILES && offset <= MOST_MARKERS));
}

struct page_table;

/* -ESRCH, -EPERM, -ENOMEM. */
int page_table__open(const char *procfs, uint32_t tgid, struct page_table **out);
void page_table__close(struct page_table *pagemap);
/*
 * From here on work is told how far each call has come, in pages of the address space, and ends
 * calls with -ECANCELED, at the latest after 1 GiB more. NULL: nobody. Borrowed.
 */
void page_table__attend(struct page_table *pagemap, struct track_work *work);

/* False: the memory that it was opened for is gone; the process ended, or executed a program. */
bool page_table__is_alive(const struct page_table *pagemap);

/*
 * The frame that all memory never written shares. 0: each page has a frame of its own on this
 * kernel. -EPERM: this process may not see PFNs (CAP_SYS_ADMIN).
 */
int page_table__zero_pfn(uint64_t *zero_pfn);

/* One page's entry; 0 when there is none. */
uint64_t page_table__entry(const struct page_table *pagemap, uint64_t address);
/*
 * Calls `each` with the entries of each of the pages from start to end, in order and in batches;
 * it may read in its turn.
 * 0, what `each` returned, or a negative errno.
 */
int page_table__read(struct page_table *pagemap, uint64_t start, uint64_t end,
		     int (*each)(void *context, uint64_t address, const uint64_t *entries,
				 size_t count),
		     void *context);

/*
 * The same for pages that are present or swapped alone, where the kernel can tell (6.7): the time
 * it takes follows what is there, not the address space. It may hold others, too.
 */
int page_table__read_present(struct page_table *pagemap, uint64_t start, uint64_t end,
			     int (*each)(void *context, uint64_t address, const uint64_t *entries,
					 size_t count),
			     void *context);

/* Whether the mapping there has asynchronous write-protection; whose, nobody says. */
bool page_table__is_registered(struct page_table *pagemap, uint64_t address);

struct page_table_scan {
	uint64_t flags;			/* PM_SCAN_* */
	uint64_t mask, inverted, anyof; /* PAGE_IS_*: all of, of these without, any of */
	int (*each)(void *context, uint64_t start, uint64_t end);
	void *context;
};
/*
 * 0, what `each` returned, or a negative errno: -EPERM where PM_SCAN_CHECK_WPASYNC found memory
 * that is not registered; `each` was then called for all that was protected before it, too.
 */
int page_table__scan(struct page_table *pagemap, uint64_t start, uint64_t end,
		     const struct page_table_scan *scan);

/*
 * Write-protects what is present or swapped, and makes no page table: what comes later is not
 * protected, so that the next scan finds it as written. -EPERM as above.
 */
int page_table__protect(struct page_table *pagemap, uint64_t start, uint64_t end);

#endif
