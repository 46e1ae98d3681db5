/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/devices_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/kernel/page_set.h"

static const void *device_of_slot(void *context, uint32_t slot)
{
	const struct devices *devices = context;

	if (slot > devices->tables->source_slots)
		return NULL;
	return slot == DS_SLOT_NONE ? devices->unattributed : devices->sources[slot].device;
}

static const char *device_id(const void *device)
{
	return ((const struct device_record *)device)->id;
}

/* ---- devices ---- */

static int give_page_set(struct devices *devices, struct device_record *device)
{
	uint64_t bytes = page_set__bytes(devices->tables->memory_pages);
	int err;

	if (devices->page_set_bytes + bytes > devices->config->page_set_memory) {
		events__add(devices->events, "device", "warning", device->id,
			    "no page set: --page-set-memory is used up; its pages are counted as "
			    "unattributed");
		log_warn("no page set for device", "device=%s page_set_memory=%llu", device->id,
			 (unsigned long long)devices->config->page_set_memory);
		return 0;
	}
	err = page_set__new(devices->tables->memory_pages, &device->set);
	if (!err)
		devices->page_set_bytes += bytes;
	return err;
}

/* What was mapped for it before we looked: nothing, where it came after us. */
static void note_older_mappings(const struct devices *devices, struct device_record *device)
{
	const struct sysfs_device *known = device->known;

	if (devices->started || !known)
		return;
	device->premapped = *known->driver;
	device->rings_premapped =
		sysfs__any_up(devices->config->sysfs, known->names, known->name_count);
}

static struct device_record *add_device(struct devices *devices, const char *id,
					struct sysfs_device *known)
{
	struct device_record *device = calloc(1, sizeof(*device));

	if (device)
		snprintf(device->id, sizeof(device->id), "%s", id);
	if (!device || give_page_set(devices, device)) {
		free(device);
		sysfs_device__free(known);
		return NULL;
	}
	device->known = known;
	clock_gettime(CLOCK_REALTIME, &device->since);
	device->mapped_since = device->since;
	note_older_mappings(devices, device);
	HASH_ADD_STR(devices->by_id, id, device);
	if (known)
		events__add(devices->events, "device", "info", id, "device found, driver %s",
			    *known->driver ? known->driver : "none");
	return device;
}

static void free_device(struct devices *devices, struct device_record *device)
{
	for (uint32_t slot = 1; slot <= devices->tables->source_slots; slot++)
		if (devices->sources && devices->sources[slot].device == device)
			devices->sources[slot].device = NULL;
	devices->dropped_dirty += device->dirty_total;
	HASH_DEL(devices->by_id, device);
	if (device->set)
		devices->page_set_bytes -= page_set__bytes(devices->tables->memory_pages);
	page_set__free(device->set);
	devices__forget_early(devices, device);
	sysfs_device__free(device->known);
	free(device);
}

void devices__forget(struct devices *devices, struct device_record *device)
{
	flows__forget_device(devices->flows, device);
	free_device(devices, device);
}

/* The device of that id, made when it is new; takes over `known`. One that came back is new. */
struct device_record *devices__meet(struct devices *devices, struct sysfs_device *known)
{
	struct device_record *device;

	HASH_FIND_STR(devices->by_id, known->id, device);
	if (device && !device->gone && known->number && device->known->number &&
	    device->known->number != known->number)
		devices__unplug(devices, device);
	if (device && !device->gone) {
		devices__describe_anew(devices, device, known);
		return device;
	}
	if (device)
		devices__forget(devices, device);
	return add_device(devices, known->id, known);
}

/* ---- life ---- */

int devices__new(const struct agent_config *config, struct kernel_side *kernel,
		 struct events *events, struct devices **out)
{
	const struct kernel_tables *tables = kernel_side__tables(kernel);
	struct devices *devices = calloc(1, sizeof(*devices));
	int err = -ENOMEM;

	*out = NULL;
	if (!devices)
		return -ENOMEM;
	devices->config = config;
	devices->kernel = kernel;
	devices->tables = tables;
	devices->events = events;
	devices->sources = calloc(tables->source_slots + 1, sizeof(*devices->sources));
	devices->retired = calloc(tables->source_slots + 1, sizeof(*devices->retired));
	if (!devices->sources || !devices->retired)
		goto cleanup;
	/* Listening before looking: what comes in between is told. */
	err = uevents__new(&devices->uevents);
	if (err == -ENOMEM)
		goto cleanup;
	if (err)
		log_info("no uevents; devices are looked for now and then", "error=%s",
			 strerrorname_np(-err));
	/* The shared set, first of all: what has no other goes there. */
	err = -ENOMEM;
	devices->unattributed = add_device(devices, UNATTRIBUTED, NULL);
	if (!devices->unattributed || !devices->unattributed->set)
		goto cleanup;
	err = devices__set_page_set(devices, DS_SLOT_NONE, devices->unattributed);
	if (!err)
		err = flows__new(tables, device_of_slot, device_id, devices, &devices->flows);
	if (!err)
		err = devices__look_at_disks(devices);
	if (!err)
		err = devices__bind_functions(devices);
	devices->started = true;
cleanup:
	if (err) {
		devices__free(devices);
		return err;
	}
	*out = devices;
	return 0;
}

void devices__free(struct devices *devices)
{
	struct device_record *device, *next;

	if (!devices)
		return;
	flows__free(devices->flows);
	HASH_ITER (hh, devices->by_id, device, next)
		free_device(devices, device);
	uevents__free(devices->uevents);
	free(devices->sources);
	free(devices->retired);
	free(devices);
}

int devices__fd(const struct devices *devices)
{
	return devices->uevents ? uevents__fd(devices->uevents) : -1;
}

/* ---- sampling ---- */

void devices__drain(struct devices *devices, double now)
{
	devices->now = now;
	devices__look_again(devices);
	devices__resolve_new(devices);
}

/* Every member is a 64-bit counter; the signed ones add the same way. */
static void add_stats(struct ds_device_stats *sum, const volatile struct ds_device_stats *row)
{
	volatile const uint64_t *from = (volatile const uint64_t *)row;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

void devices__read_slot(const struct devices *devices, uint32_t slot, struct ds_device_stats *sum)
{
	const struct kernel_tables *tables = devices->tables;

	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++)
		add_stats(sum, &tables->device_stats[slot * tables->cpus + cpu]);
}

/* Page-cache pages belong to the device that their file system is on, where that is one. */
static int sample_pagecache(struct devices *devices)
{
	struct ds_pagecache_stats stats;
	struct device_record *device, *next;
	uint32_t key, *previous = NULL;

	HASH_ITER (hh, devices->by_id, device, next)
		device->pagecache = device->blockdev = 0;
	while (!bpf_map_get_next_key(devices->tables->pagecache_fd, previous, &key)) {
		char id[64];

		previous = &key;
		if (bpf_map_lookup_elem(devices->tables->pagecache_fd, &key, &stats))
			continue;
		/* dev_t as the kernel packs it: include/linux/kdev_t.h, MINORBITS 20 */
		if (sysfs__device_of_dev(devices->config->sysfs, key >> 20, key & 0xfffff, id))
			snprintf(id, sizeof(id), UNATTRIBUTED);
		HASH_FIND_STR(devices->by_id, id, device);
		if (!device)
			device = devices->unattributed;
		device->pagecache += stats.pagecache;
		device->blockdev += stats.blockdev;
	}
	return 0;
}

static void sample_sources(struct devices *devices)
{
	const struct kernel_tables *tables = devices->tables;
	struct device_record *device, *next;

	HASH_ITER (hh, devices->by_id, device, next) {
		device->stats = device->carried;
		device->flags = 0;
	}
	for (uint32_t slot = 1; slot <= tables->source_slots; slot++) {
		device = devices->sources[slot].device;
		if (!device || tables->source_infos[slot].state != DS_SLOT_LIVE)
			continue;
		device->flags |= tables->source_infos[slot].flags;
		devices__read_slot(devices, slot, &device->stats);
	}
	devices->nobody = (struct ds_device_stats){0};
	devices__read_slot(devices, DS_SLOT_NONE, &devices->nobody);
}

int devices__sample(struct devices *devices, double now, double seconds)
{
	devices->now = now;
	devices__give_back_retired(devices);
	devices__look_again(devices);
	devices__refresh(devices);
	devices__resolve_new(devices);
	devices__watch_unmaps(devices);
	sample_sources(devices);
	devices__sweep(devices, seconds);
	return sample_pagecache(devices);
}

int devices__sample_flows(struct devices *devices, struct processes *processes, double seconds)
{
	return flows__sample(devices->flows, processes, seconds);
}

uint64_t devices__unknown_dma(const struct devices *devices)
{
	return flows__unknown_pages(devices->flows);
}

void devices__forget_process(void *devices, const struct ds_process_key *key)
{
	flows__forget_process(((struct devices *)devices)->flows, key);
}
