/* SPDX-License-Identifier: BSD-2-Clause */
/* What is written, where, and where it comes from. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

#define FIRST 3
#define STRIDE 8
#define PAGEMAP_PRESENT (1ULL << 63)
#define SOURCE_BYTES (FSCK_CHOSEN * FSCK_PAGE)

size_t fsck__number(unsigned i)
{
	return FIRST + (size_t)i * STRIDE;
}

unsigned char *fsck__chosen(const struct fsck *fsck, unsigned i)
{
	return fsck->region + fsck__number(i) * FSCK_PAGE;
}

void fsck__fresh(unsigned char *page, unsigned i)
{
	memset(page, 0xa0 + (int)(i % 64), FSCK_PAGE);
	page[8 * i % FSCK_PAGE] = 0x5a;
}

void fsck__fill(unsigned char *start, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		memset(start + i * FSCK_PAGE, 0x11, FSCK_PAGE);
		memcpy(start + i * FSCK_PAGE, &i, sizeof(i));
	}
}

void fsck__area(struct fsck *fsck, void *start, size_t pages)
{
	if (fsck->area_count < FSCK_AREAS)
		fsck->areas[fsck->area_count++] = (struct fsck_area){start, pages};
}

unsigned char *fsck__map_again(const struct fsck *fsck)
{
	char path[64];
	unsigned char *memory;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", fsck->pid, fsck->fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	memory = mmap(NULL, FSCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

unsigned fsck__present(const struct fsck *fsck)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned present = 0;

	for (unsigned i = 0; i < FSCK_CHOSEN; i++) {
		const off_t at = (off_t)((uintptr_t)fsck__chosen(fsck, i) / FSCK_PAGE * 8);
		uint64_t entry = 0;

		if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry) ||
		    entry & PAGEMAP_PRESENT)
			present++;
	}
	close(fd);
	return present;
}

int fsck__write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

/* ---- sources ---- */

static int write_random(int fd)
{
	for (unsigned i = 0; i < FSCK_CHOSEN; i++) {
		unsigned char page[FSCK_PAGE];

		if (getrandom(page, sizeof(page), 0) != sizeof(page) ||
		    write(fd, page, sizeof(page)) != sizeof(page))
			return -EIO;
	}
	return 0;
}

static int make_cached(const struct fsck *fsck)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/source-%d", fsck->directory, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unlink(path);
	return fd;
}

static int make_pipe(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	if (fcntl(ends[1], F_SETPIPE_SZ, (int)(SOURCE_BYTES * 2)) < 0 || write_random(ends[1]))
		return -EIO;
	close(ends[1]);
	return ends[0];
}

int fsck__source(struct fsck *fsck, enum fsck_source source)
{
	int fd, err = 0;

	if (source == FSCK_PIPE)
		return make_pipe();
	if (source == FSCK_DIRECT)
		fd = open(fsck->disk, O_RDONLY | O_DIRECT | O_CLOEXEC);
	else if (source == FSCK_TMPFS)
		fd = memfd_create("source", MFD_CLOEXEC);
	else
		fd = make_cached(fsck);
	if (fd < 0)
		return -errno;
	if (source != FSCK_DIRECT)
		err = write_random(fd);
	/* Its pages lie in the page cache; written back, they stay there. */
	if (!err && source == FSCK_CACHED && fsync(fd))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}
