/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/option_table.h"

static void write_file(const char *path, const char *content, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	char template[] = "/tmp/dirtyscope-config-XXXXXX";
	int fd = mkstemp(template);

	if (fd < 0)
		return -1;
	close(fd);
	*state = strdup(template);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	unlink(*state);
	free(*state);
	return 0;
}

#define CASE(content, where, key, reason)                        \
	{                                                        \
		content, sizeof(content) - 1, where, key, reason \
	}

static const struct broken {
	const char *content;
	size_t length;
	const char *where; /* line:column, from 1 */
	const char *key;   /* "" when no key is being read */
	const char *reason;
} broken[] = {
	CASE("bogus: 1\n", "1:1", "'bogus'", "unknown option"),
	CASE("interval: 2\nbogus: 1\n", "2:1", "'bogus'", "unknown option"),
	CASE("config: other.yaml\n", "1:1", "'config'", "unknown option"),
	CASE("help: true\n", "1:1", "'help'", "unknown option"),
	CASE("interval: 2\ninterval: 3\n", "2:1", "'interval'", "given twice"),
	CASE("no-ledger: false\nno-ledger: false\n", "2:1", "'no-ledger'", "given twice"),
	CASE("interval: 0\n", "1:11", "interval", "out of range (0.1 to 3600)"),
	CASE("interval: fast\n", "1:11", "interval", "not a time"),
	CASE("interval: .nan\n", "1:11", "interval", "not a time"),
	CASE("interval:\n", "1:10", "interval", "has no value"),
	CASE("interval: ~\n", "1:11", "interval", "has no value"),
	CASE("path.procfs: null\n", "1:14", "path.procfs", "has no value"),
	CASE("path.procfs: \"\"\n", "1:14", "path.procfs", "is empty"),
	CASE("interval: [1, 2]\n", "1:11", "interval", "a list where one value is expected"),
	CASE("interval:\n  seconds: 1\n", "2:3", "interval", "a mapping where a value is expected"),
	CASE("web:\n  listen-address: x\n", "1:1", "'web'", "unknown option"),
	CASE("web.listen-address: {a: b}\n", "1:21", "web.listen-address",
	     "a mapping where a value is expected"),
	CASE("web.listen-address: []\n", "1:21", "web.listen-address", "an empty list"),
	CASE("web.listen-address:\n- 127.0.0.1:1\n- [a]\n", "3:3", "web.listen-address",
	     "a list or a mapping inside a list"),
	CASE("web.listen-address:\n- 127.0.0.1:1\n- nowhere\n", "3:3", "web.listen-address",
	     "neither ADDRESS:PORT nor unix:PATH"),
	CASE("web.listen-address:\n- 127.0.0.1:1\n- 127.0.0.1:1\n", "3:3", "web.listen-address",
	     "given twice"),
	CASE("max-processes: 15\n", "1:16", "max-processes", "out of range (16 to 1048576)"),
	CASE("max-devices: 1\n", "1:14", "max-devices", "out of range (2 to 4096)"),
	CASE("max-flows: 1e4\n", "1:12", "max-flows", "not a whole number"),
	CASE("max-requests: -1\n", "1:15", "max-requests", "not a whole number"),
	CASE("max-mappings: 99999999999\n", "1:15", "max-mappings", "out of range"),
	CASE("page-set-memory: 1 M\n", "1:18", "page-set-memory", "not a size"),
	CASE("no-ledger: 1\n", "1:12", "no-ledger", "neither true nor false"),
	CASE("no-ledger: yes\n", "1:12", "no-ledger", "neither true nor false"),
	CASE("no-ledger: \"true\"\n", "1:12", "no-ledger", "a quoted string"),
	CASE("log.level: loud\n", "1:12", "log.level", "is none of debug, info, warn, error"),
	CASE("- interval\n", "1:1", "", "a mapping of options to values is expected"),
	CASE("just text\n", "1:1", "", "a mapping of options to values is expected"),
	CASE("? [a]\n: 1\n", "1:3", "", "where an option's name is expected"),
	CASE("interval: 1\n---\ninterval: 2\n", "2:1", "", "more than one document"),
	CASE("interval: &a 1\n", "1:11", "interval", "anchors are not supported"),
	CASE("interval: !!float 1\n", "1:11", "interval", "tags are not supported"),
	CASE("interval: *a\n", "1:11", "interval", "aliases are not supported"),
	CASE("interval: 1\n  max-devices: 4\n", "1:11", "interval", "not a time"),
	CASE("web.listen-address: [\"a:1\"\ninterval: 2\n", "2:1", "web.listen-address",
	     "did not find expected"),
	CASE("interval: \"1\n", "2:1", "interval", "unexpected end of stream"),
	CASE("\tinterval: 1\n", "1:1", "", "cannot start any token"),
	CASE("interval: 1\nlog.level: in\0fo\n", "2:14", "", "a NUL byte"),
	CASE("log.level: \"\\0info\"\n", "1:12", "log.level", "a NUL byte"),
	CASE("# caf\xc3\nlog.level: info\n", "1:6", "", "not valid UTF-8"),
	CASE("log.level: \xff\n", "1:12", "", "not valid UTF-8"),
	CASE("# \xc3\xa9\nlog.level: \x1b[31m\n", "2:12", "", "control character U+001B"),
	CASE("\xff\xfei\0n\0", "1:1", "", "not valid UTF-8"),
	CASE("%YAML 9.9\n---\ninterval: 1\n", "1:1", "", "incompatible YAML document"),
};

static void test_broken_files(void **state)
{
	const char *path = *state;
	char start[256];

	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		const struct broken *it = &broken[i];
		struct agent_config config, before;
		struct reason error;

		write_file(path, it->content, it->length);
		agent_config__defaults(&config);
		before = config;
		if (options__read_file(agent_file_options, path, &config, &config.strings,
				       &error) != -EINVAL)
			fail_msg("row %zu was not refused: %s", i, it->content);
		snprintf(start, sizeof(start), "%s:%s: ", path, it->where);
		if (strncmp(error.text, start, strlen(start)) != 0 ||
		    !strstr(error.text, it->key) || !strstr(error.text, it->reason))
			fail_msg("row %zu: '%s' is not '%s' with '%s' and '%s'", i, error.text,
				 start, it->key, it->reason);
		assert_memory_equal(&config, &before, sizeof(config));
	}
}

static void assert_loads(const char *path, const char *content, struct agent_config *config)
{
	char *argv[] = {"agent", "--config", (char *)path};
	struct reason error;

	write_file(path, content, strlen(content));
	if (agent_config__load(config, 3, argv, &error))
		fail_msg("%s", error.text);
}

static void test_whole_file(void **state)
{
	struct agent_config config;

	assert_loads(*state,
		     "# what the agent may use\n"
		     "web.listen-address: [\"127.0.0.1:80\", 'unix:/run/x.sock']\n"
		     "interval: 500ms\npath.procfs: /p\npath.sysfs: /s\nmax-processes: 16\n"
		     "max-devices: 2\nmax-flows: 16\nmax-requests: 16\nmax-mappings: 16\n"
		     "no-ledger: true\npage-set-memory: 64M\nmetrics.max-processes: 0\n"
		     "web.max-connections: 1\nweb.max-connections-per-address: 1\n"
		     "web.deadline: 2m\nlog.level: \"warn\"\n",
		     &config);
	assert_int_equal(config.listen.count, 2);
	assert_string_equal(config.listen.values[0], "127.0.0.1:80");
	assert_string_equal(config.listen.values[1], "unix:/run/x.sock");
	assert_true(config.interval == 0.5 && config.deadline == 120);
	assert_string_equal(config.procfs, "/p");
	assert_string_equal(config.sysfs, "/s");
	assert_int_equal(config.max_processes, 16);
	assert_int_equal(config.max_devices, 2);
	assert_int_equal(config.max_flows, 16);
	assert_int_equal(config.max_requests, 16);
	assert_int_equal(config.max_mappings, 16);
	assert_true(config.no_ledger);
	assert_int_equal(config.page_set_memory, 64 << 20);
	assert_int_equal(config.max_series, 0);
	assert_int_equal(config.max_connections, 1);
	assert_int_equal(config.max_per_address, 1);
	assert_string_equal(config.log_level, "warn");
	agent_config__free(&config);
}

static void test_small_files(void **state)
{
	static const char *const contents[] = {
		"",
		"\n",
		"# nothing\n",
		"---\n",
		"---\n...\n",
		"{}\n",
		"{interval: 1}\n",
		"\xef\xbb\xbfinterval: 1\n",
		"interval: 1\r\nmax-devices: 4096\r\n",
	};
	struct agent_config config;

	for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++) {
		assert_loads(*state, contents[i], &config);
		assert_int_equal(config.max_devices, 4096);
		assert_true(config.interval == 1);
		agent_config__free(&config);
	}
}

static void test_command_line_wins(void **state)
{
	char *argv[] = {"agent",       "--interval=3", "--web.listen-address",
			"127.0.0.1:2", "-c",	       *state};
	const char *content = "interval: 2\nmax-devices: 8\nweb.listen-address: 127.0.0.1:1\n";
	struct agent_config config;
	struct reason error;

	write_file(*state, content, strlen(content));
	assert_int_equal(agent_config__load(&config, 6, argv, &error), 0);
	assert_true(config.interval == 3);
	assert_int_equal(config.max_devices, 8);
	assert_int_equal(config.listen.count, 1);
	assert_string_equal(config.listen.values[0], "127.0.0.1:2");
	agent_config__free(&config);
}

static void test_unreadable(void **state)
{
	struct reason error;
	char *big;

	assert_int_equal(agent_config__check_file("/nonexistent/x.yaml", &error), -ENOENT);
	assert_string_equal(error.text, "/nonexistent/x.yaml: No such file or directory");
	assert_int_equal(agent_config__check_file("/", &error), -EISDIR);
	assert_string_equal(error.text, "/: Is a directory");
	/* An endless file ends too. */
	assert_int_equal(agent_config__check_file("/dev/zero", &error), -EFBIG);
	big = malloc(2 << 20);
	assert_non_null(big);
	memset(big, '#', 2 << 20);
	write_file(*state, big, 2 << 20);
	free(big);
	assert_int_equal(agent_config__check_file(*state, &error), -EFBIG);
}

static void test_deep_nesting(void **state)
{
	struct reason error;
	char *deep = malloc(200001);

	assert_non_null(deep);
	snprintf(deep, 200001, "interval: ");
	memset(deep + 10, '[', 199990);
	write_file(*state, deep, 200000);
	free(deep);
	assert_int_equal(agent_config__check_file(*state, &error), -EINVAL);
	assert_non_null(strstr(error.text, ":1:11: interval: a list where one value"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_broken_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_command_line_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deep_nesting, setup, teardown),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
