/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls that write the file which is mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

static off_t place_of(unsigned i)
{
	return (off_t)(fsck__number(i) * FSCK_PAGE);
}

static int write_pages(int fd)
{
	unsigned char *page = aligned_alloc(FSCK_PAGE, FSCK_PAGE);
	int err = page ? 0 : -ENOMEM;

	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		fsck__fresh(page, i);
		if (pwrite(fd, page, FSCK_PAGE, place_of(i)) != (ssize_t)FSCK_PAGE)
			err = -errno;
	}
	free(page);
	return err;
}

/* The object anew, by whoever asks for it; a negative errno when it cannot be opened. */
static int open_again(const struct fsck *fsck, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", fsck->pid, fsck->fd);
	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

int file__pwrite(struct fsck *fsck)
{
	return write_pages(fsck->fd);
}

static int write_again(const struct fsck *fsck, int flags)
{
	int fd = open_again(fsck, flags), err;

	if (fd < 0)
		return fd;
	err = write_pages(fd);
	close(fd);
	return err;
}

int file__helper_pwrite(struct fsck *fsck)
{
	return write_again(fsck, 0);
}

int file__direct(struct fsck *fsck)
{
	return write_again(fsck, O_DIRECT);
}

int file__splice(struct fsck *fsck)
{
	int from = fsck__source(fsck, FSCK_PIPE), err = 0;

	if (from < 0)
		return from;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		loff_t to = place_of(i);

		if (splice(from, NULL, fsck->fd, &to, FSCK_PAGE, 0) != (ssize_t)FSCK_PAGE)
			err = -EIO;
	}
	close(from);
	return err;
}

int file__sendfile(struct fsck *fsck)
{
	int from = fsck__source(fsck, FSCK_CACHED), err = 0;

	if (from < 0)
		return from;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		off_t at = (off_t)(i * FSCK_PAGE);

		if (lseek(fsck->fd, place_of(i), SEEK_SET) < 0 ||
		    sendfile(fsck->fd, from, &at, FSCK_PAGE) != (ssize_t)FSCK_PAGE)
			err = -EIO;
	}
	close(from);
	return err;
}

int file__copy_range(struct fsck *fsck)
{
	/* Only between files of one file system. */
	int from = fsck__source(fsck, fsck->kind->traits & FSCK_DISK ? FSCK_CACHED : FSCK_TMPFS);
	int err = 0;

	if (from < 0)
		return from;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		loff_t at = (loff_t)(i * FSCK_PAGE), to = place_of(i);
		ssize_t done = copy_file_range(from, &at, fsck->fd, &to, FSCK_PAGE, 0);

		if (done != (ssize_t)FSCK_PAGE)
			err = done < 0 ? -errno : -EIO;
	}
	close(from);
	return err == -EXDEV ? fsck__skip(fsck, "copy_file_range() between these files") : err;
}

/* Shorter, and longer again: zeros. */
int file__truncate(struct fsck *fsck)
{
	return ftruncate(fsck->fd, FSCK_BYTES / 2) || ftruncate(fsck->fd, FSCK_BYTES) ? -errno : 0;
}

int file__punch(struct fsck *fsck)
{
	for (unsigned i = 0; i < FSCK_CHOSEN; i++)
		if (fallocate(fsck->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place_of(i),
			      FSCK_PAGE))
			return -errno;
	return 0;
}
