/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/cpu_side.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/kernel/tracking.h"
#include "agent/tracks/cpu/mapped_data.h"

const struct cpu_backend *const cpu_backends[] = {&cpu_wp_async, &cpu_soft_dirty, &cpu_faults,
						  NULL};

static int add_region(void *context, const struct map_region *region)
{
	struct cpu_side *side = context;

	if (side->region_count == side->region_room) {
		size_t room = side->region_room ? side->region_room * 2 : 64;
		struct map_region *more = reallocarray(side->regions, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		side->regions = more;
		side->region_room = room;
	}
	side->regions[side->region_count++] = *region;
	return 0;
}

int cpu_side__read_regions(struct cpu_side *side)
{
	int err;

	side->region_count = 0;
	side->not_covered_count = 0;
	err = maps__read(side->procfs, side->tgid, add_region, side);
	return err ? err
		   : scope__select(&side->scope, &side->regions, &side->region_count,
				   &side->region_room);
}

int cpu_side__leave_out(struct cpu_side *side, const struct map_region *region, const char *reason)
{
	struct not_covered *row;

	if (side->not_covered_count) {
		row = &side->not_covered[side->not_covered_count - 1];
		if (row->reason == reason &&
		    row->start + row->pages * PAGE_BYTES == region->start &&
		    strncmp(row->name, region->name, sizeof(row->name) - 1) == 0) {
			row->pages += (region->end - region->start) / PAGE_BYTES;
			return 0;
		}
	}
	if (side->not_covered_count == side->not_covered_room) {
		size_t room = side->not_covered_room ? side->not_covered_room * 2 : 16;
		struct not_covered *more = reallocarray(side->not_covered, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		side->not_covered = more;
		side->not_covered_room = room;
	}
	row = &side->not_covered[side->not_covered_count++];
	*row = (struct not_covered){.start = region->start,
				    .pages = (region->end - region->start) / PAGE_BYTES,
				    .kind = NOT_COVERED_MAPPING,
				    .reason = reason};
	snprintf(row->name, sizeof(row->name), "%.63s", region->name);
	return 0;
}

bool cpu_side__is_only_read(const struct cpu_side *side, uint64_t entry)
{
	return entry & PAGEMAP_PRESENT &&
	       (entry & PAGEMAP_FILE || (side->zero_pfn && PAGEMAP_PFN(entry) == side->zero_pfn));
}

static int take_data(void *context, uint64_t start, uint64_t end)
{
	struct page_map *written = context;

	return page_map__add_cpu(written, start / PAGE_BYTES, (end - start) / PAGE_BYTES);
}

int cpu_side__take_file(const struct cpu_side *side, const struct map_region *region,
			struct page_map *written)
{
	if (!region->inode || !(region->shared || region->writable))
		return 0;
	return mapped_data__each(side->procfs, side->tgid, region, take_data, written);
}

void cpu_side__will_protect(struct cpu_side *side, uint32_t how)
{
	int err;

	if (!side->tables)
		return;
	err = tracking__begin(side->tables, side->process, side->start_ticks, how);
	side->is_told = !err;
	if (err)
		log_warn("faults that a track causes count as its target's",
			 "pid=%" PRIu32 " error=\"%s\"", side->process, strerror(-err));
}

/* Closing the descriptor lifts all protection. */
static void lift_protection(struct cpu_side *side)
{
	if (side->uffd >= 0)
		close(side->uffd);
	side->uffd = -1;
	page_map__free(side->known);
	page_map__free(side->held_pages);
	side->known = side->held_pages = NULL;
	if (side->is_told)
		tracking__end(side->tables, side->procfs, side->process, side->start_ticks);
	side->is_told = false;
}

/* Why a backend was not taken, after what was said of those before it. */
static void say(struct cpu_side *side, const struct cpu_backend *backend, const char *why)
{
	const size_t length = strlen(side->reason);

	snprintf(side->reason + length, sizeof(side->reason) - length, "%s%s: %.120s",
		 length ? "; " : "", backend->name, why);
}

static int start_by(struct cpu_side *side, const struct cpu_backend *backend)
{
	struct reason why = {""};
	int err;

	side->backend = backend;
	err = backend->start(side, &why);
	if (!err || err == -ESRCH || err == -ENOMEM || err == -ECANCELED)
		return err;
	backend->end(side);
	lift_protection(side);
	say(side, backend, why.text);
	return err;
}

int cpu_side__start(struct cpu_side *side, const char *name)
{
	int err = -EOPNOTSUPP;

	side->uffd = -1;
	for (const struct cpu_backend *const *backend = cpu_backends; *backend; backend++) {
		if (name && strcmp(name, (*backend)->name) != 0)
			continue;
		err = start_by(side, *backend);
		if (!err || err == -ESRCH || err == -ENOMEM || err == -ECANCELED)
			return err;
	}
	return err;
}

static void free_ranges(struct cpu_side *side)
{
	free(side->ranges);
	free(side->ranges_before);
	side->ranges = side->ranges_before = NULL;
	side->range_room = side->range_before_room = side->range_before_count = 0;
}

void cpu_side__end(struct cpu_side *side)
{
	if (side->backend)
		side->backend->end(side);
	lift_protection(side);
	free_ranges(side);
	free(side->regions);
	free(side->not_covered);
	scope__free(&side->scope);
	side->regions = NULL;
	side->not_covered = NULL;
	side->region_count = side->region_room = 0;
	side->not_covered_count = side->not_covered_room = 0;
}

/* ---- the last resort: the sensors count its faults, and nothing tells which pages ---- */

static int start_faults(struct cpu_side *side, struct reason *why)
{
	if (side->no_faults) {
		reason__set(why, "no sensor counts faults here: %s", side->no_faults);
		return -EOPNOTSUPP;
	}
	return cpu_side__read_regions(side);
}

static int epoch_faults(struct cpu_side *side, struct page_map *written)
{
	return cpu_side__read_regions(side);
}

static void end_faults(struct cpu_side *side)
{
}

const struct cpu_backend cpu_faults = {
	.name = "faults",
	.lower_bound = true,
	.start = start_faults,
	.epoch = epoch_faults,
	.end = end_faults,
};
