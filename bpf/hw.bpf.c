// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Pages that VFIO DMA logging or IOMMU dirty bits reported; drivers/iommu/iommufd/iova_bitmap.c. */
#include "bpf/hw.h"
#include <bpf/bpf_tracing.h>

struct iova_bitmap;

SEC("fexit/iova_bitmap_set")
int BPF_PROG(iova_bitmap_set, struct iova_bitmap *bitmap, unsigned long iova, unsigned long bytes)
{
	return hw__reported(iova, bytes);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
