/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"

static void integers(void **state)
{
	uint64_t values[] = {0, 1, 9, 10, 99, 100, 101, 999, 1000, 4294967295u, UINT64_MAX};
	struct text text = {};
	char expected[32];

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		text.length = 0;
		text__u64(&text, values[i]);
		snprintf(expected, sizeof(expected), "%" PRIu64, values[i]);
		assert_string_equal(text.data, expected);
	}
	for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
		text.length = 0;
		text__u64(&text, power - 1);
		snprintf(expected, sizeof(expected), "%" PRIu64, power - 1);
		assert_string_equal(text.data, expected);
	}
	text.length = 0;
	text__i64(&text, INT64_MIN);
	text__putc(&text, ' ');
	text__i64(&text, -1);
	text__putc(&text, ' ');
	text__i64(&text, INT64_MAX);
	assert_string_equal(text.data, "-9223372036854775808 -1 9223372036854775807");
	text__free(&text);
}

static void doubles(void **state)
{
	const struct {
		double value;
		const char *form;
	} rows[] = {
		{0, "0"},
		{1, "1"},
		{-3, "-3"},
		{0.1, "0.1"},
		{0.5, "0.5"},
		{1e21, "1e+21"},
		{123456789.125, "123456789.125"},
		{5e-324, "5e-324"},
		{NAN, "0"},
		{INFINITY, "0"},
		{-INFINITY, "0"},
		{1.0 / 3, "0.3333333333333333"},
		{DBL_MAX, "1.7976931348623157e+308"},
	};
	struct text text = {};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		text.length = 0;
		text__double(&text, rows[i].value);
		assert_string_equal(text.data, rows[i].form);
	}
	srand(1);
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = 0;
		double value;

		for (int byte = 0; byte < 8; byte++)
			bits = bits << 8 | (unsigned)(rand() & 255);
		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value))
			continue;
		text.length = 0;
		text__double(&text, value);
		assert_true(strtod(text.data, NULL) == value);
	}
	text__free(&text);
}

static void growth(void **state)
{
	struct text text = {};

	for (int i = 0; i < 100000; i++)
		text__printf(&text, "%05d", i);
	assert_int_equal(text.length, 500000);
	assert_true(text.capacity > text.length && text.capacity <= 2 * 500001 + 256);
	assert_int_equal(strlen(text.data), text.length);
	assert_memory_equal(text.data + 99999 * 5, "99999", 5);
	text__free(&text);
	assert_null(text.data);

	/* What cannot fit fails, stays failed, and leaves what was there. */
	text__puts(&text, "kept");
	text__append(&text, "", SIZE_MAX / 2);
	assert_true(text.failed);
	text__puts(&text, "more");
	assert_string_equal(text.data, "kept");
	text__free(&text);
}

static void utf8(void **state)
{
	const struct {
		const char *bytes;
		size_t taken;
		uint32_t code;
	} rows[] = {
		{"A", 1, 'A'},
		{"\xc3\xa9", 2, 0xE9},
		{"\xe2\x82\xac", 3, 0x20AC},
		{"\xf0\x9f\x98\x80", 4, 0x1F600},
		{"\xc0\x80", 1, 0xFFFD},	 /* overlong */
		{"\xed\xa0\x80", 1, 0xFFFD},	 /* a surrogate */
		{"\xf4\x90\x80\x80", 1, 0xFFFD}, /* above U+10FFFF */
		{"\xe2\x82", 2, 0xFFFD},
		{"\xe2"
		 "A",
		 1, 0xFFFD},
		{"\x80", 1, 0xFFFD},
		{"\xff", 1, 0xFFFD},
		{"\xf0\x9f\x98", 3, 0xFFFD},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint32_t code;
		size_t length = strlen(rows[i].bytes);

		assert_int_equal(utf8__next(rows[i].bytes, length, &code), rows[i].taken);
		assert_int_equal(code, rows[i].code);
		assert_int_equal(utf8__valid(rows[i].bytes, length), rows[i].code != 0xFFFD);
	}
	assert_true(utf8__valid("\xef\xbf\xbd", 3)); /* U+FFFD itself */
	assert_true(utf8__valid("", 0));
	for (uint32_t code = 1; code < 0x110000; code += 7) {
		struct text text = {};
		uint32_t back;

		text__put_code(&text, code);
		assert_int_equal(utf8__next(text.data, text.length, &back), text.length);
		assert_int_equal(back, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
		text__free(&text);
	}
}

static void escaping(void **state)
{
	const char *hostile = "a\n\"\\\033\x7f\xc2\x9b\xe2\x82 z";
	struct text text = {};

	text__json_string(&text, hostile);
	assert_string_equal(text.data, "\"a\\n\\\"\\\\\\u001b\\u007f\\u009b\xef\xbf\xbd z\"");
	text.length = 0;
	text__label_value(&text, hostile);
	assert_string_equal(text.data, "\"a\\n\\\"\\\\\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				       "\xef\xbf\xbd z\"");
	text.length = 0;
	text__terminal(&text, hostile);
	assert_string_equal(text.data, "a\\x0a\"\\\\x1b\\x7f\\xc2\\x9b\\xe2\\x82 z");
	/* A right-to-left override would turn the rest of the line around. */
	text.length = 0;
	text__terminal(&text, "\xe2\x80\xae"
			      "gpj.exe \xc3\xa9");
	assert_string_equal(text.data, "\\xe2\\x80\\xaegpj.exe \xc3\xa9");
	text__free(&text);
}

static void times(void **state)
{
	const struct timespec time = {.tv_sec = 1795379446, .tv_nsec = 123999999};
	const struct timespec absurd = {.tv_sec = INT64_MAX};
	struct text text = {};

	text__time(&text, &time);
	assert_string_equal(text.data, "2026-11-22T20:30:46.123Z");
	text.length = 0;
	text__time(&text, &absurd);
	assert_string_equal(text.data, "1970-01-01T00:00:00.000Z");
	text__free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers), cmocka_unit_test(doubles),	cmocka_unit_test(growth),
		cmocka_unit_test(utf8),	    cmocka_unit_test(escaping), cmocka_unit_test(times),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
