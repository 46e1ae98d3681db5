/* SPDX-License-Identifier: BSD-2-Clause */
/* What is read again, told by uevents or now and then: devices come and go, are renamed, and change
 * drivers. */
#include "agent/inventory/devices_private.h"

#include <stdlib.h>
#include <string.h>

#define VIRTUAL_DISKS "/devices/virtual/block/"
#define GONE_SECONDS 60	   /* an unplugged device stays listed that long */
#define REFRESH_SECONDS 10 /* all is read again, whatever was told */

/* ---- told by uevents ---- */

static struct device_record *find_path(const struct devices *devices, const char *path)
{
	struct device_record *device, *next;

	HASH_ITER (hh, devices->by_id, device, next) {
		const char *whole = device->known ? device->known->path : NULL;

		/* The one is below the root of sysfs, the other one holds that root. */
		if (whole && !device->gone && strlen(whole) >= strlen(path) &&
		    !strcmp(whole + strlen(whole) - strlen(path), path))
			return device;
	}
	return NULL;
}

static void describe_device(struct devices *devices, struct device_record *device)
{
	struct sysfs_device *known = NULL;

	if (sysfs__describe(devices->config->sysfs, devices->names, device->known->bus,
			    device->known->name, &known) ||
	    !known)
		return;
	if (strcmp(known->id, device->id) != 0) {
		/* It is known by another name from now on: a virtio device came onto it. */
		sysfs_device__free(known);
		devices__unplug(devices, device);
		return;
	}
	devices__describe_anew(devices, device, known);
}

static void interface_down(struct devices *devices, const char *netdev)
{
	struct device_record *device, *next;

	/* Its driver empties the rings; the next time it comes up they fill before our eyes. */
	HASH_ITER (hh, devices->by_id, device, next) {
		for (size_t i = 0; device->known && i < device->known->name_count; i++) {
			if (!device->rings_premapped ||
			    strcmp(device->known->names[i], netdev) != 0)
				continue;
			device->rings_premapped = false;
			clock_gettime(CLOCK_REALTIME, &device->mapped_since);
		}
	}
}

static void take_driver_event(struct devices *devices, const struct uevent *event)
{
	struct device_record *device = find_path(devices, event->path);

	if (device && event->action == UEVENT_UNBIND)
		devices__driver_left(devices, device);
	else if (device)
		describe_device(devices, device);
}

static void take_uevent(void *context, const struct uevent *event)
{
	static const unsigned looks[] = {
		[UEVENT_PCI] = LOOK_DEVICES | LOOK_NAMES,
		[UEVENT_VIRTIO] = LOOK_DEVICES | LOOK_NAMES,
		[UEVENT_BLOCK] = LOOK_DISKS | LOOK_NAMES,
		[UEVENT_NET] = LOOK_DEVICES | LOOK_NAMES,
		[UEVENT_MEMORY] = LOOK_MEMORY,
	};
	struct devices *devices = context;

	if (event->action == UEVENT_DOWN) {
		interface_down(devices, event->path);
		return;
	}
	if (event->action == UEVENT_BIND || event->action == UEVENT_UNBIND)
		take_driver_event(devices, event);
	/* No device is looked for below it. */
	if (!strncmp(event->path, VIRTUAL_DISKS, sizeof(VIRTUAL_DISKS) - 1)) {
		devices->look |= LOOK_STACKS;
		return;
	}
	devices->look |= looks[event->subsystem];
	/* Its driver comes after it, and with that its DMA. */
	if (event->action == UEVENT_ADD && event->subsystem == UEVENT_PCI)
		devices__bind_function(devices, "pci", strrchr(event->path, '/') + 1);
}

static void look_at_devices(struct devices *devices)
{
	struct device_record *device, *next;

	HASH_ITER (hh, devices->by_id, device, next)
		if (device->known && !device->gone &&
		    !sysfs_device__exists(devices->config->sysfs, device->known))
			devices__unplug(devices, device);
}

void devices__look_again(struct devices *devices)
{
	if (devices->uevents && uevents__drain(devices->uevents, take_uevent, devices))
		devices->look = LOOK_ALL;
	if (devices->look & LOOK_DEVICES) {
		look_at_devices(devices);
		devices__bind_functions(devices);
	}
	if (devices->look & LOOK_DISKS)
		devices__look_at_disks(devices);
	if (devices->look & LOOK_MEMORY)
		kernel_side__look_at_memory(devices->kernel);
	devices->look &= LOOK_NAMES | LOOK_STACKS;
}

/* ---- by looking now and then ---- */

void devices__forget_numbers(struct devices *devices)
{
	struct disk_number *number, *next;

	HASH_ITER (hh, devices->by_number, number, next) {
		HASH_DEL(devices->by_number, number);
		free(number);
	}
}

int devices__read_names(struct devices *devices)
{
	struct sysfs_names *names;
	int err = sysfs_names__read(devices->config->sysfs, &names);

	devices__forget_numbers(devices);
	if (err)
		return err;
	sysfs_names__free(devices->names);
	devices->names = names;
	return 0;
}

void devices__refresh(struct devices *devices)
{
	struct device_record *device, *next;
	bool all = devices->now - devices->refreshed_at >= REFRESH_SECONDS;

	look_at_devices(devices);
	HASH_ITER (hh, devices->by_id, device, next)
		if (device->gone && devices->now - device->gone_at > GONE_SECONDS)
			devices__forget(devices, device);
	if (!all && !devices->look)
		return;
	(void)devices__read_names(devices);
	if (!all && !(devices->look & LOOK_NAMES)) {
		devices->look = 0;
		HASH_ITER (hh, devices->by_id, device, next)
			if (device->known)
				(void)sysfs_names__give_stacks(devices->names, device->known);
		return;
	}
	devices->look = 0;
	HASH_ITER (hh, devices->by_id, device, next)
		if (device->known && !device->gone)
			describe_device(devices, device);
	if (!all)
		return;
	devices->refreshed_at = devices->now;
	kernel_side__look_at_memory(devices->kernel);
	devices__bind_functions(devices);
	devices__look_at_disks(devices);
}
