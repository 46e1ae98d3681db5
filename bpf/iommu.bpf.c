// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* IOVA space made and taken away; include/trace/events/iommu.h. */
#include "bpf/iommu.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/map")
int BPF_PROG(iommu_map, unsigned long iova, __u64 phys, __u64 size)
{
	return iommu__account(size, 0, true);
}

SEC("tp_btf/unmap")
int BPF_PROG(iommu_unmap, unsigned long iova, __u64 size, __u64 unmapped)
{
	return iommu__account(0, unmapped, false);
}

SEC("tp_btf/io_page_fault")
int BPF_PROG(iommu_page_fault, struct device *dev, unsigned long iova, int flags)
{
	return iommu__fault(dev);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
