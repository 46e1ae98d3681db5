// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What no event tells of the processes that have a slot: that another user's id is in force
 * (setuid(2) after the first write), read in a walk over all tasks, some 100 ns each. The same walk
 * tells the agent which of its namespaces are not the host's.
 */
#include "bpf/process.h"
#include <bpf/bpf_tracing.h>

#define PROC_CGROUP_INIT_INO 0xEFFFFFFBU /* include/linux/proc_ns.h */

static __always_inline __u32 task__own_namespaces(struct task_struct *task)
{
	struct time_namespace *time = BPF_CORE_READ(task, nsproxy, time_ns);
	__u32 flags = 0;

	if (BPF_CORE_READ(task, thread_pid, level))
		flags |= DS_OWN_PID_NAMESPACE;
	if (BPF_CORE_READ(time, offsets.boottime.tv_sec) ||
	    BPF_CORE_READ(time, offsets.boottime.tv_nsec))
		flags |= DS_OWN_TIME_NAMESPACE;
	if (BPF_CORE_READ(task, nsproxy, cgroup_ns, ns.inum) != PROC_CGROUP_INIT_INO)
		flags |= DS_OWN_CGROUP_NAMESPACE;
	return flags;
}

SEC("iter/task")
int refresh_tasks(struct bpf_iter__task *ctx)
{
	struct ds_own_namespaces own = {};
	struct task_struct *task = ctx->task;
	struct ds_process_info *info;
	struct ds_process_key key = {};
	__u32 uid;

	if (!task || task != task->group_leader)
		return 0;
	key.tgid = task->tgid;
	key.start_boottime_ns = task->start_boottime;
	if (key.tgid == bpf_get_current_pid_tgid() >> 32) {
		own.flags = task__own_namespaces(task);
		bpf_seq_write(ctx->meta->seq, &own, sizeof(own));
	}
	info = process__known(&key);
	if (!info)
		return 0;
	uid = BPF_CORE_READ(task, cred, uid.val);
	if (uid != info->uid) {
		info->uid = uid;
		info->execs++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
