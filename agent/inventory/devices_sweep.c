/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the page sets: how many pages for each interval, and which ones for who listens. */
#include "agent/inventory/devices_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/kernel/ledger.h"
#include "agent/kernel/page_set.h"

/* ---- has anything been written? ---- */

/*
 * Each event that marks pages counts itself last, in its device's row and in its sensor's: whoever
 * finds no more events than before a sweep finds no page that the sweep has not seen. Where a CPU
 * shows its stores in another order (arm64), a page may come with the next sample, which sweeps
 * all.
 */
static uint64_t count_events(const struct kernel_tables *tables)
{
	static const enum ds_sensor sensors[] = {DS_SENSOR_BLOCK,  DS_SENSOR_NET,
						 DS_SENSOR_DMA,	   DS_SENSOR_IOMMU,
						 DS_SENSOR_VIRTIO, DS_SENSOR_SWIOTLB};
	uint64_t events = 0;

	for (size_t i = 0; i < sizeof(sensors) / sizeof(*sensors); i++)
		for (uint32_t cpu = 0; cpu < tables->cpus; cpu++) {
			const volatile struct ds_sensor_stats *row =
				&tables->sensor_stats[sensors[i] * tables->cpus + cpu];

			events += row->counted;
			for (int reason = 0; reason < DS_LOST_COUNT; reason++)
				events += row->lost[reason];
		}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return events;
}

bool devices__are_idle(const struct devices *devices)
{
	const uint64_t idle_at = __atomic_load_n(&devices->idle_at, __ATOMIC_ACQUIRE);

	return idle_at != UINT64_MAX && count_events(devices->tables) == idle_at;
}

/* As of before a sweep. */
struct survey {
	uint64_t events, lost;
	bool exposed; /* something is */
};

static void look_at_slot(struct devices *devices, uint32_t slot, struct survey *survey)
{
	const struct kernel_tables *tables = devices->tables;
	struct device_record *device = devices->sources[slot].device;
	int64_t live = 0;

	/* Whoever has no set of its own marks pages in the shared one. */
	if (slot == DS_SLOT_NONE || !device || !device->set || devices->sources[slot].shares)
		device = devices->unattributed;
	for (uint32_t cpu = 0; cpu < tables->cpus; cpu++) {
		const volatile struct ds_device_stats *row =
			&tables->device_stats[slot * tables->cpus + cpu];

		device->written += row->completed_pages + row->block_pages + row->net_pages +
				   row->virtio_pages;
		survey->lost += row->lost;
		live += row->live_mappings;
	}
	survey->exposed |= live != 0;
}

static struct survey look_around(struct devices *devices)
{
	struct survey survey = {.events = count_events(devices->tables)};
	struct device_record *device, *next;

	HASH_ITER (hh, devices->by_id, device, next)
		device->written = 0;
	for (uint32_t slot = DS_SLOT_NONE; slot <= devices->tables->source_slots; slot++)
		if (slot == DS_SLOT_NONE ||
		    devices->tables->source_infos[slot].state != DS_SLOT_FREE)
			look_at_slot(devices, slot, &survey);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return survey;
}

/* What was lost may have marked some pages first, and says nowhere whose. */
static bool is_unswept(const struct devices *devices, const struct device_record *device,
		       const struct survey *survey)
{
	return device->set &&
	       (device->written != device->written_swept || survey->lost != devices->lost_swept);
}

/* All that was due has been swept. */
static void note_swept(struct devices *devices, const struct survey *survey)
{
	devices->lost_swept = survey->lost;
	__atomic_store_n(&devices->idle_at, survey->exposed ? UINT64_MAX : survey->events,
			 __ATOMIC_RELEASE);
}

/* ---- sweeps ---- */

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
	const struct survey survey = look_around(devices);
	struct device_record *device, *next;

	HASH_ITER (hh, devices->by_id, device, next) {
		struct sweep sweep;

		begin(devices, device, false, &sweep);
		if (device->set)
			page_set__sweep(device->set, sweep_take, &sweep);
		device->written_swept = device->written;
		device->swept = device->early_pages + sweep.fresh;
		devices__forget_early(devices, device);
		device->dirty_total += device->swept;
		device->rate = seconds > 0 ? (double)device->swept / seconds : 0;
	}
	note_swept(devices, &survey);
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
	struct survey survey;
	int err = 0;

	if (!listener || !listener->listens(listener->context))
		return 0;
	devices__resolve_new(devices);
	survey = look_around(devices);
	HASH_ITER (hh, devices->by_id, device, next) {
		struct sweep sweep;

		if (!is_unswept(devices, device, &survey))
			continue;
		err = devices__make_early(devices, device);
		if (err)
			return err;
		begin(devices, device, true, &sweep);
		page_set__sweep(device->set, sweep_take, &sweep);
		device->early_pages += sweep.fresh;
		device->written_swept = device->written;
	}
	if (!devices->config->no_ledger && survey.exposed)
		err = ledger__walk(devices->kernel, tell_exposed, devices);
	if (!err)
		note_swept(devices, &survey);
	return err;
}
