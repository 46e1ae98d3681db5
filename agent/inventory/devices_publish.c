/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/devices_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/arena.h"
#include "agent/inventory/coverage.h"
#include "agent/kernel/ledger.h"
#include "agent/kernel/page_sets.h"

/* Sensors that have seen it: one row each. */
static const struct {
	enum ds_sensor sensor;
	size_t offset, count; /* of counters in struct ds_device_stats: any above 0 */
} sightings[] = {
#define SEEN(id, first, last)                                            \
	{                                                                \
		DS_SENSOR_##id, offsetof(struct ds_device_stats, first), \
			(offsetof(struct ds_device_stats, last) -        \
			 offsetof(struct ds_device_stats, first)) /      \
					sizeof(uint64_t) +               \
				1                                        \
	}
	SEEN(BLOCK, block_requests, block_requests),
	SEEN(NET, net_packets, net_packets),
	SEEN(DMA, maps, syncs), /* all kinds of mapping and unmapping lie in between */
	SEEN(IOMMU, iommu_faults, iommu_faults),
	SEEN(IOMMU, foreign_maps, foreign_unmaps),
	SEEN(SWIOTLB, swiotlb_bounces, swiotlb_bounces),
	SEEN(VIRTIO, virtio_buffers, virtio_used),
#undef SEEN
};

_Static_assert(offsetof(struct ds_device_stats, syncs) ==
		       offsetof(struct ds_device_stats, failed_maps) + sizeof(uint64_t),
	       "the counters of the dma sensor lie together");

static uint32_t seen_by(const struct ds_device_stats *stats, uint64_t pagecache)
{
	uint32_t sensors = (uint32_t)(pagecache > 0) << DS_SENSOR_PAGECACHE;

	for (size_t i = 0; i < sizeof(sightings) / sizeof(sightings[0]); i++) {
		const uint64_t *counters =
			(const uint64_t *)((const char *)stats + sightings[i].offset);

		for (size_t at = 0; at < sightings[i].count; at++)
			if (counters[at])
				sensors |= 1U << sightings[i].sensor;
	}
	return sensors;
}

static const char *const *copy_names(struct arena *arena, char *const *from, size_t count)
{
	const char **names = arena__alloc(arena, (count + 1) * sizeof(*names));

	for (size_t i = 0; names && i < count; i++) {
		names[i] = arena__strdup(arena, from[i]);
		if (!names[i])
			return NULL;
	}
	return names;
}

static int list_stacks(struct arena *arena, const struct sysfs_device *known,
		       struct snapshot_device *row)
{
	struct snapshot_stack *stacks =
		arena__alloc(arena, (known->stack_count + 1) * sizeof(*stacks));

	if (!stacks)
		return -ENOMEM;
	for (size_t i = 0; i < known->stack_count; i++) {
		const struct sysfs_stack *from = &known->stacks[i];

		stacks[i] = (struct snapshot_stack){
			.name = arena__strdup(arena, from->name),
			.on = copy_names(arena, from->on, from->on_count),
			.on_count = from->on_count,
		};
		if (!stacks[i].name || !stacks[i].on)
			return -ENOMEM;
	}
	row->stacks = stacks;
	row->stack_count = known->stack_count;
	return 0;
}

static int describe(struct arena *arena, const struct sysfs_device *known,
		    struct snapshot_device *row)
{
	if (!known) {
		row->bus = row->driver = "";
		return 0;
	}
	row->bus = arena__strdup(arena, known->bus);
	row->driver = arena__strdup(arena, known->driver);
	row->parent = *known->parent ? arena__strdup(arena, known->parent) : NULL;
	row->iommu_group = *known->iommu_group ? arena__strdup(arena, known->iommu_group) : NULL;
	row->iommu_domain = *known->iommu_group ? arena__strdup(arena, known->iommu_domain) : NULL;
	row->names = copy_names(arena, known->names, known->name_count);
	row->name_count = known->name_count;
	if (!row->names || !row->bus || !row->driver)
		return -ENOMEM;
	return list_stacks(arena, known, row);
}

static uint64_t not_negative(int64_t sum)
{
	/* A negative sum is an unmap seen before its map, on another CPU. */
	return sum > 0 ? (uint64_t)sum : 0;
}

static int judge(const struct devices *devices, const struct device_record *device,
		 struct snapshot *snapshot, struct snapshot_device *row)
{
	const struct sysfs_device *known = device->known;
	const struct coverage_facts facts = {
		.sensors = snapshot->sensors,
		.stats = &device->stats,
		.flags = device->flags,
		.bus = row->bus,
		.driver = row->driver,
		.iommu_domain = row->iommu_domain ? row->iommu_domain : "",
		.disks = known ? known->disk_count : 0,
		.netdevs = known ? known->name_count - known->disk_count : 0,
		.platform_dma = known && known->platform_dma,
		.unattributed = !known,
		.has_page_set = devices__has_set(devices, device),
		.no_ledger = devices->config->no_ledger,
		.premapped = device->premapped,
		.rings_premapped = device->rings_premapped,
		.since = device->since,
		.mapped_since = device->mapped_since,
	};

	return coverage__judge(&facts, snapshot->arena, row);
}

static int list_device(const struct devices *devices, const struct device_record *device,
		       struct snapshot *snapshot, struct snapshot_device *row)
{
	row->id = arena__strdup(snapshot->arena, device->id);
	if (!row->id || describe(snapshot->arena, device->known, row))
		return -ENOMEM;
	row->coverage_since = device->since;
	row->gone = device->gone;
	row->has_page_set = devices__has_set(devices, device);
	row->dirty_pages = device->swept;
	row->dirty_pages_total = device->dirty_total;
	row->stats = device->stats;
	row->exposed_pages = not_negative(device->stats.exposed_pages);
	row->live_mappings = not_negative(device->stats.live_mappings);
	row->rate = device->rate;
	row->pagecache = device->pagecache;
	row->blockdev = device->blockdev;
	row->lost = device->stats.lost;
	row->sensors = seen_by(&device->stats, device->pagecache + device->blockdev);
	return judge(devices, device, snapshot, row);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct snapshot_device *)a)->id,
		      ((const struct snapshot_device *)b)->id);
}

int devices__publish(struct devices *devices, struct snapshot *snapshot)
{
	struct device_record *device, *next;
	int err;

	snapshot->devices = arena__alloc(snapshot->arena, (HASH_COUNT(devices->by_id) + 1) *
								  sizeof(*snapshot->devices));
	if (!snapshot->devices)
		return -ENOMEM;
	HASH_ITER (hh, devices->by_id, device, next) {
		struct snapshot_device *row = &snapshot->devices[snapshot->device_count];

		err = list_device(devices, device, snapshot, row);
		if (err)
			return err;
		snapshot->dirty_pages += row->dirty_pages;
		snapshot->dirty_pages_total += row->dirty_pages_total;
		snapshot->exposed_pages += row->exposed_known ? row->exposed_pages : 0;
		snapshot->limits.mappings_used += row->live_mappings;
		snapshot->device_count++;
	}
	qsort(snapshot->devices, snapshot->device_count, sizeof(*snapshot->devices), by_id);
	err = devices__publish_exposures(devices, snapshot);
	if (err)
		return err;
	snapshot->dirty_pages_total += devices->dropped_dirty;
	snapshot->limits.mappings_used += not_negative(devices->nobody.live_mappings);
	snapshot->limits.mapping_bytes_used = snapshot->limits.mappings_used * LEDGER_ENTRY_BYTES;
	snapshot->reported_pages = devices->nobody.reported_pages;
	snapshot->limits.devices_used = devices->sources_used;
	snapshot->limits.page_set_bytes_used = page_sets__bytes(devices->page_sets);
	snapshot->limits.map_memory_bytes += page_sets__bytes(devices->page_sets);
	snapshot->net_virtual_packets = devices->nobody.net_packets;
	snapshot->iommu_mapped_bytes =
		devices->nobody.iommu_mapped_bytes - devices->nobody.iommu_unmapped_bytes;
	return flows__publish(devices->flows, snapshot);
}
