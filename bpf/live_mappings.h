/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The ledger of live mappings through which a device may write. */
#ifndef DIRTYSCOPE_BPF_LIVE_MAPPINGS_H
#define DIRTYSCOPE_BPF_LIVE_MAPPINGS_H

#include "bpf/page_sets.h"

#define DS_UNKNOWN_MEMORY (~0ULL) /* phys of a mapping outside of the direct map */

/*
 * A driver need not unmap what is mapped directly and needs no sync (dma_need_unmap(),
 * kernel/dma/mapping.c): so many of its mappings without any unmap show that it does not.
 */
#define DS_NO_UNMAP_REMAPPINGS 64 /* at addresses that were mapped already */
#define DS_NO_UNMAP_MAPS 16384	  /* in all */

#define DS_HOLD_TRIES 32

#define E2BIG 7 /* include/uapi/asm-generic/errno-base.h; a hash that is full answers it */

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

/*
 * The device's writes into these pages have ended, or are to be seen by the CPU. Returns enum
 * ds_lost.
 */
static __always_inline __u32 dma__completed(__u32 slot, __u64 phys, __u64 bytes)
{
	struct ds_device_stats *stats = device__stats(slot);
	__u64 pages = pages__spanned(phys, bytes);
	__u32 lost;

	if (!stats || phys == DS_UNKNOWN_MEMORY)
		return DS_LOST_NOT;
	lost = page_set__mark(slot, phys >> DS_PAGE_SHIFT, pages);
	if (lost == DS_LOST_NOT)
		ds_add(stats->completed_pages, pages);
	return lost;
}

/* Why a table of the ledger did not take an entry: it is full, or locked (htab_lock_bucket()). */
static __always_inline __u32 ledger__refused(long error)
{
	return error == -E2BIG ? DS_LOST_MAPPINGS_FULL : DS_LOST_CONTENDED;
}

/* One more entry exposes these pages. */
static __always_inline void slot__expose(__u32 slot, __u64 pages)
{
	struct ds_device_stats *stats = device__stats(slot);

	if (!stats)
		return;
	ds_add(stats->live_mappings, 1LL);
	ds_add(stats->exposed_pages, (__s64)pages);
}

/* Exposure ends in the slot where it began, which differs when the device got its own since. */
static __always_inline void slot__unexpose(__u32 slot, __u64 pages, bool entry)
{
	struct ds_device_stats *stats = device__stats(slot);

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

/* NULL: there is none, or others held on to it for too long; then *lost says so. */
static __always_inline struct ds_mapping *ledger__hold(const struct ds_mapping_key *key,
						       __u32 *lost)
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
	*lost = DS_LOST_CONTENDED;
	return NULL;
}

/*
 * Mapped at an address that has an entry. The same memory: two mappings live at once, as they may
 * where nothing translates. Other memory: the old one has ended, only its unmap is told late
 * (dma_unmap_phys fires when the address is free again; kernel/dma/mapping.c). Returns enum
 * ds_lost.
 */
static __always_inline __u32 ledger__again(struct ds_mapping *entry,
					   const struct ds_mapping *mapping)
{
	struct ds_mapping old = *entry;

	if (old.phys == mapping->phys) {
		entry->live++;
		entry->pages += mapping->pages;
		if (old.size < mapping->size)
			entry->size = mapping->size;
		ledger__release(entry);
		slot__unexpose(old.slot, -mapping->pages, false);
		return DS_LOST_NOT;
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
	slot__unexpose(old.slot, old.pages, true);
	slot__expose(mapping->slot, mapping->pages);
	return dma__completed(mapping->slot, old.phys, old.size);
}

/* A mapping that begins: the members are those of struct ds_mapping. */
struct ledger_begin {
	__u64 phys;
	__u64 size;
	__u64 pages;
	__u32 slot;
	__u32 entries;
	__u32 direction;
	__u32 pad;
};

/* Returns enum ds_lost. */
__weak int ledger__add(const struct ds_mapping_key *given, const struct ledger_begin *begin)
{
	struct ds_mapping mapping = {.live = 1};
	struct ds_mapping_key key;
	__u32 lost = DS_LOST_NOT;
	struct ds_mapping *old;
	long error = 0;

	if (!given || !begin || !ds_ledger || !begin->size)
		return DS_LOST_NOT;
	key = *given;
	old = bpf_map_lookup_elem(&mappings, &key);
	if (key.kind == DS_MAPPING_SINGLE &&
	    !ledger__wants(begin->slot, begin->phys == key.address, old != NULL))
		return DS_LOST_NOT;
	mapping.phys = begin->phys;
	mapping.size = begin->size;
	mapping.pages = begin->pages;
	mapping.slot = begin->slot;
	mapping.entries = begin->entries;
	mapping.direction = begin->direction;
	mapping.tgid = bpf_get_current_pid_tgid() >> 32;
	mapping.when_ns = bpf_ktime_get_boot_ns();
	if (!old) {
		error = bpf_map_update_elem(&mappings, &key, &mapping, BPF_NOEXIST);
		if (!error) {
			slot__expose(mapping.slot, mapping.pages);
			return DS_LOST_NOT;
		}
	}
	/* There already, or put there by another CPU just now. */
	old = ledger__hold(&key, &lost);
	return old ? ledger__again(old, &mapping) : ledger__refused(error);
}

enum ledger_answer {
	LEDGER_UNKNOWN, /* no such mapping */
	LEDGER_LATE,	/* the unmap of an earlier mapping, whose pages are accounted for */
	LEDGER_ENDED,
};

/* An end of a mapping. */
struct ledger_end {
	__u64 pages; /* in: what this one of the live ones exposed; 0: all of the entry */
	__u64 size;  /* the same in bytes; out: that of the entry */
	__u32 slot;  /* in: of the device */
	__u32 lost;  /* in and out */
};

/*
 * Takes a mapping out. Returns enum ledger_answer. Its pages are marked first, so that they are at
 * no time neither exposed nor written; those of a list the caller has marked.
 */
__weak int ledger__remove(const struct ds_mapping_key *given, struct ledger_end *end)
{
	struct ds_mapping *entry, mapping;
	struct ds_mapping_key key;
	__u32 lost = DS_LOST_NOT;

	if (!given || !end)
		return LEDGER_UNKNOWN;
	key = *given;
	entry = ledger__hold(&key, &lost);
	event__lose(end->lost, lost);
	if (!entry)
		return LEDGER_UNKNOWN;
	mapping = *entry;
	if (mapping.late) {
		entry->late--;
		ledger__release(entry);
		return LEDGER_LATE;
	}
	if (key.kind != DS_MAPPING_LIST)
		event__lose(
			end->lost,
			dma__completed(end->slot, mapping.phys,
				       mapping.live > 1 && end->size ? end->size : mapping.size));
	end->size = mapping.size;
	if (mapping.live > 1 && end->pages && end->pages < mapping.pages) {
		entry->live--;
		entry->pages -= end->pages;
		ledger__release(entry);
		slot__unexpose(mapping.slot, end->pages, false);
		return LEDGER_ENDED;
	}
	if (bpf_map_delete_elem(&mappings, &key)) { /* the agent was faster */
		ledger__release(entry);
		return LEDGER_UNKNOWN;
	}
	slot__unexpose(mapping.slot, mapping.pages, true);
	return LEDGER_ENDED;
}

#endif
