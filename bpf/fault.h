/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_FAULT_H
#define DIRTYSCOPE_BPF_FAULT_H

#include "bpf/protection.h"

/* enum x86_pf_error_code, arch/x86/include/asm/trap_pf.h */
#define PF_PROT (1UL << 0) /* the page was mapped: a protection fault */
#define PF_WRITE (1UL << 1)
#define PF_USER (1UL << 2)

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h: it may have borrowed its mm */

enum fault_kind {
	FAULT_FIRST_TOUCH,
	FAULT_REWRITE,
	FAULT_KERNEL,
	FAULT_TRACKED, /* a track of ours caused it */
};

static __always_inline __u64 *fault__counter(struct ds_process_stats *stats, enum fault_kind kind)
{
	if (kind == FAULT_TRACKED)
		return &stats->tracked;
	if (kind == FAULT_KERNEL)
		return &stats->kernel;
	return kind == FAULT_REWRITE ? &stats->rewrite : &stats->first_touch;
}

/* In an exception, which nothing nests in on its CPU: plain adds are exact. */
static __always_inline int fault__keep(struct ds_sensor_stats *sensor, __u32 slot,
				       enum fault_kind kind)
{
	if (kind == FAULT_TRACKED)
		sensor->kept.tracked++;
	else if (kind == FAULT_KERNEL)
		sensor->kept.kernel++;
	else if (kind == FAULT_REWRITE)
		sensor->kept.rewrite++;
	else
		sensor->kept.first_touch++;
	if (slot == DS_SLOT_NONE)
		sensor->lost[DS_LOST_PROCESSES_FULL]++;
	else
		sensor->counted++;
	return 0;
}

/* For the functions that fill pages: one of them may be preempted by another one. */
static __always_inline int fault__count(const struct ds_process_key *process, __u64 task,
					enum fault_kind kind, __u64 pages)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_FAULT);
	struct ds_process_stats *stats;
	__u32 slot;

	if (!sensor)
		return 0;
	slot = process__slot_hinted(sensor, process, task);
	stats = bpf_map_lookup_elem(&process_stats, &slot);
	if (stats)
		ds_add(*fault__counter(stats, kind), kind == FAULT_TRACKED ? 1 : pages);
	event__close(sensor, slot == DS_SLOT_NONE ? DS_LOST_PROCESSES_FULL : DS_LOST_NOT);
	return 0;
}

/* Whether a track of ours caused an exception at a page that was mapped, in the current task. */
static __always_inline bool fault__is_tracked(const struct ds_sensor_stats *sensor,
					      const struct ds_process_key *process,
					      unsigned long address)
{
	struct protected_fault fault = {.address = address, .present = 1};

	fault.how = process__protection(sensor, process);
	if (!fault.how)
		return false;
	fault.mm = (__u64)((struct task_struct *)bpf_get_current_task_btf())->mm;
	return fault__is_tracks(&fault);
}

/* One write fault is one page, whatever the size of the mapping: the size is not known here. */
static __always_inline int fault__account(const struct ds_process_key *process,
					  unsigned long address, unsigned long error_code)
{
	enum fault_kind kind = FAULT_FIRST_TOUCH;
	struct ds_sensor_stats *sensor;
	__u32 slot;

	if (!(error_code & PF_WRITE) || (long)address < 0) /* kernel addresses are negative */
		return 0;
	sensor = sensor__stats(DS_SENSOR_FAULT);
	if (!sensor)
		return 0;
	sensor->offered++;
	slot = process__slot_cached(sensor, process, bpf_get_current_task());
	if (!(error_code & PF_USER))
		kind = FAULT_KERNEL;
	else if (error_code & PF_PROT)
		kind = FAULT_REWRITE;
	if (error_code & PF_PROT && fault__is_tracked(sensor, process, address))
		kind = FAULT_TRACKED;
	return fault__keep(sensor, slot, kind);
}

/*
 * The memory that userfaultfd fills; given: the first argument of the function that does. It was
 * the mm_struct, and is the userfaultfd_ctx since 6.8; an mm has an owner whose mm it is.
 */
static __always_inline struct task_struct *userfault__owner(__u64 given)
{
	struct mm_struct *mm = BPF_CORE_READ((struct userfaultfd_ctx *)given, mm);
	struct task_struct *owner = BPF_CORE_READ(mm, owner);

	if (owner && BPF_CORE_READ(owner, mm) == mm)
		return owner;
	mm = (void *)given;
	owner = BPF_CORE_READ(mm, owner);
	return owner && BPF_CORE_READ(owner, mm) == mm ? owner : NULL;
}

/* So many bytes were copied into memory, without a fault of its owner's. */
static __always_inline int userfault__copied(__u64 given, __s64 bytes)
{
	struct task_struct *owner;
	struct ds_process_key key = {};

	if (bytes <= 0)
		return 0;
	owner = userfault__owner(given);
	if (!owner) /* its process is at its end */
		owner = (void *)bpf_get_current_task();
	key.tgid = BPF_CORE_READ(owner, tgid);
	key.start_boottime_ns = BPF_CORE_READ(owner, group_leader, start_boottime);
	return fault__count(&key, (__u64)owner, FAULT_KERNEL, bytes >> DS_PAGE_SHIFT);
}

/* Whether a huge page fits around the address: most mappings need no look at their tables. */
static __always_inline bool fault__may_be_huge(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long start = address & ~(PMD_BYTES - 1);

	return DS_FIELD(vma, vm_start) <= start && DS_FIELD(vma, vm_end) >= start + PMD_BYTES;
}

#endif
