/* SPDX-License-Identifier: BSD-2-Clause */
/* The slots of the kernel's table: who has one, what it counts, and how it is given back. */
#include "agent/inventory/processes_private.h"

#include <bpf/bpf.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/kernel/tasks.h"

/* Reads of /proc per interval: new processes first, then renames and VMs. */
#define NEW_PER_SAMPLE 512
#define CHECKS_PER_SAMPLE 32
#define FREE_STRETCH 256
#define GRACE_SECONDS 0.05  /* that a slot without a key is kept */
#define REFRESH_SECONDS 2.0 /* between two walks over the kernel's tasks */

static const struct ds_process_info *info_of(const struct processes *processes, uint32_t slot)
{
	return (const struct ds_process_info *)&processes->tables->process_infos[slot];
}

/* ---- counters ---- */

/* Asks again for the name of a slot's cgroup, and pays what it is owed. */
static void name_cgroup(struct processes *processes, uint32_t slot)
{
	struct process_slot *place = &processes->slots[slot];
	const struct ds_process_info *info = info_of(processes, slot);
	const struct cgroup_ids ids = {.id = info->cgroup_id,
				       .memory_id = info->memory_cgroup_id,
				       .memory_hierarchy = info->memory_hierarchy};

	place->cgroup = cgroup_names__group(processes->names, &ids);
	if (!place->cgroup)
		return;
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		groups__add(processes->cgroups, place->cgroup, writer, place->owed[writer]);
		place->owed[writer] = 0;
	}
	if (place->record->slot == slot)
		process_record__enter(processes, place->record, place->cgroup);
}

/*
 * What was counted since the last time goes to the slot's process and cgroup. False: some of it is
 * for the next time.
 */
static bool settle(struct processes *processes, uint32_t slot)
{
	struct process_slot *place = &processes->slots[slot];
	struct process_record *record = place->record;
	const struct ds_process_stats seen = place->seen;
	struct ds_process_stats *sum = &place->seen;
	uint64_t pages[DS_WRITERS] = {0};
	bool whole = process_counts__read(processes->counts, slot, sum);

	if (memcmp(&seen, sum, sizeof(seen)) != 0)
		place->moved = processes->samples;
	record->first_touch += sum->first_touch - seen.first_touch;
	record->rewrite += sum->rewrite - seen.rewrite;
	record->kernel += sum->kernel - seen.kernel;
	record->tracked += sum->tracked - seen.tracked;
	pages[DS_WRITER_CPU] = sum->first_touch - seen.first_touch + sum->rewrite - seen.rewrite +
			       sum->kernel - seen.kernel;
	pages[DS_WRITER_PAGECACHE] = sum->pagecache - seen.pagecache;
	pages[DS_WRITER_BLOCKDEV] = sum->blockdev - seen.blockdev;
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		record->series.written[writer] += pages[writer];
		place->owed[writer] += pages[writer];
	}
	charges__settle(processes->charges, slot, place->owed);
	if (!place->cgroup)
		name_cgroup(processes, slot);
	for (int writer = 0; writer < DS_WRITERS && place->cgroup; writer++) {
		groups__add(processes->cgroups, place->cgroup, writer, place->owed[writer]);
		place->owed[writer] = 0;
	}
	processes->owing += !place->cgroup;
	return whole;
}

/* ---- the way back ---- */

/*
 * Its last counts are taken, and it is for the next process, which counts on from there. False: not
 * yet.
 */
static bool give_back(struct processes *processes, uint32_t slot, double now)
{
	const struct kernel_tables *tables = processes->tables;
	struct process_slot *place = &processes->slots[slot];
	struct process_record *record = place->record;

	if (!settle(processes, slot)) /* what is still owed is left to no cgroup */
		return false;
	if (info_of(processes, slot)->exit_ns)
		process_record__end(processes, record, now);
	record->slots--;
	if (record->slot == slot)
		record->slot = DS_SLOT_NONE;
	if (!record->slots && record->state == PROCESS_RUNNING)
		process_record__watch(processes, record);
	charges__forget_slot(processes->charges, slot);
	groups__put(processes->cgroups, place->cgroup);
	*place = (struct process_slot){.seen = place->seen};
	tables->process_infos[slot].state = DS_SLOT_FREE;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bpf_map_update_elem(tables->process_slots_fd, NULL, &slot, BPF_ANY);
	processes->used--;
	return true;
}

/*
 * A slot goes back in two steps: its key leaves the kernel's table first, and it is given back when
 * no program can still be using it. A program takes a microsecond, but may be preempted.
 */
static void give_back_retired(struct processes *processes, double now)
{
	size_t left = 0;

	for (size_t i = 0; i < processes->retired_count; i++) {
		uint32_t slot = processes->retired[i];

		if (now - processes->slots[slot].retired_at < GRACE_SECONDS ||
		    !give_back(processes, slot, now))
			processes->retired[left++] = slot;
	}
	processes->retired_count = left;
}

/* The slot that the kernel side has for a process; DS_SLOT_NONE. */
static uint32_t mapped_slot(const struct processes *processes, const struct ds_process_key *key)
{
	uint32_t slot;

	return bpf_map_lookup_elem(processes->tables->processes_fd, key, &slot) ? DS_SLOT_NONE
										: slot;
}

void process_slot__retire(struct processes *processes, uint32_t slot, double now)
{
	struct process_slot *place = &processes->slots[slot];

	if (place->retired_at > 0)
		return;
	place->retired_at = now;
	/* One that was left has no key any more; the process may have another slot. */
	if (mapped_slot(processes, &place->record->key) == slot)
		bpf_map_delete_elem(processes->tables->processes_fd, &place->record->key);
	processes->retired[processes->retired_count++] = slot;
}

void process_record__end(struct processes *processes, struct process_record *record, double now)
{
	if (record->state == PROCESS_RUNNING) {
		record->state = PROCESS_EXITED;
		record->exited_at = now;
	}
	process_record__unwatch(processes, record);
	if (record->slot != DS_SLOT_NONE)
		process_slot__retire(processes, record->slot, now);
}

/* ---- who has a slot ---- */

/* What it was called when it was seen last may be old: it had no slot for a while. */
static void take_changes(struct processes *processes, struct process_record *record,
			 const struct ds_process_info *info)
{
	const struct process_identity *known = record->identity;

	if (!known->nameless && known->uid == info->uid &&
	    strncmp(known->comm, info->comm, DS_COMM_LEN - 1) == 0)
		return;
	record->resolved = false;
	process_record__take_name(processes, record, info);
}

static struct process_record *meet(struct processes *processes, uint32_t slot, double now)
{
	const struct ds_process_info *info = info_of(processes, slot);
	struct process_record *record;

	HASH_FIND(hh, processes->by_key, &info->key, sizeof(info->key), record);
	if (record)
		take_changes(processes, record, info);
	else
		record = process_record__new(processes, info);
	if (!record)
		return NULL;
	process_record__unwatch(processes, record);
	processes->slots[slot].record = record;
	processes->used++;
	record->slots++;
	if (!info->exit_ns)
		record->state =
			PROCESS_RUNNING; /* what it wrote after its end is looked at again */
	if (record->slot != DS_SLOT_NONE && mapped_slot(processes, &record->key) != slot)
		return record; /* one that it left, met late */
	if (record->slot != DS_SLOT_NONE)
		process_slot__retire(processes, record->slot, now);
	record->slot = slot;
	record->execs = info->execs;
	return record;
}

/*
 * Slots are handed out from the lowest: rows beyond a free stretch were never used. A single free
 * row says nothing: its slot may be in the hands of a CPU that is being held up.
 */
static void raise_high(struct processes *processes)
{
	const struct kernel_tables *tables = processes->tables;

	for (uint32_t slot = processes->high + 1;
	     slot <= tables->process_slots && slot <= processes->high + FREE_STRETCH; slot++)
		if (tables->process_infos[slot].state != DS_SLOT_FREE)
			processes->high = slot;
}

struct process_record *process_slot__visit(struct processes *processes, uint32_t slot, double now)
{
	const struct ds_process_info *info = info_of(processes, slot);
	struct process_record *record = processes->slots[slot].record;

	if (!record)
		record = meet(processes, slot, now);
	if (!record)
		return NULL;
	settle(processes, slot);
	if (record->slot == slot && info->execs != record->execs) {
		record->execs = info->execs;
		record->resolved = false;
		process_record__take_name(processes, record, info);
	}
	return record;
}

static void drain_slot(struct processes *processes, uint32_t slot, double now)
{
	const volatile struct ds_process_info *info = &processes->tables->process_infos[slot];
	struct process_record *record;

	if (info->state == DS_SLOT_FREE || (info->state == DS_SLOT_LIVE && !info->exit_ns) ||
	    processes->slots[slot].retired_at > 0)
		return;
	record = process_slot__visit(processes, slot, now);
	if (!record)
		return;
	process_slot__retire(processes, slot, now);
	if (info->exit_ns)
		process_record__end(processes, record, now);
}

void processes__drain(struct processes *processes, double now)
{
	const struct kernel_tables *tables = processes->tables;
	uint64_t lives = 0;

	cgroup_names__drain(processes->names, now);
	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++)
		lives += tables->sensor_stats[DS_SENSOR_PROCESS * tables->cpus + cpu].counted;
	if (lives == processes->lives && !processes->retired_count)
		return;
	process_counts__look(processes->counts);
	give_back_retired(processes, now);
	if (lives == processes->lives) /* nobody has ended or moved: no row needs a look */
		return;
	processes->lives = lives;
	raise_high(processes);
	for (uint32_t slot = 1; slot <= processes->high; slot++)
		drain_slot(processes, slot, now);
}

/* Cgroups were renamed: each slot asks again. */
static void rename_cgroups(struct processes *processes)
{
	uint64_t renames = cgroup_names__renames(processes->names);

	if (renames == processes->renames)
		return;
	processes->renames = renames;
	for (uint32_t slot = 1; slot <= processes->high; slot++) {
		groups__put(processes->cgroups, processes->slots[slot].cgroup);
		processes->slots[slot].cgroup = NULL;
	}
}

/*
 * A cgroup was told of before anybody could be in it: what is not known yet is known once the ring
 * is read again. What then has no name is looked for.
 */
static void pay_what_is_owed(struct processes *processes, double now)
{
	if (!processes->owing)
		return;
	cgroup_names__drain(processes->names, now);
	for (int round = 0; round < 2; round++) {
		bool all = true;

		for (uint32_t slot = 1; slot <= processes->high; slot++) {
			struct process_slot *place = &processes->slots[slot];

			if (place->record && !place->cgroup)
				name_cgroup(processes, slot);
			all &= !place->record || place->cgroup;
		}
		if (all || round || !cgroup_names__look(processes->names, now))
			break;
	}
	processes->owing = 0;
	for (uint32_t slot = 1; slot <= processes->high; slot++) /* that stays without */
		memset(processes->slots[slot].owed, 0, sizeof(processes->slots[slot].owed));
}

/* What no event tells, and once, which namespaces the agent has of its own. */
static void refresh(struct processes *processes, double now)
{
	struct ds_own_namespaces own = {0};
	bool was_known = processes->namespaces_known;

	if (was_known && now - processes->refreshed_at < REFRESH_SECONDS)
		return;
	processes->refreshed_at = now;
	if (tasks__refresh(processes->kernel, &own) || was_known)
		return;
	processes->namespaces_known = true;
	processes->own = own;
	if (own.flags)
		log_warn("the agent has namespaces of its own: what of processes and cgroups only "
			 "/proc "
			 "and the mounted hierarchies tell is not known",
			 "pid=%s time=%s cgroup=%s",
			 own.flags & DS_OWN_PID_NAMESPACE ? "own" : "host",
			 own.flags & DS_OWN_TIME_NAMESPACE ? "own" : "host",
			 own.flags & DS_OWN_CGROUP_NAMESPACE ? "own" : "host");
}

int processes__sample(struct processes *processes, double now)
{
	const struct kernel_tables *tables = processes->tables;
	int budget = NEW_PER_SAMPLE;

	processes->samples++;
	procfs_users__refresh(processes->users);
	refresh(processes, now);
	processes__drain(processes, now);
	processes__check_watched(processes, now);
	rename_cgroups(processes);
	charges__sample(processes->charges);
	raise_high(processes);
	process_counts__look(processes->counts);
	process_counts__read(processes->counts, DS_SLOT_NONE, &processes->nobody);
	for (uint32_t slot = 1; slot <= processes->high; slot++) {
		const volatile struct ds_process_info *info = &tables->process_infos[slot];
		struct process_record *record;

		if (info->state != DS_SLOT_LIVE)
			continue;
		record = process_slot__visit(processes, slot, now);
		if (!record)
			continue;
		if (!record->resolved && budget > 0 && !info->exit_ns) {
			budget--;
			process_record__resolve(processes, record);
		}
	}
	pay_what_is_owed(processes, now);
	processes__make_room(processes, now);
	return 0;
}

void processes__check_some(struct processes *processes)
{
	uint32_t looks =
		processes->high < 4 * CHECKS_PER_SAMPLE ? processes->high : 4 * CHECKS_PER_SAMPLE;

	for (int checks = 0; looks > 0 && checks < CHECKS_PER_SAMPLE; looks--) {
		struct process_record *record;

		processes->next_check = processes->next_check % processes->high + 1;
		record = processes->slots[processes->next_check].record;
		if (!record || record->state != PROCESS_RUNNING)
			continue;
		checks++;
		if (record->moved)
			process_record__resolve(processes, record);
	}
}
