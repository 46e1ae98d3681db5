/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the DMA API have in common. */
#ifndef DIRTYSCOPE_TESTS_BPF_MAPPINGS_H
#define DIRTYSCOPE_TESTS_BPF_MAPPINGS_H

#include "tests/bpf/harness.h"

#define NO_ADDRESS UINT64_MAX /* DMA_MAPPING_ERROR */
#define UNKNOWN_MEMORY UINT64_MAX
#define IOVA 0xabc000000ULL
#define PFN 1000ULL
#define PHYS (PFN << 12)

enum { BOTH = DS_DMA_BIDIRECTIONAL, TO = DS_DMA_TO_DEVICE, FROM = DS_DMA_FROM_DEVICE };

uint64_t pages_of(uint64_t phys, uint64_t size);

/* An entry of the ledger, live once; its own members may be changed before it is wanted. */
struct ds_mapping entry_of(uint32_t slot, uint64_t phys, uint64_t size, uint32_t direction);
/* entry NULL: gone. */
void want__entry(struct harness *h, enum ds_mapping_kind kind, uint64_t owner, uint64_t address,
		 const struct ds_mapping *entry);
/* An ended write into these pages. */
void want__completed(struct harness *h, uint32_t slot, uint64_t phys, uint64_t size);
/* Exposure that begins, or ends, and how many entries it is. */
void want__exposed(struct harness *h, uint32_t slot, int64_t pages, int entries);

/* Run, and want, a new mapping that works; and its end. */
void map_one(struct harness *h, uint64_t device, uint32_t slot, uint64_t phys, uint64_t dma_addr,
	     uint64_t size, uint32_t direction);
void unmap_one(struct harness *h, uint64_t device, uint32_t slot, uint64_t phys, uint64_t dma_addr,
	       uint64_t size, uint32_t direction);
/* Run an event, and want its counter alone. */
void map_event(struct harness *h, uint64_t device, uint32_t slot, uint64_t phys, uint64_t dma_addr,
	       uint64_t size, uint32_t direction);
void unmap_event(struct harness *h, uint64_t device, uint32_t slot, uint64_t dma_addr,
		 uint64_t size, uint32_t direction);
void sync_event(struct harness *h, uint64_t device, uint32_t slot, uint64_t dma_addr, uint64_t size,
		uint32_t direction);

#endif
