/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/devices_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/errno_text.h"
#include "agent/base/log.h"
#include "agent/kernel/page_sets.h"

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
	devices->idle_at = UINT64_MAX;
	devices->sources = calloc(tables->source_slots + 1, sizeof(*devices->sources));
	devices->retired = calloc(tables->source_slots + 1, sizeof(*devices->retired));
	devices->files = calloc(tables->max_pagecache, sizeof(*devices->files));
	if (!devices->sources || !devices->retired || !devices->files)
		goto cleanup;
	/* Listening before looking: what comes in between is told. */
	err = uevents__new(&devices->uevents);
	if (err == -ENOMEM)
		goto cleanup;
	if (err)
		log_info("no uevents; devices are looked for now and then", "error=%s",
			 errno_text(-err).name);
	err = page_sets__new(tables, config->page_set_memory, &devices->page_sets);
	if (err)
		goto cleanup;
	/* What has no other set goes to its, the shared one. */
	devices->unattributed = devices__add(devices, UNATTRIBUTED, NULL);
	err = devices->unattributed ? 0 : -ENOMEM;
	if (!err)
		err = flows__new(tables, device_of_slot, device_id, devices, &devices->flows);
	if (!err)
		err = devices__read_names(devices);
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
		devices__free_record(devices, device);
	page_sets__free(devices->page_sets);
	uevents__free(devices->uevents);
	sysfs_names__free(devices->names);
	devices__forget_numbers(devices);
	free(devices->files);
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

/* Looked up in sysfs once for each number, until something changes. */
static const char *device_of_number(struct devices *devices, uint32_t dev)
{
	struct disk_number *number;

	HASH_FIND(hh, devices->by_number, &dev, sizeof(dev), number);
	if (number)
		return number->id;
	number = calloc(1, sizeof(*number));
	if (!number)
		return "";
	number->dev = dev;
	/* dev_t as the kernel packs it: include/linux/kdev_t.h, MINORBITS 20 */
	(void)sysfs__device_of_dev(devices->config->sysfs, dev >> 20, dev & 0xfffff, number->id);
	HASH_ADD(hh, devices->by_number, dev, sizeof(number->dev), number);
	return number->id;
}

static const char *device_of_files(struct devices *devices, uint32_t dev,
				   const struct ds_pagecache_stats *stats, char id[SYSFS_ID_SIZE])
{
	if (dev >> 20)
		return device_of_number(devices, dev);
	(void)sysfs__device_of_btrfs(devices->config->sysfs, stats->uuid, id);
	return id;
}

static struct counted_files *counted_of(struct devices *devices, uint32_t dev)
{
	size_t i = 0;

	while (i < devices->file_count && devices->files[i].dev != dev)
		i++;
	if (i == devices->tables->max_pagecache)
		return NULL;
	if (i == devices->file_count)
		devices->files[devices->file_count++] = (struct counted_files){.dev = dev};
	return &devices->files[i];
}

/*
 * Page-cache pages belong to the device that their file system is on, where that is one: that
 * which it is on as they are counted, since it may be unmounted, or its number be another's, soon.
 */
static int sample_pagecache(struct devices *devices)
{
	struct ds_pagecache_stats stats;
	struct device_record *device;
	struct counted_files *counted;
	uint32_t key, *previous = NULL;

	while (!bpf_map_get_next_key(devices->tables->pagecache_fd, previous, &key)) {
		char btrfs[SYSFS_ID_SIZE];
		const char *id;

		previous = &key;
		counted = counted_of(devices, key);
		if (!counted || bpf_map_lookup_elem(devices->tables->pagecache_fd, &key, &stats) ||
		    (stats.pagecache == counted->pagecache && stats.blockdev == counted->blockdev))
			continue;
		id = device_of_files(devices, key, &stats, btrfs);
		HASH_FIND_STR(devices->by_id, id, device);
		if (!device)
			device = devices->unattributed;
		device->pagecache += stats.pagecache - counted->pagecache;
		device->blockdev += stats.blockdev - counted->blockdev;
		counted->pagecache = stats.pagecache;
		counted->blockdev = stats.blockdev;
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
	devices__resolve_new(devices);
	devices__refresh(devices);
	devices__watch_unmaps(devices);
	sample_sources(devices);
	devices__sweep(devices, seconds);
	return sample_pagecache(devices);
}

int devices__sample_flows(struct devices *devices, struct processes *processes, double now,
			  double seconds)
{
	return flows__sample(devices->flows, processes, now, seconds);
}

uint64_t devices__unknown_dma(const struct devices *devices)
{
	return flows__unknown_pages(devices->flows);
}

void devices__forget_process(void *devices, const struct ds_process_key *key)
{
	flows__forget_process(((struct devices *)devices)->flows, key);
}
