/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page sets: which pages devices wrote. BPF programs set bits, and the sampler, their only sweeper,
 * reads and clears them. A set takes memory where its device has written: a piece of 32 KiB for
 * each GiB, out of a pool that grows up to a limit. See bpf/dirtyscope.h for how they are laid out.
 *
 * Nothing is lost: bits are taken with an atomic exchange, word by word, and the hooks that set
 * them run after the device's write has ended, so the data of a page that was swept is in memory.
 *
 * For one thread.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PAGE_SETS_H
#define DIRTYSCOPE_AGENT_KERNEL_PAGE_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kernel_tables;
struct page_sets;

#define PAGE_SET_SHARED 0 /* of what has no set of its own */

/* ---- how large the kernel's tables are; before they are made ---- */

/* Pieces of 1 GiB that so many bytes hold; at least one. */
uint32_t page_sets__pieces(uint64_t bytes);
/* A bank as all of them are, of that limit. Its descriptor, or a negative errno. */
int page_sets__make_bank(uint64_t limit);
/* Banks at most, of that limit. */
uint32_t page_sets__banks(uint64_t limit);
/* Columns of a row: for memory that is there, and for 1 TiB that may be added. */
uint32_t page_sets__regions(uint64_t memory_pages);
/* Sets at most: one for each source, and the shared one. */
uint32_t page_sets__sets(uint32_t sources);

/* ---- life ---- */

/*
 * tables: borrowed, and outlive it. limit: bytes of all pieces. With pieces enough for what one
 * device may write before it is asked to grow. 0, or a negative errno.
 */
int page_sets__new(const struct kernel_tables *tables, uint64_t limit, struct page_sets **sets);
/* The kernel keeps the memory for as long as a program may use it. */
void page_sets__free(struct page_sets *sets);

/* A set for a device; PAGE_SET_SHARED: none is left. */
uint32_t page_sets__take(struct page_sets *sets);
/* No slot may be bound to it any more. Forgets what is in it. */
void page_sets__give_back(struct page_sets *sets, uint32_t set);
/* What a source writes goes there from now on. */
void page_sets__bind(struct page_sets *sets, uint32_t slot, uint32_t set);
/* It goes to the shared set. Returns when no program is running any more that knew otherwise. */
void page_sets__unbind(struct page_sets *sets, uint32_t slot);

/*
 * To be called at least once an interval: makes pieces, as many as were taken and more, as far as
 * the limit goes. True: there is none left, and no more may be made.
 */
bool page_sets__grow(struct page_sets *sets);
/* Kernel memory of all pieces, those included that are not in use. */
uint64_t page_sets__bytes(const struct page_sets *sets);

/* ---- sweeping ---- */

/* Called with the PFN of bit 0 and the bits that were set, for each word that had any. */
typedef void (*page_set__visit)(void *context, uint64_t first_pfn, uint64_t bits);
/* Takes all bits of a set; returns how many there were. visit may be NULL. */
uint64_t page_sets__sweep(struct page_sets *sets, uint32_t set, page_set__visit visit,
			  void *context);
/* The same on plain memory, whose first bit is page 0. */
uint64_t page_words__sweep(uint64_t *words, size_t count, page_set__visit visit, void *context);

#endif
