/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/metrics/metrics.h"

#include <stddef.h>
#include <string.h>

#include "api/metrics/metrics_emit.h"

#define DEVICE(field) offsetof(struct snapshot_device, field)

const struct metric_row metric_table[] = {
	{
		.name = "dirtyscope_build_info",
		.type = METRIC_GAUGE,
		.labels = "version, revision",
		.help = "1; which dirtyscope this is",
		.emit = metric__build_info,
	},
	{
		.name = "dirtyscope_process_written_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "pid, comm, start, writer",
		.help = "Pages written for a process since it got a series of its own; start is "
			"its start in nanoseconds since boot; pid=\"other\" holds all "
			"processes without a series, pid=\"exited\" the series that ended",
		.emit = metric__processes,
	},
	{
		.name = "dirtyscope_cgroup_written_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "cgroup, writer",
		.help = "Pages written for the processes of a cgroup",
		.emit = metric__cgroups,
	},
	{
		.name = "dirtyscope_vm_written_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "vm, writer",
		.help = "Pages written for the processes of a virtual machine",
		.emit = metric__vms,
	},
	{
		.name = "dirtyscope_device_dirty_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "device",
		.help = "Distinct pages that a device wrote per interval, added up",
		.emit = metric__device,
		.offset = DEVICE(dirty_pages_total),
	},
	{
		.name = "dirtyscope_device_dirty_pages",
		.type = METRIC_GAUGE,
		.unit = "pages",
		.labels = "device",
		.help = "Distinct pages that a device wrote in the last interval",
		.emit = metric__device,
		.offset = DEVICE(dirty_pages),
		.known = DEVICE(has_page_set),
	},
	{
		.name = "dirtyscope_device_exposed_pages",
		.type = METRIC_GAUGE,
		.unit = "pages",
		.labels = "device",
		.help = "Pages that a device may write now, through live mappings",
		.emit = metric__device,
		.offset = DEVICE(exposed_pages),
		.known = DEVICE(exposed_known),
	},
	{
		.name = "dirtyscope_device_live_mappings",
		.type = METRIC_GAUGE,
		.labels = "device",
		.help = "Mappings in the ledger through which a device may write now",
		.emit = metric__device,
		.offset = DEVICE(live_mappings),
	},
	{
		.name = "dirtyscope_device_info",
		.type = METRIC_GAUGE,
		.labels = "device, driver, name, iommu_group, iommu_domain",
		.help = "1; what a device is, name being its disks and network interfaces",
		.emit = metric__device_info,
	},
	{
		.name = "dirtyscope_device_dma_maps_total",
		.type = METRIC_COUNTER,
		.labels = "device, direction",
		.help = "DMA mappings made",
		.emit = metric__device_directions,
		.offset = DEVICE(stats.maps),
	},
	{
		.name = "dirtyscope_device_dma_unmaps_total",
		.type = METRIC_COUNTER,
		.labels = "device, direction",
		.help = "DMA mappings ended",
		.emit = metric__device_directions,
		.offset = DEVICE(stats.unmaps),
	},
	{
		.name = "dirtyscope_device_dma_mapped_bytes_total",
		.type = METRIC_COUNTER,
		.unit = "bytes",
		.labels = "device, direction",
		.help = "Bytes in the DMA mappings made",
		.emit = metric__device_directions,
		.offset = DEVICE(stats.mapped_bytes),
	},
	{
		.name = "dirtyscope_device_block_read_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "device",
		.help = "Pages that block reads of a device filled",
		.emit = metric__device,
		.offset = DEVICE(stats.block_pages),
	},
	{
		.name = "dirtyscope_device_net_receive_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "device",
		.help = "Pages that received packets of a device filled",
		.emit = metric__device,
		.offset = DEVICE(stats.net_pages),
	},
	{
		.name = "dirtyscope_device_virtio_buffers_total",
		.type = METRIC_COUNTER,
		.labels = "device",
		.help = "Buffers that a virtio driver gave to its device to write",
		.emit = metric__device,
		.offset = DEVICE(stats.virtio_buffers),
		.known = DEVICE(virtio),
	},
	{
		.name = "dirtyscope_device_virtio_used_total",
		.type = METRIC_COUNTER,
		.labels = "device",
		.help = "Buffers of these that came back",
		.emit = metric__device,
		.offset = DEVICE(stats.virtio_used),
		.known = DEVICE(virtio),
	},
	{
		.name = "dirtyscope_device_virtio_written_bytes_total",
		.type = METRIC_COUNTER,
		.unit = "bytes",
		.labels = "device",
		.help = "Bytes that a virtio device said it wrote into them",
		.emit = metric__device,
		.offset = DEVICE(stats.virtio_bytes),
		.known = DEVICE(virtio),
	},
	{
		.name = "dirtyscope_device_virtio_written_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "device",
		.help = "Pages of these bytes",
		.emit = metric__device,
		.offset = DEVICE(stats.virtio_pages),
		.known = DEVICE(virtio),
	},
	{
		.name = "dirtyscope_device_vfio_maps_total",
		.type = METRIC_COUNTER,
		.labels = "device",
		.help = "Mappings that VFIO made for a device to write through",
		.emit = metric__device,
		.offset = DEVICE(stats.foreign_maps),
		.known = DEVICE(vfio),
	},
	{
		.name = "dirtyscope_device_vfio_unmaps_total",
		.type = METRIC_COUNTER,
		.labels = "device",
		.help = "Mappings of these that ended",
		.emit = metric__device,
		.offset = DEVICE(stats.foreign_unmaps),
		.known = DEVICE(vfio),
	},
	{
		.name = "dirtyscope_hardware_reported_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "",
		.help = "Pages that hardware reported as written: dirty bits of an IOMMU, or a "
			"device that logs",
		.emit = metric__host,
		.offset = offsetof(struct snapshot, reported_pages),
	},
	{
		.name = "dirtyscope_ledger_entries",
		.type = METRIC_GAUGE,
		.labels = "",
		.help = "Live mappings in the ledger",
		.emit = metric__host,
		.offset = offsetof(struct snapshot, limits.mappings_used),
	},
	{
		.name = "dirtyscope_ledger_memory_bytes",
		.type = METRIC_GAUGE,
		.unit = "bytes",
		.labels = "",
		.help = "Kernel memory that the ledger's entries take",
		.emit = metric__host,
		.offset = offsetof(struct snapshot, limits.mapping_bytes_used),
	},
	{
		.name = "dirtyscope_iommu_maps_total",
		.type = METRIC_COUNTER,
		.labels = "",
		.help = "IOMMU mappings made, of all devices",
		.emit = metric__device_sum,
		.offset = DEVICE(stats.iommu_maps),
	},
	{
		.name = "dirtyscope_iommu_unmaps_total",
		.type = METRIC_COUNTER,
		.labels = "",
		.help = "IOMMU mappings ended, of all devices",
		.emit = metric__device_sum,
		.offset = DEVICE(stats.iommu_unmaps),
	},
	{
		.name = "dirtyscope_iommu_faults_total",
		.type = METRIC_COUNTER,
		.labels = "device",
		.help = "DMA accesses of a device that its IOMMU refused",
		.emit = metric__device,
		.offset = DEVICE(stats.iommu_faults),
	},
	{
		.name = "dirtyscope_iommu_mapped_bytes",
		.type = METRIC_GAUGE,
		.unit = "bytes",
		.labels = "",
		.help = "Bytes mapped in IOMMUs since the agent's start, less those unmapped",
		.emit = metric__host,
		.offset = offsetof(struct snapshot, iommu_mapped_bytes),
	},
	{
		.name = "dirtyscope_pagecache_dirtied_pages_total",
		.type = METRIC_COUNTER,
		.unit = "pages",
		.labels = "device",
		.help = "Page-cache pages that became dirty and belong on a device, of files and "
			"of the block device itself",
		.emit = metric__device_pagecache,
	},
	{
		.name = "dirtyscope_sensor_up",
		.type = METRIC_GAUGE,
		.labels = "sensor",
		.help = "1 when at least one program of the sensor runs",
		.emit = metric__sensor_up,
	},
	{
		.name = "dirtyscope_sensor_events_offered_total",
		.type = METRIC_COUNTER,
		.labels = "sensor",
		.help = "Events that reached a sensor: the counted and the lost",
		.emit = metric__sensor,
		.offset = offsetof(struct snapshot_sensor, offered),
	},
	{
		.name = "dirtyscope_sensor_events_counted_total",
		.type = METRIC_COUNTER,
		.labels = "sensor",
		.help = "Events that were counted in full",
		.emit = metric__sensor,
		.offset = offsetof(struct snapshot_sensor, counted),
	},
	{
		.name = "dirtyscope_sensor_events_lost_total",
		.type = METRIC_COUNTER,
		.labels = "sensor, reason",
		.help = "Events that were not counted in full",
		.emit = metric__sensor_lost,
	},
	{
		.name = "dirtyscope_bpf_map_memory_bytes",
		.type = METRIC_GAUGE,
		.unit = "bytes",
		.labels = "",
		.help = "Memory of all BPF maps",
		.emit = metric__host,
		.offset = offsetof(struct snapshot, limits.map_memory_bytes),
	},
	{
		.name = "dirtyscope_sample_duration_seconds",
		.type = METRIC_GAUGE,
		.unit = "seconds",
		.labels = "",
		.help = "Time that the last sample took",
		.emit = metric__host_seconds,
		.offset = offsetof(struct snapshot, sample_duration),
	},
	{
		.name = "dirtyscope_pinned_bytes",
		.type = METRIC_GAUGE,
		.unit = "bytes",
		.labels = "kind",
		.help = "Memory of processes that is pinned and may be written at any time, by who "
			"holds it; kind=\"unexplained\" is what nothing explains",
		.emit = metric__pinned,
	},
	{
		.name = "dirtyscope_series_other",
		.type = METRIC_GAUGE,
		.labels = "",
		.help = "Processes that are in pid=\"other\"",
		.emit = metric__series_other,
	},
	{
		.name = "dirtyscope_tracks",
		.type = METRIC_GAUGE,
		.labels = "",
		.help = "Tracks that have not ended",
		.emit = metric__tracks,
	},
	{
		.name = "dirtyscope_track_pages",
		.type = METRIC_GAUGE,
		.unit = "pages",
		.labels = "track, writer",
		.help = "Distinct pages written in the last epoch of a track: by CPUs, by devices, "
			"by both",
		.emit = metric__track_pages,
	},
	{
		.name = "dirtyscope_track_missed_by_cpu_tracking_pages_total",
		.type = METRIC_COUNTER,
		.labels = "track",
		.help = "Pages that devices wrote in an epoch and the CPU side did not tell",
		.emit = metric__track,
		.offset = offsetof(struct snapshot_track, missed_total),
	},
	{
		.name = "dirtyscope_tracked_faults_total",
		.type = METRIC_COUNTER,
		.labels = "",
		.help = "Faults that happen only because a track protects a page; in no other sum",
		.emit = metric__host,
		.offset = offsetof(struct snapshot, tracked_faults),
	},
	{
		.name = "dirtyscope_track_memory_bytes",
		.type = METRIC_GAUGE,
		.unit = "bytes",
		.labels = "track",
		.help = "Memory that a track takes, at most",
		.emit = metric__track,
		.offset = offsetof(struct snapshot_track, bytes),
	},
	{
		.name = "dirtyscope_policy_state",
		.type = METRIC_GAUGE,
		.labels = "policy, state",
		.help = "Targets of a policy that are in a state",
		.emit = metric__policies,
	},
	{
		.name = "dirtyscope_policy_actions_total",
		.type = METRIC_COUNTER,
		.labels = "policy, action, result",
		.help = "What actions of policies came to",
		.emit = metric__policy_actions,
	},
	{
		.name = "dirtyscope_record_up",
		.type = METRIC_GAUGE,
		.labels = "",
		.help = "1 while --record writes, 0 once it has stopped; absent without it",
		.emit = metric__record_up,
	},
	{
		.name = "dirtyscope_record_bytes",
		.type = METRIC_GAUGE,
		.unit = "bytes",
		.labels = "",
		.help = "Length of the file that --record writes",
		.emit = metric__record,
		.offset = offsetof(struct snapshot, record.bytes),
	},
	{
		.name = "dirtyscope_record_snapshots_total",
		.type = METRIC_COUNTER,
		.labels = "",
		.help = "Snapshots that --record has written",
		.emit = metric__record,
		.offset = offsetof(struct snapshot, record.snapshots),
	},
	{
		.name = "dirtyscope_record_missed_snapshots_total",
		.type = METRIC_COUNTER,
		.labels = "",
		.help = "Snapshots that it has not, because the disk was too slow",
		.emit = metric__record,
		.offset = offsetof(struct snapshot, record.missed),
	},
	{
		.name = "dirtyscope_replay",
		.type = METRIC_GAUGE,
		.labels = "",
		.help = "1 where this is a record that is replayed; else absent",
		.emit = metric__replay,
	},
	{
		.name = "dirtyscope_http_requests_total",
		.type = METRIC_COUNTER,
		.labels = "code",
		.help = "HTTP requests answered",
		.emit = metric__http_requests,
	},
	{
		.name = "dirtyscope_http_connections_total",
		.type = METRIC_COUNTER,
		.labels = "result",
		.help = "HTTP connections: accepted, and of these cut at their deadline, evicted "
			"for newer ones, or refused",
		.emit = metric__http_connections,
	},
	{},
};

static const char *const type_names[] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge"};

/* How a format presents a row: the name of its family, and its type. */
struct family {
	int length; /* of the row's name that is the family's */
	const char *type;
	const char *unit;
};

/*
 * OpenMetrics names a family of counters without the _total of its samples. Where a gauge has that
 * name already, the counters can only be a family of their own of type "unknown".
 */
static struct family family_of(const struct metric_row *row, enum metrics_format format)
{
	int length = (int)strlen(row->name), stem = length - (int)strlen("_total");

	if (format == METRICS_TEXT)
		return (struct family){length, type_names[row->type], NULL};
	if (row->type != METRIC_COUNTER)
		return (struct family){length, type_names[row->type], row->unit};
	for (const struct metric_row *other = metric_table; other->name; other++) {
		if ((int)strlen(other->name) == stem &&
		    strncmp(other->name, row->name, (size_t)stem) == 0)
			return (struct family){length, "unknown", NULL};
	}
	return (struct family){stem, type_names[row->type], row->unit};
}

static void write_header(struct text *out, const struct metric_row *row, enum metrics_format format)
{
	struct family family = family_of(row, format);

	text__printf(out, "# HELP %.*s ", family.length, row->name);
	for (const char *c = row->help; *c; c++) {
		/* Only OpenMetrics escapes the quote. */
		if (*c == '\\' || (*c == '"' && format == METRICS_OPENMETRICS))
			text__putc(out, '\\');
		text__putc(out, *c);
	}
	text__printf(out, "\n# TYPE %.*s %s\n", family.length, row->name, family.type);
	if (family.unit)
		text__printf(out, "# UNIT %.*s %s\n", family.length, row->name, family.unit);
}

void metrics__write(struct text *out, enum metrics_format format, const struct snapshot *snapshot,
		    const struct api_counters *counters)
{
	struct metric_writer writer = {.out = out, .snapshot = snapshot, .counters = counters};

	for (const struct metric_row *row = metric_table; row->name; row++) {
		write_header(out, row, format);
		row->emit(&writer, row);
	}
	if (format == METRICS_OPENMETRICS)
		text__puts(out, "# EOF\n");
	text__free(&writer.labels);
}

void metrics__reference(struct text *out)
{
	text__puts(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
	for (const struct metric_row *row = metric_table; row->name; row++)
		text__printf(out, "| `%s` | %s | %s | %s |\n", row->name, type_names[row->type],
			     row->labels, row->help);
}
