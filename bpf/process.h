/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_PROCESS_H
#define DIRTYSCOPE_BPF_PROCESS_H

#include "bpf/account.h"

/* NULL when the process has no slot, because it has written nothing yet. */
static __always_inline struct ds_process_info *process__known(const struct ds_process_key *key)
{
	__u32 *slot = bpf_map_lookup_elem(&processes, key);

	return slot ? bpf_map_lookup_elem(&process_infos, slot) : NULL;
}

static __always_inline int process__exit(const struct ds_process_key *key)
{
	struct ds_process_info *info = process__known(key);

	if (!info)
		return 0;
	info->exit_ns = bpf_ktime_get_boot_ns();
	/* Last: the agent looks for ends when this count has moved. */
	event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
	return 0;
}

static __always_inline int process__exec(const struct ds_process_key *key)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct ds_process_info *info = process__known(key);

	if (!info)
		return 0;
	event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
	BPF_CORE_READ_STR_INTO(&info->comm, task, group_leader, comm);
	info->execs++;
	return 0;
}

/* The event comes before the name is in the task. */
static __always_inline int process__rename(const struct ds_process_key *key, const char *comm)
{
	struct ds_process_info *info = process__known(key);

	if (!info)
		return 0;
	event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
	bpf_probe_read_kernel_str(info->comm, sizeof(info->comm), comm);
	info->execs++;
	return 0;
}

#endif
