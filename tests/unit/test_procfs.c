/* SPDX-License-Identifier: BSD-2-Clause */
/* procfs: against trees made here, and against this host's own /proc. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include "tests/unit/proc_tree.h"

#include <cmocka.h>

#include "agent/base/files.h"
#include "agent/host/procfs.h"

static void test_stat(void **state)
{
	static const char *const comms[] = {"bash", "a b) R (c", ") R 1 2 3",	 "new\nline",
					    "",	    "(((",	 "x) Z 9 9 9 9", "\033[2J\377\200"};
	struct tree *tree = *state;
	struct procfs_stat stat;

	for (size_t i = 0; i < sizeof(comms) / sizeof(comms[0]); i++) {
		write_stat(tree, 77, comms[i], 'S', 0x400000, 3, 123456789012ULL);
		assert_int_equal(procfs__stat(tree->root, 77, &stat), 0);
		assert_string_equal(stat.comm, comms[i]);
		assert_int_equal(stat.state, 'S');
		assert_int_equal(stat.threads, 3);
		assert_int_equal(stat.start_ticks, 123456789012ULL);
		assert_false(stat.kernel_thread);
	}
	write_stat(tree, 2, "kworker/u8:0-events_unbound", 'I', 0x208040, 1, 5);
	assert_int_equal(procfs__stat(tree->root, 2, &stat), 0);
	assert_true(stat.kernel_thread);
	assert_string_equal(stat.comm, "kworker/u8:0-ev");
	assert_int_equal(procfs__stat(tree->root, 3, &stat), -ENOENT);
	tree__directory(tree, "4");
	assert_int_equal(procfs__stat(tree->root, 4, &stat), -ENOENT);
}

static void test_stat_cut(void **state)
{
	static const char whole[] = "7 (a) S 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99 ";
	struct procfs_stat stat;
	char *copy;

	assert_int_equal(procfs__parse_stat(whole, sizeof(whole) - 1, &stat), 0);
	assert_int_equal(stat.start_ticks, 99);
	for (size_t length = 0; length < sizeof(whole) - 1; length++) {
		/* Of exactly that size, so that a read beyond it is found. */
		copy = malloc(length + 1);
		memcpy(copy, whole, length);
		copy = realloc(copy, length ? length : 1);
		assert_int_equal(procfs__parse_stat(copy, length, &stat), -EINVAL);
		free(copy);
	}
	assert_int_equal(procfs__parse_stat(")(", 2, &stat), -EINVAL);
	assert_int_equal(procfs__parse_stat("7 (a) S x x x", 13, &stat), -EINVAL);
	assert_int_equal(
		procfs__parse_stat(
			"7 (a) S 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99999999999999999999999 ",
			70, &stat),
		-EINVAL);
}

static void test_start(void **state)
{
	uint64_t tick = ticks_to_ns(1);

	assert_true(procfs__is_start(0, 0));
	assert_true(procfs__is_start(0, tick - 1));
	assert_true(procfs__is_start(1, tick));
	assert_false(procfs__is_start(1, tick - 1));
	assert_false(procfs__is_start(0, tick));
	assert_true(
		procfs__is_start(86400ULL * 365 * 100 * 100, 86400ULL * 365 * 100 * 1000000000));
	assert_false(procfs__is_start(1, UINT64_MAX));
}

static void test_alive(void **state)
{
	struct tree *tree = *state;
	struct ds_process_key key = {.tgid = 77, .start_boottime_ns = ticks_to_ns(500) + 3};

	assert_false(procfs__is_alive(tree->root, &key));
	write_stat(tree, 77, "a", 'R', 0, 1, 500);
	assert_true(procfs__is_alive(tree->root, &key));
	write_stat(tree, 77, "a", 'Z', 0, 4, 500); /* the leader is gone, its threads are not */
	assert_true(procfs__is_alive(tree->root, &key));
	write_stat(tree, 77, "a", 'Z', 0, 1, 500);
	assert_false(procfs__is_alive(tree->root, &key));
	write_stat(tree, 77, "b", 'R', 0, 1, 501); /* the pid is another's now */
	assert_false(procfs__is_alive(tree->root, &key));
	tree__puts(tree, "77/stat", "nonsense");
	assert_true(procfs__is_alive(tree->root, &key));
}

static void test_zoneinfo(void **state)
{
	static const char text[] =
		"Node 0, zone      DMA\n  pages free     2\n        spanned  4095\n"
		"        present  3998\n  start_pfn:           1\n"
		"Node 0, zone   Normal\n        spanned  5505024\n"
		"  start_pfn:           1048576\n"
		"Node 0, zone  Movable\n        spanned  0\n"
		"  start_pfn:           9999999\n"
		"Node 1, zone   Device\n        spanned  1000\n"
		"  start_pfn:           68719476736\n";
	struct tree *tree = *state;
	uint64_t pages;

	tree__puts(tree, "zoneinfo", text);
	assert_int_equal(procfs__memory_span(tree->root, &pages), 0);
	assert_int_equal(pages, 6553600);
	for (size_t length = 0; length < sizeof(text); length++) {
		char *copy = malloc(length ? length : 1);

		memcpy(copy, text, length);
		procfs__parse_zoneinfo(copy, length, &pages);
		free(copy);
	}
	tree__puts(tree, "zoneinfo",
		   "Node 0, zone DMA\nspanned 18446744073709551615\nstart_pfn: 9\n");
	assert_int_equal(procfs__memory_span(tree->root, &pages), -EINVAL);
	tree__remove(tree, "zoneinfo");
	assert_int_equal(procfs__memory_span(tree->root, &pages), -ENOENT);
}

/* The real thing: this process, as /proc shows it. */
static void test_self(void **state)
{
	struct procfs_users *users = procfs_users__new("/etc/passwd");
	uint32_t pid = (uint32_t)getpid();
	struct process_identity known = {.tgid = pid, .uid = getuid()}, *identity;
	struct ds_process_key key = {.tgid = pid};
	struct procfs_stat stat;
	struct timespec now;
	uint64_t pages, now_ns;
	char line[256], path[64];

	assert_int_equal(procfs__stat("/proc", pid, &stat), 0);
	assert_int_equal(stat.state, 'R');
	assert_false(stat.kernel_thread);
	clock_gettime(CLOCK_BOOTTIME, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
	key.start_boottime_ns = known.start_boottime_ns = ticks_to_ns(stat.start_ticks);
	assert_true(key.start_boottime_ns <= now_ns);
	assert_true(procfs__is_alive("/proc", &key));
	assert_int_equal(procfs__identify("/proc", users, &known, &identity), 0);
	/* By way of the task: valgrind answers /proc/PID/cmdline itself. */
	snprintf(path, sizeof(path), "/proc/%u/task/%u/cmdline", pid, pid);
	assert_true(files__read(AT_FDCWD, path, line, sizeof(line)) > 0);
	assert_int_equal(strncmp(identity->cmdline, line, strlen(line)), 0);
	assert_true(files__read_line(AT_FDCWD, "/proc/self/comm", line, sizeof(line)) > 0);
	assert_string_equal(identity->comm, line);
	assert_null(identity->vm_name);
	process_identity__put(identity);
	key.start_boottime_ns += ticks_to_ns(1);
	assert_false(procfs__is_alive("/proc", &key));
	assert_int_equal(procfs__memory_span("/proc", &pages), 0);
	assert_true(pages >= (uint64_t)sysconf(_SC_PHYS_PAGES));
	procfs_users__free(users);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stat, tree__set_up, tree__tear_down),
		cmocka_unit_test(test_stat_cut),
		cmocka_unit_test(test_start),
		cmocka_unit_test_setup_teardown(test_alive, tree__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_zoneinfo, tree__set_up, tree__tear_down),
		cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests_name("procfs", tests, NULL, NULL);
}
