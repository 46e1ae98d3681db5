/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices, and flows: who had which device write. */
#include "api/views/views.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

COLUMN_GETTER(device, const char *, id, it->id)
COLUMN_GETTER(device, const char *, driver, it->driver)
COLUMN_GETTER(device, double, rate, it->rate)
COLUMN_GETTER(device, uint64_t, dirty_pages, it->has_page_set ? it->dirty_pages : 0)
COLUMN_GETTER(device, uint64_t, dirty_pages_total, it->dirty_pages_total)
COLUMN_GETTER(device, uint64_t, exposed_pages, it->exposed_known ? it->exposed_pages : 0)
COLUMN_GETTER(device, uint64_t, block_pages, it->stats.block_pages)
COLUMN_GETTER(device, uint64_t, net_pages, it->stats.net_pages)
COLUMN_GETTER(device, uint64_t, live_mappings, it->live_mappings)
COLUMN_GETTER(device, uint64_t, virtio_pages, it->stats.virtio_pages)
COLUMN_GETTER(device, uint64_t, iommu_faults, it->stats.iommu_faults)
COLUMN_GETTER(device, uint64_t, lost, it->lost)
COLUMN_GETTER(flow, uint64_t, pid, it->identity ? it->identity->tgid : 0)
COLUMN_GETTER(flow, const char *, comm, it->identity ? it->identity->comm : "")
COLUMN_GETTER(flow, const char *, device, it->device)
COLUMN_GETTER(flow, uint64_t, pages, it->pages)
COLUMN_GETTER(flow, uint64_t, bytes, it->bytes)
COLUMN_GETTER(flow, uint64_t, requests, it->requests)
COLUMN_GETTER(flow, double, rate, it->rate)

static const struct column device_columns[] = {
	{.name = "id", .string = device_id},
	{.name = "driver", .string = device_driver},
	{.name = "rate", .rate = device_rate},
	{.name = "dirty_pages", .count = device_dirty_pages},
	{.name = "dirty_pages_total", .count = device_dirty_pages_total},
	{.name = "exposed_pages", .count = device_exposed_pages},
	{.name = "block_pages", .count = device_block_pages},
	{.name = "net_pages", .count = device_net_pages},
	{.name = "live_mappings", .count = device_live_mappings},
	{.name = "virtio_pages", .count = device_virtio_pages},
	{.name = "iommu_faults", .count = device_iommu_faults},
	{.name = "lost", .count = device_lost},
	{},
};

static const struct column flow_columns[] = {
	{.name = "pid", .count = flow_pid},	   {.name = "comm", .string = flow_comm},
	{.name = "device", .string = flow_device}, {.name = "pages", .count = flow_pages},
	{.name = "bytes", .count = flow_bytes},	   {.name = "requests", .count = flow_requests},
	{.name = "rate", .rate = flow_rate},	   {},
};

const struct param_row view_devices_params[] = {
	LIST_PARAMS(device_columns, "rate"),
	FIND_PARAMS("id, names or driver", "with this id"),
	{},
};

const struct param_row view_flows_params[] = {
	{
		.name = "pid",
		.type = PARAM_INTEGER,
		.max = UINT32_MAX,
		.help = "only flows of this process",
	},
	{
		.name = "device",
		.type = PARAM_TEXT,
		.max = 256,
		.help = "only flows of the device with this id",
	},
	LIST_PARAMS(flow_columns, "rate"),
	FIND_PARAMS("pid, comm or device",
		    "PID-START_NS/DEVICE, or -/DEVICE when its process is not known"),
	{},
};

static uint64_t sum_of_directions(const __u64 counts[DS_DIRECTIONS])
{
	return counts[DS_DMA_FROM_DEVICE] + counts[DS_DMA_TO_DEVICE] + counts[DS_DMA_BIDIRECTIONAL];
}

static void write_dma(struct json *json, const struct snapshot_device *device)
{
	const struct ds_device_stats *stats = &device->stats;

	json__object(json, "dma");
	json__object(json, "maps");
	json__u64(json, "from_device", stats->maps[DS_DMA_FROM_DEVICE]);
	json__u64(json, "to_device", stats->maps[DS_DMA_TO_DEVICE]);
	json__u64(json, "bidirectional", stats->maps[DS_DMA_BIDIRECTIONAL]);
	json__end_object(json);
	json__u64(json, "unmaps", sum_of_directions(stats->unmaps));
	json__u64(json, "syncs", stats->syncs);
	json__u64(json, "mapped_bytes", sum_of_directions(stats->mapped_bytes));
	json__u64(json, "live_mappings", device->live_mappings);
	json__u64(json, "unmatched_unmaps", stats->unmatched_unmaps);
	json__u64(json, "failed_maps", stats->failed_maps);
	json__u64(json, "completed_pages", stats->completed_pages);
	json__end_object(json);
}

/* null for what cannot have any. */
static void write_virtio(struct json *json, const struct snapshot_device *device)
{
	if (!device->virtio) {
		json__null(json, "virtio");
		return;
	}
	json__object(json, "virtio");
	json__u64(json, "buffers", device->stats.virtio_buffers);
	json__u64(json, "used", device->stats.virtio_used);
	json__u64(json, "bytes", device->stats.virtio_bytes);
	json__u64(json, "pages", device->stats.virtio_pages);
	json__end_object(json);
}

static void write_vfio(struct json *json, const struct snapshot_device *device)
{
	if (!device->vfio) {
		json__null(json, "vfio");
		return;
	}
	json__object(json, "vfio");
	json__u64(json, "maps", device->stats.foreign_maps);
	json__u64(json, "unmaps", device->stats.foreign_unmaps);
	json__end_object(json);
}

static void write_traffic(struct json *json, const struct snapshot_device *device)
{
	const struct ds_device_stats *stats = &device->stats;

	json__object(json, "block");
	json__u64(json, "requests", stats->block_requests);
	json__u64(json, "pages", stats->block_pages);
	json__u64(json, "bytes", stats->block_bytes);
	json__u64(json, "errors", stats->block_errors);
	json__end_object(json);
	json__object(json, "net");
	json__u64(json, "packets", stats->net_packets);
	json__u64(json, "pages", stats->net_pages);
	json__u64(json, "bytes", stats->net_bytes);
	json__end_object(json);
	write_virtio(json, device);
	write_vfio(json, device);
	json__object(json, "swiotlb");
	json__u64(json, "bounces", stats->swiotlb_bounces);
	json__u64(json, "bytes", stats->swiotlb_bytes);
	json__end_object(json);
}

static void write_coverage(struct json *json, const struct snapshot_device *device)
{
	json__array(json, "coverage");
	for (size_t i = 0; i < device->coverage_count; i++) {
		const struct snapshot_coverage *coverage = &device->coverage[i];

		json__object(json, NULL);
		json__string(json, "sensor", ds_sensor_names[coverage->sensor]);
		json__string(json, "evidence", ds_evidence_names[coverage->evidence]);
		json__time(json, "since", &coverage->since);
		json__end_object(json);
	}
	json__end_array(json);
	json__array(json, "not_seen");
	for (size_t i = 0; i < device->not_seen_count; i++)
		json__string(json, NULL, device->not_seen[i]);
	json__end_array(json);
}

static void write_exposure(struct json *json, const struct snapshot_device *device)
{
	if (device->exposed_known)
		json__u64(json, "exposed_pages", device->exposed_pages);
	else
		json__null(json, "exposed_pages");
	json__string(json, "exposed_reason", device->exposed_reason);
	json__array(json, "exposures");
	for (size_t i = 0; i < device->exposure_count; i++) {
		json__object(json, NULL);
		json__u64(json, "pid", device->exposures[i].pid);
		json__string(json, "comm", device->exposures[i].comm);
		json__u64(json, "pages", device->exposures[i].pages);
		json__end_object(json);
	}
	json__end_array(json);
}

static void write_stacks(struct json *json, const struct snapshot_device *device)
{
	json__array(json, "stacks");
	for (size_t i = 0; i < device->stack_count; i++) {
		json__object(json, NULL);
		json__string(json, "name", device->stacks[i].name);
		json__array(json, "on");
		for (size_t at = 0; at < device->stacks[i].on_count; at++)
			json__string(json, NULL, device->stacks[i].on[at]);
		json__end_array(json);
		json__end_object(json);
	}
	json__end_array(json);
}

static void write_device(struct json *json, const struct snapshot_device *device)
{
	json__string(json, "id", device->id);
	json__string(json, "bus", device->bus);
	json__string(json, "driver", device->driver);
	json__array(json, "names");
	for (size_t i = 0; i < device->name_count; i++)
		json__string(json, NULL, device->names[i]);
	json__end_array(json);
	write_stacks(json, device);
	json__string(json, "parent", device->parent);
	if (device->iommu_group) {
		json__object(json, "iommu");
		json__string(json, "group", device->iommu_group);
		json__string(json, "domain", device->iommu_domain);
		json__end_object(json);
	} else {
		json__null(json, "iommu");
	}
	json__time(json, "coverage_since", &device->coverage_since);
	json__array(json, "sensors");
	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++) {
		if (device->sensors & 1u << sensor)
			json__string(json, NULL, ds_sensor_names[sensor]);
	}
	json__end_array(json);
	write_coverage(json, device);
	json__bool(json, "gone", device->gone);
	if (device->has_page_set)
		json__u64(json, "dirty_pages", device->dirty_pages);
	else
		json__null(json, "dirty_pages");
	json__u64(json, "dirty_pages_total", device->dirty_pages_total);
	write_exposure(json, device);
	json__double(json, "rate", device->rate);
	json__u64(json, "pagecache", device->pagecache);
	json__u64(json, "blockdev", device->blockdev);
	write_dma(json, device);
	write_traffic(json, device);
	json__u64(json, "iommu_faults", device->stats.iommu_faults);
	json__u64(json, "lost", device->lost);
}

static void write_device_item(struct json *json, const void *item, const struct snapshot *snapshot)
{
	json__object(json, NULL);
	write_device(json, item);
	json__end_object(json);
}

static bool device_holds(const void *item, const char *text)
{
	const struct snapshot_device *device = item;

	if (list__holds(device->id, text) || list__holds(device->driver, text))
		return true;
	for (size_t i = 0; i < device->name_count; i++) {
		if (list__holds(device->names[i], text))
			return true;
	}
	return false;
}

static bool is_device_named(const void *item, const char *id)
{
	return strcmp(((const struct snapshot_device *)item)->id, id) == 0;
}

int view__devices(const struct request *request, struct answer *answer)
{
	const struct list list = {
		.key = "devices",
		.items = request->snapshot->devices,
		.count = request->snapshot->device_count,
		.size = sizeof(struct snapshot_device),
		.columns = device_columns,
		.holds = device_holds,
		.is = is_device_named,
		.write = write_device_item,
	};

	return view__list(&list, request, answer);
}

int view__device(const struct request *request, struct answer *answer)
{
	const struct snapshot *snapshot = request->snapshot;
	const struct snapshot_device *found = NULL;
	struct json json;

	/* After a replug two may have the id: the one that is there is meant. */
	for (size_t i = 0; i < snapshot->device_count; i++) {
		const struct snapshot_device *device = &snapshot->devices[i];

		if (strcmp(device->id, request->argument) == 0 && (!found || found->gone))
			found = device;
	}
	if (!found)
		return -ENOENT;
	json = view__begin(request, answer);
	write_device(&json, found);
	return view__end(&json, answer);
}

void view__flow(struct json *json, const void *item, const struct snapshot *snapshot)
{
	const struct snapshot_flow *flow = item;

	json__object(json, NULL);
	if (flow->identity) {
		json__u64(json, "pid", flow->identity->tgid);
		json__u64(json, "start_boottime_ns", flow->identity->start_boottime_ns);
		json__string(json, "comm", flow->identity->nameless ? NULL : flow->identity->comm);
	} else {
		json__null(json, "pid");
		json__null(json, "start_boottime_ns");
		json__null(json, "comm");
	}
	json__string(json, "device", flow->device);
	json__u64(json, "pages", flow->pages);
	json__u64(json, "bytes", flow->bytes);
	json__u64(json, "requests", flow->requests);
	json__double(json, "rate", flow->rate);
	json__end_object(json);
}

static bool match_flow(const void *item, const struct query *query)
{
	const struct query_value *pid = query__get(query, "pid");
	const struct query_value *device = query__get(query, "device");
	const struct snapshot_flow *flow = item;

	if (pid && (!flow->identity || flow->identity->tgid != pid->number))
		return false;
	return !device || strcmp(flow->device, device->text) == 0;
}

static bool flow_holds(const void *item, const char *text)
{
	const struct snapshot_flow *flow = item;
	char pid[12] = "";

	if (flow->identity)
		snprintf(pid, sizeof(pid), "%" PRIu32, flow->identity->tgid);
	return list__holds(pid, text) || list__holds(flow->device, text) ||
	       (flow->identity && list__holds(flow->identity->comm, text));
}

static bool is_flow(const void *item, const char *id)
{
	const struct snapshot_flow *flow = item;

	return view__is_process(flow->identity, &id) && *id == '/' &&
	       strcmp(id + 1, flow->device) == 0;
}

int view__flows(const struct request *request, struct answer *answer)
{
	const struct list list = {
		.key = "flows",
		.items = request->snapshot->flows,
		.count = request->snapshot->flow_count,
		.size = sizeof(struct snapshot_flow),
		.columns = flow_columns,
		.match = match_flow,
		.holds = flow_holds,
		.is = is_flow,
		.write = view__flow,
	};

	return view__list(&list, request, answer);
}
