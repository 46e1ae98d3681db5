/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/processes_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/procfs.h"

/* Reads of /proc per interval: new processes first, then renames, VMs and missed exits. */
#define NEW_PER_SAMPLE 512
#define CHECKS_PER_SAMPLE 32
#define FREE_STRETCH 256

int processes__new(const struct agent_config *config, const struct kernel_tables *tables,
		   struct processes **out)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	*out = NULL;
	if (!processes)
		return -ENOMEM;
	processes->config = config;
	processes->tables = tables;
	processes->pool.limit = config->max_series;
	processes->by_slot = calloc(tables->process_slots + 1, sizeof(*processes->by_slot));
	processes->retired = calloc(tables->process_slots + 1, sizeof(*processes->retired));
	processes->cgroups = groups__new(config->max_series);
	processes->vms = groups__new(config->max_series);
	processes->users = procfs_users__new("/etc/passwd");
	if (!processes->by_slot || !processes->retired || !processes->cgroups || !processes->vms ||
	    !processes->users) {
		processes__free(processes);
		return -ENOMEM;
	}
	*out = processes;
	return 0;
}

void process_record__free(struct processes *processes, struct process_record *record)
{
	HASH_DEL(processes->by_key, record);
	process_identity__put(record->identity);
	free(record);
}

void processes__free(struct processes *processes)
{
	struct process_record *record, *next;

	if (!processes)
		return;
	HASH_ITER (hh, processes->by_key, record, next)
		process_record__free(processes, record);
	groups__free(processes->cgroups);
	groups__free(processes->vms);
	procfs_users__free(processes->users);
	free(processes->by_slot);
	free(processes->retired);
	free(processes);
}

/* ---- who ---- */

static void set_identity(struct processes *processes, struct process_record *record,
			 struct process_identity *identity)
{
	process_identity__put(record->identity);
	record->identity = identity;
	record->cgroup =
		*identity->cgroup ? groups__find(processes->cgroups, identity->cgroup) : NULL;
	record->vm = identity->vm_name ? groups__find(processes->vms, identity->vm_name) : NULL;
}

/* Reads the names from /proc; a process that is gone keeps what the kernel side saw. */
static void resolve(struct processes *processes, struct process_record *record)
{
	struct process_identity *identity;

	if (procfs__identify(processes->config->procfs, processes->users, record->identity,
			     &identity))
		return;
	set_identity(processes, record, identity);
	record->resolved = true;
}

/* The kernel side saw an exec or a rename. */
static void take_name(struct processes *processes, struct process_record *record,
		      const struct ds_process_info *info)
{
	struct process_identity known = process_identity__facts(record->identity);
	struct process_identity *renamed;

	memcpy(known.comm, info->comm, sizeof(known.comm));
	known.comm[DS_COMM_LEN - 1] = 0;
	renamed = process_identity__new(&known);
	if (renamed)
		set_identity(processes, record, renamed);
}

static struct process_record *add_record(struct processes *processes,
					 const struct ds_process_key *key, const char *comm,
					 uint32_t uid)
{
	struct process_identity known = {.tgid = key->tgid,
					 .start_boottime_ns = key->start_boottime_ns,
					 .uid = uid,
					 .user = procfs_users__name(processes->users, uid)};
	struct process_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	memcpy(known.comm, comm, sizeof(known.comm));
	known.comm[DS_COMM_LEN - 1] = 0;
	record->key = *key;
	record->identity = process_identity__new(&known);
	if (!record->identity) {
		free(record);
		return NULL;
	}
	HASH_ADD(hh, processes->by_key, key, sizeof(record->key), record);
	return record;
}

struct process_record *processes__find(struct processes *processes,
				       const struct ds_process_key *key)
{
	struct process_record *record;
	char comm[DS_COMM_LEN] = "?";

	HASH_FIND(hh, processes->by_key, key, sizeof(*key), record);
	if (record)
		return record;
	record = add_record(processes, key, comm, 0);
	if (record)
		resolve(processes, record);
	return record;
}

void process_record__add_dma(struct process_record *record, uint64_t pages)
{
	record->series.written[DS_WRITER_DMA] += pages;
}

struct process_identity *process_record__identity(const struct process_record *record)
{
	return record->identity;
}

/* ---- what ---- */

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

static void read_record(struct processes *processes, struct process_record *record)
{
	uint64_t sums[COUNTERS], *written = record->series.written;

	read_slot(processes, record->slot, sums);
	for (int i = 0; i < COUNTERS; i++)
		sums[i] += record->carried[i];
	record->first_touch = sums[FIRST_TOUCH];
	record->rewrite = sums[REWRITE];
	record->kernel = sums[KERNEL];
	written[DS_WRITER_CPU] = sums[FIRST_TOUCH] + sums[REWRITE] + sums[KERNEL];
	written[DS_WRITER_PAGECACHE] = sums[PAGECACHE];
	written[DS_WRITER_BLOCKDEV] = sums[BLOCKDEV];
}

/*
 * A slot goes back in two steps, a drain apart: its key leaves the kernel's table first, and
 * when no program can still be using the slot its last counts are taken and its rows cleared.
 */
static void give_back_retired(struct processes *processes)
{
	const struct kernel_tables *tables = processes->tables;

	for (size_t i = 0; i < processes->retired_count; i++) {
		uint32_t slot = processes->retired[i];
		struct process_record *record = processes->by_slot[slot];
		uint64_t sums[COUNTERS];

		read_record(processes, record);
		read_slot(processes, slot, sums);
		for (int counter = 0; counter < COUNTERS; counter++)
			record->carried[counter] += sums[counter];
		record->slot = DS_SLOT_NONE;
		record->retired = false;
		processes->by_slot[slot] = NULL;
		memset((void *)&tables->process_stats[slot * tables->cpus], 0,
		       tables->cpus * sizeof(*tables->process_stats));
		tables->process_infos[slot].state = DS_SLOT_FREE;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		bpf_map_update_elem(tables->process_slots_fd, NULL, &slot, BPF_ANY);
		processes->used--;
	}
	processes->retired_count = 0;
}

void process_record__retire(struct processes *processes, struct process_record *record, double now)
{
	if (record->state == PROCESS_RUNNING) {
		record->state = PROCESS_EXITED;
		record->exited_at = now;
	}
	if (record->slot == DS_SLOT_NONE || record->retired)
		return;
	record->retired = true;
	bpf_map_delete_elem(processes->tables->processes_fd, &record->key);
	processes->retired[processes->retired_count++] = record->slot;
}

static struct process_record *meet(struct processes *processes, uint32_t slot)
{
	const struct ds_process_info *info =
		(const struct ds_process_info *)&processes->tables->process_infos[slot];
	struct process_record *record;

	HASH_FIND(hh, processes->by_key, &info->key, sizeof(info->key), record);
	if (!record)
		record = add_record(processes, &info->key, info->comm, info->uid);
	else if (record->slot != DS_SLOT_NONE)
		return NULL; /* its old slot is still on its way back */
	if (!record)
		return NULL;
	record->state = PROCESS_RUNNING; /* a write after its exit was told: looked at again */
	record->slot = slot;
	record->execs = info->execs;
	processes->by_slot[slot] = record;
	processes->used++;
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

/* The record of a live slot, its counters read; NULL: none, for now. */
static struct process_record *visit(struct processes *processes, uint32_t slot)
{
	const struct ds_process_info *info =
		(const struct ds_process_info *)&processes->tables->process_infos[slot];
	struct process_record *record = processes->by_slot[slot];

	if (!record)
		record = meet(processes, slot);
	if (!record)
		return NULL;
	read_record(processes, record);
	if (info->execs != record->execs) {
		record->execs = info->execs;
		record->resolved = false;
		take_name(processes, record, info);
	}
	return record;
}

void processes__drain(struct processes *processes, double now)
{
	const struct kernel_tables *tables = processes->tables;
	uint64_t lives = 0;

	give_back_retired(processes);
	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++)
		lives += tables->sensor_stats[DS_SENSOR_PROCESS * tables->cpus + cpu].counted;
	if (lives == processes->lives) /* nobody has ended: no row needs a look */
		return;
	processes->lives = lives;
	raise_high(processes);
	for (uint32_t slot = 1; slot <= processes->high; slot++) {
		const volatile struct ds_process_info *info = &tables->process_infos[slot];
		struct process_record *record;

		if (info->state != DS_SLOT_LIVE || !info->exit_ns)
			continue;
		if (processes->by_slot[slot] && processes->by_slot[slot]->retired)
			continue;
		record = visit(processes, slot);
		if (record)
			process_record__retire(processes, record, now);
	}
}

int processes__sample(struct processes *processes, double now)
{
	const struct kernel_tables *tables = processes->tables;
	int budget = NEW_PER_SAMPLE;

	procfs_users__refresh(processes->users);
	processes__drain(processes, now);
	raise_high(processes);
	read_slot(processes, DS_SLOT_NONE, processes->nobody);
	for (uint32_t slot = 1; slot <= processes->high; slot++) {
		const volatile struct ds_process_info *info = &tables->process_infos[slot];
		struct process_record *record;

		if (info->state != DS_SLOT_LIVE)
			continue;
		record = visit(processes, slot);
		if (!record)
			continue;
		if (!record->resolved && budget > 0 && !info->exit_ns) {
			budget--;
			resolve(processes, record);
		}
	}
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
		record = processes->by_slot[processes->next_check];
		if (!record || record->state != PROCESS_RUNNING)
			continue;
		checks++;
		if (!procfs__is_alive(processes->config->procfs, &record->key))
			process_record__retire(processes, record, now);
		else if (record->moved)
			resolve(processes, record);
	}
}
