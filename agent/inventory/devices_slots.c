/* SPDX-License-Identifier: BSD-2-Clause */
/* The slots of sources: bound to a device and its page set, read, and given back. */
#include "agent/inventory/devices_private.h"

#include <bpf/bpf.h>
#include <string.h>

#include "agent/kernel/page_sets.h"

void devices__bind_slot(struct devices *devices, uint32_t slot, struct device_record *device)
{
	struct source *source = &devices->sources[slot];

	source->resolved = true;
	source->device = device;
	devices->sources_used++;
	if (!device)
		devices->tables->source_infos[slot].flags |= DS_SOURCE_VIRTUAL;
	else
		page_sets__bind(devices->page_sets, slot, device->set);
}

/* Every member is a 64-bit counter; the signed ones add the same way. */
static void add_stats(struct ds_device_stats *sum, const volatile struct ds_device_stats *row)
{
	volatile const uint64_t *from = (volatile const uint64_t *)row;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

void devices__read_slot(const struct devices *devices, uint32_t slot, struct ds_device_stats *sum)
{
	const struct kernel_tables *tables = devices->tables;

	for (uint32_t row = 0; row < DS_DEVICE_ROWS; row++)
		add_stats(sum, &tables->device_stats[slot * DS_DEVICE_ROWS + row]);
}

/*
 * Takes a source out of the kernel's tables; its slot goes back at the next sample. No
 * program that met it is running any more then, so what they put into the ledger is there.
 */
void devices__retire(struct devices *devices, uint32_t slot)
{
	struct ds_source_key key =
		*(struct ds_source_key *)&devices->tables->source_infos[slot].key;

	if (devices->sources[slot].retired)
		return;
	devices->sources[slot].retired = true;
	bpf_map_delete_elem(devices->tables->sources_fd, &key);
	page_sets__unbind(devices->page_sets, slot);
	devices__forget_mappings(devices, slot);
	devices->retired[devices->retired_count++] = slot;
}

void devices__give_back_retired(struct devices *devices)
{
	const struct kernel_tables *tables = devices->tables;

	for (size_t i = 0; i < devices->retired_count; i++) {
		uint32_t slot = devices->retired[i];
		struct source *source = &devices->sources[slot];

		devices__forget_mappings(devices, slot);
		if (source->device)
			devices__read_slot(devices, slot, &source->device->carried);
		flows__forget_slot(devices->flows, slot);
		*source = (struct source){0};
		memset((void *)&tables->device_stats[slot * DS_DEVICE_ROWS], 0,
		       DS_DEVICE_ROWS * sizeof(*tables->device_stats));
		tables->source_infos[slot].state = DS_SLOT_FREE;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		bpf_map_update_elem(tables->source_slots_fd, NULL, &slot, BPF_ANY);
		devices->sources_used--;
	}
	devices->retired_count = 0;
}
