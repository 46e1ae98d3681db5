/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/programs.h"

#include <stddef.h>
#include <string.h>

#define TP(program, id, event) .name = #program, .sensor = DS_SENSOR_##id, .hook = "tp_btf:" #event
/* A program on a function adds to what tracepoints show: without it a sensor is whole. */
#define FEXIT(program, id, function) \
	.name = #program, .sensor = DS_SENSOR_##id, .hook = "fexit:" function, .optional = true
#define FENTRY(program, id, function) \
	.name = #program, .sensor = DS_SENSOR_##id, .hook = "fentry:" function, .optional = true
/* A DMA event that has its function, before 6.12 without the event. */
#define DMA(event) TP(event, DMA, event)
#define CALL(program) .stand_in = {program}, .twin = program

/* What makes comes before what ends it: they are attached from the last to the first. */
const struct program_row program_table[] = {
	{TP(page_fault_user, FAULT, page_fault_user), .yields_to = {"handle_mm_fault"}},
	{TP(page_fault_kernel, FAULT, page_fault_kernel), .yields_to = {"handle_mm_fault"}},
	{FEXIT(handle_mm_fault, FAULT, "handle_mm_fault")},
	{FENTRY(handle_mm_fault_begin, FAULT, "handle_mm_fault"), .with = "handle_mm_fault"},
	{TP(page_fault_note, FAULT, page_fault_user), .with = "handle_mm_fault", .optional = true},
	{FEXIT(userfault_copy, FAULT, "mcopy_atomic|mfill_atomic_copy")},

	{TP(writeback_dirty_folio, PAGECACHE, writeback_dirty_folio)},
	{TP(writeback_dirty_page, PAGECACHE, writeback_dirty_page),
	 .stand_in = {"writeback_dirty_folio"}},
	{FEXIT(shmem_write_begin, PAGECACHE, "shmem_write_begin")},

	{TP(block_getrq, BLOCK, block_getrq)},
	{TP(block_bio_backmerge, BLOCK, block_bio_backmerge)},
	{TP(block_bio_frontmerge, BLOCK, block_bio_frontmerge)},
	{TP(block_rq_complete, BLOCK, block_rq_complete)},

	{TP(napi_gro_receive, NET, napi_gro_receive_entry)},
	{TP(napi_gro_frags, NET, napi_gro_frags_entry)},
	{TP(netif_receive_skb, NET, netif_receive_skb_entry)},
	{TP(netif_receive_skb_list, NET, netif_receive_skb_list_entry)},
	{TP(netif_rx, NET, netif_rx_entry)},

	{DMA(dma_map_phys), .stand_in = {"dma_map_page", "dma_map_page_call"}},
	{DMA(dma_unmap_phys), .stand_in = {"dma_unmap_page", "dma_unmap_page_call"}},
	{DMA(dma_map_page), .stand_in = {"dma_map_phys", "dma_map_page_call"},
	 .twin = "dma_map_page_call"},
	{DMA(dma_unmap_page), .stand_in = {"dma_unmap_phys", "dma_unmap_page_call"},
	 .twin = "dma_unmap_page_call"},
	{DMA(dma_map_resource), .stand_in = {"dma_map_phys", "dma_map_resource_call"},
	 .twin = "dma_map_resource_call"},
	{DMA(dma_unmap_resource), .stand_in = {"dma_unmap_phys", "dma_unmap_resource_call"},
	 .twin = "dma_unmap_resource_call"},
	{DMA(dma_map_sg), CALL("dma_map_sg_call")},
	{DMA(dma_map_sg_err), CALL("dma_map_sg_call"), .optional = true},
	{DMA(dma_unmap_sg), CALL("dma_unmap_sg_call")},
	{DMA(dma_sync_single_for_cpu), CALL("dma_sync_single_call")},
	{DMA(dma_sync_sg_for_cpu), CALL("dma_sync_sg_call")},
	{DMA(dma_alloc), CALL("dma_alloc_call")},
	{DMA(dma_free), CALL("dma_free_call")},
	{DMA(dma_alloc_pages), CALL("dma_alloc_pages_call"), .optional = true},
	{DMA(dma_free_pages), CALL("dma_free_pages_call"), .optional = true},
	{DMA(dma_alloc_sgt), CALL("dma_alloc_sgt_call"), .optional = true},
	{DMA(dma_free_sgt), CALL("dma_free_sgt_call"), .optional = true},

	{FEXIT(dma_map_page_call, DMA, "dma_map_page_attrs"),
	 .yields_to = {"dma_map_phys", "dma_map_page"}},
	{FENTRY(dma_unmap_page_call, DMA, "dma_unmap_page_attrs"),
	 .yields_to = {"dma_unmap_phys", "dma_unmap_page"}},
	{FEXIT(dma_map_resource_call, DMA, "dma_map_resource"),
	 .yields_to = {"dma_map_phys", "dma_map_resource"}},
	{FENTRY(dma_unmap_resource_call, DMA, "dma_unmap_resource"),
	 .yields_to = {"dma_unmap_phys", "dma_unmap_resource"}},
	{FEXIT(dma_map_sg_call, DMA, "__dma_map_sg_attrs"), .yields_to = {"dma_map_sg"}},
	{FENTRY(dma_unmap_sg_call, DMA, "dma_unmap_sg_attrs"), .yields_to = {"dma_unmap_sg"}},
	{FEXIT(dma_sync_single_call, DMA, "dma_sync_single_for_cpu|__dma_sync_single_for_cpu"),
	 .yields_to = {"dma_sync_single_for_cpu"}},
	{FEXIT(dma_sync_sg_call, DMA, "dma_sync_sg_for_cpu|__dma_sync_sg_for_cpu"),
	 .yields_to = {"dma_sync_sg_for_cpu"}},
	{FEXIT(dma_alloc_call, DMA, "dma_alloc_attrs"), .yields_to = {"dma_alloc"}},
	{FENTRY(dma_free_call, DMA, "dma_free_attrs"), .yields_to = {"dma_free"}},
	{FEXIT(dma_alloc_pages_call, DMA, "dma_alloc_pages"), .yields_to = {"dma_alloc_pages"}},
	{FENTRY(dma_free_pages_call, DMA, "dma_free_pages"), .yields_to = {"dma_free_pages"}},
	{FEXIT(dma_alloc_sgt_call, DMA, "dma_alloc_noncontiguous"), .yields_to = {"dma_alloc_sgt"}},
	{FENTRY(dma_free_sgt_call, DMA, "dma_free_noncontiguous"), .yields_to = {"dma_free_sgt"}},
	{FEXIT(dma_iova_link_call, DMA, "dma_iova_link")},
	{FENTRY(dma_iova_unlink_call, DMA, "dma_iova_unlink")},
	{FENTRY(dma_iova_destroy_call, DMA, "dma_iova_destroy")},
	{.name = "ledger_list", .sensor = DS_SENSOR_DMA, .hook = "syscall:ledger_list"},

	{TP(iommu_map, IOMMU, map)},
	{TP(iommu_unmap, IOMMU, unmap)},
	{TP(iommu_page_fault, IOMMU, io_page_fault)},
	{FEXIT(iommu_map_call, IOMMU, "iommu_map")},
	{FEXIT(iommu_map_nosync_call, IOMMU, "iommu_map_nosync")},
	{FENTRY(iommu_unmap_call, IOMMU, "iommu_unmap")},
	{FENTRY(iommu_unmap_fast_call, IOMMU, "iommu_unmap_fast")},
	{FEXIT(iommu_attach_group_call, IOMMU, "iommu_attach_group")},
	{FEXIT(iommu_attach_device_call, IOMMU, "iommu_attach_device")},
	{FENTRY(iommu_domain_free_call, IOMMU, "iommu_domain_free")},

	{TP(swiotlb_bounced, SWIOTLB, swiotlb_bounced)},

	{FEXIT(virtqueue_add_sgs, VIRTIO, "virtqueue_add_sgs"), .module = "virtio_ring"},
	{FEXIT(virtqueue_add_inbuf, VIRTIO, "virtqueue_add_inbuf"), .module = "virtio_ring"},
	{FEXIT(virtqueue_add_inbuf_ctx, VIRTIO, "virtqueue_add_inbuf_ctx"),
	 .module = "virtio_ring"},
	{FEXIT(virtqueue_add_inbuf_premapped, VIRTIO, "virtqueue_add_inbuf_premapped"),
	 .module = "virtio_ring"},
	{FEXIT(virtqueue_get_buf_ctx, VIRTIO, "virtqueue_get_buf_ctx"), .module = "virtio_ring"},
	{FEXIT(virtqueue_get_buf, VIRTIO, "virtqueue_get_buf"), .module = "virtio_ring"},
	{FEXIT(virtqueue_detach_unused_buf, VIRTIO, "virtqueue_detach_unused_buf"),
	 .module = "virtio_ring"},

	{FEXIT(iova_bitmap_set, HW, "iova_bitmap_set"), .module = "iova_bitmap"},

	{TP(sched_process_exit, PROCESS, sched_process_exit)},
	{TP(sched_process_exec, PROCESS, sched_process_exec)},
	{TP(task_rename, PROCESS, task_rename)},
	{TP(cgroup_attach_task, PROCESS, cgroup_attach_task)},
	{TP(cgroup_transfer_tasks, PROCESS, cgroup_transfer_tasks)},
	{TP(cgroup_mkdir, PROCESS, cgroup_mkdir)},
	{TP(cgroup_rename, PROCESS, cgroup_rename)},
	{TP(cgroup_rmdir, PROCESS, cgroup_rmdir)},
	{.name = "refresh_tasks",
	 .sensor = DS_SENSOR_PROCESS,
	 .hook = "iter:task",
	 .optional = true},
	{.name = "pinned_memory",
	 .sensor = DS_SENSOR_PROCESS,
	 .hook = "iter:task",
	 .optional = true},
	{.name = NULL},
};

const struct sensor_row sensor_table[DS_SENSOR_COUNT] = {
	[DS_SENSOR_FAULT] =
		{
			.yields = "CPU write faults per process: first touch, rewrite, kernel",
			.blind = "a second write to a page that is mapped writable; pages the "
				 "kernel fills without "
				 "a fault (O_DIRECT, MADV_POPULATE_WRITE, MAP_POPULATE, "
				 "process_vm_writev, UFFDIO_COPY); "
				 "a fault on a huge page counts as one page",
			.better = "handle_mm_fault",
			.blind_then = "a second write to a page that is mapped writable",
			.gain = "pages that the kernel fills without a fault, all pages of a huge "
				"one; charged to the memory's owner",
		},
	[DS_SENSOR_PAGECACHE] =
		{
			.yields = "page-cache pages that went from clean to dirty, per process and "
				  "device",
			.blind = "a write to a page that is dirty already; write(2) to tmpfs and "
				 "memfd; the unit is the folio: one byte makes a large folio's "
				 "pages dirty",
			.better = "shmem_write_begin",
			.blind_then = "a write to a page that is dirty already; the unit is the "
				      "folio: one byte makes a large folio's pages dirty",
			.gain = "pages that write(2) fills in tmpfs and memfd",
		},
	[DS_SENSOR_BLOCK] =
		{
			.yields =
				"pages that block devices wrote, per device and submitting process",
			.blind = "bio-based drivers without requests; commands that bypass the "
				 "block layer "
				 "(io_uring passthrough of registered buffers, SPDK); the status "
				 "byte of virtio-blk",
		},
	[DS_SENSOR_NET] =
		{
			.yields = "pages that network devices wrote, per device",
			.blind = "packets that a driver copied into fresh memory (the page it "
				 "copied from); "
				 "XDP, AF_XDP, DPDK, RDMA; netdevs without a DMA device",
		},
	[DS_SENSOR_DMA] =
		{
			.yields = "DMA mappings, unmappings and syncs per device; exposed pages",
			.blind = "devices that bypass the DMA API (virtio without an IOMMU); "
				 "mappings older than "
				 "the agent; dma_iova_link (NVMe, RDMA behind an IOMMU)",
			.better = "dma_iova_link_call",
			.blind_then = "devices that bypass the DMA API (virtio without an IOMMU); "
				      "mappings older than the agent",
			.gain = "mappings by dma_iova_link (NVMe, RDMA behind an IOMMU)",
		},
	[DS_SENSOR_IOMMU] =
		{
			.yields = "IOVA space mapped and unmapped, IOMMU page faults per device",
			.blind = "which device and which direction a mapping is for; memory that "
				 "VFIO gives to a device",
			.better = "iommu_map_call",
			.blind_then = "writes inside of memory that VFIO gives to a device: only "
				      "that it is exposed",
			.gain = "which device and which direction a mapping is for; that memory is "
				"given to a device by VFIO",
		},
	[DS_SENSOR_SWIOTLB] =
		{
			.yields = "mappings that went through a bounce buffer, per device",
			.blind = "",
		},
	[DS_SENSOR_VIRTIO] =
		{
			.yields = "buffers that virtio drivers gave to their devices, and how much "
				  "of them the devices wrote",
			.blind =
				"vhost-user and vDPA back ends, which are given their rings past "
				"the kernel's; buffers given before the agent; all of virtio where "
				"functions cannot be traced",
			.better = "virtqueue_get_buf",
			.blind_then = "vhost-user and vDPA back ends, which are given their rings "
				      "past the kernel's; buffers given before the agent",
			.gain = "all of virtio",
		},
	[DS_SENSOR_HW] =
		{
			.yields = "pages that VFIO DMA logging or IOMMU dirty bits reported",
			.blind = "anything while nobody harvests: hardware reports only to a VMM "
				 "that asks; which device it was",
		},
	[DS_SENSOR_PROCESS] =
		{
			.yields =
				"exits, execs and moves of the processes listed; names of cgroups",
			.blind = "",
		},
};

const struct program_row *program__find(const char *name)
{
	for (const struct program_row *row = program_table; row->name; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}
