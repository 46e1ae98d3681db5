/* SPDX-License-Identifier: BSD-2-Clause */
/* The slots of the kernel's table: who has one, what it counts, and how it is given back. */
#include "agent/inventory/processes_private.h"

#include <bpf/bpf.h>
#include <string.h>

#include "agent/host/procfs.h"

/* Reads of /proc per interval: new processes first, then renames, VMs and missed exits. */
#define NEW_PER_SAMPLE 512
#define CHECKS_PER_SAMPLE 32
#define FREE_STRETCH 256

static const struct ds_process_info *info_of(const struct processes *processes, uint32_t slot)
{
	return (const struct ds_process_info *)&processes->tables->process_infos[slot];
}

/* ---- counters ---- */

static void read_slot(const struct processes *processes, uint32_t slot, uint64_t sums[COUNTERS])
{
	const struct kernel_tables *tables = processes->tables;

	memset(sums, 0, COUNTERS * sizeof(*sums));
	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++) {
		const volatile struct ds_process_stats *row =
			&tables->process_stats[slot * tables->cpus + cpu];

		sums[FIRST_TOUCH] += row->first_touch;
		sums[REWRITE] += row->rewrite;
		sums[KERNEL] += row->kernel;
		sums[PAGECACHE] += row->pagecache;
		sums[BLOCKDEV] += row->blockdev;
	}
}

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

/* What was counted since the last look goes to the slot's process and cgroup. */
static void settle(struct processes *processes, uint32_t slot)
{
	struct process_slot *place = &processes->slots[slot];
	struct process_record *record = place->record;
	uint64_t sums[COUNTERS], more[COUNTERS], pages[DS_WRITERS] = {0};

	read_slot(processes, slot, sums);
	for (int i = 0; i < COUNTERS; i++)
		more[i] = sums[i] - place->seen[i];
	memcpy(place->seen, sums, sizeof(place->seen));
	record->first_touch += more[FIRST_TOUCH];
	record->rewrite += more[REWRITE];
	record->kernel += more[KERNEL];
	pages[DS_WRITER_CPU] = more[FIRST_TOUCH] + more[REWRITE] + more[KERNEL];
	pages[DS_WRITER_PAGECACHE] = more[PAGECACHE];
	pages[DS_WRITER_BLOCKDEV] = more[BLOCKDEV];
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		record->series.written[writer] += pages[writer];
		place->owed[writer] += pages[writer];
	}
	if (!place->cgroup)
		name_cgroup(processes, slot);
	for (int writer = 0; writer < DS_WRITERS && place->cgroup; writer++) {
		groups__add(processes->cgroups, place->cgroup, writer, place->owed[writer]);
		place->owed[writer] = 0;
	}
	processes->owing += !place->cgroup;
}

/* ---- the way back ---- */

/*
 * A slot goes back in two steps, a drain apart: its key leaves the kernel's table first, and
 * when no program can still be using the slot its last counts are taken and its rows cleared.
 */
static void give_back_retired(struct processes *processes)
{
	const struct kernel_tables *tables = processes->tables;

	for (size_t i = 0; i < processes->retired_count; i++) {
		uint32_t slot = processes->retired[i];
		struct process_slot *place = &processes->slots[slot];
		struct process_record *record = place->record;

		settle(processes, slot); /* what is still owed is left to no cgroup */
		record->slots--;
		if (record->slot == slot)
			record->slot = DS_SLOT_NONE;
		groups__put(processes->cgroups, place->cgroup);
		memset(place, 0, sizeof(*place));
		memset((void *)&tables->process_stats[slot * tables->cpus], 0,
		       tables->cpus * sizeof(*tables->process_stats));
		tables->process_infos[slot].state = DS_SLOT_FREE;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		bpf_map_update_elem(tables->process_slots_fd, NULL, &slot, BPF_ANY);
		processes->used--;
	}
	processes->retired_count = 0;
}

/* The slot that the kernel side has for a process; DS_SLOT_NONE. */
static uint32_t mapped_slot(const struct processes *processes, const struct ds_process_key *key)
{
	uint32_t slot;

	return bpf_map_lookup_elem(processes->tables->processes_fd, key, &slot) ? DS_SLOT_NONE
										: slot;
}

static void retire(struct processes *processes, uint32_t slot)
{
	struct process_slot *place = &processes->slots[slot];

	if (place->retired)
		return;
	place->retired = true;
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
	if (record->slot != DS_SLOT_NONE)
		retire(processes, record->slot);
}

/* ---- who has a slot ---- */

static struct process_record *meet(struct processes *processes, uint32_t slot)
{
	const struct ds_process_info *info = info_of(processes, slot);
	struct process_record *record;

	HASH_FIND(hh, processes->by_key, &info->key, sizeof(info->key), record);
	if (!record)
		record = process_record__new(processes, &info->key, info->comm, info->uid);
	if (!record)
		return NULL;
	processes->slots[slot].record = record;
	processes->used++;
	record->slots++;
	if (!info->exit_ns)
		record->state =
			PROCESS_RUNNING; /* what it wrote after its end is looked at again */
	if (record->slot != DS_SLOT_NONE && mapped_slot(processes, &record->key) != slot)
		return record; /* one that it left, met late */
	if (record->slot != DS_SLOT_NONE)
		retire(processes, record->slot);
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

struct process_record *process_slot__visit(struct processes *processes, uint32_t slot)
{
	const struct ds_process_info *info = info_of(processes, slot);
	struct process_record *record = processes->slots[slot].record;

	if (!record)
		record = meet(processes, slot);
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
	    processes->slots[slot].retired)
		return;
	record = process_slot__visit(processes, slot);
	if (!record)
		return;
	retire(processes, slot);
	if (info->exit_ns)
		process_record__end(processes, record, now);
}

void processes__drain(struct processes *processes, double now)
{
	const struct kernel_tables *tables = processes->tables;
	uint64_t lives = 0;

	cgroup_names__drain(processes->names, now);
	give_back_retired(processes);
	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++)
		lives += tables->sensor_stats[DS_SENSOR_PROCESS * tables->cpus + cpu].counted;
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

int processes__sample(struct processes *processes, double now)
{
	const struct kernel_tables *tables = processes->tables;
	int budget = NEW_PER_SAMPLE;

	procfs_users__refresh(processes->users);
	processes__drain(processes, now);
	rename_cgroups(processes);
	raise_high(processes);
	read_slot(processes, DS_SLOT_NONE, processes->nobody);
	for (uint32_t slot = 1; slot <= processes->high; slot++) {
		const volatile struct ds_process_info *info = &tables->process_infos[slot];
		struct process_record *record;

		if (info->state != DS_SLOT_LIVE)
			continue;
		record = process_slot__visit(processes, slot);
		if (!record)
			continue;
		if (!record->resolved && budget > 0 && !info->exit_ns) {
			budget--;
			process_record__resolve(processes, record);
		}
	}
	pay_what_is_owed(processes, now);
	return 0;
}

/* A few of the living, in turn: new names of those that write, ends that no event told of. */
void processes__check_some(struct processes *processes, double now)
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
		if (!procfs__is_alive(processes->config->procfs, &record->key))
			process_record__end(processes, record, now);
		else if (record->moved)
			process_record__resolve(processes, record);
	}
}
