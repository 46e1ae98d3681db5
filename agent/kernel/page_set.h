/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A page set: a bitmap over all PFNs of the host that BPF programs set bits in and the sampler,
 * its only sweeper, reads and clears.
 *
 * Nothing is lost: bits are taken with an atomic exchange, word by word, and the hooks that set
 * them run after the device's write has ended, so the data of a page that was swept is in memory.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PAGE_SET_H
#define DIRTYSCOPE_AGENT_KERNEL_PAGE_SET_H

#include <stddef.h>
#include <stdint.h>

struct page_set;

/* pages: PFNs 0..pages-1. Makes the kernel map and maps it here. 0 or a negative errno. */
int page_set__new(uint64_t pages, struct page_set **set);
/* The kernel keeps the map for as long as a program may use it. */
void page_set__free(struct page_set *set);
/* Descriptor to put into the page_sets table. */
int page_set__fd(const struct page_set *set);
/* Kernel memory of one set over that many pages. */
uint64_t page_set__bytes(uint64_t pages);

/* Called with the PFN of bit 0 and the bits that were set, for each word that had any. */
typedef void (*page_set__visit)(void *context, uint64_t first_pfn, uint64_t bits);
/* Takes all bits; returns how many there were. visit may be NULL. */
uint64_t page_set__sweep(struct page_set *set, page_set__visit visit, void *context);
/* The same on plain memory. */
uint64_t page_words__sweep(uint64_t *words, size_t count, page_set__visit visit, void *context);

#endif
