/* SPDX-License-Identifier: BSD-2-Clause */
/* What a test says that a program must have counted. */
#include "tests/bpf/harness.h"

void want__counted(struct harness *h, enum ds_sensor sensor)
{
	h->want.sensors[sensor].offered++;
	h->want.sensors[sensor].counted++;
}

void want__lost(struct harness *h, enum ds_sensor sensor, enum ds_lost reason)
{
	h->want.sensors[sensor].offered++;
	h->want.sensors[sensor].lost[reason]++;
}

void want__lost_of(struct harness *h, enum ds_sensor sensor, enum ds_lost reason, uint32_t slot)
{
	want__lost(h, sensor, reason);
	h->want.devices[slot].lost++;
}

void want__pages(struct harness *h, uint32_t slot, uint64_t pfn, uint64_t pages)
{
	if (slot >= SETS)
		slot = DS_SLOT_NONE;
	for (; pages && pfn < SET_PAGES; pfn++, pages--)
		h->want.sets[slot][pfn / 64] |= 1ULL << pfn % 64;
}

void want__process(struct harness *h, uint64_t start, uint32_t tgid, uint32_t slot)
{
	struct ds_process_key key = {.start_boottime_ns = start, .tgid = tgid};

	want__row(h, TABLE_PROCESSES, &key, &slot);
}

void want__device(struct harness *h, uint64_t device, uint32_t slot)
{
	struct ds_source_key key = {.kind = DS_SOURCE_DEVICE, .id = device};

	want__row(h, TABLE_SOURCES, &key, &slot);
}

void want__disk(struct harness *h, uint64_t diskseq, uint32_t slot)
{
	struct ds_source_key key = {.kind = DS_SOURCE_DISK, .id = diskseq};

	want__row(h, TABLE_SOURCES, &key, &slot);
}

void want__flow(struct harness *h, uint64_t start, uint32_t tgid, uint32_t slot, uint64_t pages,
		uint64_t bytes, uint64_t requests)
{
	struct ds_flow_key key = {.process = {.start_boottime_ns = start, .tgid = tgid},
				  .slot = slot};
	struct ds_flow_stats stats = {.pages = pages, .bytes = bytes, .requests = requests};

	want__row(h, TABLE_FLOWS, &key, &stats);
}

void want__request(struct harness *h, uint64_t bio, uint64_t start, uint32_t tgid)
{
	struct ds_process_key process = {.start_boottime_ns = start, .tgid = tgid};

	want__row(h, TABLE_REQUESTS, &bio, &process);
}
