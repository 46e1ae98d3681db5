/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the page sets: how many pages for each interval, and which ones for who listens. */
#include "agent/inventory/devices_private.h"

#include <inttypes.h>

#include "agent/base/log.h"
#include "agent/kernel/ledger.h"
#include "agent/kernel/page_sets.h"

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

/* What is known of a device before its set is swept. */
struct survey {
	uint64_t events;
	bool exposed; /* something is */
};

static bool is_exposed(const struct kernel_tables *tables, uint32_t slot)
{
	int64_t live = 0;

	for (uint32_t row = 0; row < DS_DEVICE_ROWS; row++)
		live += tables->device_stats[slot * DS_DEVICE_ROWS + row].live_mappings;
	return live != 0;
}

static struct survey look_around(const struct devices *devices)
{
	const struct kernel_tables *tables = devices->tables;
	struct survey survey = {.events = count_events(tables)};

	for (uint32_t slot = DS_SLOT_NONE; slot <= tables->source_slots && !survey.exposed; slot++)
		survey.exposed = (slot == DS_SLOT_NONE ||
				  tables->source_infos[slot].state != DS_SLOT_FREE) &&
				 is_exposed(tables, slot);
	return survey;
}

/* All that was due has been swept. */
static void note_swept(struct devices *devices, const struct survey *survey)
{
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

	fresh &= ~frame_set__bits(&device->early, first_pfn);
	/* Where memory is short a page is counted twice, and told all the same. */
	if (sweep->early)
		(void)frame_set__add(&device->early, first_pfn, bits);
	sweep->fresh += (uint64_t)__builtin_popcountll(fresh);
	if (sweep->listener)
		sweep->listener->pages(sweep->listener->context, sweep->number,
				       DS_EVIDENCE_COMPLETED, first_pfn, bits);
}

static void sweep_set(struct sweep *sweep)
{
	if (devices__has_set(sweep->devices, sweep->device))
		page_sets__sweep(sweep->devices->page_sets, sweep->device->set, sweep_take, sweep);
}

/* Pieces for what comes to be written, as far as there may be any. */
static void grow_sets(struct devices *devices)
{
	const bool full = page_sets__grow(devices->page_sets);

	if (full && !devices->sets_full) {
		events__add(devices->events, "device", "warning", UNATTRIBUTED,
			    "the page sets are full: --page-set-memory is used up; pages in memory "
			    "that a device has not written before are lost as page_sets_full");
		log_warn("the page sets are full", "page_set_memory=%" PRIu64,
			 devices->config->page_set_memory);
	}
	devices->sets_full = full;
}

void devices__sweep(struct devices *devices, double seconds)
{
	const struct survey survey = look_around(devices);
	struct device_record *device, *next;

	grow_sets(devices);

	HASH_ITER (hh, devices->by_id, device, next) {
		struct sweep sweep;

		begin(devices, device, false, &sweep);
		sweep_set(&sweep);
		device->swept = device->early_pages + sweep.fresh;
		frame_set__free(&device->early);
		device->early_pages = 0;
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
	uint64_t lost[DS_LOST_REASONS];
	struct survey survey;
	int err = 0;

	if (!listener || !listener->listens(listener->context))
		return 0;
	devices__resolve_new(devices);
	grow_sets(devices);
	survey = look_around(devices);
	HASH_ITER (hh, devices->by_id, device, next) {
		struct sweep sweep;

		begin(devices, device, true, &sweep);
		sweep_set(&sweep);
		device->early_pages += sweep.fresh;
	}
	kernel_side__lost(devices->kernel, lost);
	listener->lost(listener->context, lost);
	if (!devices->config->no_ledger && survey.exposed)
		err = ledger__walk(devices->kernel, tell_exposed, devices);
	if (!err)
		note_swept(devices, &survey);
	return err;
}
