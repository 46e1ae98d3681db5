/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of devices: made with their page set, and freed. */
#include "agent/inventory/devices_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/kernel/page_sets.h"

static void give_page_set(struct devices *devices, struct device_record *device)
{
	if (!device->known) /* the unattributed, whose set is the shared one */
		return;
	device->set = page_sets__take(devices->page_sets);
	if (device->set != PAGE_SET_SHARED)
		return;
	events__add(
		devices->events, "device", "warning", device->id,
		"no page set: the table of devices is full; its pages are counted as unattributed");
	log_warn("no page set for device", "device=%s slots=%u", device->id,
		 devices->tables->source_slots);
}

bool devices__has_set(const struct devices *devices, const struct device_record *device)
{
	return device->set != PAGE_SET_SHARED || device == devices->unattributed;
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
	if (!device) {
		sysfs_device__free(known);
		return NULL;
	}
	device->known = known;
	give_page_set(devices, device);
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
	frame_set__free(&device->early);
	sysfs_device__free(device->known);
	free(device);
}

void devices__forget(struct devices *devices, struct device_record *device)
{
	flows__forget_device(devices->flows, device);
	/* Its slots were given back when it went. */
	page_sets__give_back(devices->page_sets, device->set);
	devices__free_record(devices, device);
}
