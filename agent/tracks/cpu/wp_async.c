/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A userfaultfd of the target in write-protect mode whose faults the kernel resolves by itself
 * (UFFD_FEATURE_WP_ASYNC, Linux 6.7), and PAGEMAP_SCAN, which reads and protects in one step.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/tracks/cpu/cpu_side.h"
#include "agent/tracks/inject/inject.h"

#define USER_MODE_ONLY 1 /* UFFD_USER_MODE_ONLY: any process may have one of these */

/* include/uapi/linux/userfaultfd.h: newer than Debian 12's headers. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#define FEATURES                                                            \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | \
	 UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC)

#define PAGE_IS_FILE (1ULL << 2)

/* What the kernel put there, and nobody writes: no page of it belongs to the process. */
static bool is_kernels(const struct map_region *region)
{
	return strcmp(region->name, "[vvar]") == 0 || strcmp(region->name, "[vvar_vclock]") == 0 ||
	       strcmp(region->name, "[vdso]") == 0 || strcmp(region->name, "[vsyscall]") == 0;
}

/* Protects all of it, also what is not there yet. 0, or the reason why not. */
static int protect(const struct cpu_side *side, const struct map_region *region)
{
	struct uffdio_register registration = {
		.range = {region->start, region->end - region->start},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect all = {
		.range = {region->start, region->end - region->start},
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	if (ioctl(side->uffd, UFFDIO_REGISTER, &registration))
		return -errno;
	while (ioctl(side->uffd, UFFDIO_WRITEPROTECT, &all))
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	return 0;
}

static int leave_out(struct cpu_side *side, const struct map_region *region, int err)
{
	switch (err) {
	case -EPERM: /* a shared mapping of a file that was opened for reading */
		return 0;
	case -EBUSY:
		return cpu_side__leave_out(side, region, "it uses userfaultfd there itself");
	case -ENOENT: /* gone meanwhile, or changed: the next epoch looks again */
		return 0;
	case -EINVAL:
		return cpu_side__leave_out(side, region,
					   "the kernel cannot write-protect this kind of memory");
	default:
		return err;
	}
}

/* By a descriptor of our own, before a target is touched. Who may have none cannot tell: true. */
static bool kernel_has_it(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
	const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
	const bool has = fd < 0 || ioctl(fd, UFFDIO_API, &api) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static int take_descriptor(struct cpu_side *side, char *why, size_t size)
{
	const struct inject_options options = {
		.procfs = side->procfs, .tgid = side->tgid, .start_ticks = side->start_ticks};
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
	struct inject_result result;
	int err;

	if (!kernel_has_it()) {
		snprintf(why, size, "this kernel has no asynchronous write-protection (6.7)");
		return -EOPNOTSUPP;
	}
	err = inject__userfaultfd(&options, &result);
	if (err) {
		snprintf(why, size, "%s", result.reason);
		return err;
	}
	side->uffd = result.fd;
	side->stopped_ns = result.stopped_ns;
	if (!result.outside)
		log_warn("who stops a target may be killed with the agent's cgroup", "pid=%" PRIu32,
			 side->tgid);
	if (ioctl(side->uffd, UFFDIO_API, &api)) {
		snprintf(why, size, "its userfaultfd cannot protect: %s", strerror(errno));
		return -EOPNOTSUPP;
	}
	return 0;
}

static int start(struct cpu_side *side, char *why, size_t size)
{
	int err = take_descriptor(side, why, size);

	if (err)
		return err;
	err = cpu_side__read_regions(side);
	for (size_t i = 0; !err && i < side->region_count; i++) {
		const struct map_region *region = &side->regions[i];

		if (is_kernels(region))
			continue;
		err = protect(side, region);
		if (err)
			err = leave_out(side, region, err);
	}
	if (err)
		snprintf(why, size, "its memory cannot be protected: %s", strerror(-err));
	return err;
}

/*
 * All that a file, or shared memory, holds there: what the target wrote through an earlier mapping
 * of it need not be in its page table any more.
 */
static int take_data(const struct cpu_side *side, const struct map_region *region,
		     cpu_side__each each, void *context)
{
	const off_t begin = (off_t)region->offset,
		    end = begin + (off_t)(region->end - region->start);
	char path[PATH_MAX];
	struct stat status;
	off_t at = begin, hole;
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64, side->procfs,
		 side->tgid, region->start, region->end);
	/* A device may do something when it is opened. */
	fd = stat(path, &status) || !S_ISREG(status.st_mode) ? -1
							     : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return each(context, region->start, region->end);
	while (!err && at < end && (at = lseek(fd, at, SEEK_DATA)) >= 0 && at < end) {
		at = (off_t)((uint64_t)at & ~(PAGE_BYTES - 1));
		hole = lseek(fd, at, SEEK_HOLE);
		hole = hole > at && hole < end ? hole : end;
		hole = (off_t)(((uint64_t)hole + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1));
		err = each(context, region->start + (uint64_t)(at - begin),
			   region->start + (uint64_t)(hole - begin));
		at = hole;
	}
	/* ENXIO: there is no data behind it. */
	if (!err && at < 0 && errno != ENXIO)
		err = each(context, region->start, region->end);
	close(fd);
	return err;
}

/*
 * A mapping that we have not seen: new, moved, or grown out of nothing. All that is in it was
 * written, as far as anybody can tell; what is written after `protect` comes with the next epoch.
 */
static int take_new(struct cpu_side *side, const struct map_region *region, cpu_side__each each,
		    void *context)
{
	struct page_table_scan present = {
		.anyof = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.each = each,
		.context = context,
	};
	int err = protect(side, region);

	if (err)
		return leave_out(side, region, err);
	if (region->inode && region->shared && region->writable)
		return take_data(side, region, each, context);
	if (region->inode && !region->shared)
		present.inverted = present.mask = PAGE_IS_FILE; /* copied, so written */
	return page_table__scan(side->pagemap, region->start, region->end, &present);
}

static int epoch(struct cpu_side *side, cpu_side__each each, void *context)
{
	const struct page_table_scan written = {
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.mask = PAGE_IS_WRITTEN,
		.each = each,
		.context = context,
	};
	int err = cpu_side__read_regions(side);

	for (size_t i = 0; !err && i < side->region_count; i++) {
		const struct map_region *region = &side->regions[i];

		if (is_kernels(region))
			continue;
		err = page_table__scan(side->pagemap, region->start, region->end, &written);
		if (err == -EPERM)
			err = take_new(side, region, each, context);
	}
	return err;
}

/* Closing the descriptor lifts the protection: userfaultfd_release(), fs/userfaultfd.c. */
static void end(struct cpu_side *side)
{
}

const struct cpu_backend cpu_wp_async = {
	.name = "pagemap-scan",
	.start = start,
	.epoch = epoch,
	.end = end,
};
