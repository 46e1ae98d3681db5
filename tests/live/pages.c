/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Are they the right pages? A buffer is read into with O_DIRECT; /proc/self/pagemap says in which
 * page frames it lies; how many of those the page set holds, how many of the frames between them,
 * which nobody writes meanwhile, and what else, is printed as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/kernel/kernel_side.h"
#include "agent/kernel/page_sets.h"
#include "agent/option_table.h"

#define PAGES 4096
#define SIZE (PAGES * DS_PAGE_SIZE)

struct found {
	const uint64_t *wanted, *neighbours; /* sorted PFNs */
	uint64_t hits, wrong, extra;
};

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void match(void *context, uint64_t first_pfn, uint64_t bits)
{
	struct found *found = context;

	for (; bits; bits &= bits - 1) {
		uint64_t pfn = first_pfn + __builtin_ctzll(bits);

		if (bsearch(&pfn, found->wanted, PAGES, sizeof(pfn), by_value))
			found->hits++;
		else if (bsearch(&pfn, found->neighbours, PAGES, sizeof(pfn), by_value))
			found->wrong++;
		else
			found->extra++;
	}
}

/* Every second page only, so that neighbours would show. */
static int read_file(const char *path, char *buffer)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (size_t page = 0; page < PAGES; page++)
		if (pread(fd, buffer + 2 * page * DS_PAGE_SIZE, DS_PAGE_SIZE,
			  page * DS_PAGE_SIZE) != (ssize_t)DS_PAGE_SIZE) {
			close(fd);
			return -EIO;
		}
	close(fd);
	return 0;
}

/* Of every second page of the buffer, from page `first` on. */
static int page_frames(const char *buffer, size_t first, uint64_t *frames)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (size_t page = 0; page < PAGES; page++) {
		uint64_t entry, address = (uint64_t)buffer + (2 * page + first) * DS_PAGE_SIZE;

		if (pread(fd, &entry, sizeof(entry), address / DS_PAGE_SIZE * sizeof(entry)) !=
			    sizeof(entry) ||
		    !(entry >> 63)) {
			close(fd);
			return -EIO;
		}
		frames[page] = entry & ((1ULL << 55) - 1);
	}
	close(fd);
	qsort(frames, PAGES, sizeof(*frames), by_value);
	return 0;
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *data = malloc(SIZE);
	int err = fd < 0 || !data;

	if (!err) {
		memset(data, 0x5a, SIZE);
		err = write(fd, data, SIZE) != (ssize_t)SIZE || fsync(fd);
	}
	free(data);
	if (fd >= 0)
		close(fd);
	return err ? -EIO : 0;
}

int main(int argc, char **argv)
{
	static uint64_t frames[PAGES], neighbours[PAGES];
	struct kernel_error error = {""};
	struct kernel_side *kernel = NULL;
	struct page_sets *sets = NULL;
	struct agent_config config;
	struct found found = {.wanted = frames, .neighbours = neighbours};
	char path[4096];
	char *buffer;
	int err;

	snprintf(path, sizeof(path), "%s/pages.data", argc > 1 ? argv[1] : ".");
	agent_config__defaults(&config);
	buffer = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || madvise(buffer, 2 * SIZE, MADV_NOHUGEPAGE))
		return 1;
	memset(buffer, 1, 2 * SIZE);
	err = make_file(path);
	if (!err)
		err = kernel_side__new(&(struct kernel_options){.config = &config}, &kernel,
				       &error);
	if (!err)
		err = page_sets__new(kernel_side__tables(kernel), config.page_set_memory, &sets);
	if (err) {
		fprintf(stderr, "pages: %s %s\n", error.message, strerror(-err));
		return 1;
	}
	err = kernel_side__attach(kernel, &error);
	if (!err)
		err = read_file(path, buffer);
	if (!err)
		err = page_frames(buffer, 0, frames);
	if (!err)
		err = page_frames(buffer, 1, neighbours);
	page_sets__sweep(sets, PAGE_SET_SHARED, match, &found);
	printf("{\"wanted\": %d, \"hits\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"extra\": %" PRIu64
	       "}\n",
	       PAGES, found.hits, found.wrong, found.extra);
	if (err)
		fprintf(stderr, "pages: %s %s\n", error.message, strerror(-err));
	unlink(path);
	page_sets__free(sets);
	kernel_side__free(kernel);
	return err != 0;
}
