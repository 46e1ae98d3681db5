/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Faults that happen only because a track of ours protected a page: not the target's own writes.
 *
 * The kernel resolves such a fault, and a copy on write that is due besides, in one go:
 * do_wp_page() (mm/memory.c, since 6.7) takes the mark of userfaultfd off and goes on as without
 * it; a soft-dirty bit is no more than a page that may not be written (clear_soft_dirty(),
 * fs/proc/task_mmu.c). So the mark alone does not say whose the fault is. It is the track's where
 * the page could have been written without the mark, which the page and its entry tell:
 *
 * - Anonymous memory that belongs to nobody else (PG_anon_exclusive, since 5.19: 6c287605fd56) is
 *   written without a copy. What a fork has shared, and the zero page, are copied: the target's
 * own.
 * - A page of a file that was written through this entry is dirty in it. Writeback makes it clean
 * and protects it at once (page_mkclean_one(), mm/rmap.c): that fault is the target's own. A
 * private mapping's entries of a file's pages are never dirty, since a write makes a copy.
 * - Shared memory (shmem: memfd, MAP_SHARED without a file, System V) is not written back, so that
 * a page that was only read can be written at once; but not while the mapping is registered with
 *   userfaultfd, or its soft-dirty bits are noted (vma_wants_writenotify(), mm/mmap.c, mm/vma.c).
 *   All of these faults are the track's; whether they carry a mark says nothing. What is dirty
 *   stays protected when the track ends (DS_PROTECTED_PAST).
 *
 * pte_mkuffd_wp(), pte_wrprotect() (arch/x86/include/asm/pgtable.h): entries keep that they are
 * dirty when they are protected; since 6.6 in another bit, as without PTE_WRITE the bit of the
 * hardware would mean a shadow stack (fca4d413c5be).
 *
 * What the target protects with a userfaultfd of its own, on other memory, cannot be told from what
 * the track protects while that lasts.
 */
#ifndef DIRTYSCOPE_BPF_PROTECTION_H
#define DIRTYSCOPE_BPF_PROTECTION_H

#include "bpf/page_table.h"

#define VM_SHARED 0x8		/* include/linux/mm.h */
#define TMPFS_MAGIC 0x01021994	/* include/uapi/linux/magic.h: what shmem is mounted as */
#define MAPPING_ANON 1		/* in folio->mapping: include/linux/page-flags.h */
#define NS_PER_TICK 10000000ULL /* USER_HZ is 100 on x86 */

/* A write fault in a process that a track follows. In memory: see struct new_process. */
struct protected_fault {
	__u64 mm; /* address of the struct mm_struct */
	__u64 address;
	__u64 vma; /* of its mapping; 0: it is the current task's, and is looked for if need be */
	__u32 how; /* DS_PROTECTED_* */
	__u32 present; /* the page was mapped when the CPU faulted */
};

/* How a process's memory is protected, DS_PROTECTED_*; 0: no track of ours. */
static __always_inline __u32 process__protection(const struct ds_sensor_stats *faults,
						 const struct ds_process_key *key)
{
	struct ds_tracked *row;
	__u32 tgid = key->tgid;

	if (!faults->tracking)
		return 0;
	row = bpf_map_lookup_elem(&tracked, &tgid);
	return row && row->start_ticks == key->start_boottime_ns / NS_PER_TICK ? row->how : 0;
}

/* A process has ended, or has other memory from here on. */
static __always_inline void process__unprotect(const struct ds_process_key *key)
{
	struct ds_sensor_stats *faults = sensor__stats(DS_SENSOR_FAULT);
	__u32 tgid = key->tgid;

	if (faults && faults->tracking)
		bpf_map_delete_elem(&tracked, &tgid);
}

/* ---- mappings ---- */

/* Shared memory, of which nobody has to know when a page becomes dirty. */
static __always_inline bool vma__is_shmem(struct vm_area_struct *vma)
{
	if (!(BPF_CORE_READ(vma, vm_flags) & VM_SHARED))
		return false;
	return BPF_CORE_READ(vma, vm_file, f_inode, i_sb, s_magic) == TMPFS_MAGIC;
}

struct found_vma {
	__u64 is_shmem;
};

static long vma__found(struct task_struct *task, struct vm_area_struct *vma,
		       struct found_vma *found)
{
	found->is_shmem = vma__is_shmem(vma);
	return 0;
}

/*
 * bpf_find_vma() does not wait for the lock of the mappings, and fails where another thread changes
 * them: then the fault counts as the target's own.
 */
static __always_inline bool fault__in_shmem(const struct protected_fault *fault)
{
	struct found_vma found = {};

	if (fault->vma)
		return vma__is_shmem((void *)fault->vma);
	bpf_find_vma((void *)bpf_get_current_task_btf(), fault->address, vma__found, &found, 0);
	return found.is_shmem;
}

/* ---- the verdict ---- */

/* Of an entry that is present, and the address of the first struct page that it maps. */
static __always_inline bool entry__is_held_by_track(const struct protected_fault *fault,
						    __u64 entry, __u64 page)
{
	const __u32 how = fault->how;
	bool marked = (how & DS_PROTECTED_WP && entry & PTE_UFFD) ||
		      (how & DS_PROTECTED_SOFT && !(entry & PTE_SOFT_DIRTY));

	if (entry & PTE_SPECIAL || (entry & PTE_UFFD && !(how & DS_PROTECTED_WP)))
		return false;
	if ((__u64)BPF_CORE_READ((struct folio *)page__head(page), mapping) & MAPPING_ANON)
		return marked && page__flags(page) & 1UL << bpf_core_enum_value(enum pageflags,
										PG_anon_exclusive);
	if (entry & (PTE_DIRTY | PTE_SAVED_DIRTY))
		return true;
	return fault__in_shmem(fault);
}

/*
 * Whether a track of ours is the reason of a write fault, before the kernel handles it. A page that
 * was mapped, and may be written by now, was in the hands of another thread meanwhile: that one
 * counts for what it was, and this one is no page more.
 */
__weak int fault__is_tracks(const struct protected_fault *given)
{
	struct protected_fault fault;
	__u64 entry, pfn = 0;

	if (!given)
		return 0;
	fault = *given;
	entry = table__leaf((void *)fault.mm, fault.address, &pfn);
	if (!entry)
		return 0;
	if (entry & PTE_WRITE)
		return fault.present;
	return entry__is_held_by_track(&fault, entry,
				       ds_vmemmap_base + pfn * bpf_core_type_size(struct page));
}

#endif
