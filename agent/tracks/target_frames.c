/* SPDX-License-Identifier: BSD-2-Clause */
/* The page frames of a target, and what devices wrote into them. */
#include <errno.h>
#include <string.h>

#include "agent/tracks/target_private.h"

#define GAP_PAGES 16 /* of the page table: cheaper to read than another call */
#define FEW_PAGES 64 /* whose frames are read without looking whether they are needed */

static int index_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct target *target = context;

	for (size_t i = 0; i < count; i++) {
		int err;

		if (!(entries[i] & PAGEMAP_PRESENT))
			continue;
		err = pfn_index__set(target->index, PAGEMAP_PFN(entries[i]),
				     address / PAGE_BYTES + i);
		if (err)
			return err;
	}
	return 0;
}

static int read_pending(struct target *target)
{
	int err = 0;

	if (target->index && target->pending_start < target->pending_end)
		err = page_table__read(target->pagemap, target->pending_start, target->pending_end,
				       index_entries, target);
	target->pending_start = target->pending_end = 0;
	return err;
}

/* What each page holds at the start. */
static int take_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct target *target = context;
	int err = 0;

	for (size_t i = 0, end; target->cpu.known && i < count && !err; i = end) {
		const bool there = page_table__has_page(entries[i]);

		for (end = i + 1; end < count && page_table__has_page(entries[end]) == there;)
			end++;
		if (there)
			err = page_map__add_cpu(target->cpu.known, address / PAGE_BYTES + i,
						end - i);
	}
	return err || !target->index ? err : index_entries(context, address, entries, count);
}

int target__read_all(struct target *target)
{
	uint64_t pages = 0;
	int err = 0;

	for (size_t i = 0; i < target->cpu.region_count; i++)
		pages += (target->cpu.regions[i].end - target->cpu.regions[i].start) / PAGE_BYTES;
	track_work__step(target->cpu.work, "reading its page table", pages);
	for (size_t i = 0; i < target->cpu.region_count && !err; i++) {
		const struct map_region *region = &target->cpu.regions[i];

		if (strcmp(region->name, "[vsyscall]") != 0)
			err = page_table__read_present(target->pagemap, region->start, region->end,
						       take_entries, target);
	}
	return err;
}

static int pend(void *context, const struct page_run *run)
{
	struct target *target = context;
	const uint64_t start = run->page * PAGE_BYTES, end = start + run->pages * PAGE_BYTES;
	int err;

	if (target->pending_end && start - target->pending_end <= GAP_PAGES * PAGE_BYTES) {
		target->pending_end = end;
		return 0;
	}
	err = read_pending(target);
	target->pending_start = start;
	target->pending_end = end;
	return err;
}

/* The frames of all pages that were written: one may have got another. */
static int read_stale(struct target *target)
{
	struct page_counts ignored;
	int err = page_map__walk(target->stale, DS_EVIDENCE_EXPOSED, &ignored, pend, target);

	if (!err)
		err = read_pending(target);
	if (!err)
		page_map__clear(target->stale);
	target->pending_start = target->pending_end = 0;
	return err;
}

/* Before anything is protected: what devices write from here on is kept. */
int target__start_devices(struct target *target)
{
	const struct target_options *options = &target->options;
	int err = pfn_index__new(&target->index);

	if (err == -EPERM)
		return 0;
	if (!err)
		err = write_log__new(options->feed, &target->log);
	if (!err)
		err = track_sweeps__first(&options->sweeps);
	if (!err) {
		losses__start(&target->losses, options->feed);
		target->cpu.seen = index_entries;
		target->cpu.seen_context = target;
	}
	/* Swept now, written earlier. */
	return err ? err : write_log__drain(target->log, write_log__discard, NULL);
}

struct matching {
	struct target *target;
	unsigned device;
	enum ds_evidence evidence;
	uint64_t pfn;
};

/* A page that had the frame: does it still, or is there no telling? *holds: it does. */
static int judge(const struct matching *matching, uint64_t page, bool *holds)
{
	struct target *target = matching->target;
	uint64_t entry = page_table__entry(target->pagemap, page * PAGE_BYTES);

	*holds = entry & PAGEMAP_PRESENT && PAGEMAP_PFN(entry) == matching->pfn;
	if (!*holds) {
		pfn_index__remove(target->index, matching->pfn, page);
		if (!page_table__has_page(entry))
			return 0; /* there is no page any more */
		/* It moved, before the write or after it: told, so that nothing is missed. */
		target->moved++;
		if (entry & PAGEMAP_PRESENT &&
		    pfn_index__set(target->index, PAGEMAP_PFN(entry), page))
			return -ENOMEM;
	}
	return page_map__add_device(target->epoch, page, matching->device, matching->evidence);
}

static int search_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	const struct matching *matching = context;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (entries[i] & PAGEMAP_PRESENT && PAGEMAP_PFN(entries[i]) == matching->pfn)
			err = page_map__add_device(matching->target->epoch,
						   address / PAGE_BYTES + i, matching->device,
						   matching->evidence);
	return err;
}

static int search_all(struct target *target, struct matching *matching)
{
	int err = 0;

	for (size_t i = 0; i < target->cpu.region_count && !err; i++)
		err = page_table__read_present(target->pagemap, target->cpu.regions[i].start,
					       target->cpu.regions[i].end, search_entries,
					       matching);
	return err;
}

/* *found: a page of the target has that frame now. */
static int match_frame(struct matching *matching, bool *found)
{
	struct target *target = matching->target;
	uint64_t pages[PFN_INDEX_ALIASES];
	int count = pfn_index__find(target->index, matching->pfn, pages), err = 0;

	*found = false;
	if (count == -E2BIG) {
		*found = true;
		return search_all(target, matching);
	}
	for (int i = 0; i < count && !err; i++) {
		bool holds = false;

		err = judge(matching, pages[i], &holds);
		*found |= holds;
	}
	return err;
}

/*
 * What devices wrote, met with the frames. One that is nobody's may be a frame that a written page
 * got since: then the frames of these are read, once, and it is looked for again.
 */
static int match(void *context, unsigned device, enum ds_evidence evidence, uint64_t first_pfn,
		 uint64_t bits)
{
	struct target *target = context;
	uint64_t unknown = 0;
	int err = 0;

	for (uint64_t left = bits; left && !err; left &= left - 1) {
		const unsigned bit = (unsigned)__builtin_ctzll(left);
		struct matching matching = {target, device, evidence, first_pfn + bit};
		bool found;

		err = match_frame(&matching, &found);
		unknown |= (uint64_t)!found << bit;
	}
	if (err || !unknown || page_map__is_empty(target->stale) ||
	    !mapped_frames__any(&target->mapped, first_pfn, unknown))
		return err;
	err = read_stale(target);
	for (uint64_t left = unknown; left && !err; left &= left - 1) {
		struct matching matching = {target, device, evidence,
					    first_pfn + (uint64_t)__builtin_ctzll(left)};
		bool found;

		err = match_frame(&matching, &found);
	}
	return err;
}

int target__run_devices(struct target *target, uint64_t asked, int err)
{
	if (!target->index)
		return err;
	/* Also of an epoch that was ended half-way: what it found is protected again. */
	if ((!err || err == -ECANCELED) && page_map__merge(target->stale, target->epoch))
		err = -ENOMEM;
	if (err)
		return err;
	track_work__step(target->cpu.work, "asking for what devices wrote", 0);
	page_table__attend(target->pagemap, NULL);
	if (!page_map__has_more(target->stale, FEW_PAGES))
		err = read_stale(target);
	if (!err)
		err = track_sweeps__await(&target->options.sweeps, asked);
	if (err)
		return err;
	losses__epoch(&target->losses, target->options.feed, false);
	return write_log__drain(target->log, match, target);
}
