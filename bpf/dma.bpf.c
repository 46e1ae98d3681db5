// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The DMA API's own events, include/trace/events/dma.h: none before 6.12 (038eb433dc14);
 * map_page and map_resource until 6.17, map_phys since 6.18. Coherent allocations are
 * mappings that the device may write for as long as they live.
 */
#include "bpf/dma.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/dma_map_phys")
int BPF_PROG(dma_map_phys, struct device *dev, __u64 phys, __u64 dma_addr, __u64 size, int dir)
{
	return dma__map(dev, phys, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("tp_btf/dma_unmap_phys")
int BPF_PROG(dma_unmap_phys, struct device *dev, __u64 dma_addr, __u64 size, int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("tp_btf/dma_map_page")
int BPF_PROG(dma_map_page, struct device *dev, __u64 phys, __u64 dma_addr, __u64 size, int dir)
{
	return dma__map(dev, phys, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("tp_btf/dma_unmap_page")
int BPF_PROG(dma_unmap_page, struct device *dev, __u64 dma_addr, __u64 size, int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("tp_btf/dma_map_resource")
int BPF_PROG(dma_map_resource, struct device *dev, __u64 phys, __u64 dma_addr, __u64 size, int dir)
{
	return dma__map(dev, phys, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("tp_btf/dma_unmap_resource")
int BPF_PROG(dma_unmap_resource, struct device *dev, __u64 dma_addr, __u64 size, int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_SINGLE);
}

SEC("tp_btf/dma_map_sg")
int BPF_PROG(dma_map_sg, struct device *dev, struct scatterlist *list, int entries, int mapped,
	     int dir)
{
	return dma__map_list(dev, (__u64)list, entries, mapped, dir);
}

SEC("tp_btf/dma_map_sg_err")
int BPF_PROG(dma_map_sg_err, struct device *dev, struct scatterlist *list, int entries, int err,
	     int dir)
{
	return dma__map_list(dev, (__u64)list, entries, 0, dir);
}

SEC("tp_btf/dma_unmap_sg")
int BPF_PROG(dma_unmap_sg, struct device *dev, struct scatterlist *list, int entries, int dir)
{
	return dma__unmap_list(dev, (__u64)list, entries, dir);
}

SEC("tp_btf/dma_sync_single_for_cpu")
int BPF_PROG(dma_sync_single_for_cpu, struct device *dev, __u64 dma_addr, __u64 size, int dir)
{
	return dma__sync(dev, dma_addr, size, dir);
}

SEC("tp_btf/dma_sync_sg_for_cpu")
int BPF_PROG(dma_sync_sg_for_cpu, struct device *dev, struct scatterlist *list, int entries,
	     int dir)
{
	return dma__sync_list(dev, (__u64)list, entries, dir);
}

/* Coherent memory is always bidirectional, and only since 6.13 (3afff779a725) the event says so. */
SEC("tp_btf/dma_alloc")
int BPF_PROG(dma_alloc, struct device *dev, __u64 virt, __u64 dma_addr, __u64 size)
{
	return dma__alloc(dev, virt, dma_addr, size, DS_DMA_BIDIRECTIONAL);
}

SEC("tp_btf/dma_free")
int BPF_PROG(dma_free, struct device *dev, __u64 virt, __u64 dma_addr, __u64 size)
{
	return dma__unmap(dev, dma_addr, size, DS_DMA_BIDIRECTIONAL, DS_MAPPING_COHERENT);
}

SEC("tp_btf/dma_alloc_pages")
int BPF_PROG(dma_alloc_pages, struct device *dev, __u64 virt, __u64 dma_addr, __u64 size, int dir)
{
	return dma__alloc(dev, virt, dma_addr, size, dir);
}

SEC("tp_btf/dma_free_pages")
int BPF_PROG(dma_free_pages, struct device *dev, __u64 virt, __u64 dma_addr, __u64 size, int dir)
{
	return dma__unmap(dev, dma_addr, size, dir, DS_MAPPING_COHERENT);
}

SEC("tp_btf/dma_alloc_sgt")
int BPF_PROG(dma_alloc_sgt, struct device *dev, struct sg_table *table, __u64 size, int dir)
{
	return dma__map_list(dev, (__u64)table->sgl, table->nents, table->nents, dir);
}

SEC("tp_btf/dma_free_sgt")
int BPF_PROG(dma_free_sgt, struct device *dev, struct sg_table *table, __u64 size, int dir)
{
	return dma__unmap_list(dev, (__u64)table->sgl, table->nents, dir);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
