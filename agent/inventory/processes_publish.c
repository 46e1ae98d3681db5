/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/processes_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/arena.h"

static int busiest_last(const void *a, const void *b)
{
	const struct process_record *left = *(struct process_record *const *)a;
	const struct process_record *right = *(struct process_record *const *)b;
	uint64_t left_sum = 0, right_sum = 0;

	for (int writer = 0; writer < DS_WRITERS; writer++) {
		left_sum += left->series.written[writer];
		right_sum += right->series.written[writer];
	}
	return (left_sum > right_sum) - (left_sum < right_sum);
}

static void drop(struct processes *processes, struct process_record *record,
		 void (*forget)(void *, const struct ds_process_key *), void *context)
{
	for (int writer = 0; writer < DS_WRITERS; writer++)
		processes->dropped[writer] += record->series.written[writer];
	processes->dropped_cpu[CPU_FIRST_TOUCH] += record->first_touch;
	processes->dropped_cpu[CPU_REWRITE] += record->rewrite;
	processes->dropped_cpu[CPU_KERNEL] += record->kernel;
	processes->dropped_tracked += record->tracked;
	series_pool__end(&processes->pool, &record->series);
	if (forget && record->series.written[DS_WRITER_DMA])
		forget(context, &record->key);
	process_record__free(processes, record);
}

/*
 * Whether one that lives and has no slot leaves the list: nobody would tell of its end, or there
 * are more than can be watched. Of one that was never seen itself the end may have been told
 * before.
 */
static bool leaves(const struct processes *processes, struct process_record *record, double now)
{
	if (!record->watched || processes->watched > processes->tables->max_watched / 16 * 15)
		return true;
	if (record->moved || !record->identity->nameless)
		record->exited_at = now;
	return now - record->exited_at > PROCESSES_EXITED_SECONDS;
}

/* Those that ended stay for a minute, the busiest thousand of them. */
static int drop_exited(struct processes *processes, double now,
		       void (*forget)(void *, const struct ds_process_key *), void *context)
{
	struct process_record *record, *next, **exited;
	size_t count = 0;

	exited = malloc((HASH_COUNT(processes->by_key) + 1) * sizeof(*exited));
	if (!exited)
		return -ENOMEM;
	HASH_ITER (hh, processes->by_key, record, next) {
		if (record->slots)
			continue;
		if (record->state == PROCESS_RUNNING) {
			if (leaves(processes, record, now))
				drop(processes, record, forget, context);
			continue;
		}
		if (now - record->exited_at > PROCESSES_EXITED_SECONDS)
			drop(processes, record, forget, context);
		else
			exited[count++] = record;
	}
	if (count > PROCESSES_EXITED_KEPT) {
		qsort(exited, count, sizeof(*exited), busiest_last);
		for (size_t i = 0; i < count - PROCESSES_EXITED_KEPT; i++)
			drop(processes, exited[i], forget, context);
	}
	free(exited);
	return 0;
}

/* What devices wrote for it is its newest cgroup's: a flow is a process's, not a slot's. */
static void rate_record(struct processes *processes, struct process_record *record, double seconds)
{
	struct group *const in[] = {record->cgroup, record->vm, record->pod, record->comm};
	uint64_t *written = record->series.written;

	series__feed(&record->series, seconds);
	record->moved = false;
	for (int writer = 0; writer < DS_WRITERS; writer++) {
		uint64_t delta = written[writer] - record->series.published[writer];

		record->rates[writer] = seconds > 0 ? delta / seconds : 0;
		record->moved |= delta > 0;
		if (record->cgroup && writer == DS_WRITER_DMA)
			groups__add(processes->cgroups, record->cgroup, writer, delta);
		if (record->vm)
			groups__add(processes->vms, record->vm, writer, delta);
		if (record->pod)
			groups__add(processes->pods, record->pod, writer, delta);
		if (record->comm)
			groups__add(processes->comms, record->comm, writer, delta);
	}
	for (size_t i = 0; record->state == PROCESS_RUNNING && i < sizeof(in) / sizeof(*in); i++)
		if (in[i])
			group__add_process(in[i]);
}

static int by_pid_and_start(const void *a, const void *b)
{
	const struct process_identity *left = ((const struct snapshot_process *)a)->identity;
	const struct process_identity *right = ((const struct snapshot_process *)b)->identity;

	if (left->tgid != right->tgid)
		return left->tgid < right->tgid ? -1 : 1;
	return (left->start_boottime_ns > right->start_boottime_ns) -
	       (left->start_boottime_ns < right->start_boottime_ns);
}

static void list_record(const struct process_record *record, struct snapshot_process *out)
{
	out->identity = process_identity__get(record->identity);
	out->state = record->state;
	out->first_touch = record->first_touch;
	out->rewrite = record->rewrite;
	out->kernel = record->kernel;
	out->tracked = record->tracked;
	out->promoted = record->series.promoted;
	memcpy(out->written, record->series.written, sizeof(out->written));
	memcpy(out->rates, record->rates, sizeof(out->rates));
	memcpy(out->base, record->series.base, sizeof(out->base));
}

static void total(struct processes *processes, uint64_t unknown_dma, double seconds,
		  const uint64_t listed[DS_WRITERS], struct snapshot *snapshot)
{
	const struct ds_process_stats *nobody = &processes->nobody;
	const uint64_t unattributed[DS_WRITERS] = {
		[DS_WRITER_CPU] = nobody->first_touch + nobody->rewrite + nobody->kernel,
		[DS_WRITER_PAGECACHE] = nobody->pagecache,
		[DS_WRITER_BLOCKDEV] = nobody->blockdev,
		[DS_WRITER_DMA] = unknown_dma,
	};

	for (int writer = 0; writer < DS_WRITERS; writer++) {
		uint64_t *previous = &processes->previous_total[writer];

		snapshot->totals[writer] =
			listed[writer] + processes->dropped[writer] + unattributed[writer];
		snapshot->rates[writer] =
			seconds > 0 ? (snapshot->totals[writer] - *previous) / seconds : 0;
		*previous = snapshot->totals[writer];
	}
}

/* Once all that are listed are in the snapshot. */
static void total_cpu(struct processes *processes, double seconds, struct snapshot *snapshot)
{
	uint64_t *totals = snapshot->cpu_totals;

	memcpy(totals, processes->dropped_cpu, sizeof(snapshot->cpu_totals));
	totals[CPU_FIRST_TOUCH] += processes->nobody.first_touch;
	totals[CPU_REWRITE] += processes->nobody.rewrite;
	totals[CPU_KERNEL] += processes->nobody.kernel;
	snapshot->tracked_faults = processes->dropped_tracked + processes->nobody.tracked;
	for (size_t i = 0; i < snapshot->process_count; i++) {
		totals[CPU_FIRST_TOUCH] += snapshot->processes[i].first_touch;
		totals[CPU_REWRITE] += snapshot->processes[i].rewrite;
		totals[CPU_KERNEL] += snapshot->processes[i].kernel;
		snapshot->tracked_faults += snapshot->processes[i].tracked;
	}
	for (int kind = 0; kind < CPU_KINDS; kind++) {
		uint64_t delta = totals[kind] - processes->previous_cpu[kind];

		snapshot->cpu_rates[kind] = seconds > 0 ? delta / seconds : 0;
		processes->previous_cpu[kind] = totals[kind];
	}
}

static int publish_groups(struct processes *processes, double now, double seconds,
			  struct snapshot *snapshot)
{
	const struct {
		struct groups *groups;
		struct snapshot_group **list;
		size_t *count;
		struct snapshot_rest *rest;
		bool *had; /* a host that never had one has no list of them; NULL: it has */
	} kinds[] = {
		{processes->cgroups, &snapshot->cgroups, &snapshot->cgroup_count,
		 &snapshot->cgroup_rest, NULL},
		{processes->vms, &snapshot->vms, &snapshot->vm_count, &snapshot->vm_rest,
		 &processes->had_vms},
		{processes->pods, &snapshot->pods, &snapshot->pod_count, &snapshot->pod_rest,
		 &processes->had_pods},
		{processes->comms, &snapshot->comms, &snapshot->comm_count, &snapshot->comm_rest,
		 NULL},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int err = groups__publish(kinds[i].groups, now, seconds, snapshot->totals,
					  snapshot->arena, kinds[i].list, kinds[i].count,
					  kinds[i].rest);

		if (err)
			return err;
		if (kinds[i].had && !*kinds[i].had && *kinds[i].count <= 2)
			*kinds[i].count = 0;
		if (kinds[i].had)
			*kinds[i].had |= *kinds[i].count > 0;
	}
	return 0;
}

int processes__publish(struct processes *processes, double now, double seconds,
		       uint64_t unknown_dma, void (*forget)(void *, const struct ds_process_key *),
		       void *context, struct snapshot *snapshot)
{
	uint64_t listed[DS_WRITERS] = {0}, promoted[DS_WRITERS] = {0};
	struct process_record *record, *next;
	struct series **candidates = NULL;
	size_t count, candidate_count = 0;
	int err;

	groups__begin(processes->cgroups);
	groups__begin(processes->vms);
	groups__begin(processes->pods);
	groups__begin(processes->comms);
	HASH_ITER (hh, processes->by_key, record, next)
		rate_record(processes, record, seconds);
	if (processes->high)
		processes__check_some(processes);
	err = drop_exited(processes, now, forget, context);
	if (err)
		return err;
	count = HASH_COUNT(processes->by_key);
	candidates = malloc((count + 1) * sizeof(*candidates));
	snapshot->processes =
		arena__alloc(snapshot->arena, (count + 1) * sizeof(*snapshot->processes));
	if (!candidates || !snapshot->processes) {
		free(candidates);
		return -ENOMEM;
	}
	HASH_ITER (hh, processes->by_key, record, next)
		/* One that has ended already would hold its series for a minute. */
		if (!record->series.promoted && record->state == PROCESS_RUNNING)
			candidates[candidate_count++] = &record->series;
	series_pool__promote(&processes->pool, now, candidates, candidate_count);
	free(candidates);
	HASH_ITER (hh, processes->by_key, record, next) {
		struct series *series = &record->series;

		list_record(record, &snapshot->processes[snapshot->process_count++]);
		for (int writer = 0; writer < DS_WRITERS; writer++) {
			listed[writer] += series->written[writer];
			if (series->promoted)
				promoted[writer] += series->written[writer] - series->base[writer];
		}
		memcpy(series->published, series->written, sizeof(series->published));
	}
	qsort(snapshot->processes, snapshot->process_count, sizeof(*snapshot->processes),
	      by_pid_and_start);
	total(processes, unknown_dma, seconds, listed, snapshot);
	total_cpu(processes, seconds, snapshot);
	series_pool__rest(&processes->pool, snapshot->totals, promoted, &snapshot->process_rest);
	snapshot->limits.processes_used = processes->used;
	snapshot->namespaces_known = processes->namespaces_known;
	snapshot->own_namespaces = processes->own.flags;
	return publish_groups(processes, now, seconds, snapshot);
}
