// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loads whose time is taken: "load fault MILLISECONDS", "load write MILLISECONDS FILE".
 * Passes over 8 MiB for about that long on one CPU; prints the median pass in nanoseconds per page,
 * the setting up left out. A median, because a pass that was interrupted says nothing.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 2048UL
#define PASSES 4096

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* First writes to anonymous pages; the pages are given back outside of the time taken. */
static uint64_t fault_pass(unsigned char *memory)
{
	uint64_t begin = now_ns(), taken;

	for (size_t i = 0; i < PAGES; i++)
		*(volatile unsigned char *)(memory + i * PAGE) = 1;
	taken = now_ns() - begin;
	if (madvise(memory, PAGES * PAGE, MADV_DONTNEED))
		return 0;
	return taken;
}

/* Clean or absent page-cache pages become dirty, 4 KiB a call. */
static uint64_t write_pass(const unsigned char *memory, int fd)
{
	uint64_t begin = now_ns(), taken;

	for (size_t i = 0; i < PAGES; i++)
		if (write(fd, memory, PAGE) != (ssize_t)PAGE)
			return 0;
	taken = now_ns() - begin;
	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
		return 0;
	return taken;
}

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	int fd = argc > 3 ? open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	int write_it = argc > 3 && strcmp(argv[1], "write") == 0;
	uint64_t end, one, taken[PASSES];
	size_t passes = 0;
	unsigned char *memory;
	cpu_set_t cpu;

	if (argc < 3 || (write_it && fd < 0) || (!write_it && strcmp(argv[1], "fault") != 0)) {
		fprintf(stderr, "usage: load fault MILLISECONDS | load write MILLISECONDS FILE\n");
		return 2;
	}
	CPU_ZERO(&cpu);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &cpu);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED || madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE) ||
	    sched_setaffinity(0, sizeof(cpu), &cpu)) {
		perror("load");
		return 1;
	}
	end = now_ns() + strtoull(argv[2], NULL, 10) * 1000000;
	while (now_ns() < end && passes < PASSES) {
		one = write_it ? write_pass(memory, fd) : fault_pass(memory);
		taken[passes++] = one;
		if (!one) {
			perror("load");
			return 1;
		}
	}
	qsort(taken, passes, sizeof(*taken), by_value);
	one = taken[passes / 2];
	printf("%.2f\n", (double)one / PAGES);
	return 0;
}
