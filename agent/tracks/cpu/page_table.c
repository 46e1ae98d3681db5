/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/page_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REGIONS 4096 /* of one PAGEMAP_SCAN */
#define ENTRIES 8192 /* of one read */

struct page_table {
	int fd;
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

bool page_table__is_alive(const struct page_table *pagemap)
{
	uint64_t entry;

	/* pagemap_read() answers 0 once nobody uses the mm. */
	return pread(pagemap->fd, &entry, sizeof(entry), 0) == sizeof(entry);
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

		if (err)
			return err;
	}
	return 0;
}

int page_table__scan(struct page_table *pagemap, uint64_t start, uint64_t end,
		     const struct page_table_scan *scan)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = scan->flags,
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)pagemap->regions,
		.vec_len = REGIONS,
		.category_mask = scan->mask,
		.category_inverted = scan->inverted,
		.category_anyof_mask = scan->anyof,
		.return_mask = scan->mask | scan->anyof,
	};
	size_t dirty = REGIONS; /* of the regions, from an earlier answer */

	while (arg.start < end) {
		long count;
		int err;

		memset(pagemap->regions, 0, dirty * sizeof(*pagemap->regions));
		arg.walk_end = 0;
		count = ioctl(pagemap->fd, PAGEMAP_SCAN, &arg);
		err = count < 0 ? -errno : 0;
		dirty = count < 0 ? REGIONS : (size_t)count;
		if (tell(pagemap, count, scan))
			return -ENOMEM;
		if (err == -EINTR)
			continue;
		if (err)
			return err;
		if (arg.walk_end <= arg.start)
			break;
		arg.start = arg.walk_end;
	}
	return 0;
}
