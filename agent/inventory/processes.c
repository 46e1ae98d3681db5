/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/processes_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/cgroups.h"
#include "agent/host/pods.h"
#include "agent/host/procfs.h"

#define POD_TEXT_SIZE 512 /* the longest file name, twice: NAMESPACE/POD */

int processes__new(const struct agent_config *config, const struct kernel_side *kernel,
		   struct processes **out)
{
	const struct kernel_tables *tables = kernel_side__tables(kernel);
	const struct series_pool limits = {.limit = config->max_series,
					   .hold = config->series_after,
					   .most_per_hour =
						   (double)config->new_series / DS_WRITERS};
	const struct process_counts_tables counted = {.rows = tables->process_stats,
						      .sensors = tables->sensor_stats,
						      .slots = tables->process_slots,
						      .cpus = tables->cpus};
	struct processes *processes = calloc(1, sizeof(*processes));
	int err = -ENOMEM;

	*out = NULL;
	if (!processes)
		return -ENOMEM;
	processes->config = config;
	processes->kernel = kernel;
	processes->tables = tables;
	processes->pool = limits;
	processes->slots = calloc(tables->process_slots + 1, sizeof(*processes->slots));
	processes->retired = calloc(tables->process_slots + 1, sizeof(*processes->retired));
	processes->cgroups = groups__new(GROUPS_MAX, &limits);
	processes->vms = groups__new(GROUPS_MAX, &limits);
	processes->pods = groups__new(GROUPS_MAX, &limits);
	processes->comms = groups__new(GROUPS_MAX, &limits);
	processes->pod_names = pods__new(config->logs);
	processes->users = procfs_users__new("/etc/passwd");
	if (processes->slots && processes->retired && processes->cgroups && processes->vms &&
	    processes->pods && processes->comms && processes->pod_names && processes->users)
		err = cgroup_names__new(config->procfs, tables, processes->cgroups,
					&processes->names);
	if (!err) {
		processes->charges = charges__new(tables, processes->names, processes->cgroups);
		err = processes->charges ? 0 : -ENOMEM;
	}
	if (!err)
		err = process_counts__new(&counted, &processes->counts);
	if (err) {
		processes__free(processes);
		return err;
	}
	*out = processes;
	return 0;
}

void process_record__free(struct processes *processes, struct process_record *record)
{
	process_record__unwatch(processes, record);
	HASH_DEL(processes->by_key, record);
	groups__put(processes->cgroups, record->cgroup);
	groups__put(processes->vms, record->vm);
	groups__put(processes->pods, record->pod);
	groups__put(processes->comms, record->comm);
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
	charges__free(processes->charges);
	process_counts__free(processes->counts);
	cgroup_names__free(processes->names);
	groups__free(processes->cgroups);
	groups__free(processes->vms);
	groups__free(processes->pods);
	groups__free(processes->comms);
	pods__free(processes->pod_names);
	procfs_users__free(processes->users);
	free(processes->slots);
	free(processes->retired);
	free(processes);
}

/* The group of that name is the record's from now on; name may be NULL. */
static void join(struct groups *groups, struct group **place, const char *name)
{
	struct group *group = name ? groups__get(groups, name) : NULL;

	groups__put(groups, *place);
	*place = group;
}

/* Takes over the reference. */
static void set_identity(struct processes *processes, struct process_record *record,
			 struct process_identity *identity)
{
	char pod[POD_TEXT_SIZE];

	if (identity->pod_name)
		snprintf(pod, sizeof(pod), "%s/%s", identity->pod_namespace, identity->pod_name);
	join(processes->vms, &record->vm, identity->vm_name);
	join(processes->pods, &record->pod, identity->pod_name ? pod : NULL);
	join(processes->comms, &record->comm, identity->nameless ? NULL : identity->comm);
	process_identity__put(record->identity);
	record->identity = identity;
}

static bool is_older(const struct process_record *record, const struct process_record *other)
{
	if (record->key.start_boottime_ns != other->key.start_boottime_ns)
		return record->key.start_boottime_ns < other->key.start_boottime_ns;
	return record->key.tgid < other->key.tgid;
}

/* A name that another VM has, with its pid. */
static void set_vm_name(struct processes *processes, struct process_record *record,
			const char *name)
{
	struct process_identity known = *record->identity, *named;
	char unique[VM_NAME_SIZE + 16];

	snprintf(unique, sizeof(unique), "%s@%u", name, known.tgid);
	known.vm_name = unique;
	named = process_identity__new(&known);
	if (named)
		set_identity(processes, record, named);
}

/*
 * Two VMs of one name are two: the one that started first has it, for as long as it lives. The
 * other is asked again in its turn, and has the name then.
 */
static void tell_vms_apart(struct processes *processes, struct process_record *record)
{
	const char *name = record->identity->vm_name;
	struct process_record *other, *next;
	bool younger = false;

	HASH_ITER (hh, processes->by_key, other, next) {
		if (other == record || other->state != PROCESS_RUNNING ||
		    !other->identity->vm_name || strcmp(other->identity->vm_name, name) != 0)
			continue;
		if (is_older(other, record))
			younger = true;
		else
			set_vm_name(processes, other, name);
	}
	if (younger)
		set_vm_name(processes, record, name);
}

void process_record__resolve(struct processes *processes, struct process_record *record)
{
	struct process_identity *identity;

	if (procfs__identify(processes->config->procfs, processes->users, record->identity,
			     &identity))
		return;
	set_identity(processes, record, identity);
	record->resolved = true;
	if (identity->vm_name)
		tell_vms_apart(processes, record);
}

void process_record__take_name(struct processes *processes, struct process_record *record,
			       const struct ds_process_info *info)
{
	struct process_identity known = process_identity__facts(record->identity);
	struct process_identity *renamed;

	memcpy(known.comm, info->comm, sizeof(known.comm));
	known.comm[DS_COMM_LEN - 1] = 0;
	known.uid = info->uid;
	known.user = procfs_users__name(processes->users, info->uid);
	known.nameless = false;
	renamed = process_identity__new(&known);
	if (renamed)
		set_identity(processes, record, renamed);
}

void process_record__enter(struct processes *processes, struct process_record *record,
			   struct group *cgroup)
{
	struct process_identity known = *record->identity, *moved;
	char container[CONTAINER_ID_SIZE];
	struct pod pod = {0};

	if (record->cgroup == cgroup)
		return;
	known.cgroup = group__name(cgroup);
	known.container = cgroup__container(known.cgroup, container) ? container : NULL;
	(void)pods__find(processes->pod_names, known.cgroup, &pod);
	known.pod_namespace = pod.namespace;
	known.pod_name = pod.name;
	known.pod_container = pod.container;
	moved = process_identity__new(&known);
	if (!moved)
		return;
	set_identity(processes, record, moved);
	groups__put(processes->cgroups, record->cgroup);
	record->cgroup = groups__get(processes->cgroups, known.cgroup);
}

static struct process_record *add_record(struct processes *processes,
					 const struct process_identity *known)
{
	struct process_record *record = calloc(1, sizeof(*record));
	struct process_identity *identity = process_identity__new(known);

	if (!record || !identity) {
		process_identity__put(identity);
		free(record);
		return NULL;
	}
	record->key.tgid = known->tgid;
	record->key.start_boottime_ns = known->start_boottime_ns;
	set_identity(processes, record, identity);
	HASH_ADD(hh, processes->by_key, key, sizeof(record->key), record);
	return record;
}

struct process_record *process_record__new(struct processes *processes,
					   const struct ds_process_info *info)
{
	struct process_identity known = {.tgid = info->key.tgid,
					 .start_boottime_ns = info->key.start_boottime_ns,
					 .uid = info->uid,
					 .user = procfs_users__name(processes->users, info->uid)};

	memcpy(known.comm, info->comm, sizeof(known.comm));
	known.comm[DS_COMM_LEN - 1] = 0;
	return add_record(processes, &known);
}

struct process_record *processes__find(struct processes *processes,
				       const struct ds_process_key *key, double now)
{
	struct process_identity unseen = {
		.tgid = key->tgid, .start_boottime_ns = key->start_boottime_ns, .nameless = true};
	struct process_record *record;
	uint32_t slot;

	HASH_FIND(hh, processes->by_key, key, sizeof(*key), record);
	if (record)
		return record;
	/* It was met by the kernel side after the rows were read. */
	if (!bpf_map_lookup_elem(processes->tables->processes_fd, key, &slot)) {
		record = process_slot__visit(processes, slot, now);
		if (record && !memcmp(&record->key, key, sizeof(*key)))
			return record;
	}
	record = add_record(processes, &unseen);
	if (record)
		process_record__watch(processes, record);
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
