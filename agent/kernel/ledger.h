/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger, read: which pages devices may write now. Kept by bpf/dma.h, bpf/iommu.h and
 * bpf/virtio.h; for the sampler's thread alone.
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_LEDGER_H
#define DIRTYSCOPE_AGENT_KERNEL_LEDGER_H

#include "agent/kernel/kernel_side.h"

/* Kernel memory of an entry: key, value, and the hash's own (struct htab_elem, hashtab.c). */
#define LEDGER_ENTRY_BYTES (48 + sizeof(struct ds_mapping_key) + sizeof(struct ds_mapping))

/*
 * One contiguous run of pages that the source of that slot may write; an entry may have several.
 * mapping: the entry that it comes from, and its kind; NULL: a virtio driver's buffer. Nonzero ends
 * the walk and is returned by it.
 */
typedef int (*ledger__visit)(void *context, uint32_t slot, const struct ds_mapping *mapping,
			     enum ds_mapping_kind kind, uint64_t pfn, uint64_t pages);

/*
 * Visits all live mappings through which a device may write. What is mapped or unmapped meanwhile
 * may or may not be visited; what is unmapped was marked in its page set before it left. 0, what
 * visit returned, or a negative errno.
 */
int ledger__walk(struct kernel_side *kernel, ledger__visit visit, void *context);

/*
 * Drops what the source of that slot left behind, because it or its driver is gone. Its
 * exposed_pages and live_mappings return to 0. Entries dropped, or a negative errno.
 */
int ledger__forget_device(struct kernel_side *kernel, uint32_t slot);
/* The same of its streaming mappings alone: its driver never unmaps those. */
int ledger__forget_streaming(struct kernel_side *kernel, uint32_t slot);

#endif
