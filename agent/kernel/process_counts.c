/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/process_counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_TRIES 8

/* The sensors that count by process. */
static const enum ds_sensor keeping[] = {DS_SENSOR_FAULT, DS_SENSOR_PAGECACHE};
#define KEEPING (sizeof(keeping) / sizeof(*keeping))

/* A row of one of them: what its CPU keeps. */
struct keeper {
	const volatile struct ds_sensor_stats *row;
	uint32_t slot; /* as of the last look */
	uint32_t next; /* of the same slot: its number + 1; 0: none */
};

struct process_counts {
	struct process_counts_tables tables;
	struct keeper *keepers;
	uint32_t count;
	uint32_t *first; /* by slot: the number of its first keeper + 1; 0: none */
};

int process_counts__new(const struct process_counts_tables *tables, struct process_counts **out)
{
	struct process_counts *counts = calloc(1, sizeof(*counts));

	*out = NULL;
	if (!counts)
		return -ENOMEM;
	counts->tables = *tables;
	counts->count = KEEPING * tables->cpus;
	counts->keepers = calloc(counts->count, sizeof(*counts->keepers));
	counts->first = calloc(tables->slots + 1, sizeof(*counts->first));
	if (!counts->keepers || !counts->first) {
		process_counts__free(counts);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < counts->count; i++)
		counts->keepers[i].row = &tables->sensors[keeping[i / tables->cpus] * tables->cpus +
							  i % tables->cpus];
	*out = counts;
	return 0;
}

void process_counts__free(struct process_counts *counts)
{
	if (!counts)
		return;
	free(counts->keepers);
	free(counts->first);
	free(counts);
}

void process_counts__look(struct process_counts *counts)
{
	for (uint32_t i = 0; i < counts->count; i++)
		counts->first[counts->keepers[i].slot] = 0;
	for (uint32_t i = 0; i < counts->count; i++) {
		struct keeper *keeper = &counts->keepers[i];
		uint32_t slot = __atomic_load_n(&keeper->row->last_slot, __ATOMIC_ACQUIRE);

		keeper->slot = slot;
		if (!keeper->row->switches) /* it has met nobody yet */
			continue;
		keeper->next = counts->first[slot];
		counts->first[slot] = i + 1;
	}
}

static void add(struct ds_process_stats *sum, const volatile struct ds_process_stats *more)
{
	sum->first_touch += more->first_touch;
	sum->rewrite += more->rewrite;
	sum->kernel += more->kernel;
	sum->pagecache += more->pagecache;
	sum->blockdev += more->blockdev;
	sum->tracked += more->tracked;
}

static void raise_to(struct ds_process_stats *sum, const struct ds_process_stats *seen)
{
	__u64 *to = (__u64 *)sum;
	const __u64 *from = (const __u64 *)seen;

	for (int i = 0; i < DS_PROCESS_COUNTERS; i++)
		if (to[i] < from[i])
			to[i] = from[i];
}

static uint32_t switches_of(const struct keeper *keeper)
{
	uint32_t switches = __atomic_load_n(&keeper->row->switches, __ATOMIC_ACQUIRE);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return switches;
}

/*
 * What a CPU keeps for a slot, unless it is just handing that over. Returns its switches after the
 * look at its slot: it may hand over between the two.
 */
static uint32_t take_kept(const struct keeper *keeper, uint32_t slot, struct ds_process_stats *sum)
{
	struct ds_process_stats kept = {0};
	uint32_t before = switches_of(keeper), after;
	bool its = keeper->row->last_slot == slot;

	if (its)
		add(&kept, &keeper->row->kept);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	after = switches_of(keeper);
	if (its && after == before && !(after % 2))
		add(sum, &kept);
	return after;
}

/*
 * The row first: what is handed over meanwhile is then missing, and never twice there. It was where
 * no CPU has switched since before that.
 */
static bool read_once(const struct process_counts *counts, uint32_t slot,
		      struct ds_process_stats *sum)
{
	uint64_t before = 0, after = 0, odd = 0;

	for (uint32_t i = counts->first[slot]; i; i = counts->keepers[i - 1].next)
		before += switches_of(&counts->keepers[i - 1]);
	add(sum, &counts->tables.rows[slot]);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (uint32_t i = counts->first[slot]; i; i = counts->keepers[i - 1].next) {
		uint32_t switches = take_kept(&counts->keepers[i - 1], slot, sum);

		after += switches;
		odd += switches % 2;
	}
	return before == after && !odd;
}

bool process_counts__read(const struct process_counts *counts, uint32_t slot,
			  struct ds_process_stats *sum)
{
	for (int i = 0; i < READ_TRIES; i++) {
		struct ds_process_stats seen = {0};
		bool whole = read_once(counts, slot, &seen);

		raise_to(sum, &seen);
		if (whole)
			return true;
	}
	return false;
}
