// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Mappings that went through a bounce buffer: the CPU copies what the device wrote. */
#include "bpf/swiotlb.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/swiotlb_bounced")
int BPF_PROG(swiotlb_bounced, struct device *dev, __u64 dma_addr, __u64 size)
{
	return swiotlb__account(dev, size);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
