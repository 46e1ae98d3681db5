/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a status file: what they say, and that what is not known is not 0. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "agent/base/files.h"
#include "agent/host/proc_status.h"
#include "tests/unit/tree.h"

#define GROUPS_MOST 65536 /* NGROUPS_MAX, include/uapi/linux/limits.h */

struct fixture {
	struct tree tree;
	int root;
};

static int setup(void **state)
{
	static struct fixture fixture;

	tree__new(&fixture.tree);
	fixture.root = files__open_directory(AT_FDCWD, fixture.tree.root);
	*state = &fixture;
	return fixture.root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->root);
	tree__remove(&fixture->tree, "");
	return 0;
}

static void test_values(void **state)
{
	struct fixture *fixture = *state;
	uint64_t value;
	char text[16];

	tree__puts(&fixture->tree, "status",
		   "Name:\tVmPin:\\t7\nVmPinned:\t1 kB\nVmPin:\t      64 kB\nNSpid:\t812\t1\n"
		   "CapEff:\t000001ffffffffff\n");
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmPin", &value), 0);
	assert_int_equal(value, 65536);
	assert_int_equal(proc_status__bits(fixture->root, "status", "CapEff", &value), 0);
	assert_int_equal(value, 0x1ffffffffff);
	assert_int_equal(proc_status__text(fixture->root, "status", "NSpid", text, sizeof(text)),
			 0);
	assert_string_equal(text, "812\t1");
}

static void test_not_known(void **state)
{
	struct fixture *fixture = *state;
	uint64_t value;
	char text[4];

	tree__puts(&fixture->tree, "status",
		   "VmPTE:\t64 MB\nVmLck:\t-1 kB\nVmHWM:\t18446744073709551615 kB\nVmRSS:\t kB\n"
		   "CapEff:\txyz\nNSpid:\t8125\nVmPi");
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmPTE", &value), -EINVAL);
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmLck", &value), -EINVAL);
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmHWM", &value), -EINVAL);
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmRSS", &value), -EINVAL);
	assert_int_equal(proc_status__bits(fixture->root, "status", "CapEff", &value), -EINVAL);
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmPin", &value), -ENODATA);
	assert_int_equal(proc_status__bytes(fixture->root, "none", "VmPin", &value), -ENOENT);
	assert_int_equal(proc_status__text(fixture->root, "status", "NSpid", text, sizeof(text)),
			 -ENAMETOOLONG);
}

/* All groups that there may be stand before the lines of memory. */
static void test_behind_all_groups(void **state)
{
	struct fixture *fixture = *state;
	const size_t room = (size_t)GROUPS_MOST * 11 + 64;
	char *text = malloc(room);
	size_t length;
	uint64_t value;

	assert_non_null(text);
	length = (size_t)snprintf(text, room, "Groups:\t");
	for (int i = 0; i < GROUPS_MOST; i++)
		length += (size_t)snprintf(text + length, room - length, "%u ", 4294901760U + i);
	snprintf(text + length, room - length, "\nVmPin:\t4 kB\n");
	tree__puts(&fixture->tree, "status", text);
	free(text);
	assert_int_equal(proc_status__bytes(fixture->root, "status", "VmPin", &value), 0);
	assert_int_equal(value, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_all_groups, setup, teardown),
	};

	return cmocka_run_group_tests_name("proc_status", tests, NULL, NULL);
}
