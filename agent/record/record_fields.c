/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/record/record_fields.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "agent/record/field_tables.h"
#include "agent/tracks/tracks.h"

/* Their rows are short in a file and long in memory; more than an agent ever has. */
#define TRACKS_MOST 16384
#define ACTIONS_MOST 65536

/* ---- processes ---- */

static const struct field record_identity_fields[] = {
	ROW(struct process_identity, references, FIELD_SKIPPED),
	ROW(struct process_identity, tgid, FIELD_U32),
	ROW(struct process_identity, start_boottime_ns, FIELD_U64),
	ROW(struct process_identity, comm, FIELD_CHARS),
	ROW(struct process_identity, uid, FIELD_U32),
	ROW(struct process_identity, nameless, FIELD_BOOL),
	ROW(struct process_identity, user, FIELD_STRING),
	ROW(struct process_identity, cmdline, FIELD_STRING),
	ROW(struct process_identity, cgroup, FIELD_STRING),
	ROW(struct process_identity, container, FIELD_STRING_OR_NULL),
	ROW(struct process_identity, pod_namespace, FIELD_STRING_OR_NULL),
	ROW(struct process_identity, pod_name, FIELD_STRING_OR_NULL),
	ROW(struct process_identity, pod_container, FIELD_STRING_OR_NULL),
	ROW(struct process_identity, vm_name, FIELD_STRING_OR_NULL),
	ROW(struct process_identity, hypervisor, FIELD_STRING_OR_NULL),
};

static bool is_sound_identity(const void *object)
{
	const struct process_identity *identity = object;

	return !identity->vm_name == !identity->hypervisor &&
	       !identity->pod_namespace == !identity->pod_name;
}
TABLE(record_identity, struct process_identity, is_sound_identity);

static const struct field process_fields[] = {
	ROW(struct snapshot_process, identity, FIELD_IDENTITY),
	ROW(struct snapshot_process, state, FIELD_ENUM, .most = PROCESS_EXITED + 1),
	ROW(struct snapshot_process, first_touch, FIELD_U64),
	ROW(struct snapshot_process, rewrite, FIELD_U64),
	ROW(struct snapshot_process, kernel, FIELD_U64),
	ROW(struct snapshot_process, tracked, FIELD_U64),
	ROW(struct snapshot_process, written, FIELD_U64),
	ROW(struct snapshot_process, rates, FIELD_DOUBLE),
	ROW(struct snapshot_process, promoted, FIELD_BOOL),
	ROW(struct snapshot_process, base, FIELD_U64),
};
static TABLE(process, struct snapshot_process, NULL);

static const struct field group_fields[] = {
	ROW(struct snapshot_group, name, FIELD_STRING),
	ROW(struct snapshot_group, processes, FIELD_U32),
	ROW(struct snapshot_group, written, FIELD_U64),
	ROW(struct snapshot_group, rates, FIELD_DOUBLE),
	ROW(struct snapshot_group, promoted, FIELD_BOOL),
	ROW(struct snapshot_group, base, FIELD_U64),
};
static TABLE(group, struct snapshot_group, NULL);

/* ---- devices ---- */

static const struct field coverage_fields[] = {
	ROW(struct snapshot_coverage, sensor, FIELD_ENUM, .most = DS_SENSOR_COUNT),
	ROW(struct snapshot_coverage, evidence, FIELD_ENUM, .most = DS_EVIDENCES),
	ROW(struct snapshot_coverage, since, FIELD_TIME),
};
static TABLE(coverage, struct snapshot_coverage, NULL);

static const struct field exposure_fields[] = {
	ROW(struct snapshot_exposure, pid, FIELD_U32),
	ROW(struct snapshot_exposure, comm, FIELD_STRING),
	ROW(struct snapshot_exposure, pages, FIELD_U64),
};
static TABLE(exposure, struct snapshot_exposure, NULL);

static const struct field stack_fields[] = {
	ROW(struct snapshot_stack, name, FIELD_STRING),
	COUNTED(struct snapshot_stack, on, FIELD_STRINGS, on_count),
};
static TABLE(stack, struct snapshot_stack, NULL);

static const struct field stats_fields[] = {
	ROW(struct ds_device_stats, maps, FIELD_U64),
	ROW(struct ds_device_stats, unmaps, FIELD_U64),
	ROW(struct ds_device_stats, mapped_bytes, FIELD_U64),
	ROW(struct ds_device_stats, failed_maps, FIELD_U64),
	ROW(struct ds_device_stats, syncs, FIELD_U64),
	ROW(struct ds_device_stats, unmatched_unmaps, FIELD_U64),
	ROW(struct ds_device_stats, exposed_pages, FIELD_S64),
	ROW(struct ds_device_stats, completed_pages, FIELD_U64),
	ROW(struct ds_device_stats, block_requests, FIELD_U64),
	ROW(struct ds_device_stats, block_errors, FIELD_U64),
	ROW(struct ds_device_stats, block_pages, FIELD_U64),
	ROW(struct ds_device_stats, block_bytes, FIELD_U64),
	ROW(struct ds_device_stats, net_packets, FIELD_U64),
	ROW(struct ds_device_stats, net_pages, FIELD_U64),
	ROW(struct ds_device_stats, net_bytes, FIELD_U64),
	ROW(struct ds_device_stats, swiotlb_bounces, FIELD_U64),
	ROW(struct ds_device_stats, swiotlb_bytes, FIELD_U64),
	ROW(struct ds_device_stats, iommu_faults, FIELD_U64),
	ROW(struct ds_device_stats, iommu_maps, FIELD_U64),
	ROW(struct ds_device_stats, iommu_unmaps, FIELD_U64),
	ROW(struct ds_device_stats, iommu_mapped_bytes, FIELD_U64),
	ROW(struct ds_device_stats, iommu_unmapped_bytes, FIELD_U64),
	ROW(struct ds_device_stats, lost, FIELD_U64),
	ROW(struct ds_device_stats, virtio_buffers, FIELD_U64),
	ROW(struct ds_device_stats, virtio_used, FIELD_U64),
	ROW(struct ds_device_stats, virtio_bytes, FIELD_U64),
	ROW(struct ds_device_stats, virtio_pages, FIELD_U64),
	ROW(struct ds_device_stats, live_mappings, FIELD_S64),
	ROW(struct ds_device_stats, foreign_maps, FIELD_U64),
	ROW(struct ds_device_stats, foreign_unmaps, FIELD_U64),
	ROW(struct ds_device_stats, reported_pages, FIELD_U64),
	ROW(struct ds_device_stats, pad, FIELD_SKIPPED),
};
static TABLE(stats, struct ds_device_stats, NULL);

static const struct field device_fields[] = {
	ROW(struct snapshot_device, id, FIELD_STRING),
	ROW(struct snapshot_device, bus, FIELD_STRING),
	ROW(struct snapshot_device, driver, FIELD_STRING),
	ROW(struct snapshot_device, parent, FIELD_STRING_OR_NULL),
	COUNTED(struct snapshot_device, names, FIELD_STRINGS, name_count),
	COUNTED(struct snapshot_device, stacks, FIELD_ARRAY, stack_count, .of = &stack),
	ROW(struct snapshot_device, iommu_group, FIELD_STRING_OR_NULL),
	ROW(struct snapshot_device, iommu_domain, FIELD_STRING_OR_NULL),
	ROW(struct snapshot_device, coverage_since, FIELD_TIME),
	ROW(struct snapshot_device, sensors, FIELD_U32),
	ROW(struct snapshot_device, gone, FIELD_BOOL),
	ROW(struct snapshot_device, has_page_set, FIELD_BOOL),
	ROW(struct snapshot_device, dirty_pages, FIELD_U64),
	ROW(struct snapshot_device, dirty_pages_total, FIELD_U64),
	ROW(struct snapshot_device, exposed_pages, FIELD_U64),
	ROW(struct snapshot_device, exposed_known, FIELD_BOOL),
	ROW(struct snapshot_device, exposed_reason, FIELD_STRING_OR_NULL),
	ROW(struct snapshot_device, live_mappings, FIELD_U64),
	COUNTED(struct snapshot_device, exposures, FIELD_ARRAY, exposure_count, .of = &exposure),
	COUNTED(struct snapshot_device, coverage, FIELD_ARRAY, coverage_count, .of = &coverage),
	COUNTED(struct snapshot_device, not_seen, FIELD_STRINGS, not_seen_count),
	ROW(struct snapshot_device, virtio, FIELD_BOOL),
	ROW(struct snapshot_device, vfio, FIELD_BOOL),
	ROW(struct snapshot_device, rate, FIELD_DOUBLE),
	ROW(struct snapshot_device, stats, FIELD_STRUCT, .of = &stats),
	ROW(struct snapshot_device, pagecache, FIELD_U64),
	ROW(struct snapshot_device, blockdev, FIELD_U64),
	ROW(struct snapshot_device, lost, FIELD_U64),
};

static bool is_sound_device(const void *object)
{
	const struct snapshot_device *device = object;

	return !device->iommu_group == !device->iommu_domain;
}
static TABLE(device, struct snapshot_device, is_sound_device);

static const struct field flow_fields[] = {
	ROW(struct snapshot_flow, identity, FIELD_IDENTITY_OR_NULL),
	ROW(struct snapshot_flow, device, FIELD_STRING),
	ROW(struct snapshot_flow, pages, FIELD_U64),
	ROW(struct snapshot_flow, bytes, FIELD_U64),
	ROW(struct snapshot_flow, requests, FIELD_U64),
	ROW(struct snapshot_flow, rate, FIELD_DOUBLE),
};
static TABLE(flow, struct snapshot_flow, NULL);

static const struct field pins_fields[] = {
	ROW(struct snapshot_pins, pid, FIELD_U32),
	ROW(struct snapshot_pins, start_boottime_ns, FIELD_U64),
	ROW(struct snapshot_pins, comm, FIELD_CHARS),
	ROW(struct snapshot_pins, pinned_bytes, FIELD_U64),
	ROW(struct snapshot_pins, by, FIELD_U64),
	ROW(struct snapshot_pins, unexplained_bytes, FIELD_U64),
	ROW(struct snapshot_pins, reason, FIELD_CHARS),
};
static TABLE(pins, struct snapshot_pins, NULL);

/* ---- sensors ---- */

static const struct field program_fields[] = {
	ROW(struct snapshot_program, name, FIELD_STRING),
	ROW(struct snapshot_program, hook, FIELD_STRING),
	ROW(struct snapshot_program, state, FIELD_ENUM, .most = PROGRAM_UNAVAILABLE + 1),
	ROW(struct snapshot_program, reason, FIELD_STRING),
	ROW(struct snapshot_program, runs, FIELD_U64),
	ROW(struct snapshot_program, run_time_ns, FIELD_U64),
	ROW(struct snapshot_program, missed, FIELD_U64),
	ROW(struct snapshot_program, verified_instructions, FIELD_U32),
	ROW(struct snapshot_program, absent, FIELD_BOOL),
};
static TABLE(program, struct snapshot_program, NULL);

static const struct field sensor_fields[] = {
	ROW(struct snapshot_sensor, id, FIELD_ENUM, .most = DS_SENSOR_COUNT),
	ROW(struct snapshot_sensor, state, FIELD_ENUM, .most = SENSOR_UNAVAILABLE + 1),
	ROW(struct snapshot_sensor, reason, FIELD_CHARS),
	ROW(struct snapshot_sensor, losing, FIELD_BOOL),
	ROW(struct snapshot_sensor, yields, FIELD_STRING),
	ROW(struct snapshot_sensor, blind, FIELD_STRING),
	ROW(struct snapshot_sensor, offered, FIELD_U64),
	ROW(struct snapshot_sensor, counted, FIELD_U64),
	ROW(struct snapshot_sensor, lost, FIELD_U64),
	COUNTED(struct snapshot_sensor, programs, FIELD_ARRAY, program_count, .of = &program),
};
static TABLE(sensor, struct snapshot_sensor, NULL);

static const struct field tier_fields[] = {
	ROW(struct snapshot_tier, name, FIELD_STRING),
	ROW(struct snapshot_tier, available, FIELD_BOOL),
	ROW(struct snapshot_tier, reason, FIELD_STRING),
};
static TABLE(tier, struct snapshot_tier, NULL);

/* ---- tracks and policies, as metrics have them ---- */

static const struct field track_fields[] = {
	ROW(struct snapshot_track, id, FIELD_U64),
	ROW(struct snapshot_track, pid, FIELD_U32),
	ROW(struct snapshot_track, ended, FIELD_BOOL),
	ROW(struct snapshot_track, pages, FIELD_U64),
	ROW(struct snapshot_track, missed_total, FIELD_U64),
	ROW(struct snapshot_track, bytes, FIELD_U64),
};
static TABLE(track, struct snapshot_track, NULL);

static const struct field policy_fields[] = {
	ROW(struct snapshot_policy, name, FIELD_CHARS),
	ROW(struct snapshot_policy, states, FIELD_U64),
};
static TABLE(policy, struct snapshot_policy, NULL);

static const struct field action_fields[] = {
	ROW(struct snapshot_action, policy, FIELD_CHARS),
	ROW(struct snapshot_action, action, FIELD_CHARS),
	ROW(struct snapshot_action, result, FIELD_CHARS),
	ROW(struct snapshot_action, count, FIELD_U64),
};
static TABLE(action, struct snapshot_action, NULL);

/* ---- the host ---- */

static const struct field limits_fields[] = {
	ROW(struct snapshot_limits, processes, FIELD_U32),
	ROW(struct snapshot_limits, processes_used, FIELD_U32),
	ROW(struct snapshot_limits, devices, FIELD_U32),
	ROW(struct snapshot_limits, devices_used, FIELD_U32),
	ROW(struct snapshot_limits, flows, FIELD_U32),
	ROW(struct snapshot_limits, flows_used, FIELD_U32),
	ROW(struct snapshot_limits, requests, FIELD_U32),
	ROW(struct snapshot_limits, mappings, FIELD_U32),
	ROW(struct snapshot_limits, mappings_used, FIELD_U64),
	ROW(struct snapshot_limits, mapping_bytes_used, FIELD_U64),
	ROW(struct snapshot_limits, page_set_bytes, FIELD_U64),
	ROW(struct snapshot_limits, page_set_bytes_used, FIELD_U64),
	ROW(struct snapshot_limits, map_memory_bytes, FIELD_U64),
};
static TABLE(limits, struct snapshot_limits, NULL);

static const struct field rest_fields[] = {
	ROW(struct snapshot_rest, other, FIELD_U64),
	ROW(struct snapshot_rest, exited, FIELD_U64),
};
static TABLE(rest, struct snapshot_rest, NULL);

static const struct field writeback_fields[] = {
	ROW(struct snapshot_writeback, known, FIELD_BOOL),
	ROW(struct snapshot_writeback, waiting, FIELD_U64),
	ROW(struct snapshot_writeback, under_writeback, FIELD_U64),
	ROW(struct snapshot_writeback, throttle_at, FIELD_U64),
};
static TABLE(writeback, struct snapshot_writeback, NULL);

static const struct field recording_fields[] = {
	ROW(struct snapshot_record, state, FIELD_ENUM, .most = RECORD_STATES),
	ROW(struct snapshot_record, reason, FIELD_CHARS),
	ROW(struct snapshot_record, bytes, FIELD_U64),
	ROW(struct snapshot_record, limit, FIELD_U64),
	ROW(struct snapshot_record, snapshots, FIELD_U64),
	ROW(struct snapshot_record, missed, FIELD_U64),
};
static TABLE(recording, struct snapshot_record, NULL);

static const struct field record_snapshot_fields[] = {
	ROW(struct snapshot, references, FIELD_SKIPPED),
	ROW(struct snapshot, sequence, FIELD_U64),
	ROW(struct snapshot, time, FIELD_TIME),
	ROW(struct snapshot, interval, FIELD_DOUBLE),
	ROW(struct snapshot, uptime, FIELD_DOUBLE),
	ROW(struct snapshot, sample_duration, FIELD_DOUBLE),
	ROW(struct snapshot, hostname, FIELD_STRING),
	ROW(struct snapshot, kernel, FIELD_STRING),
	ROW(struct snapshot, memory_pages, FIELD_U64),
	ROW(struct snapshot, totals, FIELD_U64),
	ROW(struct snapshot, cpu_totals, FIELD_U64),
	ROW(struct snapshot, cpu_rates, FIELD_DOUBLE),
	ROW(struct snapshot, tracked_faults, FIELD_U64),
	ROW(struct snapshot, rates, FIELD_DOUBLE),
	ROW(struct snapshot, dirty_pages_total, FIELD_U64),
	ROW(struct snapshot, dirty_pages, FIELD_U64),
	ROW(struct snapshot, exposed_pages, FIELD_U64),
	ROW(struct snapshot, writeback, FIELD_STRUCT, .of = &writeback),
	COUNTED(struct snapshot, processes, FIELD_ARRAY, process_count, .of = &process),
	COUNTED(struct snapshot, devices, FIELD_ARRAY, device_count, .of = &device),
	COUNTED(struct snapshot, flows, FIELD_ARRAY, flow_count, .of = &flow),
	ROW(struct snapshot, pins_known, FIELD_BOOL),
	ROW(struct snapshot, pins_reason, FIELD_STRING),
	COUNTED(struct snapshot, pins, FIELD_ARRAY, pin_count, .of = &pins),
	COUNTED(struct snapshot, cgroups, FIELD_ARRAY, cgroup_count, .of = &group),
	COUNTED(struct snapshot, vms, FIELD_ARRAY, vm_count, .of = &group),
	COUNTED(struct snapshot, pods, FIELD_ARRAY, pod_count, .of = &group),
	COUNTED(struct snapshot, comms, FIELD_ARRAY, comm_count, .of = &group),
	ROW(struct snapshot, sensors, FIELD_STRUCT, .of = &sensor),
	COUNTED(struct snapshot, tracks, FIELD_ARRAY, track_count, .of = &track),
	COUNTED(struct snapshot, policies, FIELD_ARRAY, policy_count, .of = &policy,
		.most = ACTIONS_MOST),
	COUNTED(struct snapshot, actions, FIELD_ARRAY, action_count, .of = &action,
		.most = ACTIONS_MOST),
	COUNTED(struct snapshot, tiers, FIELD_ARRAY, tier_count, .of = &tier),
	ROW(struct snapshot, limits, FIELD_STRUCT, .of = &limits),
	ROW(struct snapshot, namespaces_known, FIELD_BOOL),
	ROW(struct snapshot, own_namespaces, FIELD_U32),
	ROW(struct snapshot, process_rest, FIELD_STRUCT, .of = &rest),
	ROW(struct snapshot, cgroup_rest, FIELD_STRUCT, .of = &rest),
	ROW(struct snapshot, vm_rest, FIELD_STRUCT, .of = &rest),
	ROW(struct snapshot, pod_rest, FIELD_STRUCT, .of = &rest),
	ROW(struct snapshot, comm_rest, FIELD_STRUCT, .of = &rest),
	ROW(struct snapshot, net_virtual_packets, FIELD_U64),
	ROW(struct snapshot, iommu_mapped_bytes, FIELD_U64),
	ROW(struct snapshot, reported_pages, FIELD_U64),
	ROW(struct snapshot, record, FIELD_STRUCT, .of = &recording),
	ROW(struct snapshot, replay, FIELD_SKIPPED),
	ROW(struct snapshot, arena, FIELD_SKIPPED),
};

static bool is_sound_snapshot(const void *object)
{
	const struct snapshot *snapshot = object;

	for (unsigned i = 0; i < DS_SENSOR_COUNT; i++)
		if (snapshot->sensors[i].id != i)
			return false;
	return snapshot->sequence > 0 && snapshot->sequence <= INT64_MAX;
}
TABLE(record_snapshot, struct snapshot, is_sound_snapshot);

/* ---- beside the snapshots ---- */

static const struct field event_fields[] = {
	ROW(struct event, id, FIELD_U64),	 ROW(struct event, time, FIELD_TIME),
	ROW(struct event, type, FIELD_CHARS),	 ROW(struct event, severity, FIELD_CHARS),
	ROW(struct event, subject, FIELD_CHARS), ROW(struct event, message, FIELD_CHARS),
};
static TABLE(event, struct event, NULL);

static const struct field record_beside_fields[] = {
	COUNTED(struct record_beside, events, FIELD_ARRAY, event_count, .of = &event,
		.most = EVENTS_KEPT),
	COUNTED(struct record_beside, tracks, FIELD_ARRAY, track_count, .of = &record_track,
		.most = TRACKS_MOST),
	ROW(struct record_beside, policies, FIELD_STRING),
};
TABLE(record_beside, struct record_beside, NULL);

static const struct field record_start_fields[] = {
	ROW(struct record_start, fingerprint, FIELD_U32),
	ROW(struct record_start, version, FIELD_STRING),
	ROW(struct record_start, revision, FIELD_STRING),
	ROW(struct record_start, time, FIELD_TIME),
	ROW(struct record_start, interval, FIELD_DOUBLE),
};
TABLE(record_start, struct record_start, NULL);

const struct record_struct *const record_structs[] = {
	&record_identity,
	&process,
	&group,
	&coverage,
	&stack,
	&exposure,
	&stats,
	&device,
	&flow,
	&pins,
	&program,
	&sensor,
	&tier,
	&track,
	&policy,
	&action,
	&limits,
	&rest,
	&writeback,
	&recording,
	&event,
	&record_page_counts,
	&record_track_gap,
	&record_track_range,
	&record_track_progress,
	&record_track_backend_cost,
	&record_track_sharer,
	&record_track_member,
	&record_track,
	&record_beside,
	&record_snapshot,
	&record_start,
	NULL,
};

uint32_t record__fingerprint(void)
{
	uLong sum = crc32(0, NULL, 0);

	for (const struct record_struct *const *type = record_structs; *type; type++) {
		char line[256];

		/* How the file begins is what says so; it never changes within a format. */
		if (*type == &record_start)
			continue;
		for (size_t i = 0; i < (*type)->count; i++) {
			const struct field *field = &(*type)->fields[i];
			const char *of = field->of ? field->of->name : "";
			int length = snprintf(line, sizeof(line), "%s.%s %d %u %u %s\n",
					      (*type)->name, field->name, (int)field->kind,
					      field->size, field->most, of);
			sum = crc32(sum, (const Bytef *)line, (uInt)length);
		}
	}
	return (uint32_t)sum;
}
