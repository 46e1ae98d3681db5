// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Lifetimes of the processes that have written something: their end, their new names, their moves;
 * and of cgroups, include/trace/events/cgroup.h.
 */
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

/* Of a single thread that moves only the first counts: a process is where that is. */
static __always_inline int move(struct task_struct *task, bool whole)
{
	struct ds_process_key process = process__of(task);

	if (!whole && task != task->group_leader)
		return 0;
	return process__move(&process, (__u64)task);
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_attach_task, struct cgroup *to, const char *path, struct task_struct *task,
	     bool whole)
{
	return move(task, whole);
}

/* A cpuset of version 1 that has lost its CPUs. */
SEC("tp_btf/cgroup_transfer_tasks")
int BPF_PROG(cgroup_transfer_tasks, struct cgroup *to, const char *path, struct task_struct *task,
	     bool whole)
{
	return move(task, whole);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	return cgroup__tell((__u64)cgroup, (__u64)path, DS_CGROUP_MADE);
}

SEC("tp_btf/cgroup_rename")
int BPF_PROG(cgroup_rename, struct cgroup *cgroup, const char *path)
{
	return cgroup__tell((__u64)cgroup, (__u64)path, DS_CGROUP_RENAMED);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return cgroup__tell((__u64)cgroup, (__u64)path, DS_CGROUP_REMOVED);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
