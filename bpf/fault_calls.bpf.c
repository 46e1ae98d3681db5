// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * CPU writes by the function that handles them: also those that no exception tells of (O_DIRECT,
 * MADV_POPULATE_WRITE, process_vm_writev), charged to whose memory it is.
 */
#include "bpf/fault.h"
#include <bpf/bpf_tracing.h>

/* Of a task: where it is in a fault on a page that was mapped. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} rewrites SEC(".maps");

/* Only the exception knows whether the page was mapped before. */
SEC("tp_btf/page_fault_user")
int BPF_PROG(page_fault_note, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	__u64 *rewrite;

	if ((error_code & (PF_PROT | PF_WRITE)) != (PF_PROT | PF_WRITE))
		return 0;
	rewrite = bpf_task_storage_get(&rewrites, bpf_get_current_task_btf(), NULL,
				       BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (rewrite)
		*rewrite = address;
	return 0;
}

static __always_inline enum fault_kind kind_of(struct task_struct *task, unsigned long address,
					       unsigned int flags)
{
	__u64 *rewrite;

	if (!(flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_USER)))
		return FAULT_KERNEL;
	rewrite = bpf_task_storage_get(&rewrites, task, NULL, 0);
	if (!rewrite || *rewrite != address)
		return FAULT_FIRST_TOUCH;
	*rewrite = 0;
	return FAULT_REWRITE;
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
	struct task_struct *task = bpf_get_current_task_btf(), *owner = task;
	bool remote = flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_REMOTE);
	struct ds_process_key process;
	struct mm_struct *mm;

	if (!(flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_WRITE)) || failed(result))
		return 0;
	/* The vma may be gone by now if the fault gave up its lock; our own mm is not. */
	mm = remote ? vma->vm_mm : task->mm;
	if ((remote || task->flags & PF_KTHREAD) && mm && mm->owner)
		owner = mm->owner;
	process = process__of(owner);
	return fault__count(&process, (__u64)owner, kind_of(task, address, flags),
			    mm && fault__may_be_huge(vma, address) ? fault__pages(mm, address) : 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
