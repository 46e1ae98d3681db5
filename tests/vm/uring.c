// SPDX-License-Identifier: BSD-2-Clause
/*
 * A process into whose memory a disk writes: by io_uring, also through buffers that it registered
 * (pinned) before, by O_DIRECT and by buffered reads; its CPUs store into the other pages.
 *
 *   uring KIND PAGES DISK      KIND: private, shared (a memfd), huge
 *
 * It prints "PID ADDRESS", and obeys a command a line, each answered by "done". The disk writes
 * even pages, CPUs store into odd ones. BASE: which page of the disk comes into page 0.
 *
 *   register | unregister
 *   fixed BASE | plain BASE | direct BASE | buffered BASE     all even pages are read
 *   submit BASE | submit_plain BASE | reap      reads, through registered buffers or not, that are
 *                           on their way in between
 *   store SEED              all odd pages
 *   sparse SEED             every 10th page of another mapping, as large, at lower addresses
 *   run BASE                reads and stores in the background, until
 *   quiesce                 which returns when no read is on its way
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define ENTRIES 128
#define DISK_FIRST 8192 /* of the test's disks nobody writes the second half */
#define DISK_PAGES 8191 /* a prime: what comes into a page differs, round after round */
#define PAUSE_NS 200000 /* between two stores, so that the disk gets its turn */

struct ring {
	int fd;
	unsigned *tail, *head, *mask, *array;
	unsigned *done_head, *done_tail, *done_mask;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *done;
	unsigned queued;
};

struct target {
	unsigned char *region, *other;
	size_t pages;
	int disk, cached; /* the same disk, with and without O_DIRECT */
	struct ring ring;
	int stop;
	uint64_t base;
	pthread_t reader, writer;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "uring: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void *ring_map(int fd, size_t bytes, off_t offset)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	if (memory == MAP_FAILED)
		die("the ring's memory");
	return memory;
}

static void ring_make(struct ring *ring)
{
	struct io_uring_params params = {0};
	unsigned char *submit, *complete;

	ring->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring->fd < 0)
		die("io_uring_setup");
	submit = ring_map(ring->fd, params.sq_off.array + params.sq_entries * sizeof(unsigned),
			  IORING_OFF_SQ_RING);
	complete = ring_map(ring->fd, params.cq_off.cqes + params.cq_entries * sizeof(*ring->done),
			    IORING_OFF_CQ_RING);
	ring->entries =
		ring_map(ring->fd, params.sq_entries * sizeof(*ring->entries), IORING_OFF_SQES);
	ring->head = (unsigned *)(submit + params.sq_off.head);
	ring->tail = (unsigned *)(submit + params.sq_off.tail);
	ring->mask = (unsigned *)(submit + params.sq_off.ring_mask);
	ring->array = (unsigned *)(submit + params.sq_off.array);
	ring->done_head = (unsigned *)(complete + params.cq_off.head);
	ring->done_tail = (unsigned *)(complete + params.cq_off.tail);
	ring->done_mask = (unsigned *)(complete + params.cq_off.ring_mask);
	ring->done = (struct io_uring_cqe *)(complete + params.cq_off.cqes);
}

/* Takes what has ended; waits for all that was queued when `all`. */
static void ring_reap(struct ring *ring, int all)
{
	while (ring->queued) {
		unsigned head = *ring->done_head;

		if (head == __atomic_load_n(ring->done_tail, __ATOMIC_ACQUIRE)) {
			if (!all)
				return;
			if (syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS,
				    NULL, 0) < 0 &&
			    errno != EINTR)
				die("io_uring_enter");
			continue;
		}
		if (ring->done[head & *ring->done_mask].res != (int)PAGE) {
			errno = -ring->done[head & *ring->done_mask].res;
			die("a read");
		}
		__atomic_store_n(ring->done_head, head + 1, __ATOMIC_RELEASE);
		ring->queued--;
	}
}

static uint64_t disk_offset(uint64_t number)
{
	return (DISK_FIRST + number % DISK_PAGES) * PAGE;
}

static void ring_read(struct target *target, int opcode, size_t page, uint64_t from)
{
	struct ring *ring = &target->ring;
	unsigned tail = *ring->tail, index = tail & *ring->mask;

	if (ring->queued == ENTRIES)
		ring_reap(ring, 1);
	ring->entries[index] = (struct io_uring_sqe){
		.opcode = (uint8_t)opcode,
		.fd = target->disk,
		.off = disk_offset(from),
		.addr = (uintptr_t)(target->region + page * PAGE),
		.len = PAGE,
	};
	ring->array[index] = index;
	__atomic_store_n(ring->tail, tail + 1, __ATOMIC_RELEASE);
	ring->queued++;
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) != 1)
		die("io_uring_enter");
}

static void read_even(struct target *target, const char *how, uint64_t base)
{
	for (size_t page = 0; page < target->pages; page += 2) {
		const off_t from = (off_t)disk_offset(base + page);
		unsigned char *into = target->region + page * PAGE;

		if (!strcmp(how, "fixed"))
			ring_read(target, IORING_OP_READ_FIXED, page, base + page);
		else if (!strcmp(how, "plain"))
			ring_read(target, IORING_OP_READ, page, base + page);
		else if (pread(!strcmp(how, "direct") ? target->disk : target->cached, into, PAGE,
			       from) != (ssize_t)PAGE)
			die("pread");
	}
	ring_reap(&target->ring, 1);
}

static void store(struct target *target, size_t page, uint64_t value)
{
	*(volatile uint64_t *)(target->region + page * PAGE + value * 8 % PAGE) = value;
}

static void store_sparse(struct target *target, uint64_t value)
{
	for (size_t page = 0; page < target->pages; page += 10)
		*(volatile uint64_t *)(target->other + page * PAGE) = value;
}

static void *read_on(void *argument)
{
	struct target *target = argument;

	for (uint64_t i = 0; !__atomic_load_n(&target->stop, __ATOMIC_ACQUIRE); i++)
		ring_read(target, IORING_OP_READ_FIXED, i * 2 % target->pages, target->base + i);
	ring_reap(&target->ring, 1);
	return NULL;
}

static void *store_on(void *argument)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct target *target = argument;

	for (uint64_t i = 0; !__atomic_load_n(&target->stop, __ATOMIC_ACQUIRE); i++) {
		store(target, (i * 34 + 1) % target->pages, target->base * 4096 + i + 1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void do_register(struct target *target)
{
	struct iovec whole = {target->region, target->pages * PAGE};

	if (syscall(SYS_io_uring_register, target->ring.fd, IORING_REGISTER_BUFFERS, &whole, 1))
		die("IORING_REGISTER_BUFFERS");
}

static void obey(struct target *target, const char *verb, uint64_t number)
{
	if (!strcmp(verb, "register")) {
		do_register(target);
	} else if (!strcmp(verb, "unregister")) {
		if (syscall(SYS_io_uring_register, target->ring.fd, IORING_UNREGISTER_BUFFERS, NULL,
			    0))
			die("IORING_UNREGISTER_BUFFERS");
	} else if (!strcmp(verb, "submit") || !strcmp(verb, "submit_plain")) {
		const int how = verb[6] ? IORING_OP_READ : IORING_OP_READ_FIXED;

		for (size_t page = 0; page < 2 * ENTRIES && page < target->pages; page += 2)
			ring_read(target, how, page, number + page);
	} else if (!strcmp(verb, "reap") || !strcmp(verb, "quiesce")) {
		if (*verb == 'q') {
			__atomic_store_n(&target->stop, 1, __ATOMIC_RELEASE);
			pthread_join(target->reader, NULL);
			pthread_join(target->writer, NULL);
		}
		ring_reap(&target->ring, 1);
	} else if (!strcmp(verb, "store")) {
		for (size_t page = 1; page < target->pages; page += 2)
			store(target, page, number + page);
	} else if (!strcmp(verb, "sparse")) {
		store_sparse(target, number);
	} else if (!strcmp(verb, "run")) {
		target->stop = 0;
		target->base = number;
		if (pthread_create(&target->reader, NULL, read_on, target) ||
		    pthread_create(&target->writer, NULL, store_on, target))
			die("pthread_create");
	} else {
		read_even(target, verb, number);
	}
}

/* Begins at a multiple of a huge page, whether it may have one or not. */
static unsigned char *make_region(const char *kind, size_t bytes)
{
	const int shared = !strcmp(kind, "shared"), huge = !strcmp(kind, "huge");
	unsigned char *region;
	int fd = -1;

	if (shared) {
		fd = memfd_create("uring", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)(bytes + HUGE)))
			die("memfd");
	}
	region = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
		      shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (region == MAP_FAILED)
		die("mmap");
	if (shared)
		close(fd); /* the mapping is the only way to it */
	region += HUGE - (uintptr_t)region % HUGE;
	if (madvise(region, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
	memset(region, 1, bytes);
	return region;
}

/* Below what was mapped before, and kept apart from it by its flags. */
static unsigned char *make_other(size_t bytes)
{
	unsigned char *other =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (other == MAP_FAILED || madvise(other, bytes, MADV_DONTDUMP) ||
	    madvise(other, bytes, MADV_NOHUGEPAGE))
		die("another mapping");
	memset(other, 1, bytes);
	return other;
}

int main(int argc, char **argv)
{
	struct target target = {.pages = argc > 3 ? strtoul(argv[2], NULL, 10) : 0};
	char line[128];

	if (!target.pages) {
		fprintf(stderr, "usage: uring KIND PAGES DISK\n");
		return 2;
	}
	target.disk = open(argv[3], O_RDONLY | O_DIRECT | O_CLOEXEC);
	target.cached = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (target.disk < 0 || target.cached < 0)
		die(argv[3]);
	target.region = make_region(argv[1], target.pages * PAGE);
	target.other = make_other(target.pages * PAGE);
	ring_make(&target.ring);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%d %lx\n", getpid(), (unsigned long)target.region);
	while (fgets(line, sizeof(line), stdin)) {
		const char *verb = strtok(line, " \n"), *number = strtok(NULL, " \n");

		obey(&target, verb, number ? strtoull(number, NULL, 10) : 0);
		printf("done\n");
	}
	return 0;
}
