/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames and the pages that have them: several pages on one frame, and frames beyond the host's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/tracks/device/pfn_index.h"

#define FRAMES (1ULL << 36)

static struct pfn_index *new_index(void)
{
	struct pfn_index *index;
	int err = pfn_index__new(&index);

	if (err == -EPERM) {
		print_message("page frames may not be seen without CAP_SYS_ADMIN\n");
		skip();
	}
	assert_int_equal(err, 0);
	return index;
}

static void test_aliases(void **state)
{
	struct pfn_index *index = new_index();
	uint64_t pages[PFN_INDEX_ALIASES];

	assert_int_equal(pfn_index__set(index, 50, 1), 0);
	assert_int_equal(pfn_index__find(index, 50, pages), 1);
	assert_int_equal(pages[0], 1);
	assert_int_equal(pfn_index__set(index, 50, 2), 0);
	assert_int_equal(pfn_index__find(index, 50, pages), 2);
	pfn_index__remove(index, 50, 1);
	assert_int_equal(pfn_index__find(index, 50, pages), 1);
	assert_int_equal(pages[0], 2);
	for (uint64_t page = 0; page <= PFN_INDEX_ALIASES; page++)
		assert_int_equal(pfn_index__set(index, 51, page), 0);
	assert_int_equal(pfn_index__find(index, 51, pages), -E2BIG);
	assert_int_equal(pfn_index__beyond(index), 0);
	pfn_index__free(index);
}

/* No memory lies beyond 256 TiB: no device's set reaches it, so it is counted, each page once. */
static void test_beyond(void **state)
{
	struct pfn_index *index = new_index();
	uint64_t pages[PFN_INDEX_ALIASES];

	assert_int_equal(pfn_index__set(index, FRAMES - 1, 1), 0);
	assert_int_equal(pfn_index__find(index, FRAMES - 1, pages), 1);
	assert_int_equal(pfn_index__find(index, FRAMES - 2, pages), 0);
	assert_int_equal(pfn_index__find(index, 5, pages), 0);
	assert_int_equal(pfn_index__beyond(index), 0);
	assert_int_equal(pfn_index__set(index, FRAMES, 2), 0);
	assert_int_equal(pfn_index__set(index, 1ULL << 40, 2), 0);
	assert_int_equal(pfn_index__set(index, 1ULL << 40, 3), 0);
	assert_int_equal(pfn_index__beyond(index), 2);
	assert_int_equal(pfn_index__find(index, 1ULL << 40, pages), 0);
	pfn_index__remove(index, 1ULL << 40, 3);
	pfn_index__free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_beyond),
	};

	return cmocka_run_group_tests_name("pfn_index", tests, NULL, NULL);
}
