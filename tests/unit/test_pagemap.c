// SPDX-License-Identifier: BSD-2-Clause
/* /proc/PID/pagemap, read on memory of our own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/tracks/cpu/page_table.h"

#define PAGES 64

struct reading {
	struct page_table *pagemap;
	uint64_t other; /* memory to read from within; 0: none */
	size_t seen, present;
	int fail;
};

static int take(void *context, uint64_t address, const uint64_t *entries, size_t count)
{
	struct reading *reading = context;

	for (size_t i = 0; i < count; i++) {
		struct reading inner = {0};

		if (reading->other)
			assert_int_equal(page_table__read(reading->pagemap, reading->other,
							  reading->other + PAGES * PAGE_BYTES, take,
							  &inner),
					 0);
		reading->seen++;
		reading->present += entries[i] & PAGEMAP_PRESENT ? 1 : 0;
	}
	return reading->fail;
}

static uint64_t map(int fill)
{
	void *memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	if (fill)
		memset(memory, 1, PAGES * PAGE_BYTES);
	return (uint64_t)(uintptr_t)memory;
}

static int open_own(void **state)
{
	static struct page_table *pagemap;

	if (page_table__open("/proc", (uint32_t)getpid(), &pagemap))
		return -1;
	*state = pagemap;
	return 0;
}

static int close_own(void **state)
{
	page_table__close(*state);
	return 0;
}

/* A backend reads the frames of what it found while it is still looking. */
static void test_read_within_a_read(void **state)
{
	const uint64_t full = map(1), empty = map(0);
	struct reading reading = {.pagemap = *state, .other = empty};

	assert_int_equal(page_table__read(*state, full, full + PAGES * PAGE_BYTES, take, &reading),
			 0);
	assert_int_equal(reading.seen, PAGES);
	assert_int_equal(reading.present, PAGES);
	reading = (struct reading){.pagemap = *state, .other = full};
	assert_int_equal(
		page_table__read(*state, empty, empty + PAGES * PAGE_BYTES, take, &reading), 0);
	assert_int_equal(reading.seen, PAGES);
	assert_int_equal(reading.present, 0);
	munmap((void *)(uintptr_t)full, PAGES * PAGE_BYTES);
	munmap((void *)(uintptr_t)empty, PAGES * PAGE_BYTES);
}

static void test_limits(void **state)
{
	const uint64_t full = map(1);
	struct reading reading = {.pagemap = *state};

	assert_int_equal(page_table__read(*state, full, full, take, &reading), 0);
	assert_int_equal(reading.seen, 0);
	assert_int_equal(page_table__read(*state, full, full + PAGE_BYTES, take, &reading), 0);
	assert_int_equal(reading.seen, 1);
	reading.fail = -ENOSPC;
	assert_int_equal(page_table__read(*state, full, full + PAGES * PAGE_BYTES, take, &reading),
			 -ENOSPC);
	munmap((void *)(uintptr_t)full, PAGES * PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_within_a_read),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("pagemap", tests, open_own, close_own);
}
