/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that protects its own memory and asks what it wrote, with nothing else to it: what the
 * kernel itself makes a target pay. Linux 6.7.
 */
#ifndef DIRTYSCOPE_TESTS_LIVE_SELF_PROTECT_H
#define DIRTYSCOPE_TESTS_LIVE_SELF_PROTECT_H

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/host/pagemap_scan.h"

/* include/uapi/linux/userfaultfd.h: newer than Debian 12's headers. */
#define SELF_PROTECT_FEATURES \
	(1 << 0 | 1 << 12 | 1 << 13 | 1 << 15) /* WP, shmem, unpopulated, async */
#define SELF_PROTECT_USER_MODE_ONLY 1
#define SELF_PROTECT_REGIONS 4096

struct self_protect {
	int uffd, pagemap;
	uint64_t start, end;
};

/* Pages that were written since the last call are protected again. 0, or -1 with errno. */
static inline int self_protect__scan(const struct self_protect *self)
{
	static struct page_region regions[SELF_PROTECT_REGIONS];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = self->start,
		.end = self->end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = SELF_PROTECT_REGIONS,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};

	while (arg.start < arg.end) {
		if (ioctl(self->pagemap, PAGEMAP_SCAN, &arg) < 0)
			return -1;
		arg.start = arg.walk_end;
	}
	return 0;
}

/* It lasts until the process ends. 0, or -1 with errno. */
static inline int self_protect__begin(struct self_protect *self, void *memory, size_t bytes)
{
	struct uffdio_api api = {.api = UFFD_API, .features = SELF_PROTECT_FEATURES};
	struct uffdio_register registration = {
		.range = {(uint64_t)(uintptr_t)memory, bytes},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	self->start = registration.range.start;
	self->end = self->start + bytes;
	self->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	self->uffd =
		(int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | SELF_PROTECT_USER_MODE_ONLY);
	if (self->pagemap < 0 || self->uffd < 0 || ioctl(self->uffd, UFFDIO_API, &api) ||
	    ioctl(self->uffd, UFFDIO_REGISTER, &registration))
		return -1;
	return self_protect__scan(self);
}

#endif
