/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What maps an address: page tables of x86, read through the direct map. */
#ifndef DIRTYSCOPE_BPF_PAGE_TABLE_H
#define DIRTYSCOPE_BPF_PAGE_TABLE_H

#include "bpf/account.h"

/* arch/x86/include/asm/pgtable_types.h */
#define PTE_PRESENT (1ULL << 0)
#define PTE_WRITE (1ULL << 1)
#define PTE_DIRTY (1ULL << 6)
#define PTE_HUGE (1ULL << 7) /* in the tables above the last */
#define PTE_SPECIAL                                                                            \
	(1ULL << 9)	      /* _PAGE_BIT_SOFTW1: no page of ours behind it, as the zero page \
			       */
#define PTE_UFFD (1ULL << 10) /* _PAGE_BIT_SOFTW2 */
#define PTE_SOFT_DIRTY (1ULL << 11) /* _PAGE_BIT_SOFTW3 */
#define PTE_SAVED_DIRTY                                                          \
	(1ULL << 58) /* _PAGE_BIT_SOFTW5: PTE_DIRTY without PTE_WRITE, since 6.6 \
		      */

#define HUGE_PAGES 512 /* in an entry one level up */
#define PMD_SHIFT 21
#define PUD_SHIFT 30
#define PMD_BYTES (1UL << PMD_SHIFT)

/* The entry for an address in the table at that physical address; 0: none, or not readable. */
static __always_inline __u64 table__entry(__u64 table, unsigned long address, int shift)
{
	__u64 at = ds_page_offset + (table & ds_entry_mask) + (address >> shift & 511) * 8;
	__u64 entry = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry), (void *)at);
	return entry & PTE_PRESENT ? entry : 0;
}

/*
 * The entry that maps an address, or that leads to the table of one page each; 0: none. *shift: of
 * what it maps, PUD_SHIFT or PMD_SHIFT.
 */
static __always_inline __u64 table__huge_entry(struct mm_struct *mm, unsigned long address,
					       int *shift)
{
	__u64 entry = (__u64)BPF_CORE_READ(mm, pgd) - ds_page_offset;

	/* Where the direct map begins so low, tables have five levels: Documentation/arch/x86 */
	if (ds_page_offset < 0xffff800000000000ULL)
		entry = table__entry(entry, address, 48);
	if (entry)
		entry = table__entry(entry, address, 39);
	*shift = PUD_SHIFT;
	if (entry)
		entry = table__entry(entry, address, PUD_SHIFT);
	if (!entry || entry & PTE_HUGE)
		return entry;
	*shift = PMD_SHIFT;
	return table__entry(entry, address, PMD_SHIFT);
}

/* Base pages of the mapping that holds an address: 1, 512 or 512 * 512. */
static __always_inline __u64 table__pages(struct mm_struct *mm, unsigned long address)
{
	int shift;
	__u64 entry = table__huge_entry(mm, address, &shift);

	return entry & PTE_HUGE ? 1ULL << (shift - DS_PAGE_SHIFT) : 1;
}

/* The entry that maps an address, and the number of the first page that it maps; 0: none. */
static __always_inline __u64 table__leaf(struct mm_struct *mm, unsigned long address, __u64 *pfn)
{
	int shift;
	__u64 entry = table__huge_entry(mm, address, &shift);

	if (entry && !(entry & PTE_HUGE)) {
		shift = DS_PAGE_SHIFT;
		entry = table__entry(entry, address, DS_PAGE_SHIFT);
	}
	/* In an entry of a huge page, bits below its address say how it is cached. */
	*pfn = (entry & ds_entry_mask & ~((1ULL << shift) - 1)) >> DS_PAGE_SHIFT;
	return entry;
}

#endif
