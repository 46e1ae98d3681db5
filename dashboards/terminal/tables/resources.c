/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables: to add a column is to add a row. */
#include "dashboards/terminal/tables/columns.h"

#include <string.h>

#include "dashboards/terminal/tables/device_text.h"

#define LISTS 100000 /* rows that the API gives at most */
#define EVENTS 1024

/* clang-format off */
#define WRITTEN \
	{"cpu", "CPU", COLUMN_COUNT, "written.cpu-tracked", 0, true, \
	 "pages written by the CPU: write faults"}, \
	{"pagecache", "PAGECACHE", COLUMN_COUNT, "written.pagecache", 0, true, \
	 "page-cache pages of files made dirty"}, \
	{"blockdev", "BLOCKDEV", COLUMN_COUNT, "written.blockdev", 0, true, \
	 "page-cache pages of block devices made dirty: metadata, raw writes"}, \
	{"dma", "DMA", COLUMN_COUNT, "written.dma", 0, true, \
	 "pages that devices wrote for it"}, \
	{"written", "WRITTEN", COLUMN_COUNT, "written-tracked", 0, true, \
	 "pages written, by all writers"}, \
	{"cpu_rate", "CPU/s", COLUMN_RATE, "rates.cpu", 0, true, \
	 "pages per second by the CPU"}, \
	{"pagecache_rate", "PGCACHE/s", COLUMN_RATE, "rates.pagecache", 0, true, \
	 "page-cache pages per second"}, \
	{"blockdev_rate", "BLKDEV/s", COLUMN_RATE, "rates.blockdev", 0, true, \
	 "block devices' page-cache pages per second"}, \
	{"dma_rate", "DMA/s", COLUMN_RATE, "rates.dma", 0, true, \
	 "pages per second by devices"}, \
	{"rate", "PAGES/s", COLUMN_RATE, "rates", 0, true, \
	 "pages per second, by all writers"}
/* clang-format on */

static const struct column process_columns[] = {
	{"pid", "PID", COLUMN_COUNT, "pid", 0, true, "process id"},
	{"user", "USER", COLUMN_TEXT, "user", 12, false, "user name"},
	{"uid", "UID", COLUMN_COUNT, "uid", 0, true, "user id"},
	{"state", "STATE", COLUMN_STATE, "state", 0, false, "running, or exited a short while ago"},
	WRITTEN,
	{"first_touch", "FIRST", COLUMN_COUNT, "written.cpu.first_touch", 0, true,
	 "CPU: first write to a page that was not mapped"},
	{"rewrite", "REWRITE", COLUMN_COUNT, "written.cpu.rewrite", 0, true,
	 "CPU: write to a protected page: copy-on-write, re-protected"},
	{"kernel", "KERNEL", COLUMN_COUNT, "written.cpu.kernel", 0, true,
	 "CPU: the kernel wrote to its memory: read(2) into fresh pages"},
	{"tracked", "TRACKED", COLUMN_COUNT, "written.cpu.tracked", 0, true,
	 "faults that happen only because a track protects its pages; in no other column"},
	{"vm", "VM", COLUMN_TEXT, "vm.name", 24, false, "name of the VM that it runs"},
	{"hypervisor", "HYPERVISOR", COLUMN_TEXT, "vm.hypervisor", 16, false, "what runs the VM"},
	{"container", "CONTAINER", COLUMN_TEXT, "container", 12, false, "container id"},
	{"namespace", "NAMESPACE", COLUMN_TEXT, "pod.namespace", 16, false,
	 "namespace of its Kubernetes pod"},
	{"pod", "POD", COLUMN_TEXT, "pod.name", 32, false, "name of its Kubernetes pod"},
	{"cgroup", "CGROUP", COLUMN_TEXT, "cgroup", 40, false, "cgroup path"},
	{"start_boottime_ns", "START_NS", COLUMN_COUNT, "start_boottime_ns", 0, true,
	 "start, nanoseconds since boot; tells apart processes with the same pid"},
	{"track", "TRACK", COLUMN_TEXT, "track", 0, false, "number of the track that follows it"},
	{"comm", "COMMAND", COLUMN_TEXT, "comm", 0, true, "command name"},
	{"cmdline", "CMDLINE", COLUMN_TEXT, "cmdline", 0, false, "command line"},
	{0},
};

static const struct column device_columns[] = {
	{"id", "DEVICE", COLUMN_TEXT, "id", 0, true, "the function that does DMA"},
	{"names", "NAMES", COLUMN_TEXT, "names", 32, false, "its disks and netdevs"},
	{"driver", "DRIVER", COLUMN_TEXT, "driver", 16, true, "kernel driver"},
	{"bus", "BUS", COLUMN_TEXT, "bus", 0, false, "bus"},
	{"parent", "PARENT", COLUMN_TEXT, "parent", 0, false, "the device that it sits on"},
	{"iommu_group", "GROUP", COLUMN_TEXT, "iommu.group", 0, false, "IOMMU group"},
	{"iommu_domain", "DOMAIN", COLUMN_TEXT, "iommu.domain", 0, false, "IOMMU domain's type"},
	{"coverage_since", "SINCE", COLUMN_TIME, "coverage_since", 0, false,
	 "watched since; what was mapped before is not known"},
	{"sensors", "SENSORS", COLUMN_TEXT, "sensors", 0, false, "sensors that have seen it"},
	{"gone", "GONE", COLUMN_TEXT, "gone", 0, false, "unplugged"},
	{"dirty_pages", "DIRTY", COLUMN_COUNT, "dirty_pages", 0, true,
	 "distinct pages that it wrote in the last interval; - when not known"},
	{"rate", "DIRTY/s", COLUMN_RATE, "rate", 0, true, "the same per second"},
	{"dirty_pages_total", "DIRTY_TOTAL", COLUMN_COUNT, "dirty_pages_total", 0, true,
	 "distinct pages per interval, added up"},
	{"exposed_pages", "EXPOSED", COLUMN_COUNT, "exposed_pages", 0, true,
	 "pages that it may write now; - when not known"},
	{"exposed_reason", "UNKNOWN_BECAUSE", COLUMN_TEXT, "exposed_reason", 40, false,
	 "why the exposed pages are not known"},
	{"live_mappings", "LIVE", COLUMN_COUNT, "dma.live_mappings", 0, true,
	 "mappings through which it may write now"},
	{"maps", "MAPS", COLUMN_COUNT, "dma.maps", 0, false, "DMA mappings made"},
	{"maps_from_device", "MAPS_FROM", COLUMN_COUNT, "dma.maps.from_device", 0, false,
	 "DMA mappings that the device writes"},
	{"maps_to_device", "MAPS_TO", COLUMN_COUNT, "dma.maps.to_device", 0, false,
	 "DMA mappings that the device reads"},
	{"maps_bidirectional", "MAPS_BOTH", COLUMN_COUNT, "dma.maps.bidirectional", 0, false,
	 "DMA mappings for both"},
	{"unmaps", "UNMAPS", COLUMN_COUNT, "dma.unmaps", 0, false, "DMA mappings ended"},
	{"unmatched_unmaps", "UNMATCHED", COLUMN_COUNT, "dma.unmatched_unmaps", 0, false,
	 "ended mappings that were not known"},
	{"syncs", "SYNCS", COLUMN_COUNT, "dma.syncs", 0, false, "DMA mappings synced for the CPU"},
	{"mapped_bytes", "MAPPED", COLUMN_BYTES, "dma.mapped_bytes", 0, false,
	 "bytes mapped for DMA"},
	{"block_requests", "BLK_REQS", COLUMN_COUNT, "block.requests", 0, false, "block reads"},
	{"block_pages", "BLK_PAGES", COLUMN_COUNT, "block.pages", 0, true,
	 "pages written by block reads"},
	{"block_bytes", "BLK_BYTES", COLUMN_BYTES, "block.bytes", 0, false, "bytes of block reads"},
	{"net_packets", "NET_PKTS", COLUMN_COUNT, "net.packets", 0, false, "packets received"},
	{"net_pages", "NET_PAGES", COLUMN_COUNT, "net.pages", 0, true,
	 "pages written by received packets"},
	{"net_bytes", "NET_BYTES", COLUMN_BYTES, "net.bytes", 0, false, "bytes received"},
	{"virtio_buffers", "VQ_BUFS", COLUMN_COUNT, "virtio.buffers", 0, false,
	 "buffers that its virtio driver gave to it to write"},
	{"virtio_used", "VQ_USED", COLUMN_COUNT, "virtio.used", 0, false,
	 "of these, those that came back"},
	{"virtio_pages", "VQ_PAGES", COLUMN_COUNT, "virtio.pages", 0, true,
	 "pages that it said it wrote into them"},
	{"virtio_bytes", "VQ_BYTES", COLUMN_BYTES, "virtio.bytes", 0, false, "the same in bytes"},
	{"vfio_maps", "VFIO_MAPS", COLUMN_COUNT, "vfio.maps", 0, false,
	 "mappings that VFIO made for it to write through"},
	{"vfio_unmaps", "VFIO_UNMAPS", COLUMN_COUNT, "vfio.unmaps", 0, false,
	 "of these, those that ended"},
	{"iommu_faults", "FAULTS", COLUMN_COUNT, "iommu_faults", 0, true, "IOMMU faults"},
	{"lost", "LOST", COLUMN_COUNT, "lost", 0, true, "pages and flows counted as lost"},
	{0},
};

static const struct column flow_columns[] = {
	{"pid", "PID", COLUMN_COUNT, "pid", 0, true, "process id; - when not known"},
	{"comm", "COMMAND", COLUMN_TEXT, "comm", 0, true, "command name"},
	{"device", "DEVICE", COLUMN_TEXT, "device", 0, true, "the device that wrote for it"},
	{"requests", "REQUESTS", COLUMN_COUNT, "requests", 0, true, "requests"},
	{"pages", "PAGES", COLUMN_COUNT, "pages", 0, true, "pages written"},
	{"bytes", "BYTES", COLUMN_BYTES, "bytes", 0, true, "bytes written"},
	{"rate", "PAGES/s", COLUMN_RATE, "rate", 0, true, "pages per second"},
	{"start_boottime_ns", "START_NS", COLUMN_COUNT, "start_boottime_ns", 0, false,
	 "the process's start, nanoseconds since boot"},
	{0},
};

static const struct column pins_columns[] = {
	{"pid", "PID", COLUMN_COUNT, "pid", 0, true, "process id"},
	{"pinned_bytes", "PINNED", COLUMN_BYTES, "pinned_bytes", 0, true,
	 "its memory that is pinned, and may be written at any time"},
	{"explained_bytes", "EXPLAINED", COLUMN_BYTES, "explained_bytes", 0, true,
	 "of that, what is known to be whose"},
	{"io_uring", "IO_URING", COLUMN_BYTES, "by.io_uring", 0, false,
	 "buffers registered with io_uring"},
	{"vfio", "VFIO", COLUMN_BYTES, "by.vfio", 0, false, "memory given to a device by VFIO"},
	{"rdma", "RDMA", COLUMN_BYTES, "by.rdma", 0, false, "memory regions of RDMA"},
	{"xdp", "XDP", COLUMN_BYTES, "by.xdp", 0, false, "areas of AF_XDP sockets"},
	{"unexplained_bytes", "UNEXPLAINED", COLUMN_BYTES, "unexplained_bytes", 0, true,
	 "what nothing explains"},
	{"reason", "REASON", COLUMN_TEXT, "reason", 40, false, "why not all of it is known"},
	{"comm", "COMMAND", COLUMN_TEXT, "comm", 0, true, "command name"},
	{"start_boottime_ns", "START_NS", COLUMN_COUNT, "start_boottime_ns", 0, false,
	 "the process's start, nanoseconds since boot"},
	{0},
};

static const struct column sensor_columns[] = {
	{"sensor", "SENSOR", COLUMN_TEXT, "name", 0, false, "name"},
	{"state", "STATE", COLUMN_STATE, "state", 0, false, "active, partial or unavailable"},
	{"offered", "OFFERED", COLUMN_COUNT, "offered", 0, false, "events seen"},
	{"counted", "COUNTED", COLUMN_COUNT, "counted", 0, false, "events counted in full"},
	{"lost", "LOST", COLUMN_COUNT, "lost", 0, false,
	 "events not counted in full: offered - counted"},
	{"programs", "PROGRAMS", COLUMN_TEXT, "programs", 0, false, "names of its BPF programs"},
	{"reason", "REASON", COLUMN_TEXT, "reason", 0, false, "why it is not active"},
	{"yields", "YIELDS", COLUMN_TEXT, "yields", 0, false, "what it counts"},
	{"blind", "BLIND", COLUMN_TEXT, "blind", 0, false, "what it cannot see"},
	{0},
};

static const struct column group_columns[] = {
	{"name", "NAME", COLUMN_TEXT, "name", 60, true, "name"},
	{"processes", "PROCESSES", COLUMN_COUNT, "processes", 0, true, "processes that live now"},
	WRITTEN,
	{0},
};

static const struct column track_columns[] = {
	{"id", "TRACK", COLUMN_TEXT, "id", 0, false, "number since the agent's start"},
	{"target", "TARGET", COLUMN_TEXT, "target.pid", 0, false, "pid of a process"},
	{"vm", "VM", COLUMN_TEXT, "target.vm", 40, false, "VM that the process runs"},
	{"cgroup", "CGROUP", COLUMN_TEXT, "target.cgroup", 40, false, "path of a cgroup"},
	{"device", "DEVICE", COLUMN_TEXT, "target.device", 0, false, "id of a device"},
	{"state", "STATE", COLUMN_STATE, "state", 0, false, "active or ended"},
	{"reason", "REASON", COLUMN_TEXT, "reason", 0, false, "why it ended"},
	{"epoch", "EPOCH", COLUMN_COUNT, "epoch", 0, false, "epochs collected"},
	{"acknowledged", "ACKED", COLUMN_COUNT, "acknowledged", 0, false,
	 "last cursor acknowledged"},
	{"cpu", "CPU", COLUMN_COUNT, "last_epoch.cpu", 0, false,
	 "pages that CPUs wrote in the last epoch"},
	{"dma", "DMA", COLUMN_COUNT, "last_epoch.dma", 0, false,
	 "pages that devices wrote, or may have, in the last epoch"},
	{"union", "UNION", COLUMN_COUNT, "last_epoch.union", 0, false, "pages of both, each once"},
	{"missed", "MISSED", COLUMN_COUNT, "missed_by_cpu_tracking_total", 0, false,
	 "pages that devices wrote and CPU-only tracking missed, in all epochs"},
	{"rate", "PAGES/s", COLUMN_RATE, "rate", 0, false, "pages per second, of the last epoch"},
	{"working_set", "WSET60", COLUMN_COUNT, "working_set.epochs_60", 0, false,
	 "distinct pages of the last 60 epochs"},
	{"memory", "MEMORY", COLUMN_BYTES, "memory_bytes", 0, false,
	 "that the track takes, at most"},
	{0},
};

static const struct column event_columns[] = {
	{"id", "ID", COLUMN_TEXT, "id", 0, false, "number since the agent's start"},
	{"time", "TIME", COLUMN_TIME, "time", 0, false, "when"},
	{"type", "TYPE", COLUMN_TEXT, "type", 0, false,
	 "agent, sensor, device, track, policy or action"},
	{"severity", "SEVERITY", COLUMN_STATE, "severity", 0, false, "info, warning or error"},
	{"subject", "SUBJECT", COLUMN_TEXT, "subject", 32, false, "what it is about"},
	{"message", "MESSAGE", COLUMN_TEXT, "message", 0, false, "one sentence"},
	{0},
};

static const struct column policy_columns[] = {
	{"name", "POLICY", COLUMN_TEXT, "name", 0, false, "name"},
	{"for_each", "FOR_EACH", COLUMN_TEXT, "for_each", 0, false, "what its targets are"},
	{"severity", "SEVERITY", COLUMN_STATE, "severity", 0, false, "info, warning or error"},
	{"inactive", "INACTIVE", COLUMN_COUNT, "states.inactive", 0, false,
	 "targets for which it does not hold"},
	{"pending", "PENDING", COLUMN_COUNT, "states.pending", 0, false,
	 "targets for which it holds, not for long enough yet"},
	{"firing", "FIRING", COLUMN_COUNT, "states.firing", 0, false, "targets for which it fires"},
	{"resolved", "RESOLVED", COLUMN_COUNT, "states.resolved", 0, false,
	 "targets for which it fired a short while ago"},
	{"dry_run", "DRY_RUN", COLUMN_TEXT, "dry_run", 0, false, "its actions are not done"},
	{"source", "SOURCE", COLUMN_TEXT, "source", 60, false, "its file, or api"},
	{"summary", "SUMMARY", COLUMN_TEXT, "summary", 0, false, "what it says, as a template"},
	{0},
};

#define GROUP_SHOWN "name,processes,cpu,pagecache,blockdev,dma,written,rate"

static const struct resource resources[] = {
	{"processes", "/api/v1/processes", TAKES_SORT | TAKES_LIMIT | TAKES_FILTER | TAKES_PID,
	 LISTS, process_columns, "pid,user,state,cpu,pagecache,blockdev,dma,written,rate,comm",
	 "pid,user,state,first_touch,rewrite,kernel,tracked,pagecache,blockdev,dma,written,rate,vm,"
	 "container,track,comm,cmdline",
	 "rate", "pages written by each process",
	 "Counters are pages of 4 KiB since the agent's start; rates are pages per second over\n"
	 "the last interval.",
	 NULL},
	{"devices", "/api/v1/devices", TAKES_SORT | TAKES_LIMIT | TAKES_FILTER, LISTS,
	 device_columns,
	 "id,names,dirty_pages,rate,dirty_pages_total,exposed_pages,block_pages,net_pages,lost",
	 "id,names,driver,parent,iommu_group,iommu_domain,coverage_since,sensors,dirty_pages,rate,"
	 "dirty_pages_total,exposed_pages,live_mappings,maps_from_device,maps_to_device,"
	 "maps_bidirectional,unmaps,unmatched_unmaps,syncs,mapped_bytes,block_requests,block_pages,"
	 "block_bytes,net_packets,net_pages,net_bytes,virtio_buffers,virtio_used,virtio_pages,"
	 "iommu_faults,lost",
	 "rate", "pages written by each device",
	 "Dirty pages are distinct pages with evidence that the device wrote them. Exposed pages\n"
	 "are an upper bound: a live mapping lets the device write them. With -v: what sees its\n"
	 "writes on this kernel, and what does not.",
	 devices__details},
	{"flows", "/api/v1/flows",
	 TAKES_SORT | TAKES_LIMIT | TAKES_FILTER | TAKES_PID | TAKES_DEVICE, LISTS, flow_columns,
	 "pid,comm,device,requests,pages,bytes,rate", NULL, "pages",
	 "who had which device write how many pages",
	 "A flow belongs to the process that submitted the request, not to the one that was\n"
	 "running when it completed.",
	 NULL},
	{"pins", "/api/v1/pins", TAKES_SORT | TAKES_LIMIT | TAKES_FILTER, LISTS, pins_columns,
	 "pid,pinned_bytes,io_uring,vfio,rdma,xdp,unexplained_bytes,comm",
	 "pid,pinned_bytes,explained_bytes,io_uring,vfio,rdma,xdp,unexplained_bytes,reason,comm",
	 "pinned_bytes", "who holds memory that may be written at any time",
	 "Pinned memory can be written by a device, or by the kernel for a file, without a trace "
	 "in\n"
	 "the page table. A track takes what is explained as written, and lists the rest.",
	 NULL},
	{"sensors", "/api/v1/sensors", 0, 0, sensor_columns,
	 "sensor,state,offered,counted,lost,reason", "sensor,state,offered,counted,lost,reason",
	 NULL, "what is watched, how well, and why not more",
	 "Every event that a sensor is offered is counted or counted as lost, with a reason.",
	 NULL},
	{"cgroups", "/api/v1/cgroups", TAKES_SORT | TAKES_LIMIT | TAKES_FILTER, LISTS,
	 group_columns, GROUP_SHOWN, NULL, "rate", "pages written by each cgroup",
	 "Sums over the processes of a cgroup, those that have ended included.", NULL},
	{"vms", "/api/v1/vms", TAKES_SORT | TAKES_LIMIT | TAKES_FILTER, LISTS, group_columns,
	 GROUP_SHOWN, NULL, "rate", "pages written by each virtual machine",
	 "Sums over the processes of a VM, those that have ended included.", NULL},
	{"tracks", "/api/v1/tracks", 0, 0, track_columns,
	 "id,target,cgroup,device,state,epoch,cpu,dma,union,missed,rate,working_set,memory",
	 "id,target,vm,cgroup,device,state,reason,epoch,acknowledged,cpu,dma,union,missed,rate,"
	 "working_set,memory",
	 NULL, "precise sessions: which pages",
	 "dirtyscope track --help tells how to start and read one.", NULL},
	{"policies", "/api/v1/policies", 0, 0, policy_columns,
	 "name,for_each,severity,inactive,pending,firing,resolved,dry_run,source",
	 "name,for_each,severity,inactive,pending,firing,resolved,dry_run,source,summary", NULL,
	 "rules over the numbers, and for what they fire",
	 "--json shows the targets, and what actions came to.", NULL},
	{"events", "/api/v1/events", TAKES_LIMIT | TAKES_AFTER, EVENTS, event_columns,
	 "id,time,severity,type,subject,message", NULL, NULL,
	 "what happened to the agent, its sensors and the devices",
	 "The agent keeps the last 1024 events.", NULL},
};

const struct resource *resource__at(size_t index)
{
	return index < sizeof(resources) / sizeof(*resources) ? &resources[index] : NULL;
}

const struct resource *resource__find(const char *name)
{
	for (size_t i = 0; i < sizeof(resources) / sizeof(*resources); i++)
		if (strcmp(resources[i].name, name) == 0)
			return &resources[i];
	return NULL;
}
