/* SPDX-License-Identifier: BSD-2-Clause */
/* Which backend a track gets, and that none is given out that counts nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/tracks/cpu/cpu_side.h"

static int start_faults(struct cpu_side *side, const char *no_faults)
{
	*side = (struct cpu_side){
		.procfs = "/proc",
		.tgid = (uint32_t)getpid(),
		.no_faults = no_faults,
	};
	return cpu_side__start(side, "faults");
}

static void faults_where_a_sensor_counts_them(void **state)
{
	struct cpu_side side;

	assert_int_equal(start_faults(&side, NULL), 0);
	assert_string_equal(side.backend->name, "faults");
	assert_true(side.backend->lower_bound);
	assert_true(side.region_count > 0);
	cpu_side__end(&side);
}

static void no_faults_where_none_does(void **state)
{
	struct cpu_side side;

	assert_int_equal(start_faults(&side, "this kernel has no tracepoint page_fault_user"),
			 -EOPNOTSUPP);
	assert_string_equal(side.reason, "faults: no sensor counts faults here: this kernel has no "
					 "tracepoint page_fault_user");
	side.backend = NULL;
	cpu_side__end(&side);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_where_a_sensor_counts_them),
		cmocka_unit_test(no_faults_where_none_does),
	};

	return cmocka_run_group_tests_name("cpu_side", tests, NULL, NULL);
}
