/* SPDX-License-Identifier: BSD-2-Clause */
/* io_uring: reads into memory that is pinned, or not, from what has a device behind it, or not. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

/* include/uapi/linux/io_uring.h of Linux 6.5: rings in memory of the caller's. */
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14)
#endif

struct rings {
	struct io_uring ring;
	int child[2]; /* pipe ends: to it, from it */
	int fd;	      /* of rings that are used for their completions */
};

static int new_rings(struct fsck *fsck, struct rings **out)
{
	struct rings *rings = calloc(1, sizeof(*rings));

	*out = rings;
	fsck->state = rings;
	return rings ? 0 : -ENOMEM;
}

/* What an errno of io_uring_setup() or of a registration means for the cell. */
static int refused(struct fsck *fsck, int err)
{
	switch (err) {
	case -ENOSYS:
	case -EPERM:
		return fsck__skip(fsck, "io_uring is switched off");
	case -EOPNOTSUPP:
		return fsck__skip(fsck, "buffers of this kind of mapping cannot be registered");
	case -EFAULT:
		/* FOLL_LONGTERM: writable_file_mapping_allowed(), mm/gup.c. */
		if (fsck->kind->traits & FSCK_DISK)
			return fsck__skip(fsck,
					  "the kernel pins no page of a file on disk for long");
		return err;
	default:
		return err;
	}
}

int ring__setup(struct fsck *fsck)
{
	struct rings *rings;
	int err = new_rings(fsck, &rings);

	if (!err)
		err = io_uring_queue_init(FSCK_CHOSEN, &rings->ring, 0);
	return err ? refused(fsck, err) : 0;
}

int ring__register(struct fsck *fsck)
{
	const struct iovec whole = {fsck->region, FSCK_BYTES};
	struct rings *rings;
	int err = ring__setup(fsck);

	if (err)
		return err;
	rings = fsck->state;
	err = io_uring_register_buffers(&rings->ring, &whole, 1);
	return err ? refused(fsck, err) : 0;
}

enum how { PLAIN, FIXED, WRITE_FIXED };

static void prepare(struct io_uring_sqe *sqe, enum how how, int fd, unsigned char *page, off_t at)
{
	if (how == PLAIN)
		io_uring_prep_read(sqe, fd, page, FSCK_PAGE, (uint64_t)at);
	else if (how == FIXED)
		io_uring_prep_read_fixed(sqe, fd, page, FSCK_PAGE, (uint64_t)at, 0);
	else
		io_uring_prep_write_fixed(sqe, fd, page, FSCK_PAGE, (uint64_t)at, 0);
}

/* One after the other, since a pipe has no places to read at. */
static int transfer(struct fsck *fsck, enum how how, int fd, bool is_pipe)
{
	struct io_uring *ring = &((struct rings *)fsck->state)->ring;

	for (unsigned i = 0; i < FSCK_CHOSEN; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
		struct io_uring_cqe *cqe;
		int err, done;

		if (!sqe)
			return -EBUSY;
		prepare(sqe, how, fd, fsck__chosen(fsck, i), is_pipe ? -1 : (off_t)(i * FSCK_PAGE));
		err = io_uring_submit_and_wait(ring, 1);
		if (err >= 0)
			err = io_uring_wait_cqe(ring, &cqe);
		if (err < 0)
			return err;
		done = cqe->res;
		io_uring_cqe_seen(ring, cqe);
		if (done != (int)FSCK_PAGE)
			return done < 0 ? done : -EIO;
	}
	return 0;
}

static int read_source(struct fsck *fsck, enum how how, enum fsck_source source)
{
	int fd = fsck__source(fsck, source), err;

	if (fd < 0)
		return fd;
	err = transfer(fsck, how, fd, source == FSCK_PIPE);
	close(fd);
	return err;
}

int ring__read_direct(struct fsck *fsck)
{
	return read_source(fsck, PLAIN, FSCK_DIRECT);
}

int ring__read_cached(struct fsck *fsck)
{
	return read_source(fsck, PLAIN, FSCK_CACHED);
}

int ring__fixed_tmpfs(struct fsck *fsck)
{
	return read_source(fsck, FIXED, FSCK_TMPFS);
}

int ring__fixed_cached(struct fsck *fsck)
{
	return read_source(fsck, FIXED, FSCK_CACHED);
}

int ring__fixed_direct(struct fsck *fsck)
{
	return read_source(fsck, FIXED, FSCK_DIRECT);
}

int ring__fixed_pipe(struct fsck *fsck)
{
	return read_source(fsck, FIXED, FSCK_PIPE);
}

int ring__fixed_write(struct fsck *fsck)
{
	return read_source(fsck, WRITE_FIXED, FSCK_CACHED);
}

/* ---- rings that no descriptor of the process leads to ---- */

/* liburing enters it by its registered index from here on, so its descriptor is not needed. */
int ring__hide(struct fsck *fsck)
{
	struct rings *rings;
	int err = ring__register(fsck);

	if (err)
		return err;
	rings = fsck->state;
	err = io_uring_register_ring_fd(&rings->ring);
	if (err == -EINVAL)
		return fsck__skip(fsck, "this kernel registers no rings (5.18)");
	if (err != 1)
		return err;
	close(rings->ring.ring_fd);
	return 0;
}

static void child_serves(struct fsck *fsck, int from, int to)
{
	int err;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(from, &byte, 1) == 1) {
		err = ring__fixed_tmpfs(fsck);
		if (write(to, &err, sizeof(err)) != sizeof(err))
			break;
	}
	_exit(0);
}

int ring__give_child(struct fsck *fsck)
{
	struct rings *rings;
	int err = ring__register(fsck), order[2], reply[2];
	pid_t child;

	if (err)
		return err;
	rings = fsck->state;
	if (pipe2(order, O_CLOEXEC) || pipe2(reply, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		child_serves(fsck, order[0], reply[1]);
	rings->child[0] = order[1];
	rings->child[1] = reply[0];
	io_uring_queue_exit(&rings->ring);
	return 0;
}

int ring__child_reads(struct fsck *fsck)
{
	const struct rings *rings = fsck->state;
	int err;

	if (write(rings->child[0], "", 1) != 1 ||
	    read(rings->child[1], &err, sizeof(err)) != sizeof(err))
		return -EPIPE;
	return err;
}

/* ---- completions: the kernel's stores into rings ---- */

/*
 * The first page of a ring holds the tail of submissions, which the process stores itself. Of these
 * entries the completions fill four pages behind it, and so many operations get into the third one.
 */
#define ENTRIES 512
#define OPERATIONS 700
#define COMPLETION_PAGES 2

static int complete(const struct rings *rings)
{
	const struct io_uring_sq *sq = &rings->ring.sq;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		const unsigned at = *sq->ktail & (ENTRIES - 1);

		sq->sqes[at] =
			(struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = ~0ULL - i};
		sq->array[at] = at;
		__atomic_store_n(sq->ktail, *sq->ktail + 1, __ATOMIC_RELEASE);
		if (syscall(SYS_io_uring_enter, rings->fd, 1, 0, 0, NULL, 0) != 1)
			return -errno;
	}
	return 0;
}

/* `user_addr`, the last member of both kinds of offsets; Debian 12's headers have no name for it.
 */
static void set_address(void *offsets, size_t size, const unsigned char *memory)
{
	const uint64_t address = (uintptr_t)memory;

	memcpy((unsigned char *)offsets + size - sizeof(address), &address, sizeof(address));
}

/* The ring lies in the region's first pages, and the entries in its second half, both pinned. */
int ring__in_own_memory(struct fsck *fsck)
{
	struct io_uring_params params = {.flags = IORING_SETUP_NO_MMAP};
	unsigned char *entries = fsck->region + FSCK_BYTES / 2;
	struct rings *rings;
	int err = new_rings(fsck, &rings);

	if (err)
		return err;
	memset(fsck->region, 0, 8 * FSCK_PAGE);
	set_address(&params.cq_off, sizeof(params.cq_off), fsck->region);
	set_address(&params.sq_off, sizeof(params.sq_off), entries);
	rings->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (rings->fd < 0)
		return errno == EINVAL
			       ? fsck__skip(fsck, "no rings in memory of this kind (6.5, 6.10)")
			       : refused(fsck, -errno);
	rings->ring.sq.ktail = (unsigned *)(fsck->region + params.sq_off.tail);
	rings->ring.sq.array = (unsigned *)(fsck->region + params.sq_off.array);
	rings->ring.sq.sqes = (struct io_uring_sqe *)entries;
	fsck__area(fsck, fsck->region + FSCK_PAGE, COMPLETION_PAGES);
	return 0;
}

int ring__map_completions(struct fsck *fsck)
{
	struct rings *rings;
	int err = new_rings(fsck, &rings);

	if (!err)
		err = io_uring_queue_init(ENTRIES, &rings->ring, 0);
	if (err)
		return refused(fsck, err);
	rings->fd = rings->ring.ring_fd;
	fsck__area(fsck, (unsigned char *)rings->ring.cq.ring_ptr + FSCK_PAGE, COMPLETION_PAGES);
	return 0;
}

int ring__completions(struct fsck *fsck)
{
	return complete(fsck->state);
}
