/* SPDX-License-Identifier: BSD-2-Clause */
/* How a route is made ready: its memory, its file, its second process. */
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/workload.h"

#define HUGE (2 * MIB)

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
		work__die("/proc/self/maps");
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

pid_t work__stopped_child(size_t pages, pid_t set_tid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = set_tid ? (uintptr_t)&set_tid : 0,
		.set_tid_size = set_tid ? 1 : 0,
	};
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (child < 0)
		work__die("clone3");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pages)
			work__touch(work__fresh(pages, MAP_PRIVATE), pages, 5);
		for (;;)
			kill(getpid(), SIGSTOP);
	}
	if (waitpid(child, NULL, WUNTRACED) != child)
		work__die("waitpid");
	return child;
}

static int open_file(const struct work *work, int flags)
{
	int fd = open(work->argument, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		work__die(work->argument);
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
		work__die("fstat");
	if ((size_t)status.st_size != bytes) {
		if (ftruncate(fd, 0))
			work__die("ftruncate");
		for (size_t done = 0; done < bytes; done += step) {
			step = bytes - done < work->at_once ? bytes - done : work->at_once;
			if (write(fd, work->buffer, step) != (ssize_t)step)
				work__die("write");
		}
	}
	if (fsync(fd))
		work__die("fsync");
	close(fd);
}

/* ---- how it is made ready ---- */

void ready__fresh(struct work *work)
{
	work->region = work__fresh(work->pages, work->flags);
}

void ready__looked(struct work *work)
{
	ready__fresh(work);
	work__look(work->region, work->pages);
}

void ready__resident(struct work *work)
{
	ready__fresh(work);
	work__touch(work->region, work->pages, 1);
}

/* The child goes on with the test. */
void ready__child(struct work *work)
{
	pid_t child;

	ready__resident(work);
	child = fork();
	if (child < 0)
		work__die("fork");
	if (child) {
		waitpid(child, NULL, 0);
		_exit(0);
	}
	settle(work);
}

void ready__parent(struct work *work)
{
	pid_t child;

	ready__resident(work);
	child = fork();
	if (!child)
		_exit(0);
	if (child < 0 || waitpid(child, NULL, 0) != child)
		work__die("fork");
	settle(work);
}

void ready__remote(struct work *work)
{
	ready__fresh(work);
	work->other = work__stopped_child(0, 0); /* with the same addresses, all fresh */
	settle(work);
}

void ready__huge(struct work *work)
{
	unsigned char *memory =
		work__map(work->pages * PAGE + HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	work->region = memory + (HUGE - (uintptr_t)memory % HUGE) % HUGE;
	if (madvise(work->region, work->pages * PAGE, MADV_HUGEPAGE))
		work__die("MADV_HUGEPAGE");
}

void ready__hugetlb(struct work *work)
{
	work->region = work__map(work->pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
}

void ready__file(struct work *work)
{
	make_file(work);
	work->file = open_file(work, work->flags);
	work->region = work__fresh(work->pages, MAP_PRIVATE);
}

void ready__cold(struct work *work)
{
	ready__file(work);
	if (posix_fadvise(work->file, 0, 0, POSIX_FADV_DONTNEED))
		work__die("fadvise");
}

void ready__mapped_file(struct work *work)
{
	make_file(work);
	work->file = open_file(work, O_RDWR);
	work->region = work__map(work->pages * PAGE, work->flags, work->file);
}

void ready__synced_file(struct work *work)
{
	ready__mapped_file(work);
	work__touch(work->region, work->pages, 2);
	if (msync(work->region, work->pages * PAGE, MS_SYNC))
		work__die("msync");
}

void ready__comm(struct work *work)
{
	char name[16] = {0};

	for (size_t i = 0; i < sizeof(name) - 1 && work->argument[2 * i]; i++) {
		char byte[3] = {work->argument[2 * i], work->argument[2 * i + 1], 0};

		name[i] = (char)strtol(byte, NULL, 16);
	}
	if (prctl(PR_SET_NAME, name))
		work__die("PR_SET_NAME");
	ready__fresh(work);
}

void ready__memory_file(struct work *work)
{
	work->file = memfd_create("workload", MFD_CLOEXEC);
	if (work->file < 0)
		work__die("memfd_create");
}

void ready__userfault(struct work *work)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	ready__fresh(work);
	range.range.start = (uintptr_t)work->region;
	range.range.len = work->pages * PAGE;
	work->file = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (work->file < 0 || ioctl(work->file, UFFDIO_API, &api) ||
	    ioctl(work->file, UFFDIO_REGISTER, &range))
		work__die("userfaultfd");
}

void ready__new_file(struct work *work)
{
	work->file = open_file(work, work->flags);
}
