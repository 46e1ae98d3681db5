/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The soft-dirty bits (Documentation/admin-guide/mm/soft-dirty.rst), on kernels that have them.
 * Reading and clearing are two steps, so the target's threads stand still between them.
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

static int take_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct page_map *written = context;

	for (size_t i = 0; i < count;) {
		size_t from = i;
		int err;

		while (i < count && entries[i] & PAGEMAP_SOFT_DIRTY &&
		       entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			i++;
		if (i == from) {
			i++;
			continue;
		}
		err = page_map__add_cpu(written, address / PAGE_BYTES + from, i - from);
		if (err)
			return err;
	}
	return 0;
}

static int read_and_clear(struct cpu_side *side, struct page_map *written)
{
	int err = cpu_side__read_regions(side);

	for (size_t i = 0; !err && i < side->region_count; i++) {
		const struct map_region *region = &side->regions[i];

		/* Not readable by anyone through the page table: [vvar], [vsyscall]. */
		if (strncmp(region->name, "[v", 2) == 0)
			continue;
		err = page_table__read(side->pagemap, region->start, region->end, take_entries,
				       written);
	}
	return err ? err : soft_dirty__clear(side->procfs, side->tgid);
}

static int epoch(struct cpu_side *side, struct page_map *written)
{
	struct freeze freeze;
	int err = freeze__begin(&freeze, side->procfs, side->process), held;

	if (err)
		return err;
	err = read_and_clear(side, written);
	held = freeze__end(&freeze, &side->stopped_ns);
	return err ? err : held;
}

static int start(struct cpu_side *side, struct reason *why)
{
	int err;

	if (!soft_dirty__is_there()) {
		reason__set(why, "this kernel has no soft-dirty bits");
		return -EOPNOTSUPP;
	}
	cpu_side__will_protect(side, DS_PROTECTED_SOFT);
	err = cpu_side__read_regions(side);
	if (!err)
		err = soft_dirty__clear(side->procfs, side->tgid);
	if (err)
		reason__set(why, "its soft-dirty bits cannot be cleared: %s", strerror(-err));
	return err;
}

static void end(struct cpu_side *side)
{
}

const struct cpu_backend cpu_soft_dirty = {
	.name = "soft-dirty",
	.start = start,
	.epoch = epoch,
	.end = end,
};
