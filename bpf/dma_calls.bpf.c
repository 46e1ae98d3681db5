// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The DMA API by its functions (kernel/dma/mapping.c): for kernels before 6.12, which have no DMA
 * event, and for dma_iova_link(), which fires none on any. What makes a mapping is read at its
 * end, what takes one away at its start: its address is not anybody else's yet.
 */
#include "bpf/dma.h"
#include <bpf/bpf_tracing.h>

SEC("fexit/dma_map_page_attrs")
int BPF_PROG(dma_map_page_call, struct device *dev, struct page *page, unsigned long offset,
	     unsigned long size, int dir, unsigned long attrs, __u64 dma_addr)
{
	__u64 phys = (page__pfn(func__argument(ctx, 1)) << DS_PAGE_SHIFT) + offset;

	return dma__map(dev, phys, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("fentry/dma_unmap_page_attrs")
int BPF_PROG(dma_unmap_page_call, struct device *dev, __u64 dma_addr, unsigned long size, int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("fexit/dma_map_resource")
int BPF_PROG(dma_map_resource_call, struct device *dev, __u64 phys, unsigned long size, int dir,
	     unsigned long attrs, __u64 dma_addr)
{
	return dma__map(dev, phys, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("fentry/dma_unmap_resource")
int BPF_PROG(dma_unmap_resource_call, struct device *dev, __u64 dma_addr, unsigned long size,
	     int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("fexit/__dma_map_sg_attrs")
int BPF_PROG(dma_map_sg_call, struct device *dev, struct scatterlist *list, int entries, int dir,
	     unsigned long attrs, int mapped)
{
	return dma__map_list(dev, (__u64)list, entries, mapped, dir);
}

SEC("fentry/dma_unmap_sg_attrs")
int BPF_PROG(dma_unmap_sg_call, struct device *dev, struct scatterlist *list, int entries, int dir)
{
	return dma__unmap_list(dev, (__u64)list, entries, dir);
}

SEC("fexit/dma_sync_single_for_cpu")
int BPF_PROG(dma_sync_single_call, struct device *dev, __u64 dma_addr, unsigned long size, int dir)
{
	return dma__sync(dev, dma_addr, size, dir);
}

SEC("fexit/dma_sync_sg_for_cpu")
int BPF_PROG(dma_sync_sg_call, struct device *dev, struct scatterlist *list, int entries, int dir)
{
	return dma__sync_list(dev, (__u64)list, entries, dir);
}

/* Where the kernel wrote an address for its caller. */
static __always_inline __u64 handle__read(const __u64 *handle)
{
	__u64 dma_addr = DMA_MAPPING_ERROR;

	bpf_probe_read_kernel(&dma_addr, sizeof(dma_addr), handle);
	return dma_addr;
}

SEC("fexit/dma_alloc_attrs")
int BPF_PROG(dma_alloc_call, struct device *dev, unsigned long size, __u64 *handle,
	     unsigned int gfp, unsigned long attrs, void *virt)
{
	return dma__alloc(dev, (__u64)virt, handle__read(handle), size, DS_DMA_BIDIRECTIONAL);
}

SEC("fentry/dma_free_attrs")
int BPF_PROG(dma_free_call, struct device *dev, unsigned long size, void *virt, __u64 dma_addr)
{
	return dma__unmap(dev, dma_addr, size, DS_DMA_BIDIRECTIONAL, DS_MAPPING_COHERENT);
}

SEC("fexit/dma_alloc_pages")
int BPF_PROG(dma_alloc_pages_call, struct device *dev, unsigned long size, __u64 *handle, int dir)
{
	__u64 page = 0, phys;

	bpf_get_func_ret(ctx, &page);
	phys = page__pfn(page) << DS_PAGE_SHIFT;
	return dma__map(dev, phys, page ? handle__read(handle) : DMA_MAPPING_ERROR, size, dir,
			DS_MAPPING_COHERENT);
}

SEC("fentry/dma_free_pages")
int BPF_PROG(dma_free_pages_call, struct device *dev, unsigned long size, struct page *page,
	     __u64 dma_addr, int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_COHERENT);
}

SEC("fexit/dma_alloc_noncontiguous")
int BPF_PROG(dma_alloc_sgt_call, struct device *dev, unsigned long size, int dir, unsigned int gfp,
	     unsigned long attrs, struct sg_table *table)
{
	__u32 entries = table ? table->nents : 0;

	return dma__map_list(dev, table ? (__u64)table->sgl : 0, entries, entries, dir);
}

SEC("fentry/dma_free_noncontiguous")
int BPF_PROG(dma_free_sgt_call, struct device *dev, unsigned long size, struct sg_table *table,
	     int dir)
{
	return dma__unmap_list(dev, (__u64)table->sgl, table->nents, dir);
}

/* After 6.12: NVMe, RDMA and HMM behind an IOMMU, drivers/iommu/dma-iommu.c. */
SEC("fexit/dma_iova_link")
int BPF_PROG(dma_iova_link_call, struct device *dev, struct dma_iova_state *state, __u64 phys,
	     unsigned long offset, unsigned long size, int dir, unsigned long attrs, int error)
{
	return dma__link(dev, state->addr, phys, offset, size, dir, error);
}

SEC("fentry/dma_iova_unlink")
int BPF_PROG(dma_iova_unlink_call, struct device *dev, struct dma_iova_state *state,
	     unsigned long offset, unsigned long size, int dir)
{
	return dma__unlink(dev, state->addr + offset, size, dir);
}

SEC("fentry/dma_iova_destroy")
int BPF_PROG(dma_iova_destroy_call, struct device *dev, struct dma_iova_state *state,
	     unsigned long mapped, int dir)
{
	return mapped ? dma__unlink(dev, state->addr, mapped, dir) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
