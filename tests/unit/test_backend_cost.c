/* SPDX-License-Identifier: BSD-2-Clause */
/* What the backends cost on this kernel, and which of them that makes the first. */
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

static struct backend_costs costs_of(double scan, double scan_fault, double soft_dirty,
				     double soft_dirty_fault)
{
	return (struct backend_costs){.rows = {{.backend = "pagemap-scan",
						.scan_ns_per_page = scan,
						.fault_ns = scan_fault},
					       {.backend = "soft-dirty",
						.scan_ns_per_page = soft_dirty,
						.fault_ns = soft_dirty_fault}}};
}

static void test_preference(void **unused)
{
	struct backend_costs costs = costs_of(2, 800, 30, 800);

	assert_true(backend_cost__of_epoch(&costs.rows[0]) == 10);
	assert_false(backend_costs__prefer_soft_dirty(&costs));
	/* A little cheaper is not enough: it stops its target. */
	costs = costs_of(20, 1000, 10, 600);
	assert_false(backend_costs__prefer_soft_dirty(&costs));
	/* By its faults alone. */
	costs = costs_of(2, 15000, 30, 1000);
	assert_true(backend_costs__prefer_soft_dirty(&costs));
	costs.rows[MEASURED_SOFT_DIRTY].unknown = "not here";
	assert_false(backend_costs__prefer_soft_dirty(&costs));
	costs.rows[MEASURED_SOFT_DIRTY].unknown = NULL;
	costs.rows[MEASURED_PAGEMAP_SCAN].unknown = "not here";
	assert_false(backend_costs__prefer_soft_dirty(&costs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measured),
		cmocka_unit_test(test_preference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
