/* SPDX-License-Identifier: BSD-2-Clause */
/* Pinned memory: the text of a ring, as several kernels write it, and this process's own. */
#include <errno.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/host/pins.h"

#define HEAD "pos:\t0\nflags:\t02000002\nSqMask:\t0x7\n"

static void test_ring(void **state)
{
	struct pins pins = {.whole = true};

	/* 6.18, with an empty place, as 6.1 writes that one, and as 6.14 does. */
	assert_int_equal(pins__parse_ring(HEAD "UserFiles:\t0\nUserBufs:\t4\n"
					       "    0: 0x7f2971200000/65536\n"
					       "    1: 0xffffffffffffffff/1\n"
					       "    2: <none>\n"
					       "    3: 0x7f2971210064/5000\n"
					       "PollList:\n",
					  &pins),
			 0);
	assert_int_equal(pins.range_count, 2);
	assert_int_equal(pins.by[PIN_IO_URING], 65536 + 2 * 4096);
	assert_true(pins.ranges[1].start == 0x7f2971210000 && pins.ranges[1].end == 0x7f2971212000);
	pins__clear(&pins);
}

/* Of 8 submissions and 512 completions; the head takes a page at most. */
static void test_ring_size(void **state)
{
	assert_int_equal(pins__ring_bytes(HEAD "CqMask:\t0x1ff\n"), 6 * 4096);
	assert_int_equal(pins__ring_bytes(HEAD), 0);
	assert_int_equal(pins__ring_bytes(HEAD "CqMask:\t0xfffffffffffffff\n"), 0);
	assert_int_equal(pins__ring_bytes(HEAD "CqMask:\t-\n"), 0);
}

static void test_ring_without_buffers(void **state)
{
	struct pins pins = {.whole = true};

	assert_int_equal(pins__parse_ring(HEAD "UserBufs:\t0\nPollList:\n", &pins), 0);
	assert_int_equal(pins.range_count, 0);
	pins__clear(&pins);
}

/* The kernel leaves the buffers out where it does not get the ring's lock. */
static void test_ring_in_use(void **state)
{
	static const char *const texts[] = {
		HEAD,
		HEAD "UserBufs:\t2\nPollList:\n",
		HEAD "UserBufs:\t2\n    0: 0x7f2971200000/65536\n",
		HEAD "UserBufs:\t2\n",
	};
	struct pins pins = {.whole = true};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(pins__parse_ring(texts[i], &pins), -EAGAIN);
	pins__clear(&pins);
}

static void test_ring_of_nonsense(void **state)
{
	static const char *const texts[] = {
		"",
		"eventfd-count: 1\n",
		HEAD "UserBufs:\t-\n",
		HEAD "UserBufs:\t1\n    0: 0xgg/65536\n",
		HEAD "UserBufs:\t1\n    0: \n",
	};
	struct pins pins = {.whole = true};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(pins__parse_ring(texts[i], &pins), -EINVAL);
	/* Numbers that wrap are no buffers. */
	assert_int_equal(pins__parse_ring(HEAD "UserBufs:\t2\n"
					       "    0: 0xfffffffffffff000/8192\n"
					       "    1: 0x1000/18446744073709551615\n",
					  &pins),
			 0);
	assert_int_equal(pins.range_count, 0);
	pins__clear(&pins);
}

static int read_own(bool rings_are_counted, struct pins *pins)
{
	const struct pins_options options = {.procfs = "/proc",
					     .pid = (uint32_t)getpid(),
					     .rings_are_counted = rings_are_counted};

	return pins__read(&options, pins);
}

static int setup_ring(void)
{
	struct io_uring_params params = {0};

	return (int)syscall(__NR_io_uring_setup, 4, &params);
}

/* Against the kernel's own sum: small pages, and one end in a huge page where there are some. */
static void check_own(int ring, char *memory, size_t bytes)
{
	struct iovec vectors[] = {{memory + 100, 5000}, {memory + bytes / 2, bytes / 4}};
	struct pins pins;

	assert_int_equal(syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, vectors, 2),
			 0);
	assert_int_equal(read_own(false, &pins), 0);
	assert_true(pins.whole);
	assert_int_equal(pins.range_count, 2);
	assert_int_equal(pins.by[PIN_IO_URING], 2 * 4096 + bytes / 4);
	assert_true(!pins__ring_is_counted() || pins.vm_pin >= pins.by[PIN_IO_URING]);
	assert_int_equal(pins__unexplained(&pins), 0);
	pins__clear(&pins);
	assert_int_equal(syscall(__NR_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0),
			 0);
}

static void test_own_rings(void **state)
{
	const size_t bytes = 8u << 20;
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ring = setup_ring();

	assert_ptr_not_equal(memory, MAP_FAILED);
	if (ring < 0) {
		print_message("io_uring is not to be had here: %s\n", strerror(errno));
		skip();
	}
	(void)madvise(memory, bytes, MADV_NOHUGEPAGE);
	memset(memory, 1, bytes);
	check_own(ring, memory, bytes);
	(void)madvise(memory, bytes, MADV_HUGEPAGE);
	(void)madvise(memory, bytes, MADV_DONTNEED);
	memset(memory, 1, bytes);
	check_own(ring, memory, bytes);
	close(ring);
	munmap(memory, bytes);
}

/* include/uapi/linux/io_uring.h of Linux 6.5 */
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14)
#endif

/* The address is the last member of both kinds of offsets, which older headers do not name. */
static void test_ring_in_own_memory(void **state)
{
	const size_t bytes = 4 * 4096;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	const uint64_t ring_at = (uintptr_t)memory, entries_at = ring_at + bytes / 2;
	struct io_uring_params params = {.flags = IORING_SETUP_NO_MMAP};
	struct pins pins;
	int ring;

	assert_ptr_not_equal(memory, MAP_FAILED);
	memcpy((char *)(&params.cq_off + 1) - sizeof(ring_at), &ring_at, sizeof(ring_at));
	memcpy((char *)(&params.sq_off + 1) - sizeof(entries_at), &entries_at, sizeof(entries_at));
	ring = (int)syscall(__NR_io_uring_setup, 4, &params);
	if (ring < 0) {
		print_message("no rings in memory of the caller's: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(read_own(true, &pins), 0);
	assert_true(pins.whole && !pins.anywhere);
	assert_int_equal(pins.own_rings, 2 * 4096);
	pins__clear(&pins);
	close(ring);
	munmap(memory, bytes);
}

/* It may have buffers: where no sum has them, they may be anywhere. */
static void test_ring_without_descriptor(void **state)
{
	int ring = setup_ring();
	void *mapped;
	struct pins pins;

	if (ring < 0) {
		print_message("io_uring is not to be had here: %s\n", strerror(errno));
		skip();
	}
	mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	assert_int_equal(read_own(false, &pins), 0);
	assert_true(pins.whole && !pins.anywhere && !pins.own_rings);
	pins__clear(&pins);
	close(ring);
	assert_int_equal(read_own(false, &pins), 0);
	assert_true(pins.anywhere && !pins.whole && pins.reason && pins.writable > 4096);
	pins__clear(&pins);
	assert_int_equal(read_own(true, &pins), 0);
	assert_true(pins.whole && !pins.anywhere);
	pins__clear(&pins);
	munmap(mapped, 4096);
}

/* A ring whose descriptor is gone keeps its pins for a while, and registered ones for ever: what
 * has no descriptor is not explained. */
static void test_unexplained(void **state)
{
	char *memory =
		mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec vector = {memory, 65536};
	struct io_uring_rsrc_update update = {.offset = -1U};
	struct pins pins;
	int ring = setup_ring();

	if (ring < 0) {
		print_message("io_uring is not to be had here: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1),
			 0);
	update.data = (uint64_t)ring;
	assert_int_equal(syscall(__NR_io_uring_register, ring, 20 /* IORING_REGISTER_RING_FDS */,
				 &update, 1),
			 1);
	close(ring);
	assert_int_equal(read_own(false, &pins), 0);
	assert_int_equal(pins.vm_pin, 65536);
	assert_int_equal(pins.by[PIN_IO_URING], 0);
	assert_int_equal(pins__unexplained(&pins), 65536);
	pins__clear(&pins);
	munmap(memory, 65536);
}

/* As this process sees it: a ring is found whether or not the kernel counts it. */
static void test_counted(void **state)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec vector = {memory, 4096};
	bool counted = pins__ring_is_counted();
	uint64_t before;
	struct pins pins;
	int ring = setup_ring();

	if (ring < 0) {
		assert_false(counted);
		munmap(memory, 4096);
		return;
	}
	assert_int_equal(read_own(false, &pins), 0);
	before = pins.vm_pin; /* a hidden ring of another test lives as long as this process */
	pins__clear(&pins);
	assert_int_equal(syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vector, 1),
			 0);
	for (int known = 0; known <= counted; known++) {
		assert_int_equal(read_own(known, &pins), 0);
		assert_int_equal(pins.range_count, 1);
		assert_int_equal(pins.by[PIN_IO_URING], 4096);
		assert_int_equal(pins.vm_pin, before + (counted ? 4096 : 0));
		pins__clear(&pins);
	}
	close(ring);
	munmap(memory, 4096);
}

static void test_gone(void **state)
{
	const struct pins_options options = {.procfs = "/proc", .pid = 0x7fffffff};
	struct pins pins;

	assert_int_equal(pins__read(&options, &pins), -ESRCH);
	pins__clear(&pins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_ring_size),
		cmocka_unit_test(test_ring_without_buffers),
		cmocka_unit_test(test_ring_in_use),
		cmocka_unit_test(test_ring_of_nonsense),
		cmocka_unit_test(test_own_rings),
		cmocka_unit_test(test_ring_in_own_memory),
		cmocka_unit_test(test_ring_without_descriptor),
		cmocka_unit_test(test_unexplained),
		cmocka_unit_test(test_counted),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}
