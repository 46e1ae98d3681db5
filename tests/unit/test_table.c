/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dashboards/terminal/tables/columns.h"
#include "dashboards/terminal/tables/listing.h"
#include "dashboards/terminal/tables/table.h"
#include "tests/cmocka_names.h"

static const struct column columns[] = {
	{"pid", "PID", COLUMN_COUNT, "pid", 0, true, "number"},
	{"name", "NAME", COLUMN_TEXT, "name", 8, true, "name"},
	{"state", "STATE", COLUMN_STATE, "state", 0, false, "state"},
	{"rate", "RATE", COLUMN_RATE, "rates", 0, true, "rate"},
	{"bytes", "BYTES", COLUMN_BYTES, "block.bytes", 0, false, "bytes"},
	{"time", "TIME", COLUMN_TIME, "time", 0, false, "time"},
	{"names", "NAMES", COLUMN_TEXT, "names", 0, false, "list"},
	{0},
};

/* Renders a JSON array with the named columns; the caller frees. */
static char *render(const char *names, const char *json, struct table_style style)
{
	const struct resource resource = {.name = "rows", .columns = columns};
	struct listing listing = {.resource = &resource};
	json_t *answer = json_pack("{s:o?}", "rows", json_loads(json, JSON_ALLOW_NUL, NULL));
	struct reason error;
	struct text out = {0};

	assert_non_null(listing__rows(&listing, answer));
	assert_int_equal(listing__set_columns(&listing, names, &error), 0);
	listing__table(&listing, answer, &style, &out);
	assert_false(out.failed);
	json_decref(answer);
	return out.data;
}

static void assert_table(const char *names, const char *json, unsigned width, const char *expected)
{
	char *text = render(names, json, (struct table_style){.width = width});

	assert_string_equal(text, expected);
	free(text);
}

static void test_alignment(void **state)
{
	assert_table("pid,name,rate",
		     "[{\"pid\":1,\"name\":\"a\",\"rates\":1.25},"
		     "{\"pid\":12345,\"name\":\"longer name\",\"rates\":1000}]",
		     0,
		     "  PID  NAME           RATE\n"
		     "    1  a               1.2\n"
		     "12345  longer name  1000.0\n");
	assert_table("name,pid", "[]", 0, "NAME  PID\n");
	/* A text at the end is not padded. */
	assert_table("pid,name", "[{\"pid\":1,\"name\":\"a\"},{\"pid\":2,\"name\":\"abc def\"}]", 0,
		     "PID  NAME\n  1  a\n  2  abc def\n");
}

static void test_numbers(void **state)
{
	assert_table("pid", "[{\"pid\":9007199254740993},{\"pid\":9223372036854775807}]", 0,
		     "                PID\n   9007199254740993\n9223372036854775807\n");
	/* An object stands for the sum of its members, a tree too. */
	assert_table("rate", "[{\"rates\":{\"cpu\":1.5,\"dma\":{\"a\":2,\"b\":3}}}]", 0,
		     "RATE\n 6.5\n");
	assert_table("bytes",
		     "[{\"block\":{\"bytes\":0}},{\"block\":{\"bytes\":1023}},"
		     "{\"block\":{\"bytes\":1024}},{\"block\":{\"bytes\":268435456}},"
		     "{\"block\":{\"bytes\":1048575}}]",
		     0, "    BYTES\n      0 B\n   1023 B\n  1.0 KiB\n256.0 MiB\n  1.0 MiB\n");
}

static void test_nothing(void **state)
{
	assert_table(
		"pid,name,state,rate,bytes,time,names",
		"[{\"pid\":null,\"name\":null,\"rates\":null,\"block\":null,\"names\":[]},{},"
		"7,null,{\"pid\":\"x\",\"name\":\"\",\"rates\":{},\"block\":[],\"time\":\"\"}]",
		0,
		"PID  NAME  STATE  RATE  BYTES  TIME  NAMES\n"
		"  -  -     -         -      -  -     -\n"
		"  -  -     -         -      -  -     -\n"
		"  -  -     -         -      -  -     -\n"
		"  -  -     -         -      -  -     -\n"
		"  -  -     -         -      -  -     -\n");
}

static void test_texts(void **state)
{
	assert_table("time,names",
		     "[{\"time\":\"2026-11-22T20:30:46.123Z\",\"names\":[\"a\",\"b\"]},"
		     "{\"time\":\"later.Z\",\"names\":[{\"name\":\"p\"},{},1]},"
		     "{\"time\":\".\",\"names\":true}]",
		     0,
		     "TIME                  NAMES\n2026-11-22T20:30:46Z  a,b\n"
		     "later.Z               p,,1\n.                     yes\n");
}

static void test_wide_characters(void **state)
{
	/* Two cells each, a combining accent none. */
	assert_table("name,pid",
		     "[{\"name\":\"\\u6f22\\u5b57\",\"pid\":1},{\"name\":\"e\\u0301\",\"pid\":2},"
		     "{\"name\":\"abcd\",\"pid\":3},{\"name\":\"\\ud83d\\ude00\",\"pid\":4}]",
		     0,
		     "NAME  PID\n\u6f22\u5b57    1\ne\u0301       2\nabcd    3\n"
		     "\U0001f600      4\n");
}

static void test_hostile_names(void **state)
{
	assert_table("name,pid",
		     "[{\"name\":\"a\\nb\",\"pid\":1},{\"name\":\"\\u001b[31m\",\"pid\":2},"
		     "{\"name\":\"\\u009b2J\",\"pid\":3},{\"name\":\"\\u202ex\",\"pid\":4},"
		     "{\"name\":\"\\t\\r\\u007f\",\"pid\":5}]",
		     0,
		     "NAME           PID\na\\x0ab           1\n\\x1b[31m         2\n"
		     "\\xc2\\x9b2J       3\n\\xe2\\x80\\xaex    4\n\\x09\\x0d\\x7f     5\n");
}

/* jansson refuses invalid UTF-8, so these bytes can only come from elsewhere: an error, a path. */
static void test_cut_utf8(void **state)
{
	struct text out = {0};

	assert_int_equal(table__put_safe("a\xe6\xbc", 0, &out), 9);
	assert_string_equal(out.data, "a\\xe6\\xbc");
	out.length = 0;
	assert_int_equal(table__put_safe("\xff\x1b]0;x\x07", 0, &out), 16);
	assert_string_equal(out.data, "\\xff\\x1b]0;x\\x07");
	out.length = 0;
	assert_int_equal(table__put_safe("", 5, &out), 0);
	assert_int_equal(table__put_safe("abcdef", 4, &out), 4);
	assert_string_equal(out.data, "abc\u2026");
	out.length = 0;
	/* A wide character is not cut in half. */
	assert_int_equal(table__put_safe("\u6f22\u5b57\u6f22", 4, &out), 3);
	assert_string_equal(out.data, "\u6f22\u2026");
	text__free(&out);
}

static void test_narrow_terminal(void **state)
{
	const char *rows =
		"[{\"pid\":1,\"name\":\"a very long name\",\"state\":\"active\"},"
		"{\"pid\":123,\"name\":\"\u6f22\u5b57\u6f22\u5b57\u6f22\",\"state\":\"x\"}]";

	assert_table("pid,name,state", rows, 80,
		     "PID  NAME      STATE\n  1  a very \u2026  active\n"
		     "123  \u6f22\u5b57\u6f22\u2026   x\n");
	assert_table("pid,name,state", rows, 17,
		     "PID  NAME      S\u2026\n  1  a very \u2026  a\u2026\n123  "
		     "\u6f22\u5b57\u6f22\u2026   x\n");
	assert_table("pid,name,state", rows, 8,
		     "PID  NA\u2026\n  1  a \u2026\n123  \u6f22\u2026\n");
	assert_table("pid,name,state", rows, 4, "PID\n  1\n123\n");
	assert_table("pid,name,state", rows, 1, "\u2026\n1\n\u2026\n");
}

/* No line is wider than the terminal, at any width. */
static void test_every_width(void **state)
{
	const char *rows = "[{\"pid\":12,\"name\":\"\u6f22\u5b57 \u6f22\u5b57\",\"rates\":12.5,"
			   "\"state\":\"partial\",\"names\":[\"e\u0301\",\"\\u001b\"]}]";

	for (unsigned width = 1; width < 60; width++) {
		char *text = render("name,pid,state,rate,names", rows,
				    (struct table_style){.width = width});
		char *save = NULL;

		for (char *line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			struct text again = {0};

			assert_true(utf8__valid(line, strlen(line)));
			assert_uint_in_range(table__put_safe(line, 0, &again), 0, width);
			text__free(&again);
		}
		free(text);
	}
}

static void test_colours(void **state)
{
	char *text = render("state,name",
			    "[{\"state\":\"partial\",\"name\":\"partial\"},{\"state\":\"active\"}]",
			    (struct table_style){.colour = true});

	assert_string_equal(text, "\033[1mSTATE\033[0m    \033[1mNAME\033[0m\n"
				  "\033[33mpartial\033[0m  partial\nactive   -\n");
	free(text);
}

static void test_column_names(void **state)
{
	struct listing listing = {.resource = resource__find("processes")};
	struct reason error;

	assert_int_equal(listing__set_columns(&listing, "pid,bogus", &error), -EINVAL);
	assert_non_null(strstr(error.text, "unknown column 'bogus'; valid ones are pid, user"));
	assert_int_equal(listing__set_columns(&listing, "", &error), -EINVAL);
	assert_int_equal(listing__set_columns(&listing, "pid,", &error), -EINVAL);
	assert_int_equal(listing__set_sort(&listing, "bogus", NULL, false, &error), -EINVAL);
	assert_non_null(strstr(error.text, "cannot sort by column 'bogus'; valid ones are pid"));
	assert_int_equal(listing__set_sort(&listing, "cmdline", NULL, false, &error), -EINVAL);
	assert_int_equal(listing__set_sort(&listing, "pid", "up", false, &error), -EINVAL);
	assert_int_equal(listing__set_sort(&listing, NULL, NULL, false, &error), 0);
	assert_string_equal(listing.sort->name, "rate");
	assert_true(listing.descending);
	assert_int_equal(listing__set_sort(&listing, "comm", NULL, false, &error), 0);
	assert_false(listing.descending);
	assert_int_equal(listing__set_sort(&listing, "comm", "desc", true, &error), 0);
	assert_false(listing.descending);
}

static void test_paths(void **state)
{
	struct listing listing = {.resource = resource__find("processes"),
				  .limit = 5,
				  .filter = "a b&c=\"\xc3\xa9%",
				  .pid = 7,
				  .device = "not of processes",
				  .offset = 20,
				  .around = "7-9",
				  .find = "x",
				  .which = "here"};
	struct reason error;
	struct text out = {0};

	assert_int_equal(listing__set_sort(&listing, NULL, NULL, false, &error), 0);
	listing__path(&listing, &out);
	assert_string_equal(out.data, "/api/v1/processes?sort=rate&order=desc&limit=5&offset=20"
				      "&filter=a%20b%26c%3D%22%C3%A9%25&around=7-9&find=x"
				      "&which=here&pid=7");
	out.length = 0;
	listing = (struct listing){.resource = resource__find("events"), .limit = 9, .after = 3};
	listing__path(&listing, &out);
	assert_string_equal(out.data, "/api/v1/events?limit=9&after=3");
	out.length = 0;
	listing = (struct listing){.resource = resource__find("sensors"), .limit = 9};
	listing__path(&listing, &out);
	assert_string_equal(out.data, "/api/v1/sensors");
	text__free(&out);
}

/* Every list that a resource names exists; names are unique. */
static void test_resources(void **state)
{
	const struct resource *resource;

	for (size_t i = 0; (resource = resource__at(i)); i++) {
		struct listing listing = {.resource = resource};
		struct reason error;

		assert_ptr_equal(resource__find(resource->name), resource);
		assert_int_equal(listing__set_columns(&listing, resource->shown, &error), 0);
		if (resource->verbose)
			assert_int_equal(listing__set_columns(&listing, resource->verbose, &error),
					 0);
		assert_int_equal(listing__set_sort(&listing, NULL, NULL, false, &error), 0);
		for (const struct column *a = resource->columns; a->name; a++) {
			assert_non_null(a->help);
			assert_ptr_equal(column__find(resource->columns, a->name, strlen(a->name)),
					 a);
		}
	}
	assert_null(resource__find("nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment),	cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_nothing),		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_wide_characters), cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_cut_utf8),	cmocka_unit_test(test_narrow_terminal),
		cmocka_unit_test(test_every_width),	cmocka_unit_test(test_colours),
		cmocka_unit_test(test_column_names),	cmocka_unit_test(test_paths),
		cmocka_unit_test(test_resources),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
