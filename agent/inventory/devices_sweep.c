/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the page sets: how many pages for each interval, and which ones for who listens. */
#include "agent/inventory/devices_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/kernel/ledger.h"
#include "agent/kernel/page_set.h"

struct sweep {
	struct devices *devices;
	struct device_record *device;
	const struct page_listener *listener; /* NULL: nobody listens */
	unsigned number;
	bool early; /* between two samples */
	uint64_t fresh;
};

static void begin(struct devices *devices, struct device_record *device, bool early,
		  struct sweep *sweep)
{
	const struct page_listener *listener = devices->listener;

	*sweep = (struct sweep){.devices = devices, .device = device, .early = early};
	if (listener && listener->listens(listener->context)) {
		sweep->listener = listener;
		sweep->number = listener->device(listener->context, device->id);
	}
}

/* A page that was swept early is counted once in its interval. */
static void sweep_take(void *context, uint64_t first_pfn, uint64_t bits)
{
	struct sweep *sweep = context;
	struct device_record *device = sweep->device;
	uint64_t fresh = bits;

	if (device->early) {
		uint64_t *word = &device->early[first_pfn / 64];

		fresh &= ~*word;
		if (sweep->early)
			*word |= bits;
	}
	sweep->fresh += (uint64_t)__builtin_popcountll(fresh);
	if (sweep->listener)
		sweep->listener->pages(sweep->listener->context, sweep->number,
				       DS_EVIDENCE_COMPLETED, first_pfn, bits);
}

void devices__sweep(struct devices *devices, double seconds)
{
	struct device_record *device, *next;

	HASH_ITER (hh, devices->by_id, device, next) {
		struct sweep sweep;

		begin(devices, device, false, &sweep);
		if (device->set)
			page_set__sweep(device->set, sweep_take, &sweep);
		device->swept = device->early_pages + sweep.fresh;
		devices__forget_early(devices, device);
		device->dirty_total += device->swept;
		device->rate = seconds > 0 ? (double)device->swept / seconds : 0;
	}
}

static int tell_exposed(void *context, uint32_t slot, const struct ds_mapping *mapping,
			enum ds_mapping_kind kind, uint64_t pfn, uint64_t pages)
{
	struct devices *devices = context;
	const struct page_listener *listener = devices->listener;
	const struct device_record *device =
		slot <= devices->tables->source_slots ? devices->sources[slot].device : NULL;
	unsigned number = listener->device(listener->context, device ? device->id : UNATTRIBUTED);

	while (pages) {
		unsigned from = pfn % 64;
		uint64_t count = pages < 64 - from ? pages : 64 - from;
		uint64_t bits = (count == 64 ? ~0ULL : (1ULL << count) - 1) << from;

		listener->pages(listener->context, number, DS_EVIDENCE_EXPOSED, pfn - from, bits);
		pfn += count;
		pages -= count;
	}
	return 0;
}

void devices__listen(struct devices *devices, const struct page_listener *listener)
{
	devices->listener = listener;
}

int devices__hand_over(struct devices *devices)
{
	const struct page_listener *listener = devices->listener;
	struct device_record *device, *next;

	if (!listener || !listener->listens(listener->context))
		return 0;
	devices__resolve_new(devices);
	HASH_ITER (hh, devices->by_id, device, next) {
		struct sweep sweep;
		int err = device->set ? devices__make_early(devices, device) : 0;

		if (err)
			return err;
		begin(devices, device, true, &sweep);
		if (device->set)
			page_set__sweep(device->set, sweep_take, &sweep);
		device->early_pages += sweep.fresh;
	}
	return devices->config->no_ledger ? 0
					  : ledger__walk(devices->kernel, tell_exposed, devices);
}
