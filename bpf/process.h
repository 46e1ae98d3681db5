/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_PROCESS_H
#define DIRTYSCOPE_BPF_PROCESS_H

#include "bpf/protection.h"

/* What became of cgroups, for the agent, which reads it ten times a second. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} cgroup_events __weak SEC(".maps");

/* Room for one event. The kernel tells of one at a time, under cgroup_mutex. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ds_cgroup_event);
} cgroup_event __weak SEC(".maps");

/* NULL when the process has no slot, because it has written nothing yet. */
static __always_inline struct ds_process_info *process__known(const struct ds_process_key *key)
{
	__u32 *slot = bpf_map_lookup_elem(&processes, key);

	return slot ? bpf_map_lookup_elem(&process_infos, slot) : NULL;
}

static __always_inline int process__exit(const struct ds_process_key *key)
{
	struct ds_process_info *info = process__known(key);
	__u64 *ended = info ? NULL : bpf_map_lookup_elem(&watched, key);

	process__unprotect(key);
	if (!info && !ended)
		return 0;
	if (info)
		info->exit_ns = bpf_ktime_get_boot_ns();
	else
		*ended = bpf_ktime_get_boot_ns();
	/* Last: the agent looks for ends when this count has moved. */
	event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
	return 0;
}

static __always_inline int process__exec(const struct ds_process_key *key)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct ds_process_info *info = process__known(key);

	process__unprotect(key);
	if (!info)
		return 0;
	event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
	BPF_CORE_READ_STR_INTO(&info->comm, task, group_leader, comm);
	info->uid = BPF_CORE_READ(task, cred, uid.val);
	info->execs++;
	return 0;
}

/*
 * It is in another cgroup: what it writes from now on is for another slot. A write that is being
 * counted on another CPU meanwhile still goes to the one that it leaves.
 */
static __always_inline int process__move(const struct ds_process_key *key, __u64 task)
{
	struct ds_process_info *info = process__known(key);
	struct task_cgroups now;

	if (!info)
		return 0;
	task_cgroups__read(&now, (void *)task);
	if (now.id == info->cgroup_id && now.memory_id == info->memory_cgroup_id &&
	    now.memory_hierarchy == info->memory_hierarchy)
		return 0;
	*(volatile __u32 *)&info->state = DS_SLOT_LEFT;
	bpf_map_delete_elem(&processes, key);
	process__admit_new(key, task); /* so that its end is told, though it may write no more */
	/* Last: the agent looks for slots that were left when this count has moved. */
	event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
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

/* kind: enum ds_cgroup_event_kind. A path that fills the kernel's buffer was cut there. */
static __always_inline int cgroup__tell(__u64 cgroup, __u64 path, __u32 kind)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_PROCESS);
	struct cgroup *of = (void *)cgroup;
	struct ds_cgroup_event *event;
	__u32 zero = 0;
	long length;

	event = bpf_map_lookup_elem(&cgroup_event, &zero);
	if (!event)
		return 0;
	event->id = BPF_CORE_READ(of, kn, id);
	event->hierarchy = BPF_CORE_READ(of, root, hierarchy_id);
	event->kind = kind;
	length = bpf_probe_read_kernel_str(event->path, sizeof(event->path), (void *)path);
	if (length <= 0 || length >= DS_CGROUP_PATH) {
		event__close(sensor, DS_LOST_TRUNCATED);
		return 0;
	}
	event->length = length;
	if (bpf_ringbuf_output(&cgroup_events, event,
			       __builtin_offsetof(struct ds_cgroup_event, path) + length,
			       BPF_RB_NO_WAKEUP))
		event__close(sensor, DS_LOST_EVENTS_FULL);
	else
		event__close(sensor, DS_LOST_NOT);
	return 0;
}

#endif
