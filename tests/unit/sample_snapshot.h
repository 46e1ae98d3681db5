/* SPDX-License-Identifier: BSD-2-Clause */
/* A snapshot made by hand: hostile names, a pid that came again, a replugged device. */
#ifndef DIRTYSCOPE_TESTS_UNIT_SAMPLE_SNAPSHOT_H
#define DIRTYSCOPE_TESTS_UNIT_SAMPLE_SNAPSHOT_H

#include <stdio.h>
#include <string.h>

#include "agent/base/arena.h"
#include "agent/snapshot/snapshot.h"

/* Newline, quote, backslash, ESC, a cut UTF-8 sequence. */
#define SAMPLE_HOSTILE "a\n\"\\\033[1m\xe2\x82"
#define SAMPLE_TIME 1795379446

static inline struct snapshot_process sample_process(uint32_t pid, uint64_t start, const char *comm)
{
	struct process_identity identity = {
		.tgid = pid,
		.start_boottime_ns = start,
		.uid = pid % 7,
		.user = pid % 7 ? "" : "root",
		.cmdline = "",
		.cgroup = "/system.slice/a.service",
	};
	struct snapshot_process process = {};

	snprintf(identity.comm, sizeof(identity.comm), "%s", comm);
	process.identity = process_identity__new(&identity);
	process.first_touch = pid;
	process.rewrite = 2;
	process.kernel = 3;
	process.tracked = 11;
	process.written[DS_WRITER_CPU] = pid + 5;
	process.written[DS_WRITER_PAGECACHE] = 100;
	process.written[DS_WRITER_BLOCKDEV] = 7;
	process.written[DS_WRITER_DMA] = 1000;
	process.rates[DS_WRITER_CPU] = 0.5 * pid;
	process.promoted = true;
	process.base[DS_WRITER_CPU] = 5;
	return process;
}

static inline void sample_add_processes(struct snapshot *snapshot)
{
	struct process_identity vm = {
		.tgid = 4000,
		.start_boottime_ns = 99,
		.comm = "qemu",
		.uid = 64055,
		.user = "libvirt-qemu",
		.cmdline = "qemu -name guest=\"web\xff\"",
		.cgroup = "/machine.slice",
		.container = "0123456789abcdef",
		.pod_namespace = "shop",
		.pod_name = "cart-7d4b9c-x2x",
		.pod_container = "cart",
		.vm_name = "web\xff",
		.hypervisor = "qemu",
	};
	struct snapshot_process *processes = arena__alloc(snapshot->arena, 6 * sizeof(*processes));

	processes[0] = sample_process(7, 70, SAMPLE_HOSTILE);
	/* The same pid and name twice: one has ended. */
	processes[1] = sample_process(12, 100, "again");
	processes[1].state = PROCESS_EXITED;
	processes[2] = sample_process(12, 200, "again");
	processes[3] = sample_process(12, 300, "again");
	processes[3].state = PROCESS_EXITED;
	processes[4] = sample_process(300, 50, "idle");
	processes[4].promoted = false;
	processes[4].identity->nameless = true;
	processes[5] = sample_process(4000, 99, "qemu");
	process_identity__put(processes[5].identity);
	processes[5].identity = process_identity__new(&vm);
	snapshot->processes = processes;
	snapshot->process_count = 6;
	snapshot->process_rest =
		(struct snapshot_rest){.other = {305, 100, 7, 1000}, .exited = {11, 12, 13, 14}};
}

static inline void sample_add_groups(struct snapshot *snapshot)
{
	/* What must not become one label: bytes that are no text, and our own names. */
	static const char *const names[] = {"/bad\xfe", "/bad\xff", "/clean%FF", "exited", "other"};
	struct snapshot_group *groups = arena__alloc(snapshot->arena, 5 * sizeof(*groups));

	for (int i = 0; i < 5; i++) {
		groups[i].name = names[i];
		groups[i].processes = (uint32_t)i;
		groups[i].promoted = true;
		groups[i].written[DS_WRITER_CPU] = (uint64_t)i + 10;
		groups[i].base[DS_WRITER_CPU] = 1;
		groups[i].rates[DS_WRITER_DMA] = i;
	}
	snapshot->cgroups = groups;
	snapshot->cgroup_count = 5;
	snapshot->vms = groups + 3;
	snapshot->vm_count = 2;
	snapshot->comms = groups + 2;
	snapshot->comm_count = 2;
	snapshot->pods = arena__alloc(snapshot->arena, sizeof(*groups));
	snapshot->pods[0] = groups[2];
	snapshot->pods[0].name = "shop/cart-7d4b9c-x2x";
	snapshot->pod_count = 1;
}

static inline void sample_add_devices(struct snapshot *snapshot)
{
	static const char *const disks[] = {"vda", "vd\"b"};
	static const char *const not_seen[] = {"peer-to-peer", "packets: \"copied\""};
	static const struct snapshot_coverage coverage[] = {
		{DS_SENSOR_BLOCK, DS_EVIDENCE_COMPLETED, {.tv_sec = SAMPLE_TIME - 60}},
		{DS_SENSOR_IOMMU, DS_EVIDENCE_EXPOSED, {.tv_sec = SAMPLE_TIME - 30}},
	};
	static const char *const under[] = {"vda1", "vd\"b"};
	static const struct snapshot_stack stacks[] = {{"dm-0", under, 2}, {"md0", under + 1, 1}};
	static const struct snapshot_exposure exposures[] = {
		{4000, "qemu", 512},
		{7, SAMPLE_HOSTILE, 1},
	};
	struct snapshot_device *devices = arena__alloc(snapshot->arena, 4 * sizeof(*devices));

	for (int i = 0; i < 4; i++) {
		devices[i].bus = "pci";
		devices[i].driver = "nvme";
		devices[i].coverage_since = (struct timespec){.tv_sec = SAMPLE_TIME - 60};
		devices[i].sensors = 1u << DS_SENSOR_BLOCK | 1u << DS_SENSOR_DMA;
		devices[i].has_page_set = true;
		devices[i].dirty_pages = 256;
		devices[i].dirty_pages_total = 65536;
		devices[i].rate = 256.5;
		devices[i].stats.block_pages = 65536;
		devices[i].stats.maps[DS_DMA_FROM_DEVICE] = 3;
		devices[i].stats.maps[DS_DMA_TO_DEVICE] = 4;
		devices[i].exposed_reason = "no mapping of it was ever seen";
		devices[i].coverage = coverage;
		devices[i].coverage_count = 2;
		devices[i].not_seen = not_seen;
		devices[i].not_seen_count = 2;
		devices[i].pagecache = 20;
		devices[i].blockdev = 2;
	}
	/* Gone, and back again under its id. */
	devices[0].id = devices[1].id = "pci/0000:00:04.0";
	devices[0].gone = true;
	devices[0].stats.block_pages = 1;
	devices[1].iommu_group = "3";
	devices[1].iommu_domain = "DMA-FQ";
	devices[1].exposed_known = true;
	devices[1].exposed_pages = 12;
	devices[1].exposed_reason = NULL;
	devices[1].live_mappings = 3;
	devices[1].vfio = true;
	devices[1].stats.foreign_maps = 9;
	devices[1].stats.foreign_unmaps = 8;
	devices[1].exposures = exposures;
	devices[1].exposure_count = 2;
	devices[1].stacks = stacks;
	devices[1].stack_count = 2;
	devices[2].id = "unattributed";
	devices[2].bus = devices[2].driver = "";
	devices[2].has_page_set = false;
	devices[2].coverage_count = devices[2].not_seen_count = 0;
	devices[2].stats.iommu_maps = 5;
	devices[3].id = "virtio/virtio1";
	devices[3].bus = "virtio";
	devices[3].driver = "virtio_blk";
	devices[3].parent = "pci/0000:00:05.0";
	devices[3].virtio = true;
	devices[3].stats.virtio_buffers = 70;
	devices[3].stats.virtio_used = 60;
	devices[3].stats.virtio_bytes = 61440;
	devices[3].stats.virtio_pages = 50;
	devices[3].names = disks;
	devices[3].name_count = 2;
	snapshot->devices = devices;
	snapshot->device_count = 4;
}

static inline void sample_add_pins(struct snapshot *snapshot)
{
	struct snapshot_pins *pins = arena__alloc(snapshot->arena, 2 * sizeof(*pins));

	pins[0] = (struct snapshot_pins){.pid = 12,
					 .start_boottime_ns = 100,
					 .comm = "again",
					 .pinned_bytes = 81920,
					 .by = {[PIN_IO_URING] = 65536, [PIN_XDP] = 4096},
					 .unexplained_bytes = 12288,
					 .reason = "a ring is in use"};
	pins[1] = (struct snapshot_pins){.pid = 4000000,
					 .comm = "qemu",
					 .pinned_bytes = 1 << 30,
					 .by = {[PIN_VFIO] = 1 << 30}};
	snapshot->pins = pins;
	snapshot->pin_count = 2;
	snapshot->pins_known = true;
	snapshot->pins_reason = "";
}

static inline void sample_add_flows(struct snapshot *snapshot)
{
	struct snapshot_flow *flows = arena__alloc(snapshot->arena, 3 * sizeof(*flows));

	for (uint64_t i = 0; i < 3; i++) {
		flows[i].device = "virtio/virtio1";
		flows[i].pages = 10 * (i + 1);
		flows[i].bytes = 40960 * (i + 1);
		flows[i].requests = i + 1;
		flows[i].rate = 1.25;
	}
	flows[1].identity = process_identity__get(snapshot->processes[2].identity);
	flows[2].identity = process_identity__get(snapshot->processes[0].identity);
	flows[2].device = "pci/0000:00:04.0";
	snapshot->flows = flows;
	snapshot->flow_count = 3;
}

static inline void sample_add_sensors(struct snapshot *snapshot)
{
	static const struct snapshot_program programs[] = {
		{"page_fault_user", "tp_btf:page_fault_user", PROGRAM_ACTIVE, "", 9, 900, 0, 120,
		 false},
		{"fault_exit", "fexit:handle_mm_fault", PROGRAM_UNAVAILABLE, "EPERM: \"denied\"\n",
		 0, 0, 0, 0, false},
	};
	static const struct snapshot_tier tiers[] = {
		{"tp_btf", true, ""},
		{"fentry", false, "Operation not permitted"},
	};

	for (int i = 0; i < DS_SENSOR_COUNT; i++) {
		struct snapshot_sensor *sensor = &snapshot->sensors[i];

		sensor->yields = "writes";
		sensor->blind = "";
		sensor->offered = 1000;
		sensor->counted = 1000;
		sensor->programs = programs;
		sensor->program_count = 2;
	}
	snapshot->sensors[DS_SENSOR_NET].state = SENSOR_UNAVAILABLE;
	snprintf(snapshot->sensors[DS_SENSOR_NET].reason, 256, "no such tracepoint");
	snapshot->sensors[DS_SENSOR_BLOCK].state = SENSOR_PARTIAL;
	snapshot->sensors[DS_SENSOR_BLOCK].losing = true;
	snapshot->sensors[DS_SENSOR_BLOCK].counted = 990;
	snapshot->sensors[DS_SENSOR_BLOCK].lost[DS_LOST_FLOWS_FULL] = 10;
	snapshot->tiers = tiers;
	snapshot->tier_count = 2;
}

/* One of a process, one that has ended. */
static inline void sample_add_policies(struct snapshot *snapshot)
{
	static const struct snapshot_policy policies[] = {
		{"busy-writer", {4900, 2, 1, 3}},
		{"mapping-leak", {7, 0, 0, 0}},
	};
	static const struct snapshot_action actions[] = {
		{"busy-writer", "track", "started", 4},
		{"busy-writer", "webhook", "delivered", 9},
	};

	snapshot->policies = arena__alloc(snapshot->arena, sizeof(policies));
	snapshot->actions = arena__alloc(snapshot->arena, sizeof(actions));
	memcpy(snapshot->policies, policies, sizeof(policies));
	memcpy(snapshot->actions, actions, sizeof(actions));
	snapshot->policy_count = snapshot->action_count = 2;
}

static inline void sample_add_tracks(struct snapshot *snapshot)
{
	struct snapshot_track *tracks = arena__alloc(snapshot->arena, 2 * sizeof(*tracks));

	tracks[0] = (struct snapshot_track){
		.id = 3,
		.pid = 12,
		.pages = {100, 50, 20},
		.missed_total = 4000,
		.bytes = 1 << 21,
	};
	tracks[1] = (struct snapshot_track){.id = 4, .ended = true, .pages = {7, 7, 7}};
	snapshot->tracks = tracks;
	snapshot->track_count = 2;
}

/* Of a file with a hostile name; nothing that was recorded is written again. */
static inline void sample_add_replay(struct snapshot *snapshot)
{
	snapshot->replay = arena__alloc(snapshot->arena, sizeof(*snapshot->replay));
	*snapshot->replay = (struct snapshot_replay){
		.file = SAMPLE_HOSTILE,
		.version = "0.0.9",
		.revision = "unknown",
		.recorded = {.tv_sec = SAMPLE_TIME - 62},
		.position = 3,
		.snapshots = 60,
		.policies = "",
	};
}

static inline struct snapshot *sample_snapshot(uint64_t sequence)
{
	struct snapshot *snapshot = snapshot__new();

	snapshot->sequence = sequence;
	snapshot->time = (struct timespec){.tv_sec = SAMPLE_TIME, .tv_nsec = 123456789};
	snapshot->interval = 1;
	snapshot->uptime = 61.5;
	snapshot->sample_duration = 0.00125;
	snapshot->hostname = "host";
	snapshot->kernel = "6.18.0";
	snapshot->memory_pages = 1 << 20;
	snapshot->totals[DS_WRITER_CPU] = 4681;
	snapshot->rates[DS_WRITER_DMA] = 12.5;
	snapshot->dirty_pages = 300;
	snapshot->dirty_pages_total = 70000;
	snapshot->exposed_pages = 12;
	snapshot->reported_pages = 77;
	snapshot->limits.mappings_used = 3;
	snapshot->limits.mapping_bytes_used = 384;
	snapshot->limits.map_memory_bytes = 1 << 24;
	snapshot->iommu_mapped_bytes = 8192;
	snapshot->record = (struct snapshot_record){.state = RECORD_WRITING,
						    .bytes = 4711,
						    .limit = 1 << 30,
						    .snapshots = 9,
						    .missed = 1};
	sample_add_processes(snapshot);
	sample_add_groups(snapshot);
	sample_add_devices(snapshot);
	sample_add_pins(snapshot);
	sample_add_flows(snapshot);
	sample_add_sensors(snapshot);
	sample_add_tracks(snapshot);
	sample_add_policies(snapshot);
	sample_add_replay(snapshot);
	return snapshot;
}

#endif
