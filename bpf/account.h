/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The accounting itself: tables, the identity, who and which device.
 *
 * A program takes its arguments and calls one function built from these; tests/bpf puts
 * the same functions behind raw tracepoints, with arguments of its own.
 *
 * Counters are added to atomically: CPUs share rows, and where they do not, an interrupt may nest
 * between load and store, and the numbers must be exact. Uncontended, that costs about 5 ns.
 *
 * Functions that are __weak, and so global, are verified by themselves, once in a program, for
 * any arguments (kernel/bpf/verifier.c, do_check_subprogs()). What admits, marks, holds or walks
 * is such a function: inlined, it would be verified again with every state of each of its
 * callers. The step of a loop is one because of what it changes in memory: that is then unknown
 * to the verifier, whatever the compiler made of it, and the next step looks like the last. Such
 * a function copies what it was given before it uses it as the key or value of a map: before 6.2
 * these had to be on the stack (d1673304097c).
 */
#ifndef DIRTYSCOPE_BPF_ACCOUNT_H
#define DIRTYSCOPE_BPF_ACCOUNT_H

#include "bpf/compat.h"

/* Set by the agent before the load; agent/kernel/sensors.c. The maps are sized there, too. */
const volatile __u32 ds_nr_cpus __weak = 1;
const volatile __u32 ds_ledger __weak = 1;

/* Loaded, since clang 14 makes a shift of it for which the verifier looks at half as much again. */
const volatile __u32 ds_device_rows __weak = DS_DEVICE_ROWS;

/* How a page pointer or a direct-map address becomes a PFN; see bpf/calibrate.bpf.c. */
const volatile __u64 ds_vmemmap_base __weak = 0;
const volatile __u64 ds_page_offset __weak = 0;
/* Bits of a page table's entry that are an address; agent/kernel/calibrate.c. */
const volatile __u64 ds_entry_mask __weak = 0x000ffffffffff000ULL;

#define DS_TABLE(map_name, key_type, value_type, flags) \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_HASH);        \
		__uint(max_entries, 1);                 \
		__uint(map_flags, flags);               \
		__type(key, key_type);                  \
		__type(value, value_type);              \
	} map_name __weak SEC(".maps")

#define DS_ROWS(map_name, value_type)              \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(max_entries, 1);            \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, __u32);                \
		__type(value, value_type);         \
	} map_name __weak SEC(".maps")

#define DS_FREE_SLOTS(map_name)                   \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_STACK); \
		__uint(max_entries, 1);           \
		__uint(key_size, 0);              \
		__uint(value_size, 4);            \
	} map_name __weak SEC(".maps")

/* A key has a slot; what is known of it and its counters are rows, mapped into the agent. */
DS_TABLE(processes, struct ds_process_key, __u32, 0);
DS_FREE_SLOTS(process_slots);
DS_ROWS(process_infos, struct ds_process_info);
DS_ROWS(process_stats, struct ds_process_stats);

/* Listed processes that live and have no slot: when they ended. The agent's own entries. */
DS_TABLE(watched, struct ds_process_key, __u64, BPF_F_NO_PREALLOC);
DS_TABLE(tracked, __u32, struct ds_tracked, BPF_F_NO_PREALLOC); /* written by the agent */

DS_TABLE(sources, struct ds_source_key, __u32, 0);
DS_FREE_SLOTS(source_slots);
DS_ROWS(source_infos, struct ds_source_info);
DS_ROWS(device_stats, struct ds_device_stats); /* from row slot * DS_DEVICE_ROWS */

DS_ROWS(sensor_stats, struct ds_sensor_stats); /* row: sensor * ds_nr_cpus + cpu */

DS_TABLE(pagecache_devices, __u32, struct ds_pagecache_stats, 0);
DS_TABLE(flows, struct ds_flow_key, struct ds_flow_stats, 0);
DS_TABLE(requests, __u64, struct ds_process_key, 0); /* in flight: bio -> submitter */
/*
 * With memory from the start: a driver maps hundreds of segments with interrupts off, and a table
 * that allocates gets more only in an interrupt (bpf_mem_alloc, kernel/bpf/memalloc.c, since 6.1).
 */
DS_TABLE(mappings, struct ds_mapping_key, struct ds_mapping, 0);
DS_TABLE(buffers, struct ds_buffer_key, struct ds_buffer, 0);
DS_TABLE(domains, __u64, __u32, 0); /* IOMMU domain not of the DMA API -> slot of its device */

#define ds_add(counter, n) ((void)__sync_fetch_and_add(&(counter), (n)))

/* ---- the identity ---- */

static __always_inline struct ds_sensor_stats *sensor__stats(enum ds_sensor sensor)
{
	__u32 row = sensor * ds_nr_cpus + bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&sensor_stats, &row);
}

/* First act of every accounting function. */
static __always_inline struct ds_sensor_stats *event__offer(enum ds_sensor sensor)
{
	struct ds_sensor_stats *stats = sensor__stats(sensor);

	if (stats)
		ds_add(stats->offered, 1);
	return stats;
}

/* Last act: counted, or lost for exactly one reason. */
static __always_inline void event__close(struct ds_sensor_stats *stats, __u32 lost)
{
	if (!stats)
		return;
	barrier_var(lost); /* else clang drops the check, or the address goes before it */
	if (lost < DS_LOST_COUNT) {
		barrier_var(lost);
		ds_add(stats->lost[lost], 1);
	} else {
		ds_add(stats->counted, 1);
	}
}

/* The first reason is kept; DS_LOST_NOT is none. The reason is computed in any case. */
#define event__lose(lost, reason)             \
	do {                                  \
		__u32 reason_here = (reason); \
                                              \
		if ((lost) == DS_LOST_NOT)    \
			(lost) = reason_here; \
	} while (0)

/* ---- processes ---- */

/*
 * A process that an event is about. In memory, as a pointer cannot be given to a global function
 * as a number.
 */
struct new_process {
	struct ds_process_key key;
	__u64 task; /* address of one of its tasks */
};

/* Which cgroups a task is in; bpf/dirtyscope.h. */
struct task_cgroups {
	__u64 id;
	__u64 memory_id;
	__u32 memory_hierarchy;
	__u32 pad;
};

static __always_inline void task_cgroups__read(struct task_cgroups *cgroups,
					       struct task_struct *task)
{
	struct cgroup *memory = task__memory_cgroup(task);

	cgroups->id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	cgroups->memory_hierarchy = BPF_CORE_READ(memory, root, hierarchy_id);
	cgroups->memory_id = cgroups->memory_hierarchy ? BPF_CORE_READ(memory, kn, id) : 0;
}

/* The rare path: a process is met for the first time, with its names while it still has them. */
__weak __u32 process__admit(const struct new_process *fresh)
{
	struct ds_process_info *info;
	struct task_cgroups cgroups;
	struct ds_process_key key;
	struct task_struct *task;
	__u32 slot = 0, *won;

	if (!fresh || bpf_map_pop_elem(&process_slots, &slot))
		return DS_SLOT_NONE;
	info = bpf_map_lookup_elem(&process_infos, &slot);
	if (!info)
		return DS_SLOT_NONE;
	key = fresh->key;
	task = (void *)fresh->task;
	info->key = key;
	BPF_CORE_READ_STR_INTO(&info->comm, task, group_leader, comm);
	info->uid = BPF_CORE_READ(task, cred, uid.val);
	task_cgroups__read(&cgroups, task);
	info->cgroup_id = cgroups.id;
	info->memory_cgroup_id = cgroups.memory_id;
	info->memory_hierarchy = cgroups.memory_hierarchy;
	info->exit_ns = 0;
	info->execs = 0;
	if (bpf_map_update_elem(&processes, &key, &slot, BPF_NOEXIST)) {
		bpf_map_push_elem(&process_slots, &slot, BPF_ANY);
		won = bpf_map_lookup_elem(&processes, &key);
		return won ? *won : DS_SLOT_NONE;
	}
	*(volatile __u32 *)&info->state = DS_SLOT_LIVE;
	/* It wrote after its end was told: there will be no other event. */
	if (!BPF_CORE_READ(task, signal, live.counter)) {
		info->exit_ns = bpf_ktime_get_boot_ns();
		event__close(event__offer(DS_SENSOR_PROCESS), DS_LOST_NOT);
	}
	return slot;
}

static __always_inline __u32 process__admit_new(const struct ds_process_key *key, __u64 task)
{
	struct new_process fresh = {.key = *key, .task = task};

	return process__admit(&fresh);
}

/* Slot of a process, taken on first sight; DS_SLOT_NONE when the table is full. */
static __always_inline __u32 process__find(const struct ds_process_key *key, __u64 task)
{
	__u32 *slot = bpf_map_lookup_elem(&processes, key);

	return slot ? *slot : process__admit_new(key, task);
}

static __always_inline __u32 process__slot(const struct ds_process_key *key)
{
	return process__find(key, bpf_get_current_task());
}

/*
 * What this CPU has counted for the process that it met last goes to the row, and it counts for
 * another one. Nothing of the same sensor nests in here on this CPU. The agent looks on: it takes
 * what is kept where `switches` was even and stayed the same.
 */
__weak int process__switch(struct ds_sensor_stats *sensor, __u32 slot)
{
	struct ds_process_stats *row;
	__u64 *kept, *counters;
	__u32 last;

	if (!sensor)
		return 0;
	last = sensor->last_slot;
	row = bpf_map_lookup_elem(&process_stats, &last);
	if (!row)
		return 0;
	kept = (__u64 *)&sensor->kept;
	counters = (__u64 *)row;
	sensor->switches++;
	barrier();
	for (int i = 0; i < DS_PROCESS_COUNTERS; i++) {
		ds_add(counters[i], kept[i]);
		kept[i] = 0;
	}
	sensor->last_slot = slot;
	barrier();
	sensor->switches++;
	return 0;
}

static __always_inline bool process__has_slot(const struct ds_process_key *key, __u32 slot)
{
	struct ds_process_info *info = bpf_map_lookup_elem(&process_infos, &slot);

	return info && info->state == DS_SLOT_LIVE && info->key.tgid == key->tgid &&
	       info->key.start_boottime_ns == key->start_boottime_ns;
}

/*
 * The slot for programs that may be preempted by each other: they add to the process's row
 * themselves, atomically.
 */
static __always_inline __u32 process__slot_hinted(struct ds_sensor_stats *sensor,
						  const struct ds_process_key *key, __u64 task)
{
	__u32 slot = sensor->hint;

	if (process__has_slot(key, slot))
		return slot;
	slot = process__find(key, task);
	sensor->hint = slot;
	return slot;
}

/*
 * The slot for hot paths that nothing nests in on their CPU. They count in sensor->kept then:
 * mostly it is the process that was met last on this CPU. Its row says whether the slot is still
 * its own, which spares the hash.
 */
static __always_inline __u32 process__slot_cached(struct ds_sensor_stats *sensor,
						  const struct ds_process_key *key, __u64 task)
{
	__u32 slot = sensor->last_slot;

	if (process__has_slot(key, slot))
		return slot;
	slot = process__find(key, task);
	if (slot != sensor->last_slot)
		process__switch(sensor, slot);
	return slot;
}

static __always_inline struct ds_process_key process__of(struct task_struct *task)
{
	struct ds_process_key key = {};

	key.tgid = task->tgid;
	key.start_boottime_ns = task->group_leader->start_boottime;
	return key;
}

static __always_inline struct ds_process_key process__current(void)
{
	return process__of((void *)bpf_get_current_task_btf());
}

/* ---- sources: where a device shows up ---- */

/* A source that an event is about; in memory for the reason given at struct new_process. */
struct new_source {
	struct ds_source_key key;
	__u64 object; /* address of its struct device or struct gendisk */
};

__weak __u32 source__admit(const struct new_source *fresh)
{
	struct ds_source_info *info;
	struct ds_source_key key;
	__u32 slot = 0, *won;

	if (!fresh || bpf_map_pop_elem(&source_slots, &slot))
		return DS_SLOT_NONE;
	info = bpf_map_lookup_elem(&source_infos, &slot);
	if (!info)
		return DS_SLOT_NONE;
	key = fresh->key;
	info->key = key;
	info->flags = 0;
	info->open_maps = 0;
	info->remappings = 0;
	info->bus[0] = 0;
	info->name[0] = 0;
	info->first_seen_ns = bpf_ktime_get_boot_ns();
	if (key.kind == DS_SOURCE_DEVICE) {
		struct device *dev = (void *)fresh->object;
		const char *name = BPF_CORE_READ(dev, kobj.name);
		const char *bus = BPF_CORE_READ(dev, bus, name);

		if (name)
			bpf_probe_read_kernel_str(info->name, sizeof(info->name), name);
		if (bus)
			bpf_probe_read_kernel_str(info->bus, sizeof(info->bus), bus);
	} else {
		struct gendisk *disk = (void *)fresh->object;

		BPF_CORE_READ_STR_INTO(&info->name, disk, disk_name);
	}
	if (bpf_map_update_elem(&sources, &key, &slot, BPF_NOEXIST)) {
		bpf_map_push_elem(&source_slots, &slot, BPF_ANY);
		won = bpf_map_lookup_elem(&sources, &key);
		return won ? *won : DS_SLOT_NONE;
	}
	*(volatile __u32 *)&info->state = DS_SLOT_LIVE;
	return slot;
}

/* Slot of a source, taken on first sight; DS_SLOT_NONE when the table is full. */
static __always_inline __u32 source__slot(__u32 kind, __u64 id, __u64 object)
{
	struct new_source fresh = {.key = {.kind = kind, .id = id}, .object = object};
	__u32 *slot = bpf_map_lookup_elem(&sources, &fresh.key);

	return slot ? *slot : source__admit(&fresh);
}

/* A device that is in sysfs no more, or not yet, is known by its address. */
static __always_inline __u32 device__slot_by(struct device *dev, __u64 id)
{
	return source__slot(DS_SOURCE_DEVICE, id ? id : (__u64)dev, (__u64)dev);
}

static __always_inline __u32 device__slot(struct device *dev)
{
	struct kernfs_node *node = DS_FIELD(dev, kobj.sd);

	return device__slot_by(dev, node ? DS_FIELD(node, id) : 0);
}

/* The same through a pointer that the program was not given but found. */
static __always_inline __u32 device__slot_found(struct device *dev)
{
	return device__slot_by(dev, BPF_CORE_READ(dev, kobj.sd, id));
}

static __always_inline struct ds_device_stats *device__stats(__u32 slot)
{
	__u32 row = slot * ds_device_rows + bpf_get_smp_processor_id() % DS_DEVICE_ROWS;

	return bpf_map_lookup_elem(&device_stats, &row);
}

/* event__close() of an event that is about a device. */
static __always_inline void event__close_device(struct ds_sensor_stats *sensor,
						struct ds_device_stats *stats, __u32 lost)
{
	if (stats && lost < DS_LOST_COUNT)
		ds_add(stats->lost, 1);
	event__close(sensor, lost);
}

/* ---- flows ---- */

/* Adds to what a process had a source write. Returns enum ds_lost. */
static __always_inline __u32 flow__add(const struct ds_process_key *process, __u32 slot,
				       __u64 pages, __u64 bytes, __u64 requests)
{
	struct ds_flow_key key = {.process = *process, .slot = slot};
	struct ds_flow_stats *flow = bpf_map_lookup_elem(&flows, &key);

	if (!flow) {
		struct ds_flow_stats zero = {};

		bpf_map_update_elem(&flows, &key, &zero, BPF_NOEXIST);
		flow = bpf_map_lookup_elem(&flows, &key);
		if (!flow)
			return DS_LOST_FLOWS_FULL;
	}
	ds_add(flow->pages, pages);
	ds_add(flow->bytes, bytes);
	ds_add(flow->requests, requests);
	return DS_LOST_NOT;
}

#endif
