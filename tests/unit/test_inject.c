/* SPDX-License-Identifier: BSD-2-Clause */
/* What of taking a target needs no target: its refusals, and what /proc says of a thread. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/files.h"
#include "agent/tracks/inject/inject.h"
#include "agent/tracks/inject/refusal.h"
#include "agent/tracks/inject/thread.h"
#include "tests/cmocka_names.h"
#include "tests/unit/tree.h"

#define SHOWN 120 /* of a reason, in a track */

static void test_each_refusal_has_its_words(void **state)
{
	for (int i = REFUSAL_NONE + 1; i < REFUSALS; i++) {
		struct reason text, more;

		refusal__text((enum refusal)i, 0, &text);
		refusal__text((enum refusal)i, EBADF, &more);
		assert_true(strlen(text.text) > 10);
		assert_uint_in_range(strlen(more.text), strlen(text.text), SHOWN);
		assert_true(refusal__errno((enum refusal)i, 0) < 0);
		assert_true(refusal__errno((enum refusal)i, EBADF) < 0);
	}
	assert_int_equal(refusal__errno(REFUSAL_NONE, 0), 0);
}

static void test_a_detail_is_named(void **state)
{
	struct reason reason;

	refusal__text(REFUSAL_TRACED, 4711, &reason);
	assert_non_null(strstr(reason.text, " 4711"));
	refusal__text(REFUSAL_SIGNAL, 19, &reason);
	assert_non_null(strstr(reason.text, "(SIGSTOP)"));
	refusal__text(REFUSAL_SIGNAL, 40, &reason);
	assert_non_null(strstr(reason.text, "(40)"));
	refusal__text(REFUSAL_CALL, EMFILE, &reason);
	assert_non_null(strstr(reason.text, strerror(EMFILE)));
	assert_int_equal(refusal__errno(REFUSAL_CALL, EMFILE), -EMFILE);
}

static int self(void)
{
	return files__open_directory(AT_FDCWD, "/proc/self");
}

static void test_its_own_thread(void **state)
{
	const int process = self();
	struct thread thread;
	uint64_t address;
	unsigned value = 7;

	assert_true(process >= 0);
	/* A name that looks like the rest of the line. */
	assert_int_equal(prctl(PR_SET_NAME, ") Z 1 ("), 0);
	assert_int_equal(thread__choose(process, &thread), 0);
	assert_int_equal(thread.tid, getpid());
	assert_true(thread.state == 'R' || thread.state == 'S');
	assert_false(thread__has_ended(&thread));
	assert_false(thread__is_frozen(&thread));
	assert_int_equal(thread__status(&thread, "TracerPid", &value), 0);
	assert_int_equal(thread__status(&thread, "NoSuchField", &value), -ENOENT);
	assert_true(thread__start_ticks(process) > 0);
	address = thread__find_instruction(&thread);
	if (address) /* not under valgrind, which hides the vDSO */
		assert_memory_equal((const void *)(uintptr_t)address, "\x0f\x05", 2);
	close(thread.directory);
	close(process);
}

/* ---- threads that are not there: a tree of files ---- */

static void put(const struct tree *tree, const char *tid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "task/%s/%s", tid, file);
	tree__puts(tree, path, text);
}

/* Which one of those in the tree: its number, or a negative errno. */
static int chosen(const struct tree *tree, struct thread *thread)
{
	const int process = files__open_directory(AT_FDCWD, tree->root);
	const int err = thread__choose(process, thread);

	close(process);
	return err ? err : thread->tid;
}

static void test_one_that_can_stop_is_chosen(void **state)
{
	struct thread thread;
	struct tree tree;

	tree__new(&tree);
	assert_int_equal(chosen(&tree, &thread), -ESRCH);
	put(&tree, "70", "stat", "70 (a) Z 1 2 3\n");
	put(&tree, "71", "stat", "71 (b) X 1 2 3\n");
	put(&tree, "72", "stat", "");
	assert_int_equal(chosen(&tree, &thread), -ESRCH);
	put(&tree, "73", "stat", "73 (c) S) D 1 2 3\n");
	assert_int_equal(chosen(&tree, &thread), 73);
	assert_int_equal(thread.state, 'D');
	close(thread.directory);
	put(&tree, "74", "stat", "74 ((d\n) Z) S 1 2 3\n");
	assert_int_equal(chosen(&tree, &thread), 74);
	assert_int_equal(thread.state, 'S');
	close(thread.directory);
	tree__remove(&tree, "");
}

static void test_where_it_waits(void **state)
{
	static const struct {
		const char *function, *state;
		bool frozen;
	} rows[] = {
		{"get_signal", "S", true},	{"get_signal", "T", false},
		{"do_freezer_trap", "S", true}, {"__refrigerator", "D", true},
		{"do_nanosleep", "S", false},	{"0", "R", false},
	};
	struct thread thread;
	struct tree tree;

	tree__new(&tree);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char stat[32];

		snprintf(stat, sizeof(stat), "5 (x) %s 1\n", rows[i].state);
		put(&tree, "5", "stat", stat);
		put(&tree, "5", "wchan", rows[i].function);
		put(&tree, "5", "syscall", i % 2 ? "58 0x0" : "running");
		assert_int_equal(chosen(&tree, &thread), 5);
		assert_int_equal(thread__is_frozen(&thread), rows[i].frozen);
		assert_int_equal(thread__is_in_vfork(&thread), i % 2);
		close(thread.directory);
	}
	tree__remove(&tree, "");
}

/* ---- what needs no helper ---- */

static void test_nobody_there(void **state)
{
	const struct inject_options options = {.procfs = "/proc", .tgid = 0x7fffffff};
	struct inject_result result;
	struct inject *inject;

	assert_int_equal(inject__begin(&options, &inject), 0);
	assert_int_equal(inject__milliseconds_left(inject), 0);
	assert_int_equal(inject__finish(inject, &result), -ESRCH);
	assert_int_equal(result.fd, -1);
	assert_string_equal(result.reason.text, "the process is gone");
	assert_int_equal(inject__begin(&options, &inject), 0);
	inject__abandon(inject);
	inject__abandon(NULL);
}

static void test_another_procfs(void **state)
{
	struct inject_options options = {.tgid = (uint32_t)getpid()};
	struct inject_result result;
	struct tree tree;

	tree__new(&tree);
	options.procfs = tree.root;
	assert_int_equal(inject__userfaultfd(&options, &result), -EOPNOTSUPP);
	tree__puts(&tree, "self/status", "Name:\tx\nNSpid:\t812\t1\nNSpgid:\t812\t1\n");
	assert_int_equal(inject__userfaultfd(&options, &result), -EOPNOTSUPP);
	assert_non_null(strstr(result.reason.text, "pid namespace"));
	tree__puts(&tree, "self/status", "Name:\tx\nNSpid:\t812\nNSpgid:\t812\t1\n");
	assert_int_equal(inject__userfaultfd(&options, &result), -ESRCH);
	tree__remove(&tree, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_refusal_has_its_words),
		cmocka_unit_test(test_a_detail_is_named),
		cmocka_unit_test(test_its_own_thread),
		cmocka_unit_test(test_one_that_can_stop_is_chosen),
		cmocka_unit_test(test_where_it_waits),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_another_procfs),
	};

	return cmocka_run_group_tests_name("inject", tests, NULL, NULL);
}
