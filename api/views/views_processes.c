/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes, and their sums per cgroup and per VM. */
#include "api/views/views.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static double sum_of_rates(const double rates[DS_WRITERS])
{
	double sum = 0;

	for (int writer = 0; writer < DS_WRITERS; writer++)
		sum += rates[writer];
	return sum;
}

static uint64_t sum_of_counts(const uint64_t counts[DS_WRITERS])
{
	uint64_t sum = 0;

	for (int writer = 0; writer < DS_WRITERS; writer++)
		sum += counts[writer];
	return sum;
}

#define WRITER_GETTERS(kind)                                                        \
	COLUMN_GETTER(kind, uint64_t, cpu, it->written[DS_WRITER_CPU])              \
	COLUMN_GETTER(kind, uint64_t, pagecache, it->written[DS_WRITER_PAGECACHE])  \
	COLUMN_GETTER(kind, uint64_t, blockdev, it->written[DS_WRITER_BLOCKDEV])    \
	COLUMN_GETTER(kind, uint64_t, dma, it->written[DS_WRITER_DMA])              \
	COLUMN_GETTER(kind, uint64_t, written, sum_of_counts(it->written))          \
	COLUMN_GETTER(kind, double, cpu_rate, it->rates[DS_WRITER_CPU])             \
	COLUMN_GETTER(kind, double, pagecache_rate, it->rates[DS_WRITER_PAGECACHE]) \
	COLUMN_GETTER(kind, double, blockdev_rate, it->rates[DS_WRITER_BLOCKDEV])   \
	COLUMN_GETTER(kind, double, dma_rate, it->rates[DS_WRITER_DMA])             \
	COLUMN_GETTER(kind, double, rate, sum_of_rates(it->rates))
#define WRITER_COLUMNS(kind)                                                                    \
	{.name = "cpu", .count = kind##_cpu}, {.name = "pagecache", .count = kind##_pagecache}, \
		{.name = "blockdev", .count = kind##_blockdev},                                 \
		{.name = "dma", .count = kind##_dma},                                           \
		{.name = "written", .count = kind##_written},                                   \
		{.name = "cpu_rate", .rate = kind##_cpu_rate},                                  \
		{.name = "pagecache_rate", .rate = kind##_pagecache_rate},                      \
		{.name = "blockdev_rate", .rate = kind##_blockdev_rate},                        \
		{.name = "dma_rate", .rate = kind##_dma_rate},                                  \
	{                                                                                       \
		.name = "rate", .rate = kind##_rate                                             \
	}

WRITER_GETTERS(process)
WRITER_GETTERS(group)
COLUMN_GETTER(process, uint64_t, pid, it->identity->tgid)
COLUMN_GETTER(process, uint64_t, start, it->identity->start_boottime_ns)
COLUMN_GETTER(process, uint64_t, uid, it->identity->uid)
COLUMN_GETTER(process, uint64_t, first_touch, it->first_touch)
COLUMN_GETTER(process, uint64_t, rewrite, it->rewrite)
COLUMN_GETTER(process, uint64_t, kernel, it->kernel)
COLUMN_GETTER(process, uint64_t, tracked, it->tracked)
COLUMN_GETTER(process, uint64_t, state, it->state)
COLUMN_GETTER(process, const char *, comm, it->identity->comm)
COLUMN_GETTER(process, const char *, user, it->identity->user)
COLUMN_GETTER(process, const char *, cgroup, it->identity->cgroup)
COLUMN_GETTER(group, uint64_t, processes, it->processes)
COLUMN_GETTER(group, const char *, name, it->name)

static const struct column process_columns[] = {
	{.name = "pid", .count = process_pid},
	{.name = "start_boottime_ns", .count = process_start},
	{.name = "comm", .string = process_comm},
	{.name = "uid", .count = process_uid},
	{.name = "user", .string = process_user},
	{.name = "cgroup", .string = process_cgroup},
	{.name = "state", .count = process_state},
	{.name = "first_touch", .count = process_first_touch},
	{.name = "rewrite", .count = process_rewrite},
	{.name = "kernel", .count = process_kernel},
	{.name = "tracked", .count = process_tracked},
	WRITER_COLUMNS(process),
	{},
};

static const struct column group_columns[] = {
	{.name = "name", .string = group_name},
	{.name = "processes", .count = group_processes},
	WRITER_COLUMNS(group),
	{},
};

const struct param_row view_processes_params[] = {
	LIST_PARAMS(process_columns, "rate"),
	FIND_PARAMS("pid, comm, cmdline, user, cgroup, container, pod or vm",
		    "PID or PID-START_NS"),
	{
		.name = "pid",
		.type = PARAM_INTEGER,
		.max = UINT32_MAX,
		.help = "only processes with this pid",
	},
	{},
};

const struct param_row view_groups_params[] = {
	LIST_PARAMS(group_columns, "rate"),
	FIND_PARAMS("the name", "of this name"),
	{},
};

const struct param_row view_process_params[] = {
	{
		.name = "start_boottime_ns",
		.type = PARAM_INTEGER,
		.max = INT64_MAX, /* what JSON readers take */
		.help = "which of the processes that had this pid",
	},
	{},
};

/* The track that follows it; of several, the oldest. */
static void write_track(struct json *json, const struct process_identity *identity,
			const struct snapshot *snapshot)
{
	char id[24];

	for (size_t i = 0; i < snapshot->track_count; i++) {
		const struct snapshot_track *track = &snapshot->tracks[i];

		if (track->ended || track->pid != identity->tgid)
			continue;
		snprintf(id, sizeof(id), "%" PRIu64, track->id);
		json__string(json, "track", id);
		return;
	}
	json__null(json, "track");
}

static void write_process(struct json *json, const struct snapshot_process *process,
			  const struct snapshot *snapshot)
{
	static const char *const states[] = {
		[PROCESS_RUNNING] = "running",
		[PROCESS_EXITED] = "exited",
	};
	const struct process_identity *identity = process->identity;

	json__u64(json, "pid", identity->tgid);
	json__u64(json, "start_boottime_ns", identity->start_boottime_ns);
	json__string(json, "comm", identity->nameless ? NULL : identity->comm);
	json__string(json, "cmdline", identity->cmdline);
	if (identity->nameless)
		json__null(json, "uid");
	else
		json__u64(json, "uid", identity->uid);
	json__string(json, "user", *identity->user ? identity->user : NULL);
	json__string(json, "cgroup", *identity->cgroup ? identity->cgroup : NULL);
	json__string(json, "container", identity->container);
	if (identity->pod_name) {
		json__object(json, "pod");
		json__string(json, "namespace", identity->pod_namespace);
		json__string(json, "name", identity->pod_name);
		json__string(json, "container", identity->pod_container);
		json__end_object(json);
	} else {
		json__null(json, "pod");
	}
	if (identity->vm_name) {
		json__object(json, "vm");
		json__string(json, "name", identity->vm_name);
		json__string(json, "hypervisor", identity->hypervisor);
		json__end_object(json);
	} else {
		json__null(json, "vm");
	}
	json__string(json, "state", states[process->state]);
	json__object(json, "written");
	json__object(json, "cpu");
	json__u64(json, "first_touch", process->first_touch);
	json__u64(json, "rewrite", process->rewrite);
	json__u64(json, "kernel", process->kernel);
	json__u64(json, "tracked", process->tracked);
	json__end_object(json);
	for (int writer = DS_WRITER_CPU + 1; writer < DS_WRITERS; writer++)
		json__u64(json, ds_writer_names[writer], process->written[writer]);
	json__end_object(json);
	view__rates(json, "rates", process->rates);
	view__pins_of(json, identity->tgid, snapshot);
	write_track(json, identity, snapshot);
}

static void write_process_item(struct json *json, const void *item, const struct snapshot *snapshot)
{
	json__object(json, NULL);
	write_process(json, item, snapshot);
	json__end_object(json);
}

static void write_group(struct json *json, const void *item, const struct snapshot *snapshot)
{
	const struct snapshot_group *group = item;

	json__object(json, NULL);
	json__string(json, "name", group->name);
	json__u64(json, "processes", group->processes);
	view__counts(json, "written", group->written);
	view__rates(json, "rates", group->rates);
	json__end_object(json);
}

static bool match_process(const void *item, const struct query *query)
{
	const struct query_value *pid = query__get(query, "pid");

	return !pid || ((const struct snapshot_process *)item)->identity->tgid == pid->number;
}

static bool process_holds(const void *item, const char *text)
{
	const struct process_identity *identity = ((const struct snapshot_process *)item)->identity;
	char pid[12];

	snprintf(pid, sizeof(pid), "%" PRIu32, identity->tgid);
	return list__holds(identity->comm, text) || list__holds(pid, text) ||
	       list__holds(identity->cmdline, text) || list__holds(identity->user, text) ||
	       list__holds(identity->cgroup, text) || list__holds(identity->container, text) ||
	       list__holds(identity->pod_name, text) || list__holds(identity->vm_name, text);
}

static bool is_process(const void *item, const char *id)
{
	return view__is_process(((const struct snapshot_process *)item)->identity, &id) && !*id;
}

static bool group_holds(const void *item, const char *text)
{
	return list__holds(((const struct snapshot_group *)item)->name, text);
}

static bool is_group(const void *item, const char *id)
{
	return strcmp(((const struct snapshot_group *)item)->name, id) == 0;
}

int view__processes(const struct request *request, struct answer *answer)
{
	const struct list list = {
		.key = "processes",
		.items = request->snapshot->processes,
		.count = request->snapshot->process_count,
		.size = sizeof(struct snapshot_process),
		.columns = process_columns,
		.match = match_process,
		.holds = process_holds,
		.is = is_process,
		.write = write_process_item,
	};

	return view__list(&list, request, answer);
}

static int view_groups(const char *key, const struct snapshot_group *groups, size_t count,
		       const struct request *request, struct answer *answer)
{
	const struct list list = {
		.key = key,
		.items = groups,
		.count = count,
		.size = sizeof(*groups),
		.columns = group_columns,
		.holds = group_holds,
		.is = is_group,
		.write = write_group,
	};

	return view__list(&list, request, answer);
}

int view__cgroups(const struct request *request, struct answer *answer)
{
	return view_groups("cgroups", request->snapshot->cgroups, request->snapshot->cgroup_count,
			   request, answer);
}

int view__vms(const struct request *request, struct answer *answer)
{
	return view_groups("vms", request->snapshot->vms, request->snapshot->vm_count, request,
			   answer);
}

/* Of several with one pid: the one asked for; else the one that runs; else the newest. */
static const struct snapshot_process *find_process(const struct snapshot *snapshot, uint64_t pid,
						   const struct query_value *start)
{
	const struct snapshot_process *found = NULL;

	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *process = &snapshot->processes[i];
		const struct process_identity *identity = process->identity;

		if (identity->tgid != pid ||
		    (start && identity->start_boottime_ns != start->number))
			continue;
		if (!found || process->state < found->state ||
		    (process->state == found->state &&
		     identity->start_boottime_ns > found->identity->start_boottime_ns))
			found = process;
	}
	return found;
}

int view__process(const struct request *request, struct answer *answer)
{
	const struct snapshot *snapshot = request->snapshot;
	const struct snapshot_process *process;
	struct json json;
	uint64_t pid;

	if (url__integer(request->argument, 0, UINT32_MAX, &pid)) {
		answer__error(answer, 400, "invalid_parameter",
			      "pid must be a whole number from 0 to 4294967295");
		return 0;
	}
	process = find_process(snapshot, pid, query__get(&request->query, "start_boottime_ns"));
	if (!process)
		return -ENOENT;
	json = view__begin(request, answer);
	write_process(&json, process, request->snapshot);
	json__array(&json, "flows");
	for (size_t i = 0; i < snapshot->flow_count; i++) {
		const struct process_identity *identity = snapshot->flows[i].identity;

		if (identity && identity->tgid == pid &&
		    identity->start_boottime_ns == process->identity->start_boottime_ns)
			view__flow(&json, &snapshot->flows[i], snapshot);
	}
	json__end_array(&json);
	return view__end(&json, answer);
}
