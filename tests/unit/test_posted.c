/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies of requests, tokens, and the pages of a track in their two representations. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/token.h"
#include "agent/tracks/cpu/page_table.h"
#include "api/views/page_answer.h"
#include "api/views/posted.h"

/* ---- bodies ---- */

struct wanted {
	uint64_t number;
	unsigned choice;
	const char *text;
	json_t *object;
};

static const char *const choices[] = {"red", "green", NULL};
static const struct json_member_row rows[] = {
	{"number", MEMBER_INTEGER, offsetof(struct wanted, number), 1, 1000, NULL, true},
	{"choice", MEMBER_CHOICE, offsetof(struct wanted, choice), 0, 0, choices, false},
	{"text", MEMBER_TEXT, offsetof(struct wanted, text), 0, 8, NULL, false},
	{"object", MEMBER_OBJECT, offsetof(struct wanted, object), 0, 0, NULL, false},
	{},
};

/* 0, or -EINVAL with the answer's text in message. */
static int take(const char *body, size_t length, struct wanted *wanted, json_t **document,
		struct reason *message)
{
	const struct request request = {.body = body, .body_length = length};
	struct answer answer = {0};
	int err = -EINVAL;

	*wanted = (struct wanted){.choice = 7};
	*document = posted__parse(&request, &answer);
	if (*document)
		err = posted__read(*document, rows, "in.", wanted, &answer);
	reason__set(message, "%s", answer.text.length ? answer.text.data : "");
	assert_int_equal(err != 0, answer.status == 400);
	answer__free(&answer);
	return err;
}

static void test_good(void **unused)
{
	static const char body[] = "{\"number\": 1000, \"choice\": \"green\", \"text\": "
				   "\"12345678\", \"object\": {\"a\": 1}}";
	struct wanted wanted;
	struct reason message;
	json_t *document;

	assert_int_equal(take(body, strlen(body), &wanted, &document, &message), 0);
	assert_int_equal(wanted.number, 1000);
	assert_int_equal(wanted.choice, 1);
	assert_string_equal(wanted.text, "12345678");
	assert_int_equal(json_integer_value(json_object_get(wanted.object, "a")), 1);
	json_decref(document);
	assert_int_equal(take("{\"number\":1}", 12, &wanted, &document, &message), 0);
	assert_int_equal(wanted.choice, 7); /* what is not given stays as it was */
	json_decref(document);
}

static void test_bad(void **unused)
{
	static const struct {
		const char *body, *named;
	} cases[] = {
		{"{}", "in.number"},
		{"{\"number\": 0}", "in.number"},
		{"{\"number\": 1001}", "in.number"},
		{"{\"number\": -1}", "in.number"},
		{"{\"number\": 1.0}", "in.number"},
		{"{\"number\": \"1\"}", "in.number"},
		{"{\"number\": true}", "in.number"},
		{"{\"number\": null}", "in.number"},
		{"{\"number\": [1]}", "in.number"},
		{"{\"number\": 18446744073709551616}", "JSON"},
		{"{\"number\": 1e999}", "JSON"},
		{"{\"number\": 1, \"number\": 2}", "number"},
		{"{\"number\": 1, \"choice\": \"blue\"}", "in.choice"},
		{"{\"number\": 1, \"choice\": 0}", "in.choice"},
		{"{\"number\": 1, \"text\": \"123456789\"}", "in.text"},
		{"{\"number\": 1, \"text\": 1}", "in.text"},
		{"{\"number\": 1, \"text\": \"a\\u0000b\"}", ""},
		{"{\"number\": 1, \"object\": []}", "in.object"},
		{"{\"number\": 1, \"nmuber\": 1}", "in.nmuber"},
		{"{\"number\": 1", "JSON"},
		{"{\"number\": 1} x", "JSON"},
		{"{\"number\": 1, \"text\": \"\xff\"}", "JSON"},
		{"[]", "object"},
		{"1", "JSON"},
		{"\"\"", "JSON"},
		{" ", "JSON"},
	};
	struct wanted wanted;
	struct reason message;
	json_t *document;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (take(cases[i].body, strlen(cases[i].body), &wanted, &document, &message) == 0)
			fail_msg("taken: %s", cases[i].body);
		if (!strstr(message.text, cases[i].named))
			fail_msg("%s: %s does not name %s", cases[i].body, message.text,
				 cases[i].named);
		json_decref(document);
	}
	assert_int_equal(take("{\"number\":1}\0", 13, &wanted, &document, &message), -EINVAL);
	json_decref(document);
}

static void test_deep(void **unused)
{
	enum { DEPTH = 100000 };
	struct reason message;
	char *body = malloc(DEPTH);
	struct wanted wanted;
	json_t *document;

	memset(body, '[', DEPTH);
	assert_int_equal(take(body, DEPTH, &wanted, &document, &message), -EINVAL);
	json_decref(document);
	free(body);
}

/* Whatever comes, it is refused or taken, and every refusal is a sentence. */
static void test_noise(void **unused)
{
	static const char letters[] =
		"{}[]\",:0123456789.eE+-truefalsn \\u\xff\x80\x01numberchoicetext";
	struct wanted wanted;
	struct reason message;
	char body[64];
	json_t *document;

	srand(3);
	for (int round = 0; round < 20000; round++) {
		size_t length = (size_t)rand() % sizeof(body);

		for (size_t i = 0; i < length; i++)
			body[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		if (take(body, length, &wanted, &document, &message))
			assert_true(strlen(message.text) > 20);
		json_decref(document);
	}
}

/* ---- tokens ---- */

static int read_token(const char *content, size_t length, char token[TOKEN_MAX])
{
	struct reason why = {""};
	char path[] = "/tmp/dirtyscope-token-XXXXXX";
	int fd = mkstemp(path), err;

	assert_true(fd >= 0 && write(fd, content, length) == (ssize_t)length);
	close(fd);
	err = token__read(path, token, &why);
	unlink(path);
	assert_int_equal(err != 0, *why.text != '\0');
	return err;
}

static void test_token(void **unused)
{
	struct reason why;
	char token[TOKEN_MAX], *large = malloc(TOKEN_MAX + 10);

	assert_int_equal(read_token("abc", 3, token), 0);
	assert_string_equal(token, "abc");
	assert_int_equal(read_token(" \t a.b-c~! \r\n\n", 14, token), 0);
	assert_string_equal(token, "a.b-c~!");
	assert_int_equal(read_token("", 0, token), -EINVAL);
	assert_int_equal(read_token(" \n", 2, token), -EINVAL);
	assert_int_equal(read_token("a\nb", 3, token), -EINVAL);
	assert_int_equal(read_token("a\0b", 3, token), -EINVAL);
	assert_int_equal(read_token("\xc3\xa9", 2, token), -EINVAL);
	memset(large, 'a', TOKEN_MAX + 10);
	assert_int_equal(read_token(large, TOKEN_MAX + 10, token), -EINVAL);
	assert_int_equal(read_token(large, TOKEN_MAX - 1, token), 0);
	assert_int_equal(token__read("/no/such/file", token, &why), -ENOENT);
	free(large);
}

/* ---- pages ---- */

#define PAGES 4000
#define RUNS 300

static uint64_t word_at(const char *data, size_t at)
{
	uint64_t word;

	memcpy(&word, data + at, sizeof(word));
	return le64toh(word);
}

/* Marks the pages that the bitmaps name: [pid][page]. */
static void read_bitmaps(const struct text *text, bool told[2][PAGES], uint64_t first)
{
	size_t at = 32;

	assert_memory_equal(text->data, "DSPAGES1", 8);
	assert_int_equal(word_at(text->data, 8), 3);
	assert_int_equal(word_at(text->data, 16), 5);
	for (uint64_t record = 0; record < word_at(text->data, 24); record++) {
		uint64_t pid = word_at(text->data, at), words = word_at(text->data, at + 16);
		uint64_t page = word_at(text->data, at + 8) / PAGE_BYTES;

		assert_true(words > 0);
		for (uint64_t bit = 0; bit < words * 64; bit++) {
			if (!(word_at(text->data, at + 24 + bit / 64 * 8) >> bit % 64 & 1))
				continue;
			assert_true(page + bit >= first && page + bit < first + PAGES);
			told[pid - 1][page + bit - first] = true;
		}
		at += 24 + words * 8;
	}
	assert_int_equal(at, text->length);
}

static void read_ranges(const struct text *text, bool told[2][PAGES], uint64_t first)
{
	json_t *document = json_loadb(text->data, text->length, 0, NULL), *range;
	size_t i;

	assert_non_null(document);
	json_array_foreach(json_object_get(document, "ranges"), i, range)
	{
		uint64_t pid = (uint64_t)json_integer_value(json_object_get(range, "pid"));
		uint64_t page =
			strtoull(json_string_value(json_object_get(range, "start")), NULL, 16) /
			PAGE_BYTES;
		uint64_t pages = (uint64_t)json_integer_value(json_object_get(range, "pages"));

		for (uint64_t n = 0; n < pages; n++)
			told[pid - 1][page - first + n] = true;
	}
	json_decref(document);
}

static void test_representations(void **unused)
{
	const uint64_t first = 0x7f00001ULL; /* not the first bit of a word */
	static const char *const accepts[] = {"", TYPE_BITMAPS};
	static bool truth[2][PAGES], told[2][2][PAGES];

	for (int kind = 0; kind < 2; kind++) {
		const struct track_info info = {.id = 1, .epoch = 3, .cursor = 5};
		struct page_answer *pages = page_answer__new(NULL, accepts[kind]);
		struct answer answer = {0};
		uint64_t page = 0;
		uint32_t pid = 1;

		srand(11);
		for (int i = 0; i < RUNS && pid <= 2; i++) {
			struct track_run run = {.pid = pid, .cpu = true};

			page += (uint64_t)rand() % (i % 7 ? 5 : 900);
			run.pages = 1 + (uint64_t)rand() % (i % 5 ? 3 : 200);
			if (page + run.pages > PAGES) {
				pid++;
				page = 0;
				continue;
			}
			run.start = (first + page) * PAGE_BYTES;
			assert_int_equal(page_answer__add(pages, &run), 0);
			memset(&truth[pid - 1][page], true, run.pages);
			page += run.pages + 1;
		}
		assert_int_equal(page_answer__finish(pages, &info, "conservative", &answer), 0);
		assert_int_equal(answer.status, 200);
		(kind ? read_bitmaps : read_ranges)(&answer.text, told[kind], first);
		answer__free(&answer);
		page_answer__free(pages);
		assert_memory_equal(told[kind], truth, sizeof(truth));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_deep),  cmocka_unit_test(test_noise),
		cmocka_unit_test(test_token), cmocka_unit_test(test_representations),
	};

	return cmocka_run_group_tests_name("posted", tests, NULL, NULL);
}
