/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields of each kind of target: to make one known to rules, add a row. */
#include <math.h>
#include <stddef.h>

#include "agent/policies/rules/kinds_private.h"

/* A string of a struct snapshot_KIND; NULL when there is none. */
#define STRING(kind, name, expression)                                                 \
	static const char *kind##_##name(const struct target_view *view, size_t index) \
	{                                                                              \
		const struct snapshot_##kind *it = view->item;                         \
		return index == 0 ? (expression) : NULL;                               \
	}
#define NUMBER(kind, name, expression)                              \
	static double kind##_##name(const struct target_view *view) \
	{                                                           \
		const struct snapshot_##kind *it = view->item;      \
		return (double)(expression);                        \
	}
#define AT(field_name, kind, field_type, member)                   \
	{                                                          \
		.name = (field_name), .type = FIELD_##field_type,  \
		.offset = offsetof(struct snapshot_##kind, member) \
	}

#define WRITTEN(kind)                                                             \
	AT("written.cpu", kind, U64, written[DS_WRITER_CPU]),                     \
		AT("written.pagecache", kind, U64, written[DS_WRITER_PAGECACHE]), \
		AT("written.blockdev", kind, U64, written[DS_WRITER_BLOCKDEV]),   \
		AT("written.dma", kind, U64, written[DS_WRITER_DMA]),             \
		FIELD_NUMBER("written", kind##_written),                          \
		AT("rates.cpu", kind, DOUBLE, rates[DS_WRITER_CPU]),              \
		AT("rates.pagecache", kind, DOUBLE, rates[DS_WRITER_PAGECACHE]),  \
		AT("rates.blockdev", kind, DOUBLE, rates[DS_WRITER_BLOCKDEV]),    \
		AT("rates.dma", kind, DOUBLE, rates[DS_WRITER_DMA]),              \
		FIELD_NUMBER("rates", kind##_rates)

static double sum_counts(const uint64_t counts[DS_WRITERS])
{
	double sum = 0;

	for (int writer = 0; writer < DS_WRITERS; writer++)
		sum += (double)counts[writer];
	return sum;
}

static double sum_rates(const double rates[DS_WRITERS])
{
	double sum = 0;

	for (int writer = 0; writer < DS_WRITERS; writer++)
		sum += rates[writer];
	return sum;
}

/* ---- processes ---- */

NUMBER(process, pid, it->identity->tgid)
NUMBER(process, start, it->identity->start_boottime_ns)
NUMBER(process, uid, it->identity->nameless ? NAN : it->identity->uid)
NUMBER(process, written, sum_counts(it->written))
NUMBER(process, rates, sum_rates(it->rates))
STRING(process, comm, it->identity->nameless ? NULL : it->identity->comm)
STRING(process, cmdline, it->identity->cmdline)
STRING(process, user, it->identity->user)
STRING(process, cgroup, it->identity->cgroup)
STRING(process, container, it->identity->container)
STRING(process, vm, it->identity->vm_name)
STRING(process, hypervisor, it->identity->hypervisor)

const struct field process_fields[] = {
	FIELD_NUMBER("pid", process_pid),
	FIELD_NUMBER("start_boottime_ns", process_start),
	FIELD_TEXT("comm", process_comm),
	FIELD_TEXT("cmdline", process_cmdline),
	FIELD_NUMBER("uid", process_uid),
	FIELD_TEXT("user", process_user),
	FIELD_TEXT("cgroup", process_cgroup),
	FIELD_TEXT("container", process_container),
	FIELD_TEXT("vm.name", process_vm),
	FIELD_TEXT("vm.hypervisor", process_hypervisor),
	AT("written.cpu.first_touch", process, U64, first_touch),
	AT("written.cpu.rewrite", process, U64, rewrite),
	AT("written.cpu.kernel", process, U64, kernel),
	AT("written.cpu.tracked", process, U64, tracked),
	WRITTEN(process),
	{},
};

/* ---- cgroups and VMs ---- */

NUMBER(group, written, sum_counts(it->written))
NUMBER(group, rates, sum_rates(it->rates))
STRING(group, name, it->name)

const struct field group_fields[] = {
	FIELD_TEXT("name", group_name),
	AT("processes", group, U32, processes),
	WRITTEN(group),
	{},
};

/* ---- devices ---- */

static double sum_of(const __u64 counts[DS_DIRECTIONS])
{
	double sum = 0;

	for (int i = 0; i < DS_DIRECTIONS; i++)
		sum += (double)counts[i];
	return sum;
}

NUMBER(device, dirty_pages, it->has_page_set ? (double)it->dirty_pages : NAN)
NUMBER(device, exposed_pages, it->exposed_known ? (double)it->exposed_pages : NAN)
NUMBER(device, unmaps, sum_of(it->stats.unmaps))
NUMBER(device, mapped_bytes, sum_of(it->stats.mapped_bytes))
STRING(device, id, it->id)
STRING(device, bus, it->bus)
STRING(device, driver, it->driver)
STRING(device, parent, it->parent)
STRING(device, group, it->iommu_group)
STRING(device, domain, it->iommu_domain)

static const char *device_names(const struct target_view *view, size_t index)
{
	const struct snapshot_device *it = view->item;

	return index < it->name_count ? it->names[index] : NULL;
}

static const char *device_sensors(const struct target_view *view, size_t index)
{
	const struct snapshot_device *it = view->item;

	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++)
		if (it->sensors & 1u << sensor && index-- == 0)
			return ds_sensor_names[sensor];
	return NULL;
}

const struct field device_fields[] = {
	FIELD_TEXT("id", device_id),
	FIELD_TEXT("bus", device_bus),
	FIELD_TEXT("driver", device_driver),
	{.name = "names", .type = FIELD_STRINGS, .string = device_names},
	FIELD_TEXT("parent", device_parent),
	FIELD_TEXT("iommu.group", device_group),
	FIELD_TEXT("iommu.domain", device_domain),
	{.name = "sensors", .type = FIELD_STRINGS, .string = device_sensors},
	FIELD_NUMBER("dirty_pages", device_dirty_pages),
	AT("dirty_pages_total", device, U64, dirty_pages_total),
	FIELD_NUMBER("exposed_pages", device_exposed_pages),
	AT("rate", device, DOUBLE, rate),
	AT("dma.maps.from_device", device, U64, stats.maps[DS_DMA_FROM_DEVICE]),
	AT("dma.maps.to_device", device, U64, stats.maps[DS_DMA_TO_DEVICE]),
	AT("dma.maps.bidirectional", device, U64, stats.maps[DS_DMA_BIDIRECTIONAL]),
	FIELD_NUMBER("dma.unmaps", device_unmaps),
	AT("dma.syncs", device, U64, stats.syncs),
	FIELD_NUMBER("dma.mapped_bytes", device_mapped_bytes),
	AT("dma.live_mappings", device, U64, live_mappings),
	AT("dma.unmatched_unmaps", device, U64, stats.unmatched_unmaps),
	AT("dma.failed_maps", device, U64, stats.failed_maps),
	AT("dma.completed_pages", device, U64, stats.completed_pages),
	AT("block.requests", device, U64, stats.block_requests),
	AT("block.pages", device, U64, stats.block_pages),
	AT("block.bytes", device, U64, stats.block_bytes),
	AT("block.errors", device, U64, stats.block_errors),
	AT("net.packets", device, U64, stats.net_packets),
	AT("net.pages", device, U64, stats.net_pages),
	AT("net.bytes", device, U64, stats.net_bytes),
	AT("virtio.buffers", device, U64, stats.virtio_buffers),
	AT("virtio.used", device, U64, stats.virtio_used),
	AT("virtio.pages", device, U64, stats.virtio_pages),
	AT("virtio.bytes", device, U64, stats.virtio_bytes),
	AT("swiotlb.bounces", device, U64, stats.swiotlb_bounces),
	AT("swiotlb.bytes", device, U64, stats.swiotlb_bytes),
	AT("pagecache", device, U64, pagecache),
	AT("blockdev", device, U64, blockdev),
	AT("iommu_faults", device, U64, stats.iommu_faults),
	AT("lost", device, U64, lost),
	{},
};

/* ---- flows ---- */

NUMBER(flow, pid, it->identity ? it->identity->tgid : NAN)
NUMBER(flow, uid, it->identity && !it->identity->nameless ? it->identity->uid : NAN)
NUMBER(flow, start, it->identity ? (double)it->identity->start_boottime_ns : NAN)
STRING(flow, comm, it->identity && !it->identity->nameless ? it->identity->comm : NULL)
STRING(flow, cgroup, it->identity ? it->identity->cgroup : NULL)
STRING(flow, vm, it->identity ? it->identity->vm_name : NULL)
STRING(flow, device, it->device)

const struct field flow_fields[] = {
	FIELD_NUMBER("pid", flow_pid),	   FIELD_NUMBER("start_boottime_ns", flow_start),
	FIELD_TEXT("comm", flow_comm),	   FIELD_NUMBER("uid", flow_uid),
	FIELD_TEXT("cgroup", flow_cgroup), FIELD_TEXT("vm.name", flow_vm),
	FIELD_TEXT("device", flow_device), AT("pages", flow, U64, pages),
	AT("bytes", flow, U64, bytes),	   AT("requests", flow, U64, requests),
	AT("rate", flow, DOUBLE, rate),	   {},
};

/* ---- the host ---- */

#define HOST(name, expression)                                    \
	static double host_##name(const struct target_view *view) \
	{                                                         \
		const struct snapshot *it = view->item;           \
		return (double)(expression);                      \
	}
#define HOST_AT(field_name, field_type, member)                   \
	{                                                         \
		.name = (field_name), .type = FIELD_##field_type, \
		.offset = offsetof(struct snapshot, member)       \
	}

static double lost_of(const struct snapshot_sensor *sensor)
{
	double lost = 0;

	for (int reason = 0; reason < DS_LOST_REASONS; reason++)
		lost += (double)sensor->lost[reason];
	return lost;
}

static double lost_of_all(const struct snapshot *snapshot)
{
	double lost = 0;

	for (int sensor = 0; sensor < DS_SENSOR_COUNT; sensor++)
		lost += lost_of(&snapshot->sensors[sensor]);
	return lost;
}

HOST(rates, sum_rates(it->rates))
HOST(totals, sum_counts(it->totals))
HOST(lost, lost_of_all(it))
HOST(waiting, it->writeback.known ? (double)it->writeback.waiting : NAN)
HOST(under_writeback, it->writeback.known ? (double)it->writeback.under_writeback : NAN)
HOST(throttle_at, it->writeback.known ? (double)it->writeback.throttle_at : NAN)
HOST(throttle_share, it->writeback.known && it->writeback.throttle_at
			     ? (double)(it->writeback.waiting + it->writeback.under_writeback) /
				       (double)it->writeback.throttle_at
			     : NAN)

static const char *host_name(const struct target_view *view, size_t index)
{
	return index == 0 ? view->snapshot->hostname : NULL;
}

static const char *host_kernel(const struct target_view *view, size_t index)
{
	return index == 0 ? view->snapshot->kernel : NULL;
}

const struct field host_fields[] = {
	FIELD_TEXT("host", host_name),
	FIELD_TEXT("kernel", host_kernel),
	HOST_AT("uptime", DOUBLE, uptime),
	HOST_AT("memory_pages", U64, memory_pages),
	HOST_AT("totals.cpu", U64, totals[DS_WRITER_CPU]),
	HOST_AT("totals.pagecache", U64, totals[DS_WRITER_PAGECACHE]),
	HOST_AT("totals.blockdev", U64, totals[DS_WRITER_BLOCKDEV]),
	HOST_AT("totals.dma", U64, totals[DS_WRITER_DMA]),
	FIELD_NUMBER("totals", host_totals),
	HOST_AT("rates.cpu", DOUBLE, rates[DS_WRITER_CPU]),
	HOST_AT("rates.pagecache", DOUBLE, rates[DS_WRITER_PAGECACHE]),
	HOST_AT("rates.blockdev", DOUBLE, rates[DS_WRITER_BLOCKDEV]),
	HOST_AT("rates.dma", DOUBLE, rates[DS_WRITER_DMA]),
	FIELD_NUMBER("rates", host_rates),
	HOST_AT("dirty_pages", U64, dirty_pages),
	HOST_AT("dirty_pages_total", U64, dirty_pages_total),
	HOST_AT("exposed_pages", U64, exposed_pages),
	HOST_AT("reported_pages", U64, reported_pages),
	HOST_AT("iommu_mapped_bytes", U64, iommu_mapped_bytes),
	HOST_AT("sample_duration", DOUBLE, sample_duration),
	FIELD_NUMBER("writeback.waiting", host_waiting),
	FIELD_NUMBER("writeback.under_writeback", host_under_writeback),
	FIELD_NUMBER("writeback.throttle_at", host_throttle_at),
	FIELD_NUMBER("writeback.throttle_share", host_throttle_share),
	FIELD_NUMBER("lost", host_lost),
	{},
};

/* ---- sensors ---- */

static const char *const sensor_states[] = {
	[SENSOR_ACTIVE] = "active",
	[SENSOR_PARTIAL] = "partial",
	[SENSOR_UNAVAILABLE] = "unavailable",
};

NUMBER(sensor, lost, lost_of(it))
NUMBER(sensor, losing, it->losing)
STRING(sensor, name, ds_sensor_names[it->id])
STRING(sensor, state, sensor_states[it->state])
STRING(sensor, reason, it->reason)

const struct field sensor_fields[] = {
	FIELD_TEXT("name", sensor_name),       FIELD_TEXT("state", sensor_state),
	FIELD_TEXT("reason", sensor_reason),   AT("offered", sensor, U64, offered),
	AT("counted", sensor, U64, counted),   FIELD_NUMBER("lost", sensor_lost),
	FIELD_NUMBER("losing", sensor_losing), {},
};
