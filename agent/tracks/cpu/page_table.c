/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/page_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGIONS 4096		 /* of one PAGEMAP_SCAN */
#define ENTRIES 8192		 /* of one read */
#define SLICE_BYTES (1ULL << 30) /* of one call: a thread in it takes no signal */
#define PENDING_BYTES (256ULL << 20)
#define GAP_PAGES 16 /* of the page table: cheaper to read than another call */

struct page_table {
	int fd;
	struct track_work *work;
	bool dirty; /* an earlier answer is in the regions, whose ends are zero else */
	struct page_region regions[REGIONS];
};

int page_table__open(const char *procfs, uint32_t tgid, struct page_table **out)
{
	struct page_table *pagemap = calloc(1, sizeof(*pagemap));
	char path[64];
	int err;

	*out = NULL;
	if (!pagemap)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/%u/pagemap", procfs, tgid);
	pagemap->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap->fd < 0) {
		err = errno == ENOENT ? -ESRCH : -errno;
		free(pagemap);
		return err;
	}
	*out = pagemap;
	return 0;
}

void page_table__close(struct page_table *pagemap)
{
	if (!pagemap)
		return;
	close(pagemap->fd);
	free(pagemap);
}

void page_table__attend(struct page_table *pagemap, struct track_work *work)
{
	pagemap->work = work;
}

bool page_table__is_alive(const struct page_table *pagemap)
{
	uint64_t entry;

	/* pagemap_read() answers 0 once nobody uses the mm. */
	return pread(pagemap->fd, &entry, sizeof(entry), 0) == sizeof(entry);
}

int page_table__zero_pfn(uint64_t *zero_pfn)
{
	enum { PAGES = 2 };
	char *pages = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entries[PAGES] = {0};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (pages != MAP_FAILED && fd >= 0) {
		madvise(pages, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
		madvise(pages, PAGES * PAGE_BYTES, MADV_POPULATE_READ);
		if (pread(fd, entries, sizeof(entries),
			  (off_t)((uintptr_t)pages / PAGE_BYTES * 8)) != sizeof(entries))
			memset(entries, 0, sizeof(entries));
	}
	if (fd >= 0)
		close(fd);
	if (pages != MAP_FAILED)
		munmap(pages, PAGES * PAGE_BYTES);
	*zero_pfn = entries[0] == entries[1] ? PAGEMAP_PFN(entries[0]) : 0;
	return PAGEMAP_PFN(entries[0]) ? 0 : -EPERM;
}

uint64_t page_table__entry(const struct page_table *pagemap, uint64_t address)
{
	uint64_t entry;

	if (pread(pagemap->fd, &entry, sizeof(entry), (off_t)(address / PAGE_BYTES * 8)) !=
	    sizeof(entry))
		return 0;
	return entry;
}

int page_table__read(struct page_table *pagemap, uint64_t start, uint64_t end,
		     int (*each)(void *context, uint64_t address, const uint64_t *entries,
				 size_t count),
		     void *context)
{
	const size_t pages = start < end ? (end - start) / PAGE_BYTES : 0;
	const size_t room = pages < ENTRIES ? pages : ENTRIES;
	uint64_t *entries;
	int err = 0;

	if (!room)
		return 0;
	/* Its own: `each` may read, too, while it walks these. */
	entries = malloc(room * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	while (!err && start < end) {
		size_t want = (end - start) / PAGE_BYTES;
		ssize_t got;

		want = want < room ? want : room;
		got = pread(pagemap->fd, entries, want * 8, (off_t)(start / PAGE_BYTES * 8));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 8) {
			err = got < 0 ? -errno : -ESRCH;
			break;
		}
		err = each(context, start, entries, (size_t)got / 8);
		if (!err)
			err = track_work__advance(pagemap->work, (uint64_t)got / 8);
		start += (uint64_t)got / 8 * PAGE_BYTES;
	}
	free(entries);
	return err;
}

/* What was protected is told, also where the kernel then gave up and did not say how many. */
static int tell(struct page_table *pagemap, long count, const struct page_table_scan *scan)
{
	size_t told = count < 0 ? REGIONS : (size_t)count;

	for (size_t i = 0; i < told && pagemap->regions[i].end; i++) {
		int err = scan->each(scan->context, pagemap->regions[i].start,
				     pagemap->regions[i].end);

		if (err) {
			pagemap->dirty = true;
			return err;
		}
		pagemap->regions[i].end = 0;
	}
	return 0;
}

/* One slice; arg->walk_end: how far it came. */
static int scan_slice(struct page_table *pagemap, struct pm_scan_arg *arg,
		      const struct page_table_scan *scan)
{
	struct track_work *work = pagemap->work;
	long count;
	int err, told;

	if (pagemap->dirty)
		memset(pagemap->regions, 0, sizeof(pagemap->regions));
	pagemap->dirty = false;
	arg->walk_end = 0;
	count = ioctl(pagemap->fd, PAGEMAP_SCAN, arg);
	err = count < 0 ? -errno : 0;
	/* What was protected must all be told: nothing ends that half-way. */
	pagemap->work = NULL;
	told = tell(pagemap, count, scan);
	pagemap->work = work;
	return told ? told : err;
}

int page_table__scan(struct page_table *pagemap, uint64_t start, uint64_t end,
		     const struct page_table_scan *scan)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = scan->flags,
		.start = start,
		.vec = (uint64_t)(uintptr_t)pagemap->regions,
		.vec_len = REGIONS,
		.category_mask = scan->mask,
		.category_inverted = scan->inverted,
		.category_anyof_mask = scan->anyof,
		.return_mask = scan->mask | scan->anyof,
	};

	while (arg.start < end) {
		int err;

		arg.end = end - arg.start > SLICE_BYTES ? arg.start + SLICE_BYTES : end;
		err = scan_slice(pagemap, &arg, scan);
		if (err == -EINTR)
			continue;
		if (err)
			return err;
		if (arg.walk_end <= arg.start)
			break;
		err = track_work__advance(pagemap->work, (arg.walk_end - arg.start) / PAGE_BYTES);
		arg.start = arg.walk_end;
		if (err)
			return err;
	}
	return 0;
}

bool page_table__is_registered(struct page_table *pagemap, uint64_t address)
{
	/* Without PM_SCAN_WP_MATCHING nothing changes. */
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_CHECK_WPASYNC,
		.start = address,
		.end = address + PAGE_BYTES,
		.vec = (uint64_t)(uintptr_t)pagemap->regions,
		.vec_len = 1,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	const bool is_registered = ioctl(pagemap->fd, PAGEMAP_SCAN, &arg) >= 0;

	pagemap->dirty = true;
	return is_registered;
}

int page_table__protect(struct page_table *pagemap, uint64_t start, uint64_t end)
{
	/* Without a vector it is the kernel's fast path: pagemap_scan_pmd_entry(). */
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		/* Where there is no page table, nothing matches, and none is made. */
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};

	while (start < end) {
		int err;

		arg.start = start;
		arg.end = end - start > SLICE_BYTES ? start + SLICE_BYTES : end;
		if (ioctl(pagemap->fd, PAGEMAP_SCAN, &arg) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		err = track_work__advance(pagemap->work, (arg.end - arg.start) / PAGE_BYTES);
		if (err)
			return err;
		start = arg.end;
	}
	return 0;
}

/* ---- what is there alone ---- */

struct present {
	struct page_table *pagemap;
	int (*each)(void *context, uint64_t address, const uint64_t *entries, size_t count);
	void *context;
	uint64_t start, end; /* not yet read */
};

static int read_pending(struct present *present)
{
	struct track_work *work = present->pagemap->work;
	const uint64_t start = present->start, end = present->end;
	int err;

	present->start = present->end = 0;
	/* The scan tells how far it is, and is where it ends. */
	present->pagemap->work = NULL;
	err = page_table__read(present->pagemap, start, end, present->each, present->context);
	present->pagemap->work = work;
	return err;
}

static int page_table_take_present(void *context, uint64_t start, uint64_t end)
{
	struct present *present = context;
	int err;

	if (present->end && start - present->end <= GAP_PAGES * PAGE_BYTES &&
	    end - present->start <= PENDING_BYTES) {
		present->end = end;
		return 0;
	}
	err = read_pending(present);
	present->start = start;
	present->end = end;
	return err;
}

int page_table__read_present(struct page_table *pagemap, uint64_t start, uint64_t end,
			     int (*each)(void *context, uint64_t address, const uint64_t *entries,
					 size_t count),
			     void *context)
{
	struct present present = {pagemap, each, context, 0, 0};
	const struct page_table_scan scan = {
		.anyof = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.each = page_table_take_present,
		.context = &present,
	};
	int err = page_table__scan(pagemap, start, end, &scan);

	if (err == -ENOTTY) /* before 6.7 */
		return page_table__read(pagemap, start, end, each, context);
	return err ? err : read_pending(&present);
}
