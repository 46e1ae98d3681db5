/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The ledger of live mappings through which a device may write. */
#ifndef DIRTYSCOPE_BPF_LEDGER_H
#define DIRTYSCOPE_BPF_LEDGER_H

#include "bpf/account.h"

#define DS_UNKNOWN_MEMORY (~0ULL) /* phys of a mapping outside of the direct map */

/*
 * A driver need not unmap what is mapped directly and needs no sync (dma_need_unmap(),
 * kernel/dma/mapping.c): so many of its mappings without any unmap show that it does not.
 */
#define DS_NO_UNMAP_REMAPPINGS 64 /* at addresses that were mapped already */
#define DS_NO_UNMAP_MAPS 16384	  /* in all */

#define DS_HOLD_TRIES 32

/* What an event is about, and how it went. */
struct dma_event {
	struct ds_sensor_stats *sensor;
	struct ds_device_stats *stats;
	__u32 slot, lost;
};

/* Offers an event about a device; lost: why its slot is that of nobody. False: it is closed. */
static __always_inline bool dma_event__begin(struct dma_event *event, enum ds_sensor sensor,
					     __u32 slot, __u32 lost)
{
	event->sensor = event__offer(sensor);
	event->slot = slot;
	event->lost = slot == DS_SLOT_NONE ? lost : DS_LOST_NOT;
	event->stats = device__stats(slot);
	if (!event->stats)
		event__close(event->sensor, DS_LOST_UNKNOWN_DEVICE);
	return event->stats;
}

static __always_inline int dma_event__end(struct dma_event *event)
{
	event__close_device(event->sensor, event->stats, event->lost);
	return 0;
}

/* A direction in which the device may write. */
static __always_inline bool dma__writes(__u32 direction)
{
	return direction == DS_DMA_FROM_DEVICE || direction == DS_DMA_BIDIRECTIONAL;
}

static __always_inline void source__flag(struct ds_source_info *info, __u32 flag)
{
	if (!(info->flags & flag))
		__sync_fetch_and_or(&info->flags, flag);
}

/* The device's writes into these pages have ended, or are to be seen by the CPU. */
static __always_inline void dma__completed(struct dma_event *event, __u64 phys, __u64 bytes)
{
	__u64 pages = pages__spanned(phys, bytes);
	__u32 lost;

	if (phys == DS_UNKNOWN_MEMORY)
		return;
	lost = page_set__mark_range(event->slot, phys >> DS_PAGE_SHIFT, pages);
	if (lost == DS_LOST_NOT)
		ds_add(event->stats->completed_pages, pages);
	else
		event__lose(event->lost, lost);
}

/* One more entry exposes these pages. */
static __always_inline void ledger__expose(struct dma_event *event, __u64 pages)
{
	ds_add(event->stats->live_mappings, 1LL);
	ds_add(event->stats->exposed_pages, (__s64)pages);
}

/* Exposure ends in the slot where it began, which differs when the device got its own since. */
static __always_inline void ledger__unexpose(struct dma_event *event, __u32 slot, __u64 pages,
					     bool entry)
{
	struct ds_device_stats *stats = event->stats;

	if (slot != event->slot)
		stats = device__stats(slot);
	if (!stats)
		return;
	ds_add(stats->exposed_pages, -(__s64)pages);
	if (entry)
		ds_add(stats->live_mappings, -1LL);
}

/* Whether a streaming mapping belongs in the ledger: not where nobody will ever take it out. */
static __always_inline bool ledger__wants(__u32 slot, bool direct, bool mapped_already)
{
	struct ds_source_info *info = bpf_map_lookup_elem(&source_infos, &slot);

	if (!info || slot == DS_SLOT_NONE)
		return true;
	if (!direct) {
		source__flag(info, DS_SOURCE_TRANSLATED);
		return true;
	}
	if (info->flags & DS_SOURCE_NO_UNMAP)
		return false;
	source__flag(info, DS_SOURCE_DIRECT);
	ds_add(info->open_maps, 1);
	if (mapped_already)
		ds_add(info->remappings, 1);
	if (info->remappings < DS_NO_UNMAP_REMAPPINGS && info->open_maps < DS_NO_UNMAP_MAPS)
		return true;
	source__flag(info, DS_SOURCE_NO_UNMAP);
	return false;
}

/* An unmap was seen: this driver does unmap. */
static __always_inline void ledger__unmaps(__u32 slot)
{
	struct ds_source_info *info = bpf_map_lookup_elem(&source_infos, &slot);

	if (info && info->open_maps) {
		info->open_maps = 0;
		info->remappings = 0;
	}
}

/*
 * ---- one entry is changed by one CPU at a time: its members go together ----
 *
 * The memory of a deleted entry is used again at once, for another key: who has got hold of it
 * looks whether it still is the one. What is deleted is never released.
 */
static __always_inline void ledger__release(struct ds_mapping *entry)
{
	__sync_val_compare_and_swap(&entry->holder, bpf_get_smp_processor_id() + 1, 0);
}

/* NULL: there is none, or others held on to it for too long; then the event is a loss. */
static __always_inline struct ds_mapping *ledger__hold(struct dma_event *event,
						       const struct ds_mapping_key *key)
{
	for (int i = 0; i < DS_HOLD_TRIES; i++) {
		struct ds_mapping *entry = bpf_map_lookup_elem(&mappings, key);

		if (!entry)
			return NULL;
		if (__sync_val_compare_and_swap(&entry->holder, 0, bpf_get_smp_processor_id() + 1))
			continue;
		if (bpf_map_lookup_elem(&mappings, key) == entry)
			return entry;
		ledger__release(entry);
	}
	event__lose(event->lost, DS_LOST_MAPPINGS_FULL);
	return NULL;
}

/*
 * Mapped at an address that has an entry. The same memory: two mappings live at once, as they may
 * where nothing translates. Other memory: the old one has ended, only its unmap is told late
 * (dma_unmap_phys fires when the address is free again; kernel/dma/mapping.c).
 */
static __always_inline void ledger__again(struct dma_event *event, struct ds_mapping *entry,
					  const struct ds_mapping *mapping)
{
	struct ds_mapping old = *entry;

	if (old.phys == mapping->phys) {
		entry->live++;
		entry->pages += mapping->pages;
		if (old.size < mapping->size)
			entry->size = mapping->size;
		ledger__release(entry);
		ledger__unexpose(event, old.slot, -mapping->pages, false);
		return;
	}
	entry->late += old.live;
	entry->live = 1;
	entry->phys = mapping->phys;
	entry->size = mapping->size;
	entry->pages = mapping->pages;
	entry->when_ns = mapping->when_ns;
	entry->tgid = mapping->tgid;
	entry->slot = mapping->slot;
	entry->direction = mapping->direction;
	ledger__release(entry);
	ledger__unexpose(event, old.slot, old.pages, true);
	ledger__expose(event, mapping->pages);
	dma__completed(event, old.phys, old.size);
}

/* phys, size, pages, entries and direction of the mapping are set by the caller. */
static __always_inline void ledger__add(struct dma_event *event, const struct ds_mapping_key *key,
					struct ds_mapping *mapping)
{
	bool streaming = key->kind == DS_MAPPING_SINGLE;
	struct ds_mapping *old;

	if (!ds_ledger || !mapping->size)
		return;
	old = bpf_map_lookup_elem(&mappings, key);
	if (streaming && !ledger__wants(event->slot, mapping->phys == key->address, old != NULL))
		return;
	mapping->slot = event->slot;
	mapping->live = 1;
	mapping->tgid = bpf_get_current_pid_tgid() >> 32;
	mapping->when_ns = bpf_ktime_get_boot_ns();
	if (!old && !bpf_map_update_elem(&mappings, key, mapping, BPF_NOEXIST)) {
		ledger__expose(event, mapping->pages);
		return;
	}
	/* There already, or put there by another CPU just now. */
	old = ledger__hold(event, key);
	if (old)
		ledger__again(event, old, mapping);
	else
		event__lose(event->lost, DS_LOST_MAPPINGS_FULL);
}

enum ledger_answer {
	LEDGER_UNKNOWN, /* no such mapping */
	LEDGER_LATE,	/* the unmap of an earlier mapping, whose pages are accounted for */
	LEDGER_ENDED,	/* *mapping says which */
};

/*
 * Takes a mapping out. pages, size: what this one of the live ones exposed; 0: all of the entry.
 * Its pages are marked first, so that they are at no time neither exposed nor written; those of a
 * list the caller has marked.
 */
static __always_inline enum ledger_answer ledger__remove(struct dma_event *event,
							 const struct ds_mapping_key *key,
							 __u64 pages, __u64 size,
							 struct ds_mapping *mapping)
{
	struct ds_mapping *entry = ledger__hold(event, key);

	if (!entry)
		return LEDGER_UNKNOWN;
	*mapping = *entry;
	if (mapping->late) {
		entry->late--;
		ledger__release(entry);
		return LEDGER_LATE;
	}
	if (key->kind != DS_MAPPING_LIST)
		dma__completed(event, mapping->phys,
			       mapping->live > 1 && size ? size : mapping->size);
	if (mapping->live > 1 && pages && pages < mapping->pages) {
		entry->live--;
		entry->pages -= pages;
		ledger__release(entry);
		ledger__unexpose(event, mapping->slot, pages, false);
		return LEDGER_ENDED;
	}
	if (bpf_map_delete_elem(&mappings, key)) { /* the agent was faster */
		ledger__release(entry);
		return LEDGER_UNKNOWN;
	}
	ledger__unexpose(event, mapping->slot, mapping->pages, true);
	return LEDGER_ENDED;
}

#endif
