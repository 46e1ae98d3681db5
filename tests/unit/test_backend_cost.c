/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backends cost on this kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/tracks/cpu/backend_cost.h"
#include "agent/tracks/cpu/soft_dirty.h"
#include "agent/tracks/cpu/userfault.h"

static void check_row(const struct backend_cost *cost, const char *name, bool is_there)
{
	assert_string_equal(cost->backend, name);
	if (!is_there)
		assert_non_null(cost->unknown);
	if (cost->unknown) {
		assert_true(strlen(cost->unknown) > 0);
		return;
	}
	/* A page is read faster than in 100 us, and nothing is free. */
	assert_true(cost->scan_ns_per_page > 0 && cost->scan_ns_per_page < 1e5);
	assert_true(cost->fault_ns > 0 && cost->fault_ns < 1e8);
}

static void test_measured(void **unused)
{
	struct backend_costs costs;
	const int uffd = userfault__open();

	for (int i = 0; i < 3; i++) {
		backend_costs__measure(&costs);
		check_row(&costs.rows[MEASURED_PAGEMAP_SCAN], "pagemap-scan", uffd >= 0);
		check_row(&costs.rows[MEASURED_SOFT_DIRTY], "soft-dirty", soft_dirty__is_there());
	}
	if (uffd < 0)
		skip();
	assert_null(costs.rows[MEASURED_PAGEMAP_SCAN].unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
