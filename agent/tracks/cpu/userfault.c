/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/userfault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/host/proc_status.h"

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

#define SLICE_BYTES (1ULL << 30) /* of one call: a thread in it takes no signal */

int userfault__enable(int uffd)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};

	return ioctl(uffd, UFFDIO_API, &api) ? -errno : 0;
}

int userfault__open(void)
{
	const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
	int err;

	if (fd < 0)
		return -errno;
	err = userfault__enable(fd);
	if (err) {
		close(fd);
		return err == -EINVAL ? -EOPNOTSUPP : err;
	}
	return fd;
}

bool userfault__can_protect(void)
{
	const int fd = userfault__open();

	if (fd >= 0)
		close(fd);
	return fd != -EOPNOTSUPP;
}

int userfault__hold(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register registration = {
		.range = {start, end - start},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &registration) == 0)
		return 0;
	/* userfaultfd_register() says so when nobody uses the memory any more. */
	return errno == ENOMEM ? -ESRCH : -errno;
}

void userfault__let_go(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_range range = {start, end - start};

	/* It may be gone, with all that was on it. */
	(void)ioctl(uffd, UFFDIO_UNREGISTER, &range);
}

int userfault__protect(int uffd, uint64_t start, uint64_t end)
{
	while (start < end) {
		struct uffdio_writeprotect slice = {
			.range = {start, end - start > SLICE_BYTES ? SLICE_BYTES : end - start},
			.mode = UFFDIO_WRITEPROTECT_MODE_WP,
		};

		if (ioctl(uffd, UFFDIO_WRITEPROTECT, &slice)) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return -errno;
		}
		start += slice.range.len;
	}
	return 0;
}

unsigned userfault__count(const char *procfs, uint32_t tgid)
{
	char path[64], link[64];
	struct dirent *entry;
	unsigned count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/%" PRIu32 "/fd", procfs, tgid);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		ssize_t length =
			readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);

		if (length <= 0)
			continue;
		link[length] = '\0';
		count += strcmp(link, "anon_inode:[userfaultfd]") == 0;
	}
	if (directory)
		closedir(directory);
	return count;
}

uint64_t userfault__page_tables(const char *procfs, uint32_t tgid)
{
	char path[64];
	uint64_t bytes;

	snprintf(path, sizeof(path), "%s/%" PRIu32 "/status", procfs, tgid);
	return proc_status__bytes(AT_FDCWD, path, "VmPTE", &bytes) ? 0 : bytes;
}
