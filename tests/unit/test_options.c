/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/input/options.h"
#include "agent/option_table.h"

struct sample {
	bool flag, other;
	const char *string;
	struct option_list list;
	uint32_t number;
	uint64_t size;
	double seconds;
};

static const char *not_bad(const char *value)
{
	return strcmp(value, "bad") == 0 ? "is bad" : NULL;
}

#define FIELD(name) offsetof(struct sample, name)

static const struct option_row rows[] = {
	{"flag", 'f', OPTION_FLAG, FIELD(flag), 0, 0, NULL, "a flag", NULL},
	{"other", 'o', OPTION_FLAG, FIELD(other), 0, 0, NULL, "another", NULL},
	{"string", 's', OPTION_STRING, FIELD(string), 0, 0, "TEXT", "a string", not_bad},
	{"list", 0, OPTION_LIST, FIELD(list), 0, 0, "ITEM", "a list", not_bad},
	{"number", 'n', OPTION_U32, FIELD(number), 2, 4294967295.0, "N", "a number", NULL},
	{"size", 0, OPTION_SIZE, FIELD(size), 1024, 1024.0 * 1024 * 1024 * 1024, "BYTES", "a size",
	 NULL},
	{"seconds", 'd', OPTION_SECONDS, FIELD(seconds), 0.1, 3600, "SECONDS", "a time", NULL},
	{0},
};

#define MAX_WORDS 40

/* Splits at blanks: "--number 5". */
static int parse(const char *line, struct sample *sample, const char **operands, int max,
		 struct reason *error)
{
	static char copy[2048];
	char *argv[MAX_WORDS] = {"test"};
	int argc = 1;
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word && argc < MAX_WORDS;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	return options__parse(rows, argc, argv, sample, operands, max, error);
}

static void assert_refused(const char *line, const char *expected)
{
	struct sample sample = {0};
	struct reason error;

	assert_int_equal(parse(line, &sample, NULL, 0, &error), -EINVAL);
	if (!strstr(error.text, expected))
		fail_msg("'%s': '%s' does not hold '%s'", line, error.text, expected);
}

static void test_every_type(void **state)
{
	struct sample sample = {0};
	struct reason error;

	assert_int_equal(
		parse("--flag --string x --list a --list=b --number=7 --size 2K --seconds 1.5",
		      &sample, NULL, 0, &error),
		0);
	assert_true(sample.flag);
	assert_false(sample.other);
	assert_string_equal(sample.string, "x");
	assert_int_equal(sample.list.count, 2);
	assert_string_equal(sample.list.values[0], "a");
	assert_string_equal(sample.list.values[1], "b");
	assert_int_equal(sample.number, 7);
	assert_int_equal(sample.size, 2048);
	assert_true(sample.seconds == 1.5);
}

static void test_letters(void **state)
{
	struct sample sample = {0};
	struct reason error;

	assert_int_equal(parse("-fon5 -d 2 -s=x", &sample, NULL, 0, &error), 0);
	assert_true(sample.flag && sample.other);
	assert_int_equal(sample.number, 5);
	assert_true(sample.seconds == 2);
	assert_string_equal(sample.string, "=x");
	assert_refused("-x", "unknown option -x");
	assert_refused("-fx", "unknown option -x");
	assert_refused("-n", "option --number needs a value (N)");
	assert_refused("-fn1", "option --number: '1' is out of range (2 to 4294967295)");
}

static void test_operands(void **state)
{
	const char *operands[2];
	struct sample sample = {0};
	struct reason error;

	assert_int_equal(parse("a -f b", &sample, operands, 2, &error), 2);
	assert_string_equal(operands[0], "a");
	assert_string_equal(operands[1], "b");
	assert_true(sample.flag);
	sample.flag = false;
	assert_int_equal(parse("- -- -f", &sample, operands, 2, &error), 2);
	assert_string_equal(operands[0], "-");
	assert_string_equal(operands[1], "-f");
	assert_false(sample.flag);
	assert_int_equal(parse("a b c", &sample, operands, 2, &error), -EINVAL);
	assert_non_null(strstr(error.text, "unexpected argument 'c'"));
	assert_refused("a", "unexpected argument 'a'");
}

static void test_sizes(void **state)
{
	static const struct {
		const char *line;
		uint64_t size;
	} good[] = {
		{"--size=1024", 1024},	   {"--size=1K", 1024},	      {"--size=3M", 3 << 20},
		{"--size=4G", 4ULL << 30}, {"--size=1T", 1ULL << 40}, {"--size=1024G", 1ULL << 40},
	};
	struct reason error;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct sample sample = {0};

		assert_int_equal(parse(good[i].line, &sample, NULL, 0, &error), 0);
		assert_int_equal(sample.size, good[i].size);
	}
	assert_refused("--size=1023", "out of range (1K to 1T)");
	assert_refused("--size=1025G", "out of range (1K to 1T)");
	assert_refused("--size=18446744073709551615T", "out of range");
	assert_refused("--size=18446744073709551616", "out of range");
	assert_refused("--size=1k", "not a size");
	assert_refused("--size=1.5M", "not a size");
	assert_refused("--size=1MB", "not a size");
	assert_refused("--size=M", "not a size");
	assert_refused("--size=-1M", "not a size");
	assert_refused("--size=", "not a size");
}

static void test_times(void **state)
{
	static const struct {
		const char *line;
		double seconds;
	} good[] = {
		{"-d0.5", 0.5}, {"-d.5", 0.5},	{"-d2.", 2},	{"-d500ms", 0.5},
		{"-d2s", 2},	{"-d1.5m", 90}, {"-d1h", 3600}, {"-d0.1", 0.1},
	};
	struct reason error;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct sample sample = {0};

		assert_int_equal(parse(good[i].line, &sample, NULL, 0, &error), 0);
		assert_true(sample.seconds == good[i].seconds);
	}
	assert_refused("-d0", "out of range (0.1 to 3600)");
	assert_refused("-d2h", "out of range (0.1 to 3600)");
	assert_refused("-d.", "not a time");
	assert_refused("-dms", "not a time");
	assert_refused("-d1e3", "not a time");
	assert_refused("-dnan", "not a time");
	assert_refused("-dinf", "not a time");
	assert_refused("-d0x10", "not a time");
	assert_refused("-d-1", "not a time");
	assert_refused("-d1,5", "not a time");
	assert_refused("--seconds=", "not a time");
}

static void test_numbers(void **state)
{
	struct sample sample = {0};
	struct reason error;

	assert_int_equal(parse("--number 4294967295", &sample, NULL, 0, &error), 0);
	assert_int_equal(sample.number, UINT32_MAX);
	assert_int_equal(parse("--number 007", &sample, NULL, 0, &error), 0);
	assert_int_equal(sample.number, 7);
	assert_refused("--number 1", "out of range (2 to 4294967295)");
	assert_refused("--number 4294967296", "out of range");
	assert_refused("--number 99999999999999999999", "out of range");
	assert_refused("--number 5x", "option --number: '5x' is not a whole number");
	assert_refused("--number 5.0", "not a whole number");
	assert_refused("--number -5", "not a whole number");
	assert_refused("--number +5", "not a whole number");
	assert_refused("--number 0x5", "not a whole number");
	assert_refused("--number=", "not a whole number");
}

static void test_wrong_use(void **state)
{
	assert_refused("--nonsense", "unknown option --nonsense");
	assert_refused("--nonsense=5", "unknown option --nonsense;");
	assert_refused("--num 5", "unknown option --num;");
	assert_refused("--string", "option --string needs a value (TEXT)");
	assert_refused("--flag=true", "option --flag takes no value");
	assert_refused("--string bad", "option --string: 'bad' is bad");
	assert_refused("--list bad", "option --list: 'bad' is bad");
	assert_refused("--list a --list a", "option --list: 'a' is given twice");
	assert_refused("--list 1 --list 2 --list 3 --list 4 --list 5 --list 6 --list 7 --list 8 "
		       "--list 9 --list 10 --list 11 --list 12 --list 13 --list 14 --list 15 "
		       "--list 16 --list 17",
		       "option --list: more than 16 values");
}

static void test_repeated(void **state)
{
	struct sample sample = {.list = {.values = {"old"}, .count = 1}};
	struct reason error;

	assert_int_equal(parse("-n 3 -n 4 --list a --list b", &sample, NULL, 0, &error), 0);
	assert_int_equal(sample.number, 4);
	assert_int_equal(sample.list.count, 2);
	assert_string_equal(sample.list.values[0], "a");
}

/* A message has room for any argument, and says which option all the same. */
static void test_long_values(void **state)
{
	char line[1500];
	struct sample sample = {0};
	struct reason error;

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "-n", 2);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(parse(line, &sample, NULL, 0, &error), -EINVAL);
	assert_non_null(strstr(error.text, "option --number: 'xxx"));
	memcpy(line, "--", 2);
	assert_int_equal(parse(line, &sample, NULL, 0, &error), -EINVAL);
	assert_non_null(strstr(error.text, "unknown option --xxx"));
}

static void test_help(void **state)
{
	struct text out = {0};

	options__help(rows, &out);
	assert_false(out.failed);
	assert_non_null(strstr(out.data, "  -f, --flag             a flag\n"));
	assert_non_null(strstr(out.data, "  -n, --number N         a number\n"));
	assert_non_null(strstr(out.data, "      --list ITEM        a list\n"));
	text__free(&out);
}

static void assert_config_refused(const char *option, const char *expected)
{
	char *argv[] = {"agent", (char *)option};
	struct agent_config config;
	struct reason error;

	assert_int_equal(agent_config__load(&config, 2, argv, &error), -EINVAL);
	if (!strstr(error.text, expected))
		fail_msg("'%s': '%s' does not hold '%s'", option, error.text, expected);
	agent_config__free(&config);
}

static void test_agent_options(void **state)
{
	static const char *const listen[] = {
		"127.0.0.1:7243", "[::1]:7243", "0.0.0.0:0", "localhost:65535", "unix:/run/x.sock",
	};
	struct agent_config config;
	struct reason error;
	char option[128];
	char *argv[] = {"agent", option};

	for (size_t i = 0; i < sizeof(listen) / sizeof(*listen); i++) {
		snprintf(option, sizeof(option), "--web.listen-address=%s", listen[i]);
		assert_int_equal(agent_config__load(&config, 2, argv, &error), 0);
		assert_int_equal(config.listen.count, 1);
		assert_string_equal(config.listen.values[0], listen[i]);
		agent_config__free(&config);
	}
	assert_config_refused("--web.listen-address=7243", "neither ADDRESS:PORT nor unix:PATH");
	assert_config_refused("--web.listen-address=:7243", "has no address");
	assert_config_refused("--web.listen-address=::1:7243", "without brackets");
	assert_config_refused("--web.listen-address=[::1]", "is not [ADDRESS]:PORT");
	assert_config_refused("--web.listen-address=[]:1", "is not [ADDRESS]:PORT");
	assert_config_refused("--web.listen-address=a:65536", "has no port");
	assert_config_refused("--web.listen-address=a:", "has no port");
	assert_config_refused("--web.listen-address=a:+1", "has no port");
	assert_config_refused("--web.listen-address=unix:", "has no path");
	assert_config_refused("--web.listen-address=", "option --web.listen-address: ''");
	assert_config_refused("--max-processes=15", "out of range (16 to");
	assert_config_refused("--max-devices=1", "out of range (2 to");
	assert_config_refused("--interval=0", "out of range (0.1 to 3600)");
	assert_config_refused("--log.level=loud", "is none of debug, info, warn, error");
	assert_config_refused("--path.procfs=", "is empty");
	assert_config_refused("operand", "unexpected argument 'operand'");
}

static void test_agent_defaults(void **state)
{
	char *argv[] = {"agent", "--help"};
	struct agent_config config;
	struct reason error;

	assert_int_equal(agent_config__load(&config, 1, argv, &error), 0);
	assert_int_equal(config.listen.count, 1);
	assert_string_equal(config.listen.values[0], "127.0.0.1:7243");
	assert_int_equal(config.max_processes, 8192);
	assert_int_equal(config.page_set_memory, 256 << 20);
	assert_true(config.interval == 1 && config.deadline == 15);
	assert_false(config.help);
	assert_int_equal(agent_config__load(&config, 2, argv, &error), 0);
	assert_true(config.help);
	agent_config__free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),    cmocka_unit_test(test_letters),
		cmocka_unit_test(test_operands),      cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_times),	      cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_wrong_use),     cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_long_values),   cmocka_unit_test(test_help),
		cmocka_unit_test(test_agent_options), cmocka_unit_test(test_agent_defaults),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
