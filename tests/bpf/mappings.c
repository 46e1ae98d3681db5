/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/mappings.h"

#include "twins.skel.h"

uint64_t pages_of(uint64_t phys, uint64_t size)
{
	return size ? (phys + size - 1) / 4096 - phys / 4096 + 1 : 0;
}

struct ds_mapping entry_of(uint32_t slot, uint64_t phys, uint64_t size, uint32_t direction)
{
	return (struct ds_mapping){.phys = phys,
				   .size = size,
				   .pages = pages_of(phys, size),
				   .slot = slot,
				   .live = 1,
				   .direction = direction};
}

void want__entry(struct harness *h, enum ds_mapping_kind kind, uint64_t owner, uint64_t address,
		 const struct ds_mapping *entry)
{
	struct ds_mapping_key key = {.owner = owner, .address = address, .kind = kind};

	want__row(h, TABLE_MAPPINGS, &key, entry);
}

void want__completed(struct harness *h, uint32_t slot, uint64_t phys, uint64_t size)
{
	h->want.devices[slot].completed_pages += pages_of(phys, size);
	want__pages(h, slot, phys >> 12, pages_of(phys, size));
}

void want__exposed(struct harness *h, uint32_t slot, int64_t pages, int entries)
{
	h->want.devices[slot].exposed_pages += pages;
	h->want.devices[slot].live_mappings += entries;
}

void map_event(struct harness *h, uint64_t device, uint32_t slot, uint64_t phys, uint64_t dma_addr,
	       uint64_t size, uint32_t direction)
{
	run(h, map, device, phys, dma_addr, size, direction);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[slot].maps[direction]++;
	h->want.devices[slot].mapped_bytes[direction] += size;
}

void unmap_event(struct harness *h, uint64_t device, uint32_t slot, uint64_t dma_addr,
		 uint64_t size, uint32_t direction)
{
	run(h, unmap, device, dma_addr, size, direction);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[slot].unmaps[direction]++;
}

void sync_event(struct harness *h, uint64_t device, uint32_t slot, uint64_t dma_addr, uint64_t size,
		uint32_t direction)
{
	run(h, sync, device, dma_addr, size, direction);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[slot].syncs++;
}

void map_one(struct harness *h, uint64_t device, uint32_t slot, uint64_t phys, uint64_t dma_addr,
	     uint64_t size, uint32_t direction)
{
	struct ds_mapping entry = entry_of(slot, phys, size, direction);

	map_event(h, device, slot, phys, dma_addr, size, direction);
	if (!size || direction == TO)
		return;
	want__entry(h, DS_MAPPING_SINGLE, device, dma_addr, &entry);
	want__exposed(h, slot, (int64_t)entry.pages, 1);
}

void unmap_one(struct harness *h, uint64_t device, uint32_t slot, uint64_t phys, uint64_t dma_addr,
	       uint64_t size, uint32_t direction)
{
	unmap_event(h, device, slot, dma_addr, size, direction);
	if (!size || direction == TO)
		return;
	want__entry(h, DS_MAPPING_SINGLE, device, dma_addr, NULL);
	want__exposed(h, slot, -(int64_t)pages_of(phys, size), -1);
	want__completed(h, slot, phys, size);
}
