/* SPDX-License-Identifier: BSD-2-Clause */
/* The address space: what moves, is emptied, or is replaced, and pages that the kernel puts
 * together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

/* Linux 6.1 */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HALF (FSCK_BYTES / 2)
#define MERGE_TRIES 400
#define MERGE_US 50000

static unsigned char *new_memory(size_t bytes)
{
	unsigned char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Other memory comes to lie where the mapping's first half was. */
int map__move_over(struct fsck *fsck)
{
	unsigned char *other = new_memory(HALF);

	if (!other)
		return -errno;
	for (unsigned i = 0; i < HALF / FSCK_PAGE; i++)
		fsck__fresh(other + i * FSCK_PAGE, i);
	return mremap(other, HALF, HALF, MREMAP_MAYMOVE | MREMAP_FIXED, fsck->region) ==
			       fsck->region
		       ? 0
		       : -errno;
}

static int move(struct fsck *fsck, int flags)
{
	unsigned char *place = new_memory(FSCK_BYTES + FSCK_HUGE);
	unsigned char *moved;

	if (!place)
		return -errno;
	place += FSCK_HUGE - (uintptr_t)place % FSCK_HUGE;
	moved = mremap(fsck->region, FSCK_BYTES, FSCK_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED | flags,
		       place);
	if (moved == MAP_FAILED)
		return -errno;
	fsck__area(fsck, moved, FSCK_PAGES);
	return 0;
}

int map__move_away(struct fsck *fsck)
{
	return move(fsck, 0);
}

/* The place that was left is still mapped, and empty. */
int map__leave_empty(struct fsck *fsck)
{
	fsck__area(fsck, fsck->region, FSCK_PAGES);
	return move(fsck, MREMAP_DONTUNMAP);
}

/* Given back, and taken anew in the same place. */
int map__unmap(struct fsck *fsck)
{
	if (munmap(fsck->region, FSCK_BYTES))
		return -errno;
	return mmap(fsck->region, FSCK_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == fsck->region
		       ? 0
		       : -errno;
}

/* Another file's mapping is put over it; nobody touches that. */
int map__other_file(struct fsck *fsck)
{
	unsigned char page[FSCK_PAGE];
	int fd = memfd_create("other", MFD_CLOEXEC), err = 0;

	if (fd < 0 || ftruncate(fd, FSCK_BYTES))
		return -errno;
	for (unsigned i = 0; i < FSCK_PAGES && !err; i++) {
		fsck__fresh(page, i);
		if (write(fd, page, sizeof(page)) != sizeof(page))
			err = -errno;
	}
	if (!err && mmap(fsck->region, FSCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0) != fsck->region)
		err = -errno;
	close(fd);
	return err;
}

static int advise(const struct fsck *fsck, int advice)
{
	const bool whole = fsck->kind->traits & FSCK_HUGETLB;

	for (unsigned i = 0; i < (whole ? 1 : FSCK_CHOSEN); i++)
		if (madvise(whole ? fsck->region : fsck__chosen(fsck, i),
			    whole ? FSCK_BYTES : FSCK_PAGE, advice))
			return -errno;
	return 0;
}

int map__dontneed(struct fsck *fsck)
{
	return advise(fsck, MADV_DONTNEED);
}

/* What is empty is read before anybody looks: then a page is there again. */
int map__dontneed_read(struct fsck *fsck)
{
	int err = advise(fsck, MADV_DONTNEED);

	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++)
		(void)*(volatile unsigned char *)fsck__chosen(fsck, i);
	return err;
}

/* Content goes when the kernel takes the page, not when it is given. */
int map__free(struct fsck *fsck)
{
	int err = advise(fsck, MADV_FREE);

	for (int i = 0; i < 20 && !err && fsck__present(fsck); i++) {
		err = advise(fsck, MADV_PAGEOUT);
		if (!err && fsck__present(fsck))
			usleep(MERGE_US);
	}
	if (!err && fsck__present(fsck))
		return fsck__skip(fsck, "the kernel does not take %u freed pages",
				  fsck__present(fsck));
	return err;
}

/* ---- huge pages, and alike ones ---- */

static int collapse(struct fsck *fsck)
{
	if (fsck->kind->traits & FSCK_ANON && madvise(fsck->region, FSCK_BYTES, MADV_HUGEPAGE))
		return -errno;
	/* EAGAIN: a page is busy. */
	for (int i = 0; i < 20; i++) {
		if (!madvise(fsck->region, FSCK_BYTES, MADV_COLLAPSE))
			return 0;
		if (errno != EAGAIN && errno != EBUSY)
			break;
		usleep(MERGE_US);
	}
	return -errno;
}

int map__collapse(struct fsck *fsck)
{
	int err = collapse(fsck);

	/* A track's protection keeps the kernel from it: SCAN_PTE_UFFD_WP, mm/khugepaged.c. */
	return err == -EINVAL || err == -EAGAIN || err == -EBUSY
		       ? fsck__skip(fsck, "MADV_COLLAPSE does not put it together: %s",
				    strerror(-err))
		       : err;
}

/* Whether it is put together or not: what was stored is to be told. */
int map__store_collapse(struct fsck *fsck)
{
	for (unsigned i = 0; i < FSCK_CHOSEN; i++)
		*(volatile uint64_t *)(fsck__chosen(fsck, i) + 64) = ~(uint64_t)i;
	collapse(fsck);
	return 0;
}

int map__alike(struct fsck *fsck)
{
	for (unsigned i = 0; i < FSCK_CHOSEN; i++)
		memset(fsck__chosen(fsck, i), 0x77, FSCK_PAGE);
	return madvise(fsck->region, FSCK_BYTES, MADV_MERGEABLE)
		       ? fsck__skip(fsck, "KSM: %s", strerror(errno))
		       : 0;
}

static unsigned long merged_pages(void)
{
	FILE *file = fopen("/proc/self/ksm_merging_pages", "re");
	unsigned long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages;
}

int map__merge(struct fsck *fsck)
{
	for (int i = 0; i < MERGE_TRIES && merged_pages() < FSCK_CHOSEN; i++)
		usleep(MERGE_US);
	return merged_pages() < FSCK_CHOSEN
		       ? fsck__skip(fsck, "KSM merges %lu of %u pages", merged_pages(), FSCK_CHOSEN)
		       : 0;
}
