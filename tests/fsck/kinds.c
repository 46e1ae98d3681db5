/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of mappings, and that of placements: how a route meets the page table. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

#define PAGE_OUT_TRIES 100
#define PAGE_OUT_US 20000

/* Begins at a multiple of a huge page: `fd` is mapped over a reservation. */
static int map_region(struct fsck *fsck, int flags, int protection)
{
	unsigned char *place =
		mmap(NULL, FSCK_BYTES + FSCK_HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *region;

	if (place == MAP_FAILED)
		return -errno;
	region = place + FSCK_HUGE - (uintptr_t)place % FSCK_HUGE;
	munmap(place, FSCK_BYTES + FSCK_HUGE);
	region = mmap(region, FSCK_BYTES, protection, flags | MAP_FIXED_NOREPLACE, fsck->fd, 0);
	if (region == MAP_FAILED)
		return -errno;
	fsck->region = region;
	return 0;
}

static int map_filled(struct fsck *fsck, int flags, int advice)
{
	int err = map_region(fsck, flags, PROT_READ | PROT_WRITE);

	if (err)
		return err == -ENOMEM && fsck->kind->traits & FSCK_HUGETLB
			       ? fsck__skip(fsck, "there are no free huge pages for hugetlb")
			       : err;
	if (advice && madvise(fsck->region, FSCK_BYTES, advice))
		return -errno;
	fsck__fill(fsck->region, FSCK_PAGES);
	return 0;
}

/* Whether the mapping's first page stands for all of them in smaps. */
static int must_be_huge(struct fsck *fsck, const char *line)
{
	char text[256], begin[40];
	unsigned long kib = 0;
	bool mine = false;
	FILE *file = fopen("/proc/self/smaps", "re");

	if (!file)
		return -errno;
	snprintf(begin, sizeof(begin), "%lx-", (unsigned long)fsck->region);
	while (fgets(text, sizeof(text), file)) {
		if (!mine)
			mine = __builtin_strncmp(text, begin, __builtin_strlen(begin)) == 0;
		else if (sscanf(text, line, &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024 >= FSCK_BYTES ? 0
					: fsck__skip(fsck, "the kernel gives no huge page here");
}

static int make_private(struct fsck *fsck)
{
	return map_filled(fsck, MAP_PRIVATE | MAP_ANONYMOUS, MADV_NOHUGEPAGE);
}

static int make_thp(struct fsck *fsck)
{
	int err = map_filled(fsck, MAP_PRIVATE | MAP_ANONYMOUS, MADV_HUGEPAGE);

	return err ? err : must_be_huge(fsck, "AnonHugePages: %lu kB");
}

static int make_memfd(struct fsck *fsck)
{
	fsck->fd = memfd_create("fsck", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fsck->fd < 0 || ftruncate(fsck->fd, FSCK_BYTES))
		return -errno;
	return map_filled(fsck, MAP_SHARED, 0);
}

static int make_shared_anonymous(struct fsck *fsck)
{
	return map_filled(fsck, MAP_SHARED | MAP_ANONYMOUS, 0);
}

static int make_file(struct fsck *fsck, const char *directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/mapped-%d", directory, getpid());
	fsck->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fsck->fd < 0)
		return -errno;
	unlink(path);
	return ftruncate(fsck->fd, FSCK_BYTES) ? -errno : 0;
}

static int make_shmem_thp(struct fsck *fsck)
{
	int err;

	if (!fsck->huge)
		return fsck__skip(fsck, "no tmpfs with huge=always");
	err = make_file(fsck, fsck->huge);
	if (!err)
		err = map_filled(fsck, MAP_SHARED, 0);
	return err ? err : must_be_huge(fsck, "ShmemPmdMapped: %lu kB");
}

static int make_file_shared(struct fsck *fsck)
{
	int err = make_file(fsck, fsck->directory);

	if (!err)
		err = map_filled(fsck, MAP_SHARED, 0);
	return err ? err : -(fsync(fsck->fd) != 0) * errno;
}

/* Its pages are the file's until it stores into them. */
static int make_file_private(struct fsck *fsck)
{
	int err = make_file_shared(fsck);

	if (err)
		return err;
	munmap(fsck->region, FSCK_BYTES);
	err = map_region(fsck, MAP_PRIVATE, PROT_READ | PROT_WRITE);
	for (size_t i = 0; !err && i < FSCK_PAGES; i++)
		(void)*(volatile unsigned char *)(fsck->region + i * FSCK_PAGE);
	return err;
}

/* Opened for reading: the process can never write it, others do. */
static int make_readonly(struct fsck *fsck, const char *path)
{
	int err = make_file(fsck, path), writable = fsck->fd;
	char link[64];

	if (!err)
		err = map_filled(fsck, MAP_SHARED, 0);
	if (err)
		return err;
	munmap(fsck->region, FSCK_BYTES);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", writable);
	fsck->fd = open(link, O_RDONLY | O_CLOEXEC);
	err = fsck->fd < 0 ? -errno : map_region(fsck, MAP_SHARED, PROT_READ);
	if (fsck->fd >= 0)
		close(fsck->fd);
	fsck->fd = writable;
	for (size_t i = 0; !err && i < FSCK_PAGES; i++)
		(void)*(volatile unsigned char *)(fsck->region + i * FSCK_PAGE);
	return err;
}

static int make_shmem_readonly(struct fsck *fsck)
{
	return make_readonly(fsck, "/dev/shm");
}

static int make_file_readonly(struct fsck *fsck)
{
	return make_readonly(fsck, fsck->directory);
}

static int make_hugetlb(struct fsck *fsck)
{
	return map_filled(fsck, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, 0);
}

static int make_hugetlb_shared(struct fsck *fsck)
{
	fsck->fd = memfd_create("fsck", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING);
	if (fsck->fd < 0 || ftruncate(fsck->fd, FSCK_BYTES))
		return -errno;
	return map_filled(fsck, MAP_SHARED, 0);
}

static int make_nothing(struct fsck *fsck)
{
	return 0;
}

const struct fsck_kind fsck_kinds[] = {
	{"private", FSCK_ANON, make_private},
	{"thp", FSCK_ANON | FSCK_THP, make_thp},
	{"memfd", FSCK_SHARED | FSCK_FD | FSCK_FILE, make_memfd},
	{"shared-anonymous", FSCK_SHARED, make_shared_anonymous},
	{"shmem-thp", FSCK_SHARED | FSCK_FD | FSCK_FILE | FSCK_THP, make_shmem_thp},
	{"file-shared", FSCK_SHARED | FSCK_FD | FSCK_FILE | FSCK_DISK, make_file_shared},
	{"file-private", FSCK_FD | FSCK_FILE | FSCK_DISK, make_file_private},
	{"shmem-readonly", FSCK_SHARED | FSCK_FD | FSCK_FILE | FSCK_READONLY, make_shmem_readonly},
	{"file-readonly", FSCK_SHARED | FSCK_FD | FSCK_FILE | FSCK_DISK | FSCK_READONLY,
	 make_file_readonly},
	{"hugetlb", FSCK_ANON | FSCK_HUGETLB, make_hugetlb},
	{"hugetlb-shared", FSCK_SHARED | FSCK_FD | FSCK_HUGETLB, make_hugetlb_shared},
	{"kernel", FSCK_KERNEL, make_nothing},
	{0},
};

/* ---- placements ---- */

static int page_out(struct fsck *fsck)
{
	if (msync(fsck->region, FSCK_BYTES, MS_SYNC))
		return -errno;
	for (int i = 0; i < PAGE_OUT_TRIES && fsck__present(fsck); i++) {
		if (madvise(fsck->region, FSCK_BYTES, MADV_PAGEOUT))
			return -errno;
		if (fsck__present(fsck))
			usleep(PAGE_OUT_US);
	}
	return fsck__present(fsck) ? fsck__skip(fsck, "%u of %u pages cannot be paged out",
						fsck__present(fsck), FSCK_CHOSEN)
				   : 0;
}

static int drop(struct fsck *fsck)
{
	if (madvise(fsck->region, FSCK_BYTES, MADV_DONTNEED))
		return -errno;
	return fsck__present(fsck) ? fsck__skip(fsck, "MADV_DONTNEED leaves the page table") : 0;
}

/* Unmapped, and mapped again in the same place. */
static int map_anew(struct fsck *fsck)
{
	const int protection =
		fsck->kind->traits & FSCK_READONLY ? PROT_READ : PROT_READ | PROT_WRITE;

	return mmap(fsck->region, FSCK_BYTES, protection, MAP_SHARED | MAP_FIXED, fsck->fd, 0) ==
			       fsck->region
		       ? 0
		       : -errno;
}

const struct fsck_placement fsck_placements[] = {
	{.name = "present"},
	{.name = "paged-out-before", .never = FSCK_HUGETLB, .before = page_out},
	{.name = "paged-out-after", .never = FSCK_HUGETLB, .after = page_out},
	{.name = "dropped-before", .needs = FSCK_SHARED, .before = drop},
	{.name = "dropped-after", .needs = FSCK_SHARED, .after = drop},
	{.name = "mapped-anew-after", .needs = FSCK_SHARED | FSCK_FD, .after = map_anew},
	{0},
};
