/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of devices: made with their page set, and freed. */
#include "agent/inventory/devices_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/base/log.h"
#include "agent/kernel/page_set.h"

static size_t early_bytes(const struct devices *devices)
{
	return (devices->tables->memory_pages + 63) / 64 * sizeof(uint64_t);
}

void devices__forget_early(struct devices *devices, struct device_record *device)
{
	if (device->early)
		munmap(device->early, early_bytes(devices));
	device->early = NULL;
	device->early_pages = 0;
}

int devices__make_early(const struct devices *devices, struct device_record *device)
{
	if (device->early)
		return 0;
	device->early = mmap(NULL, early_bytes(devices), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (device->early != MAP_FAILED)
		return 0;
	device->early = NULL;
	return -ENOMEM;
}

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

struct device_record *devices__add(struct devices *devices, const char *id,
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

void devices__free_record(struct devices *devices, struct device_record *device)
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
	devices__free_record(devices, device);
}
