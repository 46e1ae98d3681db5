/* SPDX-License-Identifier: BSD-2-Clause */
/* What the ledger has of devices: dropped when they go, and by owner where VFIO made it. */
#include "agent/inventory/devices_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/errno_text.h"
#include "agent/base/arena.h"
#include "agent/base/files.h"
#include "agent/kernel/ledger.h"
#include "agent/base/log.h"

#define OWNERS_SHOWN 8
#define READS_ENOUGH 32 /* completed and not unmapped, to tell that a driver leaves them */

static void forget_mappings(struct devices *devices, uint32_t slot,
			    int (*forget)(struct kernel_side *kernel, uint32_t slot))
{
	int dropped;

	if (devices->config->no_ledger)
		return;
	dropped = forget(devices->kernel, slot);
	if (dropped < 0)
		log_warn("mappings not dropped", "slot=%u error=%s", slot,
			 errno_text(-dropped).name);
}

void devices__forget_mappings(struct devices *devices, uint32_t slot)
{
	forget_mappings(devices, slot, ledger__forget_device);
}

static void tell_of_no_unmap(struct devices *devices, const struct device_record *device)
{
	events__add(devices->events, "device", "warning", device->id,
		    "driver %s leaves direct mappings without an unmap: what it may write is not "
		    "known",
		    device->known && *device->known->driver ? device->known->driver : "of it");
}

/*
 * A read was unmapped before it completed, and with one unmap at least, unless its driver leaves it
 * so (blk_rq_dma_unmap(); NVMe still unmaps what is a single segment). Only where addresses are
 * physical ones. BPF sees that by itself, but only when addresses come again.
 */
static bool reads_stay_mapped(const struct device_record *device, uint32_t flags)
{
	const struct ds_device_stats *stats = &device->stats;

	return (flags & (DS_SOURCE_DIRECT | DS_SOURCE_TRANSLATED)) == DS_SOURCE_DIRECT &&
	       stats->maps[DS_DMA_FROM_DEVICE] >= READS_ENOUGH &&
	       stats->block_requests >= stats->unmaps[DS_DMA_FROM_DEVICE] + READS_ENOUGH;
}

/* A driver does not unmap, as BPF noticed or as we did: what it has in the ledger would stay for
 * ever. */
void devices__watch_unmaps(struct devices *devices)
{
	for (uint32_t slot = 1; slot <= devices->tables->source_slots; slot++) {
		struct source *source = &devices->sources[slot];
		volatile uint32_t *flags = &devices->tables->source_infos[slot].flags;

		if (!source->device || source->retired || source->forgotten)
			continue;
		if (reads_stay_mapped(source->device, *flags))
			__atomic_fetch_or(flags, DS_SOURCE_NO_UNMAP, __ATOMIC_RELAXED);
		if (!(*flags & DS_SOURCE_NO_UNMAP))
			continue;
		source->forgotten = true;
		forget_mappings(devices, slot, ledger__forget_streaming);
		tell_of_no_unmap(devices, source->device);
	}
}

/* ---- owners ---- */

/* A process that gave a device memory. A device has one of these, or few: VMMs. */
struct owner {
	uint32_t tgid;
	uint64_t pages;
	struct owner *next;
};

static int add_run(void *context, uint32_t slot, const struct ds_mapping *mapping,
		   enum ds_mapping_kind kind, uint64_t pfn, uint64_t pages)
{
	const struct devices *devices = context;
	struct device_record *device;
	struct owner *owner;

	if (!mapping || kind != DS_MAPPING_FOREIGN || slot == DS_SLOT_NONE ||
	    slot > devices->tables->source_slots)
		return 0;
	device = devices->sources[slot].device;
	if (!device)
		return 0;
	for (owner = device->owners; owner && owner->tgid != mapping->tgid; owner = owner->next)
		;
	if (!owner) {
		owner = calloc(1, sizeof(*owner));
		if (!owner)
			return -ENOMEM;
		owner->tgid = mapping->tgid;
		owner->next = device->owners;
		device->owners = owner;
	}
	owner->pages += pages;
	return 0;
}

static void forget_owners(struct device_record *device)
{
	struct owner *next;

	for (struct owner *owner = device->owners; owner; owner = next) {
		next = owner->next;
		free(owner);
	}
	device->owners = NULL;
}

/* Takes the one with the most pages out of the list. */
static struct owner *largest_owner(struct device_record *device)
{
	struct owner **best = &device->owners, *found;

	for (struct owner **at = &device->owners; *at; at = &(*at)->next)
		if ((*at)->pages > (*best)->pages)
			best = at;
	found = *best;
	if (found)
		*best = found->next;
	return found;
}

static int list_owners(const struct devices *devices, struct device_record *device,
		       struct arena *arena, struct snapshot_device *row)
{
	struct snapshot_exposure *list = arena__alloc(arena, OWNERS_SHOWN * sizeof(*list));
	struct owner *owner;

	if (!list)
		return -ENOMEM;
	row->exposures = list;
	while (row->exposure_count < OWNERS_SHOWN && (owner = largest_owner(device))) {
		struct snapshot_exposure *shown = &list[row->exposure_count++];
		char path[PATH_MAX], comm[64];

		snprintf(path, sizeof(path), "%s/%u/comm", devices->config->procfs, owner->tgid);
		if (files__read_line(AT_FDCWD, path, comm, sizeof(comm)) < 0)
			comm[0] = '\0';
		shown->pid = owner->tgid;
		shown->pages = owner->pages;
		shown->comm = arena__strdup(arena, comm);
		free(owner);
		if (!shown->comm)
			return -ENOMEM;
	}
	return 0;
}

static bool is_lent(const struct device_record *device)
{
	return device->stats.live_mappings > 0 &&
	       device->stats.foreign_maps > device->stats.foreign_unmaps;
}

int devices__publish_exposures(struct devices *devices, struct snapshot *snapshot)
{
	struct device_record *device, *next;
	bool any = false;
	int err;

	HASH_ITER (hh, devices->by_id, device, next)
		any |= is_lent(device);
	if (!any || devices->config->no_ledger)
		return 0;
	err = ledger__walk(devices->kernel, add_run, devices);
	for (size_t i = 0; i < snapshot->device_count && !err; i++) {
		HASH_FIND_STR(devices->by_id, snapshot->devices[i].id, device);
		if (device && device->owners)
			err = list_owners(devices, device, snapshot->arena, &snapshot->devices[i]);
	}
	HASH_ITER (hh, devices->by_id, device, next)
		forget_owners(device);
	return err;
}
