/* SPDX-License-Identifier: BSD-2-Clause */
/* Query strings, Accept headers and Host headers: what clients send. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/views/negotiate.h"
#include "api/views/query.h"

static const char *const orders[] = {"asc", "desc", NULL};
static const struct param_row rows[] = {
	{.name = "limit", .type = PARAM_INTEGER, .min = 1, .max = 1000, .initial = "100"},
	{.name = "id", .type = PARAM_INTEGER, .max = UINT64_MAX},
	{
		.name = "order",
		.type = PARAM_CHOICE,
		.choices = orders,
		.stride = sizeof(orders[0]),
		.initial = "desc",
	},
	{.name = "filter", .type = PARAM_TEXT, .max = 8},
	{},
};

static int parse(const char *raw, struct query *query, char error[QUERY_ERROR_MAX], char *copy)
{
	snprintf(copy, 256, "%s", raw);
	error[0] = '\0';
	return query__parse(query, rows, copy, error);
}

static void good(void **state)
{
	char error[QUERY_ERROR_MAX], copy[256];
	struct query query;

	assert_int_equal(parse("", &query, error, copy), 0);
	assert_int_equal(query__get(&query, "limit")->number, 100);
	assert_int_equal(query__get(&query, "order")->number, 1);
	assert_null(query__get(&query, "filter"));
	assert_null(query__get(&query, "nothing"));
	assert_int_equal(parse("limit=7&order=asc&filter=%41+%c3%a9&id=18446744073709551615",
			       &query, error, copy),
			 0);
	assert_int_equal(query__get(&query, "limit")->number, 7);
	assert_int_equal(query__get(&query, "order")->number, 0);
	assert_string_equal(query__get(&query, "filter")->text, "A \xc3\xa9");
	assert_true(query__get(&query, "id")->number == UINT64_MAX);
	assert_int_equal(parse("filter=", &query, error, copy), 0);
	assert_string_equal(query__get(&query, "filter")->text, "");
}

/* Each is refused, and the sentence names the parameter. */
static void bad(void **state)
{
	const struct {
		const char *raw, *named;
	} cases[] = {
		{"limit=0", "limit"},
		{"limit=1001", "limit"},
		{"limit=-1", "limit"},
		{"limit=+1", "limit"},
		{"limit=1e2", "limit"},
		{"limit=0x10", "limit"},
		{"limit=", "limit"},
		{"limit", "limit"},
		{"limit=1&limit=2", "limit"},
		{"limit=99999999999999999999999", "limit"},
		{"limit=1%00", "limit"},
		{"id=18446744073709551616", "id"},
		{"order=up", "order"},
		{"order=ASC", "order"},
		{"order=", "order"},
		{"filter=%ff", "filter"},
		{"filter=%c3", "filter"},
		{"filter=%", "filter"},
		{"filter=%4", "filter"},
		{"filter=%zz", "filter"},
		{"filter=123456789", "filter"},
		{"filter=a%00b", "filter"},
		{"\xff=1", "?"},
		{"bogus=1", "bogus"},
		{"Limit=1", "Limit"},
		{"lim%00it=1", "lim%00it"},
		{"=1", "\"\""},
		{"&", "\"\""},
		{"limit=1&&order=asc", "\"\""},
	};
	char error[QUERY_ERROR_MAX], copy[256];
	struct query query;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(parse(cases[i].raw, &query, error, copy), -EINVAL);
		if (!strstr(error, cases[i].named))
			fail_msg("%s: %s", cases[i].raw, error);
	}
}

static void without_table(void **state)
{
	char error[QUERY_ERROR_MAX], raw[] = "a=1";
	struct query query;

	assert_int_equal(query__parse(&query, NULL, raw, error), -EINVAL);
	assert_non_null(strstr(error, "\"a\""));
	raw[0] = '\0';
	assert_int_equal(query__parse(&query, NULL, raw, error), 0);
	assert_null(query__get(&query, "a"));
}

/* Bytes at random: never a crash, and a refusal always has its sentence. */
static void noise(void **state)
{
	static const char alphabet[] = "limtorder=&%0419afz+\xff\xc3\xa9";
	char error[QUERY_ERROR_MAX], raw[64], copy[256];
	struct query query;

	srand(2);
	for (int i = 0; i < 50000; i++) {
		int length = rand() % 60;

		for (int c = 0; c < length; c++)
			raw[c] = alphabet[rand() % (int)(sizeof(alphabet) - 1)];
		raw[length] = '\0';
		if (parse(raw, &query, error, copy))
			assert_true(strlen(error) > 0);
	}
}

static void accept_headers(void **state)
{
	const struct {
		const char *header;
		bool openmetrics;
	} cases[] = {
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"text/html,*/*;q=0.8", false},
		{"application/openmetrics-text", true},
		{"application/openmetrics-text; version=1.0.0; charset=utf-8", true},
		{"application/openmetrics-text;version=\"1.0.0\"", true},
		{"application/openmetrics-text;version=2.0.0", false},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;q=0.3,text/plain;q=0.5", false},
		{"Application/OpenMetrics-Text ; Q=0.5 , text/plain;q=0.4", true},
		/* What Prometheus 2.53 and 3 send. */
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		 "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
		 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		 true},
		{"application/openmetrics-text;q=2", false},
		{"application/openmetrics-text;q=", false},
		{";;,,;q=1,=", false},
		{"application/openmetrics-text;q=0.0001", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (accept__openmetrics(cases[i].header) != cases[i].openmetrics)
			fail_msg("%s", cases[i].header);
	}
}

static void accepted_encodings(void **state)
{
	const struct {
		const char *header;
		bool gzip;
	} encodings[] = {
		{"", false},
		{"gzip", true},
		{"deflate, gzip;q=0.1", true},
		{"gzip;q=0", false},
		{"gzip;q=0.000, *", false},
		{"*", true},
		{"*;q=0", false},
		{"identity", false},
		{"GZIP", true},
		{"xgzip, gzipx", false},
		{"br;q=1.0,gzip;q=0.8,*;q=0.1", true},
	};

	for (size_t i = 0; i < sizeof(encodings) / sizeof(*encodings); i++) {
		if (accept__gzip(encodings[i].header) != encodings[i].gzip)
			fail_msg("%s", encodings[i].header);
	}
}

static void accepted_pages(void **state)
{
	const struct {
		const char *header;
		bool html;
	} pages[] = {
		{"", false},
		{"*/*", false},
		{"application/json", false},
		{"text/*", false},
		{"text/html;q=0", false},
		{"text/html;q=x", false},
		{"xtext/html, text/htmlx", false},
		{"text/html;q=0.5, application/json", false},
		{"TEXT/HTML", true},
		{"text/html, application/json", true},
		/* What browsers send. */
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
	};

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		if (accept__html(pages[i].header) != pages[i].html)
			fail_msg("%s", pages[i].header);
	}
}

static void host_headers(void **state)
{
	static const char *const good_hosts[] = {
		"",	     "localhost",      "LOCALHOST:7243",
		"127.0.0.1", "127.0.0.1:7243", "10.1.2.3:80",
		"[::1]",     "[::1]:7243",     "[fe80::1%eth0]:7243",
	};
	static const char *const bad_hosts[] = {
		"evil.example",
		"evil.example:7243",
		"localhost.evil.example",
		"127.0.0.1.evil.example",
		"::1",
		"[evil]",
		"[::1",
		"[::1]x",
		"localhost:port",
		":7243",
		"127.0.0.1:80:80",
		"local host",
		"2130706433",
		"0x7f.1",
		"@localhost",
		"localhost@evil",
	};
	char own[300] = "";

	for (size_t i = 0; i < sizeof(good_hosts) / sizeof(*good_hosts); i++) {
		if (!host__allowed(good_hosts[i]))
			fail_msg("%s", good_hosts[i]);
	}
	for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(*bad_hosts); i++) {
		if (host__allowed(bad_hosts[i]))
			fail_msg("%s", bad_hosts[i]);
	}
	assert_int_equal(gethostname(own, 256), 0);
	assert_true(host__allowed(own));
	snprintf(own + strlen(own), 20, ".evil.example");
	assert_false(host__allowed(own));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),		  cmocka_unit_test(bad),
		cmocka_unit_test(without_table),  cmocka_unit_test(noise),
		cmocka_unit_test(accept_headers), cmocka_unit_test(accepted_encodings),
		cmocka_unit_test(accepted_pages), cmocka_unit_test(host_headers),
	};

	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
