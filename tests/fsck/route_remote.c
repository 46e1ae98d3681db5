/* SPDX-License-Identifier: BSD-2-Clause */
/* Who writes the memory of another process, and userfaultfd, which fills it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

/* ---- in the helper ---- */

int remote__writev(struct fsck *fsck)
{
	unsigned char page[FSCK_PAGE];

	for (unsigned i = 0; i < FSCK_CHOSEN; i++) {
		const struct iovec mine = {page, sizeof(page)};
		const struct iovec theirs = {fsck__chosen(fsck, i), sizeof(page)};

		fsck__fresh(page, i);
		if (process_vm_writev(fsck->pid, &mine, 1, &theirs, 1, 0) != sizeof(page))
			return -errno;
	}
	return 0;
}

int remote__poke(struct fsck *fsck)
{
	int status, err = 0;

	if (ptrace(PTRACE_SEIZE, fsck->pid, NULL, NULL))
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, fsck->pid, NULL, NULL) ||
	    waitpid(fsck->pid, &status, __WALL) != fsck->pid)
		err = -errno;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++)
		if (ptrace(PTRACE_POKEDATA, fsck->pid, fsck__chosen(fsck, i) + 128, ~(long)i))
			err = -errno;
	ptrace(PTRACE_DETACH, fsck->pid, NULL, NULL);
	return err;
}

int remote__mem(struct fsck *fsck)
{
	unsigned char page[FSCK_PAGE];
	char path[40];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", fsck->pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		fsck__fresh(page, i);
		if (pwrite(fd, page, sizeof(page), (off_t)(uintptr_t)fsck__chosen(fsck, i)) !=
		    sizeof(page))
			err = -errno;
	}
	close(fd);
	return err;
}

/* ---- userfaultfd of the process's own ---- */

/* include/uapi/linux/userfaultfd.h of Linux 6.8 */
#ifndef UFFDIO_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

struct uffd {
	int fd;
	unsigned char *source; /* what comes into the mapping */
};

static int open_uffd(struct uffd *uffd)
{
	struct uffdio_api api = {.api = UFFD_API, .features = 0};

	uffd->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd->fd < 0)
		return -errno;
	return ioctl(uffd->fd, UFFDIO_API, &api) ? -errno : 0;
}

int remote__uffd(struct fsck *fsck)
{
	struct uffdio_register range = {
		.range = {(uintptr_t)fsck->region, FSCK_BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffd *uffd = fsck->state;
	int err;

	/* It is asked again where another one's registration has refused this one. */
	if (!uffd) {
		uffd = calloc(1, sizeof(*uffd));
		if (!uffd)
			return -ENOMEM;
		err = open_uffd(uffd);
		if (err)
			return err;
		uffd->source = mmap(NULL, FSCK_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (uffd->source == MAP_FAILED ||
		    madvise(uffd->source, FSCK_BYTES, MADV_NOHUGEPAGE))
			return -errno;
		for (unsigned i = 0; i < FSCK_PAGES; i++)
			fsck__fresh(uffd->source + i * FSCK_PAGE, i);
		fsck->state = uffd;
	}
	return ioctl(uffd->fd, UFFDIO_REGISTER, &range) ? -errno : 0;
}

/* What is missing, userfaultfd fills: nobody touches it in between. */
static int empty(struct fsck *fsck, unsigned char *start, size_t bytes)
{
	const int advice = fsck->kind->traits & FSCK_SHARED ? MADV_REMOVE : MADV_DONTNEED;

	return madvise(start, bytes, advice) ? -errno : 0;
}

int remote__uffd_copy(struct fsck *fsck)
{
	const bool whole = fsck->kind->traits & (FSCK_HUGETLB | FSCK_THP);
	const struct uffd *uffd = fsck->state;

	for (unsigned i = 0; i < (whole ? 1 : FSCK_CHOSEN); i++) {
		unsigned char *start = whole ? fsck->region : fsck__chosen(fsck, i);
		const size_t bytes = whole ? FSCK_BYTES : FSCK_PAGE;
		size_t done = 0;
		int err = empty(fsck, start, bytes);

		while (!err && done < bytes) {
			struct uffdio_copy copy = {
				.dst = (uintptr_t)start + done,
				.src = (uintptr_t)(uffd->source + i * FSCK_PAGE) + done,
				.len = bytes - done,
			};

			if (ioctl(uffd->fd, UFFDIO_COPY, &copy) && errno != EAGAIN)
				err = -errno;
			done += copy.copy > 0 ? (size_t)copy.copy : 0;
		}
		if (err)
			return err;
	}
	return 0;
}

int remote__uffd_zero(struct fsck *fsck)
{
	const struct uffd *uffd = fsck->state;

	for (unsigned i = 0; i < FSCK_CHOSEN; i++) {
		struct uffdio_zeropage zero = {
			.range = {(uintptr_t)fsck__chosen(fsck, i), FSCK_PAGE}};
		int err = empty(fsck, fsck__chosen(fsck, i), FSCK_PAGE);

		if (err || ioctl(uffd->fd, UFFDIO_ZEROPAGE, &zero))
			return err ? err : -errno;
	}
	return 0;
}

int remote__uffd_move(struct fsck *fsck)
{
	const struct uffd *uffd = fsck->state;

	for (unsigned i = 0; i < FSCK_CHOSEN; i++) {
		struct uffdio_move move = {
			.dst = (uintptr_t)fsck__chosen(fsck, i),
			.src = (uintptr_t)(uffd->source + i * FSCK_PAGE),
			.len = FSCK_PAGE,
		};
		int err = empty(fsck, fsck__chosen(fsck, i), FSCK_PAGE);

		if (err)
			return err;
		if (ioctl(uffd->fd, UFFDIO_MOVE, &move))
			return errno == ENOTTY || errno == EINVAL
				       ? fsck__skip(fsck, "this kernel has no UFFDIO_MOVE (6.8)")
				       : -errno;
	}
	return 0;
}
