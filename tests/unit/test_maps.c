/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc/PID/maps: real lines, hostile ones, and noise. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/tracks/shared/maps.h"

static bool parse(const char *text, struct map_region *region)
{
	char line[1024];

	strncpy(line, text, sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	return maps__parse(line, region);
}

static void test_lines(void **unused)
{
	struct map_region region;
	struct object_key key;

	assert_true(parse(
		"55e0c0a00000-55e0c0a21000 rw-p 00000000 00:00 0                          [heap]",
		&region));
	assert_int_equal(region.start, 0x55e0c0a00000);
	assert_int_equal(region.end, 0x55e0c0a21000);
	assert_true(region.readable && region.writable && !region.shared);
	assert_string_equal(region.name, "[heap]");
	assert_int_equal(map_region__object(&region).inode, 0);
	assert_true(parse("7f00-8f00 r--s 00001000 fe:10 18446744073709551615 /memfd:a b (deleted)",
			  &region));
	assert_true(region.shared && !region.writable);
	assert_string_equal(region.name, "/memfd:a b (deleted)");
	key = map_region__object(&region);
	assert_int_equal(key.major, 0xfe);
	assert_int_equal(key.minor, 0x10);
	assert_true(key.inode == UINT64_MAX);
	assert_int_equal(region.offset, 0x1000);
	assert_true(parse("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
			  &region));
	assert_false(region.readable);
	/* The kernel writes a newline in a name as \012. */
	assert_true(parse("1000-2000 rw-s 00000000 00:01 7 /tmp/a\\012b \"\t\xff", &region));
	assert_string_equal(region.name, "/tmp/a\\012b \"\t\xff");
	assert_true(parse("1000-2000 rw-s 00000000 00:01 7", &region));
	assert_string_equal(region.name, "");
}

static void test_broken(void **unused)
{
	static const char *const lines[] = {
		"",
		"-",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 rw",
		"1000-2000 rw-p",
		"1000-2000 rw-p 0",
		"1000-2000 rw-p 00000000 00",
		"2000-1000 rw-p 00000000 00:00 0",
		"1000-1000 rw-p 00000000 00:00 0",
		"-1000-2000 rw-p 00000000 00:00 0",
		"+1000-2000 rw-p 00000000 00:00 0",
		"fffffffffffffffff-fffffffffffffffffff rw-p 00000000 00:00 0",
		"zz-2000 rw-p 00000000 00:00 0",
	};
	struct map_region region;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (parse(lines[i], &region))
			fail_msg("taken: %s", lines[i]);
}

static void test_noise(void **unused)
{
	static const char letters[] = "0123456789abcdef-: rwxps[]/\n\\\x01\xff";
	char line[512];

	srand(7);
	for (int round = 0; round < 200000; round++) {
		size_t length = (size_t)rand() % 120;
		struct map_region region;

		for (size_t i = 0; i < length; i++)
			line[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		line[length] = '\0';
		if (maps__parse(line, &region))
			assert_true(region.start < region.end &&
				    strlen(region.name) < MAP_NAME_MAX);
	}
	memset(line, 'n', sizeof(line));
	memcpy(line, "1000-2000 rw-p 00000000 00:00 1 ", 32);
	line[sizeof(line) - 1] = '\0';
	{
		struct map_region region;

		assert_true(maps__parse(line, &region));
		assert_int_equal(strlen(region.name), MAP_NAME_MAX - 1);
	}
}

static int count(void *context, const struct map_region *region)
{
	++*(int *)context;
	return 0;
}

static void test_own(void **unused)
{
	int regions = 0;

	assert_int_equal(maps__read("/proc", (uint32_t)getpid(), count, &regions), 0);
	assert_true(regions > 5);
	assert_int_equal(maps__read("/proc", 0x7fffffff, count, &regions), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests_name("maps", tests, NULL, NULL);
}
