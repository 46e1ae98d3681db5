// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Lifetimes of the processes that have written something: their end, and their new names. */
#include "bpf/process.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	struct ds_process_key process = process__current();

	if (task->signal->live.counter) /* threads are left */
		return 0;
	return process__exit(&process);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task)
{
	struct ds_process_key process = process__current();

	return process__exec(&process);
}

/* A process is named after its first thread; only its own threads can rename that. */
SEC("tp_btf/task_rename")
int BPF_PROG(task_rename, struct task_struct *task, const char *comm)
{
	struct ds_process_key process = process__current();

	if (task != task->group_leader)
		return 0;
	return process__rename(&process, comm);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
