/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_FAULT_H
#define DIRTYSCOPE_BPF_FAULT_H

#include "bpf/account.h"

/* enum x86_pf_error_code, arch/x86/include/asm/trap_pf.h */
#define PF_PROT (1UL << 0) /* the page was mapped: a protection fault */
#define PF_WRITE (1UL << 1)
#define PF_USER (1UL << 2)

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h: it may have borrowed its mm */

enum fault_kind {
	FAULT_FIRST_TOUCH,
	FAULT_REWRITE,
	FAULT_KERNEL,
};

/* Plain adds are exact here: neither of the programs that call it nests in itself on its CPU. */
static __always_inline int fault__count(const struct ds_process_key *process, __u64 task,
					enum fault_kind kind, __u64 pages)
{
	struct ds_process_stats *stats;
	struct ds_sensor_stats *sensor;
	__u32 slot;

	sensor = sensor__stats(DS_SENSOR_FAULT);
	if (!sensor)
		return 0;
	sensor->offered++;
	slot = process__slot_cached(sensor, process, task);
	stats = process__stats(slot);
	if (stats) {
		if (kind == FAULT_KERNEL)
			stats->kernel += pages;
		else if (kind == FAULT_REWRITE)
			stats->rewrite += pages;
		else
			stats->first_touch += pages;
	}
	if (slot == DS_SLOT_NONE)
		sensor->lost[DS_LOST_PROCESSES_FULL]++;
	else
		sensor->counted++;
	return 0;
}

/* One write fault is one page, whatever the size of the mapping: the size is not known here. */
static __always_inline int fault__account(const struct ds_process_key *process,
					  unsigned long address, unsigned long error_code)
{
	enum fault_kind kind = FAULT_FIRST_TOUCH;

	if (!(error_code & PF_WRITE) || (long)address < 0) /* kernel addresses are negative */
		return 0;
	if (!(error_code & PF_USER))
		kind = FAULT_KERNEL;
	else if (error_code & PF_PROT)
		kind = FAULT_REWRITE;
	return fault__count(process, bpf_get_current_task(), kind, 1);
}

/* ---- handled faults: handle_mm_fault(), mm/memory.c ---- */

/* Page table entries of x86, arch/x86/include/asm/pgtable_types.h */
#define PTE_PRESENT (1ULL << 0)
#define PTE_HUGE (1ULL << 7)
#define PTE_ADDRESS 0x000ffffffffff000ULL
#define HUGE_PAGES 512 /* in an entry one level up */
#define PMD_BYTES (2UL << 20)

/* The entry for an address in the table at that physical address; 0: none, or not readable. */
static __always_inline __u64 table__entry(__u64 table, unsigned long address, int shift)
{
	__u64 entry = 0, at = ds_page_offset + (table & PTE_ADDRESS) + (address >> shift & 511) * 8;

	bpf_probe_read_kernel(&entry, sizeof(entry), (void *)at);
	return entry & PTE_PRESENT ? entry : 0;
}

/* Base pages of the mapping that holds an address: 1, 512 or 512 * 512. */
static __always_inline __u64 fault__pages(struct mm_struct *mm, unsigned long address)
{
	__u64 entry = (__u64)BPF_CORE_READ(mm, pgd) - ds_page_offset;

	/* Where the direct map begins so low, tables have five levels: Documentation/arch/x86 */
	if (ds_page_offset < 0xffff800000000000ULL)
		entry = table__entry(entry, address, 48);
	if (entry)
		entry = table__entry(entry, address, 39);
	if (entry)
		entry = table__entry(entry, address, 30);
	if (entry & PTE_HUGE)
		return (__u64)HUGE_PAGES * HUGE_PAGES;
	if (entry)
		entry = table__entry(entry, address, 21);
	return entry & PTE_HUGE ? HUGE_PAGES : 1;
}

/* Whether a huge page fits around the address: most mappings need no look at their tables. */
static __always_inline bool fault__may_be_huge(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long start = address & ~(PMD_BYTES - 1);

	return DS_FIELD(vma, vm_start) <= start && DS_FIELD(vma, vm_end) >= start + PMD_BYTES;
}

#endif
