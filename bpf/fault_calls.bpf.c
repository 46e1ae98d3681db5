// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * CPU writes by the function that handles them: also those that no exception tells of (O_DIRECT,
 * MADV_POPULATE_WRITE, process_vm_writev), charged to whose memory it is.
 */
#include "bpf/fault.h"
#include <bpf/bpf_tracing.h>

/* Of a task: addresses that it faults at, 0 for none. */
struct fault_note {
	__u64 rewrite; /* a page that was mapped */
	__u64 tracked; /* one that a track of ours protected */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fault_note);
} fault_notes SEC(".maps");

static __always_inline struct fault_note *note__make(struct task_struct *task)
{
	return bpf_task_storage_get(&fault_notes, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* Only the exception knows whether the page was mapped before. */
SEC("tp_btf/page_fault_user")
int BPF_PROG(page_fault_note, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	struct fault_note *note;

	if ((error_code & (PF_PROT | PF_WRITE)) != (PF_PROT | PF_WRITE))
		return 0;
	note = note__make(bpf_get_current_task_btf());
	if (note) {
		note->rewrite = address;
		note->tracked = 0;
	}
	return 0;
}

/* Whose memory the function works on. The vma may be gone behind it; our own mm is not. */
struct fault_owner {
	struct task_struct *task;
	struct mm_struct *mm;
};

static __always_inline struct fault_owner owner_of(struct vm_area_struct *vma, unsigned int flags)
{
	bool remote = flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_REMOTE);
	struct task_struct *task = bpf_get_current_task_btf();
	struct fault_owner owner = {.task = task};

	owner.mm = remote ? vma->vm_mm : task->mm;
	if ((remote || task->flags & PF_KTHREAD) && owner.mm && owner.mm->owner)
		owner.task = owner.mm->owner;
	return owner;
}

static __always_inline bool is_write(unsigned int flags)
{
	return flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_WRITE);
}

/*
 * Before the fault is handled, when the page still has its protection. It may have to be tried
 * again, without the mark that the first try took off: what was noted stays until it has succeeded.
 */
SEC("fentry/handle_mm_fault")
int BPF_PROG(handle_mm_fault_begin, struct vm_area_struct *vma, unsigned long address,
	     unsigned int flags)
{
	struct ds_sensor_stats *sensor = sensor__stats(DS_SENSOR_FAULT);
	struct task_struct *task = bpf_get_current_task_btf();
	struct protected_fault fault = {.address = address, .vma = (__u64)vma};
	struct ds_process_key process;
	struct fault_owner owner;
	struct fault_note *note;

	if (!sensor || !sensor->tracking || !is_write(flags))
		return 0;
	owner = owner_of(vma, flags);
	process = process__of(owner.task);
	fault.how = process__protection(sensor, &process);
	if (!fault.how)
		return 0;
	note = note__make(task);
	if (!note)
		return 0;
	fault.mm = (__u64)owner.mm;
	fault.present = note->rewrite == address;
	if (fault__is_tracks(&fault))
		note->tracked = address;
	return 0;
}

static __always_inline enum fault_kind kind_of(struct fault_note *note, unsigned long address,
					       unsigned int flags)
{
	bool user = flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_USER);
	enum fault_kind kind = user ? FAULT_FIRST_TOUCH : FAULT_KERNEL;

	if (!note)
		return kind;
	if (note->rewrite == address && user) {
		note->rewrite = 0;
		kind = FAULT_REWRITE;
	}
	if (note->tracked == address) {
		note->tracked = 0;
		kind = FAULT_TRACKED;
	}
	return kind;
}

/* Ended without a page, or to be tried again: include/linux/mm_types.h */
static __always_inline bool failed(unsigned int result)
{
	return result & (bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_OOM) |
			 bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_SIGBUS) |
			 bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_HWPOISON) |
			 bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_HWPOISON_LARGE) |
			 bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_SIGSEGV) |
			 bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_RETRY) |
			 bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_FALLBACK));
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(handle_mm_fault, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
	     struct pt_regs *regs, unsigned int result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ds_process_key process;
	struct fault_owner owner;
	struct fault_note *note;

	if (!is_write(flags) || failed(result))
		return 0;
	owner = owner_of(vma, flags);
	process = process__of(owner.task);
	note = bpf_task_storage_get(&fault_notes, task, NULL, 0);
	return fault__count(
		&process, (__u64)owner.task, kind_of(note, address, flags),
		owner.mm && fault__may_be_huge(vma, address) ? table__pages(owner.mm, address) : 1);
}

SEC("fexit/mfill_atomic_copy")
int userfault_copy(unsigned long long *ctx)
{
	__u64 bytes = 0;

	bpf_get_func_ret(ctx, &bytes);
	return userfault__copied(func__argument(ctx, 0), bytes);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
