// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Which processes have pinned memory, for the agent: a walk over all tasks in the kernel, some 100
 * ns each, in place of reading a file of procfs for each process. The sum is mm->pinned_vm (an
 * atomic64_t since Linux 5.3, 70f8a3ca68d3), which /proc/PID/status shows as VmPin.
 */
#include "bpf/compat.h"
#include <bpf/bpf_tracing.h>

SEC("iter/task")
int pinned_memory(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct ds_pinned row = {};
	struct mm_struct *mm;

	if (!task)
		return 0;
	mm = task->mm;
	if (!mm)
		return 0;
	row.pages = BPF_CORE_READ(mm, pinned_vm.counter);
	if (!row.pages)
		return 0;
	leader = task->group_leader;
	row.tgid = task->tgid;
	row.start_boottime = BPF_CORE_READ(leader, start_boottime);
	row.memory = (__u64)mm;
	BPF_CORE_READ_STR_INTO(&row.comm, leader, comm);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
