/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/snapshot/snapshot.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/arena.h"

#define ARENA_FIRST (64 << 10)

const char *const ds_writer_names[DS_WRITERS] = {
	[DS_WRITER_CPU] = "cpu",
	[DS_WRITER_PAGECACHE] = "pagecache",
	[DS_WRITER_BLOCKDEV] = "blockdev",
	[DS_WRITER_DMA] = "dma",
};

const char *const ds_sensor_names[DS_SENSOR_COUNT] = {
	[DS_SENSOR_FAULT] = "fault",	 [DS_SENSOR_PAGECACHE] = "pagecache",
	[DS_SENSOR_BLOCK] = "block",	 [DS_SENSOR_NET] = "net",
	[DS_SENSOR_DMA] = "dma",	 [DS_SENSOR_IOMMU] = "iommu",
	[DS_SENSOR_SWIOTLB] = "swiotlb", [DS_SENSOR_VIRTIO] = "virtio",
	[DS_SENSOR_HW] = "hw",		 [DS_SENSOR_PROCESS] = "process",
};

const char *const ds_lost_names[DS_LOST_COUNT + 1] = {
	[DS_LOST_PROCESSES_FULL] = "processes_full",
	[DS_LOST_DEVICES_FULL] = "devices_full",
	[DS_LOST_UNKNOWN_DEVICE] = "unknown_device",
	[DS_LOST_UNKNOWN_SUBMITTER] = "unknown_submitter",
	[DS_LOST_FLOWS_FULL] = "flows_full",
	[DS_LOST_MAPPINGS_FULL] = "mappings_full",
	[DS_LOST_TRUNCATED] = "truncated",
	[DS_LOST_PFN_RANGE] = "pfn_range",
	[DS_LOST_EVENTS_FULL] = "events_full",
	[DS_LOST_PAGE_SETS_FULL] = "page_sets_full",
	[DS_LOST_CONTENDED] = "contended",
	[DS_LOST_RECURSION] = "recursion",
};

const char *const policy_state_names[POLICY_STATES] = {"inactive", "pending", "firing", "resolved"};
const char *const record_state_names[RECORD_STATES] = {"off", "writing", "stopped"};
const char *const pin_kind_names[PIN_KINDS] = {
	[PIN_IO_URING] = "io_uring",
	[PIN_VFIO] = "vfio",
	[PIN_RDMA] = "rdma",
	[PIN_XDP] = "xdp",
};

const char *const cpu_kind_names[CPU_KINDS] = {"first_touch", "rewrite", "kernel"};
const char *const ds_track_writer_names[DS_TRACK_WRITERS] = {
	[DS_TRACK_CPU] = "cpu",
	[DS_TRACK_DMA] = "dma",
	[DS_TRACK_BOTH] = "both",
};

const char *const ds_evidence_names[DS_EVIDENCES] = {
	[DS_EVIDENCE_EXPOSED] = "exposed",
	[DS_EVIDENCE_COMPLETED] = "completed",
	[DS_EVIDENCE_REPORTED] = "reported",
};

static void reference_get(int *references)
{
	/* Whoever takes a reference already sees the object through another one. */
	__atomic_fetch_add(references, 1, __ATOMIC_RELAXED);
}

/* True for the last one, which then sees all that the others did. */
static bool reference_put(int *references)
{
	return __atomic_sub_fetch(references, 1, __ATOMIC_ACQ_REL) == 0;
}

struct snapshot *snapshot__new(void)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	snapshot->arena = arena__new(ARENA_FIRST);
	if (!snapshot->arena) {
		free(snapshot);
		return NULL;
	}
	snapshot->references = 1;
	snapshot->pins_reason = "nobody has looked";
	for (int i = 0; i < DS_SENSOR_COUNT; i++)
		snapshot->sensors[i].id = (enum ds_sensor)i;
	return snapshot;
}

struct snapshot *snapshot__get(struct snapshot *snapshot)
{
	if (snapshot)
		reference_get(&snapshot->references);
	return snapshot;
}

void snapshot__put(struct snapshot *snapshot)
{
	if (!snapshot || !reference_put(&snapshot->references))
		return;
	for (size_t i = 0; i < snapshot->process_count; i++)
		process_identity__put(snapshot->processes[i].identity);
	for (size_t i = 0; i < snapshot->flow_count; i++)
		process_identity__put(snapshot->flows[i].identity);
	arena__free(snapshot->arena);
	free(snapshot);
}

static size_t string_size(const char *string)
{
	return string ? strlen(string) + 1 : 0;
}

static const char *copy_string(char **place, const char *string)
{
	size_t size = string_size(string);
	char *copy = *place;

	if (!size)
		return NULL;
	memcpy(copy, string, size);
	*place += size;
	return copy;
}

struct process_identity *process_identity__new(const struct process_identity *from)
{
	/* One allocation: there are as many of these as processes. */
	const char *user = from->user ? from->user : "";
	const char *cmdline = from->cmdline ? from->cmdline : "";
	const char *cgroup = from->cgroup ? from->cgroup : "";
	size_t strings = string_size(user) + string_size(cmdline) + string_size(cgroup) +
			 string_size(from->container) + string_size(from->pod_namespace) +
			 string_size(from->pod_name) + string_size(from->pod_container) +
			 string_size(from->vm_name) + string_size(from->hypervisor);
	struct process_identity *identity = malloc(sizeof(*identity) + strings);
	char *place;

	if (!identity)
		return NULL;
	*identity = *from;
	identity->references = 1;
	place = (char *)(identity + 1);
	identity->user = copy_string(&place, user);
	identity->cmdline = copy_string(&place, cmdline);
	identity->cgroup = copy_string(&place, cgroup);
	identity->container = copy_string(&place, from->container);
	identity->pod_namespace = copy_string(&place, from->pod_namespace);
	identity->pod_name = copy_string(&place, from->pod_name);
	identity->pod_container = copy_string(&place, from->pod_container);
	identity->vm_name = copy_string(&place, from->vm_name);
	identity->hypervisor = copy_string(&place, from->hypervisor);
	return identity;
}

struct process_identity process_identity__facts(const struct process_identity *identity)
{
	struct process_identity facts = {0};

	memcpy(&facts, identity, offsetof(struct process_identity, references));
	return facts;
}

struct process_identity *process_identity__get(struct process_identity *identity)
{
	if (identity)
		reference_get(&identity->references);
	return identity;
}

void process_identity__put(struct process_identity *identity)
{
	if (identity && reference_put(&identity->references))
		free(identity);
}

struct snapshot_store {
	pthread_mutex_t lock;
	pthread_cond_t changed;	 /* a new snapshot, or no more waiting */
	struct snapshot *latest; /* the store's own reference */
	struct listener *listeners;
	bool ended; /* snapshot_store__wake */
};

struct snapshot_store *snapshot_store__new(void)
{
	struct snapshot_store *store = calloc(1, sizeof(*store));
	pthread_condattr_t attributes;

	if (!store)
		return NULL;
	if (pthread_mutex_init(&store->lock, NULL)) {
		free(store);
		return NULL;
	}
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&store->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return store;
}

void snapshot_store__free(struct snapshot_store *store)
{
	if (!store)
		return;
	snapshot__put(store->latest);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

void snapshot_store__publish(struct snapshot_store *store, struct snapshot *snapshot)
{
	struct snapshot *before;

	pthread_mutex_lock(&store->lock);
	before = store->latest;
	store->latest = snapshot;
	pthread_cond_broadcast(&store->changed);
	listeners__notify(store->listeners);
	pthread_mutex_unlock(&store->lock);
	/* Freeing thousands of entries is not for under the lock. */
	snapshot__put(before);
}

struct snapshot *snapshot_store__latest(struct snapshot_store *store)
{
	struct snapshot *snapshot;

	pthread_mutex_lock(&store->lock);
	snapshot = snapshot__get(store->latest);
	pthread_mutex_unlock(&store->lock);
	return snapshot;
}

struct snapshot *snapshot_store__wait(struct snapshot_store *store, uint64_t after_sequence,
				      double timeout_seconds)
{
	struct snapshot *snapshot = NULL;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	/* More than a year is for ever, and fits. */
	if (timeout_seconds > 365 * 86400.0)
		timeout_seconds = 365 * 86400.0;
	if (timeout_seconds > 0) {
		until.tv_sec += (time_t)timeout_seconds;
		until.tv_nsec += (long)((timeout_seconds - (double)(time_t)timeout_seconds) * 1e9);
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
	}
	pthread_mutex_lock(&store->lock);
	while (!store->ended && !err &&
	       !(store->latest && store->latest->sequence > after_sequence))
		err = pthread_cond_timedwait(&store->changed, &store->lock, &until);
	if (!store->ended && store->latest && store->latest->sequence > after_sequence)
		snapshot = snapshot__get(store->latest);
	pthread_mutex_unlock(&store->lock);
	return snapshot;
}

void snapshot_store__wake(struct snapshot_store *store)
{
	pthread_mutex_lock(&store->lock);
	store->ended = true;
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
}

void snapshot_store__listen(struct snapshot_store *store, struct listener *listener)
{
	pthread_mutex_lock(&store->lock);
	listeners__add(&store->listeners, listener);
	pthread_mutex_unlock(&store->lock);
}

void snapshot_store__unlisten(struct snapshot_store *store, struct listener *listener)
{
	pthread_mutex_lock(&store->lock);
	listeners__remove(&store->listeners, listener);
	pthread_mutex_unlock(&store->lock);
}
