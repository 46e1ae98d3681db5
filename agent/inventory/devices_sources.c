/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots for the sources that DMA comes from: given ahead of their first event, and taken back. */
#include "agent/inventory/devices_private.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/kernel/page_sets.h"

/* ---- what BPF met first ---- */

static int describe_source(const struct devices *devices, const struct ds_source_info *info,
			   const char *bus, const char *name, struct sysfs_device **known)
{
	struct sysfs_source found;
	int err;

	*known = NULL;
	if (info->key.kind == DS_SOURCE_DISK)
		return sysfs__describe_disk(devices->config->sysfs, devices->names, name, known);
	err = sysfs__find_source(devices->config->sysfs, bus, name, &found);
	/* Another device has taken this name since BPF saw it. */
	if (!err && found.number != info->key.id)
		return -ESTALE;
	return sysfs__describe(devices->config->sysfs, devices->names, bus, name, known);
}

static void resolve_source(struct devices *devices, uint32_t slot)
{
	const struct ds_source_info info =
		*(const struct ds_source_info *)&devices->tables->source_infos[slot];
	struct device_record *device = NULL;
	struct sysfs_device *known = NULL;
	char name[DS_NAME_LEN], bus[DS_BUS_LEN];
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)sizeof(info.name) - 1, info.name);
	snprintf(bus, sizeof(bus), "%.*s", (int)sizeof(info.bus) - 1, info.bus);
	err = describe_source(devices, &info, bus, name, &known);
	devices->sources[slot].listed = !err;
	devices->look |= LOOK_NAMES; /* it may be newer than those */
	if (!err && !known) {	     /* no hardware: iSCSI */
		devices__bind_slot(devices, slot, NULL);
		return;
	}
	if (err && err != -ESTALE) /* gone already, or of a bus that sysfs does not show */
		known = sysfs_device__bare(*bus ? bus : "device", name);
	if (known)
		device = devices__meet(devices, known);
	devices__bind_slot(devices, slot, device ? device : devices->unattributed);
}

void devices__resolve_new(struct devices *devices)
{
	for (uint32_t slot = 1; slot <= devices->tables->source_slots; slot++)
		if (devices->tables->source_infos[slot].state == DS_SLOT_LIVE &&
		    !devices->sources[slot].resolved)
			resolve_source(devices, slot);
}

/* ---- ahead of the first event ---- */

static uint32_t find_slot(const struct devices *devices, const struct ds_source_key *key)
{
	uint32_t slot;

	return bpf_map_lookup_elem(devices->tables->sources_fd, key, &slot) ? DS_SLOT_NONE : slot;
}

static uint64_t boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Takes over `known`. No slot left is no error: the source is counted as lost when it acts. */
static int claim_slot(struct devices *devices, const struct ds_source_key *key, const char *bus,
		      const char *name, struct sysfs_device *known)
{
	const struct kernel_tables *tables = devices->tables;
	struct device_record *device = devices__meet(devices, known);
	volatile struct ds_source_info *info;
	uint32_t slot;

	if (!device)
		return -ENOMEM;
	if (bpf_map_lookup_and_delete_elem(tables->source_slots_fd, NULL, &slot))
		return 0;
	info = &tables->source_infos[slot];
	memset((void *)info, 0, sizeof(*info));
	info->key = *key;
	info->first_seen_ns = boottime_ns();
	snprintf((char *)info->name, sizeof(info->name), "%s", name);
	snprintf((char *)info->bus, sizeof(info->bus), "%s", bus);
	devices__bind_slot(devices, slot, device);
	devices->sources[slot].listed = true;
	/* From here on BPF finds it; it may have been faster with a slot of its own. */
	if (bpf_map_update_elem(tables->sources_fd, key, &slot, BPF_NOEXIST)) {
		page_sets__bind(devices->page_sets, slot, PAGE_SET_SHARED);
		devices->sources[slot] = (struct source){0};
		devices->sources_used--;
		bpf_map_update_elem(tables->source_slots_fd, NULL, &slot, BPF_ANY);
		return 0;
	}
	info->state = DS_SLOT_LIVE;
	return 0;
}

/* A quarter is kept for what acts without being listed, and for what comes later. */
static bool has_room(const struct devices *devices)
{
	return devices->sources_used < devices->tables->source_slots / 4 * 3;
}

static int bind_source_ahead(struct devices *devices, const struct sysfs_source *source)
{
	struct ds_source_key key = {.id = source->number, .kind = DS_SOURCE_DEVICE};
	const char *sysfs = devices->config->sysfs;
	uint32_t slot = find_slot(devices, &key);
	struct sysfs_device *known;
	char id[SYSFS_ID_SIZE];

	if (slot != DS_SLOT_NONE) {
		const struct source *bound = &devices->sources[slot];

		/* A function is known by the virtio device on it, which may have come since. */
		if (!bound->resolved || !bound->device ||
		    sysfs__device_of(sysfs, source->bus, source->name, id) ||
		    !strcmp(id, bound->device->id))
			return 0;
		devices__retire(devices, slot);
	}
	if (!has_room(devices) ||
	    sysfs__describe(sysfs, devices->names, source->bus, source->name, &known))
		return 0;
	/* Its virtio device is not there yet. */
	if (!known || (source->virtio && !strcmp(known->bus, source->bus))) {
		sysfs_device__free(known);
		return 0;
	}
	return claim_slot(devices, &key, source->bus, source->name, known);
}

int devices__bind_function(struct devices *devices, const char *bus, const char *name)
{
	struct sysfs_source source;

	if (sysfs__find_source(devices->config->sysfs, bus, name, &source))
		return 0;
	return bind_source_ahead(devices, &source);
}

static int bind_listed(void *context, const struct sysfs_source *source)
{
	return source->driver ? bind_source_ahead(context, source) : 0;
}

int devices__bind_functions(struct devices *devices)
{
	return sysfs__list_sources(devices->config->sysfs, bind_listed, devices);
}

/* ---- disks ---- */

struct disk_look {
	struct devices *devices;
	bool *seen; /* by slot */
};

/* Disks are known by number before their first request. */
static int look_at_disk(void *context, const struct sysfs_disk *disk)
{
	struct disk_look *look = context;
	struct devices *devices = look->devices;
	struct ds_source_key key = {.id = disk->diskseq, .kind = DS_SOURCE_DISK};
	struct sysfs_device *known = NULL;
	uint32_t slot = disk->diskseq ? find_slot(devices, &key) : DS_SLOT_NONE;

	if (slot != DS_SLOT_NONE) {
		devices->sources[slot].listed = look->seen[slot] = true;
		return 0;
	}
	if (!disk->device_id[0] || !disk->diskseq ||
	    sysfs__describe_disk(devices->config->sysfs, devices->names, disk->name, &known) ||
	    !known)
		return 0; /* the network moves its data, or the CPU does */
	return claim_slot(devices, &key, "", disk->name, known);
}

int devices__look_at_disks(struct devices *devices)
{
	const struct kernel_tables *tables = devices->tables;
	struct disk_look look = {.devices = devices};
	const uint64_t begin = boottime_ns();
	int err;

	look.seen = calloc(tables->source_slots + 1, sizeof(*look.seen));
	if (!look.seen)
		return -ENOMEM;
	err = sysfs__list_disks(devices->config->sysfs, look_at_disk, &look);
	for (uint32_t slot = 1; slot <= tables->source_slots && !err; slot++) {
		const volatile struct ds_source_info *info = &tables->source_infos[slot];
		const struct source *source = &devices->sources[slot];

		if (info->state == DS_SLOT_LIVE && info->key.kind == DS_SOURCE_DISK &&
		    source->listed && !source->retired && !look.seen[slot] &&
		    info->first_seen_ns < begin)
			devices__retire(devices, slot);
	}
	free(look.seen);
	return err;
}
