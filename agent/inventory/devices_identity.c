/* SPDX-License-Identifier: BSD-2-Clause */
/* Which device it is: met for the first time or again, with another driver, or gone. */
#include "agent/inventory/devices_private.h"

#include <string.h>

#define LEARNED_FLAGS \
	(DS_SOURCE_NO_UNMAP | DS_SOURCE_DIRECT | DS_SOURCE_TRANSLATED | DS_SOURCE_FOREIGN)

void devices__unplug(struct devices *devices, struct device_record *device)
{
	device->gone = true;
	device->gone_at = devices->now;
	events__add(devices->events, "device", "info", device->id, "device is gone");
	for (uint32_t slot = 1; slot <= devices->tables->source_slots; slot++)
		if (devices->sources[slot].device == device)
			devices__retire(devices, slot);
}

/* What was learned from the old driver does not hold for the next one. */
static void unlearn(struct devices *devices, struct device_record *device, uint32_t flags,
		    bool mappings)
{
	for (uint32_t slot = 1; slot <= devices->tables->source_slots; slot++) {
		volatile struct ds_source_info *info = &devices->tables->source_infos[slot];

		if (devices->sources[slot].device != device || devices->sources[slot].retired)
			continue;
		if (mappings)
			devices__forget_mappings(devices, slot);
		devices->sources[slot].forgotten = false;
		/* BPF sets others of them meanwhile. */
		__atomic_fetch_and(&info->flags, ~flags, __ATOMIC_SEQ_CST);
		info->open_maps = info->remappings = 0;
	}
}

static bool has_driver(const struct devices *devices, const struct device_record *device)
{
	struct sysfs_source source;

	return !sysfs__find_source(devices->config->sysfs, device->known->bus, device->known->name,
				   &source) &&
	       source.driver;
}

void devices__driver_left(struct devices *devices, struct device_record *device)
{
	struct sysfs_device *known = device->known;

	if (*known->driver)
		events__add(devices->events, "device", "info", device->id, "driver %s unbound",
			    known->driver);
	known->driver[0] = '\0';
	/* Mappings of the next one must stay; those of the old one are its mistakes, and few. */
	unlearn(devices, device, LEARNED_FLAGS, !has_driver(devices, device));
}

static void driver_came(struct devices *devices, struct device_record *device)
{
	events__add(devices->events, "device", "info", device->id, "driver %s bound",
		    device->known->driver);
	/* All that it maps is new, and the agent was there. */
	device->premapped = device->rings_premapped = false;
	clock_gettime(CLOCK_REALTIME, &device->mapped_since);
	unlearn(devices, device, DS_SOURCE_NO_UNMAP, false);
}

void devices__describe_anew(struct devices *devices, struct device_record *device,
			    struct sysfs_device *known)
{
	struct sysfs_device *before = device->known;
	bool changed = strcmp(before->driver, known->driver) != 0;

	if (changed && *before->driver)
		devices__driver_left(devices, device);
	device->known = known;
	if (changed && *known->driver)
		driver_came(devices, device);
	sysfs_device__free(before);
}

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
	return devices__add(devices, known->id, known);
}
