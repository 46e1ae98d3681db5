/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PAGEMAP_SCAN as the kernel defines it: include/uapi/linux/fs.h, Linux 6.7 and newer. The headers
 * of Debian 12 are older.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_PAGEMAP_SCAN_H
#define DIRTYSCOPE_AGENT_HOST_PAGEMAP_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define PAGE_IS_WPALLOWED (1ULL << 0)
#define PAGE_IS_WRITTEN (1ULL << 1)
#define PAGE_IS_PRESENT (1ULL << 3)
#define PAGE_IS_SWAPPED (1ULL << 4)
#define PAGE_IS_HUGE (1ULL << 6)
#define PAGE_IS_SOFT_DIRTY (1ULL << 7)
#define PM_SCAN_WP_MATCHING (1ULL << 0)
#define PM_SCAN_CHECK_WPASYNC (1ULL << 1)

struct page_region {
	uint64_t start, end, categories;
};
struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)

/*
 * Whether any page of the range is a huge page now. fd: of /proc/PID/pagemap. False where the
 * kernel cannot tell.
 */
static inline bool pagemap_scan__is_huge(int fd, uint64_t start, uint64_t end)
{
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_HUGE,
		.return_mask = PAGE_IS_HUGE,
	};

	return ioctl(fd, PAGEMAP_SCAN, &arg) > 0;
}

#endif
