/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/backend_cost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/tracks/cpu/page_table.h"
#include "agent/tracks/cpu/soft_dirty.h"
#include "agent/tracks/cpu/userfault.h"

#define PAGES 4096 /* 16 MiB */
#define ROUNDS 4
#define WRITES 16 /* in a round: a page in 256 */
/* An agent that has more in memory does not clear its own bits: it takes too long. */
#define RESIDENT_MOST (64ULL << 20)

static const char no_ground[] = "the agent has no memory for it";

struct ground {
	unsigned char *memory; /* PAGES of them, all present, none of them huge */
	uint64_t start, end;
	struct page_table *pagemap; /* the agent's own */
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double least(double one, double other)
{
	return one > 0 && one < other ? one : other;
}

static int make_ground(struct ground *ground)
{
	const size_t bytes = PAGES * PAGE_BYTES;
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*ground = (struct ground){0};
	if (memory == MAP_FAILED || !memory)
		return -ENOMEM;
	ground->memory = memory;
	ground->start = (uint64_t)(uintptr_t)memory;
	ground->end = ground->start + bytes;
	/* Where it cannot be refused, huge pages are all there is. */
	(void)madvise(memory, bytes, MADV_NOHUGEPAGE);
	if (madvise(memory, bytes, MADV_POPULATE_WRITE)) /* Linux 5.14 */
		for (size_t i = 0; i < PAGES; i++)
			*(volatile unsigned char *)(ground->memory + i * PAGE_BYTES) = 1;
	return page_table__open("/proc", (uint32_t)getpid(), &ground->pagemap);
}

static void free_ground(struct ground *ground)
{
	page_table__close(ground->pagemap);
	if (ground->memory)
		munmap(ground->memory, PAGES * PAGE_BYTES);
}

/* ns a page, for other pages in each round. */
static double write_some(const struct ground *ground, unsigned round)
{
	const double begin = now_ns();

	for (unsigned i = 0; i < WRITES; i++)
		*(volatile unsigned char *)(ground->memory + (i * ROUNDS + round) *
								     (PAGES / WRITES / ROUNDS) *
								     PAGE_BYTES) = 1;
	return (now_ns() - begin) / WRITES;
}

static int ignore_run(void *context, uint64_t start, uint64_t end)
{
	return 0;
}

static int ignore_entries(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	return 0;
}

static const char *protect_and_scan(const struct ground *ground, int uffd,
				    struct backend_cost *cost)
{
	static const struct page_table_scan written = {
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.mask = PAGE_IS_WRITTEN,
		.each = ignore_run,
	};

	if (userfault__hold(uffd, ground->start, ground->end) ||
	    page_table__protect(ground->pagemap, ground->start, ground->end))
		return "memory of the agent cannot be protected";
	for (unsigned round = 0; round < ROUNDS; round++) {
		double begin;

		cost->fault_ns = least(cost->fault_ns, write_some(ground, round));
		begin = now_ns();
		if (page_table__scan(ground->pagemap, ground->start, ground->end, &written))
			return "memory of the agent cannot be scanned";
		cost->scan_ns_per_page = least(cost->scan_ns_per_page, (now_ns() - begin) / PAGES);
	}
	return NULL;
}

static const char *measure_scan(struct backend_cost *cost)
{
	const int uffd = userfault__open();
	struct ground ground;
	const char *unknown;

	if (uffd < 0)
		return "this kernel has no asynchronous write-protection (6.7), or the agent may "
		       "not use it on itself";
	unknown = make_ground(&ground) ? no_ground : protect_and_scan(&ground, uffd, cost);
	close(uffd);
	free_ground(&ground);
	return unknown;
}

/* Bytes that the agent has in memory; statm: size resident ..., in pages. */
static uint64_t resident(void)
{
	unsigned long long size, pages;
	char text[128];

	if (files__read(AT_FDCWD, "/proc/self/statm", text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &size, &pages) != 2)
		return UINT64_MAX;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Clearing goes over all of the agent's memory, reading over as much as is asked for. */
static const char *clear_and_read(const struct ground *ground, struct backend_cost *cost)
{
	const double pages = (double)resident() / (double)PAGE_BYTES;

	for (unsigned round = 0; round < ROUNDS; round++) {
		double begin = now_ns(), clearing;

		if (soft_dirty__clear("/proc", (uint32_t)getpid()))
			return "the agent may not clear its soft-dirty bits";
		clearing = (now_ns() - begin) / pages;
		cost->fault_ns = least(cost->fault_ns, write_some(ground, round));
		begin = now_ns();
		if (page_table__read(ground->pagemap, ground->start, ground->end, ignore_entries,
				     NULL))
			return "the agent cannot read its page table";
		cost->scan_ns_per_page =
			least(cost->scan_ns_per_page, clearing + (now_ns() - begin) / PAGES);
	}
	return NULL;
}

static const char *measure_soft_dirty(struct backend_cost *cost)
{
	struct ground ground;
	const char *unknown;

	if (!soft_dirty__is_there())
		return "this kernel has no soft-dirty bits";
	if (resident() > RESIDENT_MOST)
		return "the agent has too much memory to clear its soft-dirty bits";
	unknown = make_ground(&ground) ? no_ground : clear_and_read(&ground, cost);
	free_ground(&ground);
	return unknown;
}

void backend_costs__measure(struct backend_costs *costs)
{
	static const char *const names[MEASURED_BACKENDS] = {"pagemap-scan", "soft-dirty"};
	static const char *(*const measure[MEASURED_BACKENDS])(struct backend_cost * cost) = {
		measure_scan, measure_soft_dirty};

	for (int i = 0; i < MEASURED_BACKENDS; i++) {
		struct backend_cost *cost = &costs->rows[i];

		*cost = (struct backend_cost){
			.backend = names[i], .scan_ns_per_page = 1e12, .fault_ns = 1e12};
		cost->unknown = measure[i](cost);
	}
}
