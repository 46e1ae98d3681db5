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
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define MIB (1UL << 20)
#define HUGE (2 * MIB)

struct work {
	size_t pages;
	int flags;	/* of open() or mmap(), as the route says */
	size_t at_once; /* bytes of one call */
	const char *argument;
	unsigned char *region; /* pages to write */
	unsigned char *buffer; /* 1 MiB, resident */
	int file;
	pid_t other;	  /* a second process that the route is about, or 0 */
	uint64_t written; /* the truth: pages */
};

static void die(const char *what)
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

static void *map(size_t bytes, int flags, int fd)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

static unsigned char *fresh(size_t pages, int flags)
{
	unsigned char *memory = map(pages * PAGE, flags | MAP_ANONYMOUS, -1);

	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	return memory;
}

static void touch(unsigned char *memory, size_t pages, unsigned char value)
{
	for (size_t i = 0; i < pages; i++)
		*(volatile unsigned char *)(memory + i * PAGE) = value;
}

static void look(const unsigned char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		(void)*(const volatile unsigned char *)(memory + i * PAGE);
}

/*
 * After a fork all is copy-on-write again: what is not of the test is taken back before "ready".
 * All of it, since the kernel writes there too: the restartable sequence of a thread that moved.
 */
static void settle(const struct work *work)
{
	static char text[65536];
	const unsigned char *end = work->region + work->pages * PAGE;
	int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t length = 0, got;

	while (file >= 0 && (got = read(file, text + length, sizeof(text) - 1 - length)) > 0)
		length += got;
	if (file < 0 || close(file) || got)
		die("/proc/self/maps");
	text[length] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long first, last;
		char mode[5];

		if (sscanf(line, "%lx-%lx %4s", &first, &last, mode) != 3 ||
		    strcmp(mode, "rw-p") != 0)
			continue;
		for (volatile unsigned char *at = (unsigned char *)first;
		     at < (unsigned char *)last; at += PAGE)
			if (at < work->region || at >= end)
				*at = *at;
	}
}

/* A process that has written its pages, is stopped, and dies with us; set_tid: its pid, or 0. */
static pid_t stopped_child(size_t pages, pid_t set_tid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = set_tid ? (uintptr_t)&set_tid : 0,
		.set_tid_size = set_tid ? 1 : 0,
	};
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (child < 0)
		die("clone3");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pages)
			touch(fresh(pages, MAP_PRIVATE), pages, 5);
		for (;;)
			kill(getpid(), SIGSTOP);
	}
	if (waitpid(child, NULL, WUNTRACED) != child)
		die("waitpid");
	return child;
}

static int open_file(const struct work *work, int flags)
{
	int fd = open(work->argument, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(work->argument);
	return fd;
}

/* A file of that many pages, on its disk and in the page cache; one that is there already will do.
 */
static void make_file(struct work *work)
{
	int fd = open_file(work, O_RDWR | O_CREAT);
	size_t bytes = work->pages * PAGE, step;
	struct stat status;

	if (fstat(fd, &status))
		die("fstat");
	if ((size_t)status.st_size != bytes) {
		if (ftruncate(fd, 0))
			die("ftruncate");
		for (size_t done = 0; done < bytes; done += step) {
			step = bytes - done < work->at_once ? bytes - done : work->at_once;
			if (write(fd, work->buffer, step) != (ssize_t)step)
				die("write");
		}
	}
	if (fsync(fd))
		die("fsync");
	close(fd);
}

/* ---- how it is made ready ---- */

static void ready_fresh(struct work *work)
{
	work->region = fresh(work->pages, work->flags);
}

static void ready_looked(struct work *work)
{
	ready_fresh(work);
	look(work->region, work->pages);
}

static void ready_resident(struct work *work)
{
	ready_fresh(work);
	touch(work->region, work->pages, 1);
}

/* The child goes on with the test. */
static void ready_child(struct work *work)
{
	pid_t child;

	ready_resident(work);
	child = fork();
	if (child < 0)
		die("fork");
	if (child) {
		waitpid(child, NULL, 0);
		_exit(0);
	}
	settle(work);
}

static void ready_parent(struct work *work)
{
	pid_t child;

	ready_resident(work);
	child = fork();
	if (!child)
		_exit(0);
	if (child < 0 || waitpid(child, NULL, 0) != child)
		die("fork");
	settle(work);
}

static void ready_remote(struct work *work)
{
	ready_fresh(work);
	work->other = stopped_child(0, 0); /* with the same addresses, all fresh */
	settle(work);
}

static void ready_huge(struct work *work)
{
	unsigned char *memory = map(work->pages * PAGE + HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	work->region = memory + (HUGE - (uintptr_t)memory % HUGE) % HUGE;
	if (madvise(work->region, work->pages * PAGE, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE");
}

static void ready_hugetlb(struct work *work)
{
	work->region = map(work->pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
}

static void ready_file(struct work *work)
{
	make_file(work);
	work->file = open_file(work, work->flags);
	work->region = fresh(work->pages, MAP_PRIVATE);
}

static void ready_cold(struct work *work)
{
	ready_file(work);
	if (posix_fadvise(work->file, 0, 0, POSIX_FADV_DONTNEED))
		die("fadvise");
}

static void ready_mapped_file(struct work *work)
{
	make_file(work);
	work->file = open_file(work, O_RDWR);
	work->region = map(work->pages * PAGE, work->flags, work->file);
}

static void ready_synced_file(struct work *work)
{
	ready_mapped_file(work);
	touch(work->region, work->pages, 2);
	if (msync(work->region, work->pages * PAGE, MS_SYNC))
		die("msync");
}

static void ready_comm(struct work *work)
{
	char name[16] = {0};

	for (size_t i = 0; i < sizeof(name) - 1 && work->argument[2 * i]; i++) {
		char byte[3] = {work->argument[2 * i], work->argument[2 * i + 1], 0};

		name[i] = (char)strtol(byte, NULL, 16);
	}
	if (prctl(PR_SET_NAME, name))
		die("PR_SET_NAME");
	ready_fresh(work);
}

static void ready_new_file(struct work *work)
{
	work->file = open_file(work, work->flags);
}

/* ---- what is done ---- */

static void do_look(struct work *work)
{
	look(work->region, work->pages);
}

static void do_write(struct work *work)
{
	touch(work->region, work->pages, 3);
	work->written = work->pages;
}

/* into: the region, or the buffer again and again */
static void read_file(struct work *work, unsigned char *into, size_t advance)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB, into += advance)
		if (pread(work->file, into, MIB, (off_t)done) != (ssize_t)MIB)
			die("read");
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
		die("MADV_POPULATE_WRITE");
	work->written = work->pages;
}

static void do_map_populate(struct work *work)
{
	map(work->pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	work->written = work->pages;
}

static void do_remote(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB) {
		struct iovec from = {work->buffer, MIB}, to = {work->region + done, MIB};

		if (process_vm_writev(work->other, &from, 1, &to, 1, 0) != (ssize_t)MIB)
			die("process_vm_writev");
	}
	work->written = work->pages;
}

static void do_write_file(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += work->at_once)
		if (write(work->file, work->buffer, work->at_once) != (ssize_t)work->at_once)
			die("write");
	work->written = work->pages;
}

static void do_write_sparse(struct work *work)
{
	for (size_t done = 0; done < work->pages * PAGE; done += MIB) {
		if (pwrite(work->file, work->buffer, PAGE, (off_t)done) != (ssize_t)PAGE)
			die("pwrite");
		work->written++;
	}
}

/* A short process: its own pid, the parent's memory, so that it writes its pages and no others. */
static int short_process(void *argument)
{
	struct work *work = argument;
	unsigned char *memory = fresh(work->pages, MAP_PRIVATE);

	touch(memory, work->pages, 4);
	munmap(memory, work->pages * PAGE);
	return 0;
}

static pid_t short_child(struct work *work)
{
	pid_t child =
		clone(short_process, work->buffer + MIB, CLONE_VM | CLONE_VFORK | SIGCHLD, work);

	if (child < 0 || waitpid(child, NULL, 0) != child)
		die("clone");
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
	work->other = stopped_child(work->pages, short_child(work));
	work->written += work->pages;
}

static void do_sleepers(struct work *work)
{
	size_t count = strtoul(work->argument, NULL, 10);

	for (size_t i = 0; i < count; i++) {
		stopped_child(work->pages, 0);
		work->written += work->pages;
	}
}

/* Writes on and on, its pages every 10 ms, until a line comes. */
static void do_sustain(struct work *work)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	while (!poll(&input, 1, 10)) {
		touch(work->region, work->pages, 7);
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
	{"anonymous", ready_fresh, do_write, PRIVATE, 0},
	{"zero-page", ready_looked, do_write, PRIVATE, 0},
	{"fork-child", ready_child, do_write, PRIVATE, 0},
	{"fork-parent", ready_parent, do_write, PRIVATE, 0},
	{"read-only", ready_fresh, do_look, PRIVATE, 0},
	{"resident", ready_resident, do_write, PRIVATE, 0},
	{"read", ready_file, do_read, O_RDONLY, MIB},
	{"direct-read", ready_file, do_read, O_RDONLY | O_DIRECT, MIB},
	{"populate", ready_fresh, do_populate, PRIVATE, 0},
	{"map-populate", NULL, do_map_populate, PRIVATE, 0},
	{"remote-write", ready_remote, do_remote, PRIVATE, 0},
	{"huge", ready_huge, do_write, PRIVATE, 0},
	{"hugetlb", ready_hugetlb, do_write, PRIVATE, 0},
	{"shared-file", ready_mapped_file, do_write, MAP_SHARED, PAGE},
	{"shared-large", ready_mapped_file, do_write, MAP_SHARED, MIB},
	{"synced-file", ready_synced_file, do_write, MAP_SHARED, PAGE},
	{"private-file", ready_mapped_file, do_write, PRIVATE, PAGE},
	{"shmem", ready_fresh, do_write, MAP_SHARED, 0},
	{"write-small", ready_new_file, do_write_file, NEW_FILE, PAGE},
	{"write-large", ready_new_file, do_write_file, NEW_FILE, MIB},
	{"write-sparse", ready_file, do_write_sparse, O_RDWR, MIB},
	{"direct-through", ready_file, do_read_through, O_RDONLY | O_DIRECT, MIB},
	{"cold-read", ready_cold, do_read_through, O_RDONLY, MIB},
	{"comm", ready_comm, do_write, PRIVATE, 0},
	{"spawn", NULL, do_spawn, PRIVATE, 0},
	{"reuse", NULL, do_reuse, PRIVATE, 0},
	{"sleepers", NULL, do_sleepers, PRIVATE, 0},
	{"sustain", ready_fresh, do_sustain, PRIVATE, 0},
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
	work.buffer = map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (mlockall(MCL_CURRENT) || munlockall())
		die("mlockall");
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
