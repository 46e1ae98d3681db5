// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processes that write a known set of pages: the truth that dirtyscope is tested against.
 *
 *   workload ROUTE PAGES [FILE, COUNT, or a name in HEX]
 *
 * It makes everything ready, prints "ready PID OTHER", waits for "go", writes the route's pages and
 * no others, prints "done" and one JSON line, waits for "exit". Its stack, its data and its buffers
 * are resident before "ready", so what a tracker sees between "go" and "done" is the route.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/workload.h"

void work__die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void say(const char *line)
{
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		_exit(1);
}

/* Waits for a line; the end of input means that the test is gone, and so are we. */
static void await_line(void)
{
	char c;

	do {
		if (read(STDIN_FILENO, &c, 1) != 1)
			_exit(0);
	} while (c != '\n');
}

void *work__map(size_t bytes, int flags, int fd)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		work__die("mmap");
	return memory;
}

unsigned char *work__fresh(size_t pages, int flags)
{
	unsigned char *memory = work__map(pages * PAGE, flags | MAP_ANONYMOUS, -1);

	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	return memory;
}

void work__touch(unsigned char *memory, size_t pages, unsigned char value)
{
	for (size_t i = 0; i < pages; i++)
		*(volatile unsigned char *)(memory + i * PAGE) = value;
}

void work__look(const unsigned char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		(void)*(const volatile unsigned char *)(memory + i * PAGE);
}

/* ---- what is done ---- */

static void do_look(struct work *work)
{
	work__look(work->region, work->pages);
}

static void do_write(struct work *work)
{
	work__touch(work->region, work->pages, 3);
	work->written = work->pages;
}

/* into: the region, or the buffer again and again */
static void read_file(struct work *work, unsigned char *into, size_t advance)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB, into += advance)
		if (pread(work->file, into, MIB, (off_t)done) != (ssize_t)MIB)
			work__die("read");
	work->written = work->pages;
}

static void do_read(struct work *work)
{
	read_file(work, work->region, MIB);
}

static void do_read_through(struct work *work)
{
	read_file(work, work->buffer, 0);
}

static void do_populate(struct work *work)
{
	if (madvise(work->region, work->pages * PAGE, MADV_POPULATE_WRITE))
		work__die("MADV_POPULATE_WRITE");
	work->written = work->pages;
}

static void do_map_populate(struct work *work)
{
	work__map(work->pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	work->written = work->pages;
}

static void do_remote(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB) {
		struct iovec from = {work->buffer, MIB}, to = {work->region + done, MIB};

		if (process_vm_writev(work->other, &from, 1, &to, 1, 0) != (ssize_t)MIB)
			work__die("process_vm_writev");
	}
	work->written = work->pages;
}

static void do_userfault(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB) {
		struct uffdio_copy copy = {.dst = (uintptr_t)work->region + done,
					   .src = (uintptr_t)work->buffer,
					   .len = MIB};

		if (ioctl(work->file, UFFDIO_COPY, &copy))
			work__die("UFFDIO_COPY");
	}
	work->written = work->pages;
}

static void do_write_file(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += work->at_once)
		if (write(work->file, work->buffer, work->at_once) != (ssize_t)work->at_once)
			work__die("write");
	work->written = work->pages;
}

static void do_write_sparse(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB) {
		if (pwrite(work->file, work->buffer, PAGE, (off_t)done) != (ssize_t)PAGE)
			work__die("pwrite");
		work->written++;
	}
}

/* A short process: its own pid, the parent's memory, so that it writes its pages and no others. */
static int short_process(void *argument)
{
	struct work *work = argument;
	unsigned char *memory = work__fresh(work->pages, MAP_PRIVATE);

	work__touch(memory, work->pages, 4);
	munmap(memory, work->pages * PAGE);
	return 0;
}

static pid_t short_child(struct work *work)
{
	pid_t child =
		clone(short_process, work->buffer + MIB, CLONE_VM | CLONE_VFORK | SIGCHLD, work);

	if (child < 0 || waitpid(child, NULL, 0) != child)
		work__die("clone");
	work->written += work->pages;
	return child;
}

static void do_spawn(struct work *work)
{
	size_t count = strtoul(work->argument, NULL, 10);

	for (size_t i = 0; i < count; i++)
		short_child(work);
}

/* A pid, given to a second process after the first one has written and left. */
static void do_reuse(struct work *work)
{
	work->other = work__stopped_child(work->pages, short_child(work));
	work->written += work->pages;
}

static void do_sleepers(struct work *work)
{
	size_t count = strtoul(work->argument, NULL, 10);

	for (size_t i = 0; i < count; i++) {
		work__stopped_child(work->pages, 0);
		work->written += work->pages;
	}
}

/* Writes on and on, its pages every 10 ms, until a line comes. */
static void do_sustain(struct work *work)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	while (!poll(&input, 1, 10)) {
		work__touch(work->region, work->pages, 7);
		madvise(work->region, work->pages * PAGE, MADV_DONTNEED);
		work->written += work->pages;
	}
	await_line();
}

#define PRIVATE MAP_PRIVATE
#define NEW_FILE (O_RDWR | O_CREAT | O_TRUNC)

static const struct route {
	const char *name;
	void (*prepare)(struct work *work);
	void (*run)(struct work *work);
	int flags;
	size_t at_once;
} routes[] = {
	{"anonymous", ready__fresh, do_write, PRIVATE, 0},
	{"zero-page", ready__looked, do_write, PRIVATE, 0},
	{"fork-child", ready__child, do_write, PRIVATE, 0},
	{"fork-parent", ready__parent, do_write, PRIVATE, 0},
	{"read-only", ready__fresh, do_look, PRIVATE, 0},
	{"resident", ready__resident, do_write, PRIVATE, 0},
	{"read", ready__file, do_read, O_RDONLY, MIB},
	{"direct-read", ready__file, do_read, O_RDONLY | O_DIRECT, MIB},
	{"populate", ready__fresh, do_populate, PRIVATE, 0},
	{"map-populate", NULL, do_map_populate, PRIVATE, 0},
	{"remote-write", ready__remote, do_remote, PRIVATE, 0},
	{"huge", ready__huge, do_write, PRIVATE, 0},
	{"hugetlb", ready__hugetlb, do_write, PRIVATE, 0},
	{"shared-file", ready__mapped_file, do_write, MAP_SHARED, PAGE},
	{"shared-large", ready__mapped_file, do_write, MAP_SHARED, MIB},
	{"synced-file", ready__synced_file, do_write, MAP_SHARED, PAGE},
	{"private-file", ready__mapped_file, do_write, PRIVATE, PAGE},
	{"shmem", ready__fresh, do_write, MAP_SHARED, 0},
	{"write-small", ready__new_file, do_write_file, NEW_FILE, PAGE},
	{"write-large", ready__new_file, do_write_file, NEW_FILE, MIB},
	{"write-memfd", ready__memory_file, do_write_file, 0, PAGE},
	{"write-tmpfs", ready__new_file, do_write_file, NEW_FILE, MIB},
	{"userfault-copy", ready__userfault, do_userfault, PRIVATE, 0},
	{"write-sparse", ready__file, do_write_sparse, O_RDWR, MIB},
	{"direct-through", ready__file, do_read_through, O_RDONLY | O_DIRECT, MIB},
	{"cold-read", ready__cold, do_read_through, O_RDONLY, MIB},
	{"comm", ready__comm, do_write, PRIVATE, 0},
	{"spawn", NULL, do_spawn, PRIVATE, 0},
	{"reuse", NULL, do_reuse, PRIVATE, 0},
	{"sleepers", NULL, do_sleepers, PRIVATE, 0},
	{"sustain", ready__fresh, do_sustain, PRIVATE, 0},
};

int main(int argc, char **argv)
{
	struct work work = {.file = -1, .argument = argc > 3 ? argv[3] : ""};
	const struct route *route = routes, *end = routes + sizeof(routes) / sizeof(*routes);
	struct rusage before = {0}, after = {0};
	char line[256];

	while (argc > 2 && route < end && strcmp(route->name, argv[1]) != 0)
		route++;
	if (argc < 3 || route == end) {
		fprintf(stderr, "usage: workload ROUTE PAGES [FILE|COUNT|HEX]\n");
		return 2;
	}
	work.pages = strtoul(argv[2], NULL, 10);
	/* Locking makes all that is mapped now resident and writable. */
	work.buffer = work__map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (mlockall(MCL_CURRENT) || munlockall())
		work__die("mlockall");
	memset(work.buffer, 'd', MIB);
	work.flags = route->flags;
	work.at_once = route->at_once;
	if (route->prepare)
		route->prepare(&work);
	(void)snprintf(line, sizeof(line), "ready %d %d\n", getpid(), work.other);
	say(line);
	await_line();

	getrusage(RUSAGE_SELF, &before);
	route->run(&work);
	getrusage(RUSAGE_SELF, &after);
	(void)snprintf(line, sizeof(line),
		       "done\n{\"pid\":%d,\"other\":%d,\"written\":%llu,\"faults\":%ld}\n",
		       getpid(), work.other, (unsigned long long)work.written,
		       after.ru_minflt - before.ru_minflt);
	say(line);
	await_line();
	return 0;
}
