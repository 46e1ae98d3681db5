// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The IOMMU API by its functions (drivers/iommu/iommu.c): whose domain a mapping is in, and
 * whether the device may write through it. iommu_map() took a sixth argument
 * between 6.1 and 6.12, so that what it returned is asked for by number.
 */
#include "bpf/iommu.h"
#include <bpf/bpf_tracing.h>

static __always_inline int mapped(unsigned long long *ctx)
{
	__u64 error = 0;

	bpf_get_func_ret(ctx, &error);
	return domain__map(ctx[0], ctx[1], ctx[2], ctx[3], ctx[4], (int)error);
}

SEC("fexit/iommu_map")
int iommu_map_call(unsigned long long *ctx)
{
	return mapped(ctx);
}

/* After 6.12. */
SEC("fexit/iommu_map_nosync")
int iommu_map_nosync_call(unsigned long long *ctx)
{
	return mapped(ctx);
}

/* At the start: what comes to this address next is not taken out. */
SEC("fentry/iommu_unmap")
int BPF_PROG(iommu_unmap_call, struct iommu_domain *domain, unsigned long iova, __u64 size)
{
	return domain__unmap((__u64)domain, iova, size);
}

SEC("fentry/iommu_unmap_fast")
int BPF_PROG(iommu_unmap_fast_call, struct iommu_domain *domain, unsigned long iova, __u64 size)
{
	return domain__unmap((__u64)domain, iova, size);
}

SEC("fexit/iommu_attach_group")
int BPF_PROG(iommu_attach_group_call, struct iommu_domain *domain, struct iommu_group *group,
	     int error)
{
	struct group_device *first = (void *)BPF_CORE_READ(group, devices.next);

	return error ? 0 : domain__attach((__u64)domain, BPF_CORE_READ(first, dev));
}

SEC("fexit/iommu_attach_device")
int BPF_PROG(iommu_attach_device_call, struct iommu_domain *domain, struct device *dev, int error)
{
	return error ? 0 : domain__attach((__u64)domain, dev);
}

SEC("fentry/iommu_domain_free")
int BPF_PROG(iommu_domain_free_call, struct iommu_domain *domain)
{
	return domain__free((__u64)domain);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
