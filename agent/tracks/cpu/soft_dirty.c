/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The soft-dirty bits (Documentation/admin-guide/mm/soft-dirty.rst), on kernels that have them.
 * Reading and clearing are two steps, so the target's threads stand still between them. A page that
 * is emptied (madvise(2), munmap(2) and another mmap(2) there, mremap(2)) leaves no bit behind, so
 * the pages that were there are kept, and those that are there no more are told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/tracks/cpu/cpu_side.h"
#include "agent/tracks/cpu/soft_dirty.h"
#include "agent/tracks/inject/freeze.h"

int soft_dirty__clear(const char *procfs, uint32_t tgid)
{
	char path[64];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%u/clear_refs", procfs, tgid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (write(fd, "4", 1) != 1)
		err = -errno;
	close(fd);
	return err;
}

bool soft_dirty__is_there(void)
{
	uint64_t entry = 0;
	char *page =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (page != MAP_FAILED && fd >= 0) {
		*(volatile char *)page = 1;
		if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE_BYTES * 8)) !=
		    sizeof(entry))
			entry = 0;
	}
	if (fd >= 0)
		close(fd);
	if (page != MAP_FAILED)
		munmap(page, PAGE_BYTES);
	return entry & PAGEMAP_SOFT_DIRTY;
}

struct reading {
	const struct cpu_side *side;
	const struct map_region *region;
	bool is_new;		  /* the region: it has dirty pages that are not there */
	struct page_map *written; /* NULL: nothing was, yet */
	struct page_map *held;	  /* as side->held_pages, now */
};

enum {
	IS_WRITTEN = 1,
	IS_HELD = 2,
	IS_NEW = 4,
};

static unsigned kinds(const struct reading *reading, uint64_t entry)
{
	const bool dirty = entry & PAGEMAP_SOFT_DIRTY;

	/* All of a mapping that is new is dirty: pagemap_pte_hole(), fs/proc/task_mmu.c. */
	if (!page_table__has_page(entry))
		return dirty ? IS_NEW : 0;
	return (dirty ? IS_WRITTEN : 0) |
	       (reading->region->shared || !cpu_side__is_only_read(reading->side, entry) ? IS_HELD
											 : 0);
}

static int take_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct reading *reading = context;
	int err = 0;

	for (size_t i = 0, end; i < count && !err; i = end) {
		const unsigned kind = kinds(reading, entries[i]);

		for (end = i + 1; end < count && kinds(reading, entries[end]) == kind;)
			end++;
		reading->is_new |= kind & IS_NEW;
		if (kind & IS_WRITTEN && reading->written)
			err = page_map__add_cpu(reading->written, address / PAGE_BYTES + i,
						end - i);
		if (!err && kind & IS_HELD)
			err = page_map__add_cpu(reading->held, address / PAGE_BYTES + i, end - i);
	}
	return err;
}

/* What was there before and is not now: whoever reads it finds zeros, or the file. */
static int take_emptied(void *context, uint64_t page, uint64_t pages, bool was)
{
	const struct reading *reading = context;

	return was ? page_map__divide(reading->held, page, pages, reading->held, reading->written)
		   : 0;
}

static int read_region(struct cpu_side *side, struct reading *reading)
{
	const struct map_region *region = reading->region;
	int err;

	reading->is_new = false;
	err = page_table__read(side->pagemap, region->start, region->end, take_entries, reading);
	/* A page of a shared object may leave the page table, and is still in the object. */
	if (err || !reading->written || (region->shared && !reading->is_new))
		return err;
	err = page_map__split(side->held_pages, region->start / PAGE_BYTES,
			      (region->end - region->start) / PAGE_BYTES, take_emptied, reading);
	if (!err && reading->is_new)
		err = cpu_side__take_file(side, region, reading->written);
	return err == -ENOENT || err == -EPERM ? 0 : err; /* gone again */
}

static int read_all(struct cpu_side *side, struct page_map *written, struct page_map *held)
{
	struct reading reading = {.side = side, .written = written, .held = held};
	int err = cpu_side__read_regions(side);

	for (size_t i = 0; !err && i < side->region_count; i++) {
		reading.region = &side->regions[i];
		/* Not readable by anyone through the page table: [vvar], [vsyscall]. */
		if (strncmp(reading.region->name, "[v", 2) != 0)
			err = read_region(side, &reading);
	}
	return err;
}

static int read_and_clear(struct cpu_side *side, struct page_map *written)
{
	struct page_map *held = page_map__new();
	int err = held ? read_all(side, written, held) : -ENOMEM;

	if (!err)
		err = soft_dirty__clear(side->procfs, side->tgid);
	if (!err)
		page_map__swap(side->held_pages, held);
	page_map__free(held);
	return err;
}

static int soft_dirty_epoch(struct cpu_side *side, struct page_map *written)
{
	struct freeze freeze;
	int err = freeze__begin(&freeze, side->procfs, side->process), held;

	if (err)
		return err;
	err = read_and_clear(side, written);
	held = freeze__end(&freeze, &side->stopped_ns);
	return err ? err : held;
}

static int soft_dirty_start(struct cpu_side *side, struct reason *why)
{
	int err;

	if (!soft_dirty__is_there()) {
		reason__set(why, "this kernel has no soft-dirty bits");
		return -EOPNOTSUPP;
	}
	cpu_side__will_protect(side, DS_PROTECTED_SOFT);
	side->held_pages = page_map__new();
	if (!side->held_pages)
		return -ENOMEM;
	err = soft_dirty__clear(side->procfs, side->tgid);
	if (err)
		reason__set(why, "its soft-dirty bits cannot be cleared: %s", strerror(-err));
	/* Afterwards: what is emptied from here on was there by then. */
	return err ? err : read_all(side, NULL, side->held_pages);
}

static void soft_dirty_end(struct cpu_side *side)
{
}

const struct cpu_backend cpu_soft_dirty = {
	.name = "soft-dirty",
	.start = soft_dirty_start,
	.epoch = soft_dirty_epoch,
	.end = soft_dirty_end,
};
