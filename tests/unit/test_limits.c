/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of I/O over plain files in the place of io.max. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/policies/actions/limits_state.h"
#include "tests/unit/tree.h"

#define IO_MAX "fs/cgroup/x/io.max"
#define STATE "run/limits.json"
#define MAX IO_NO_LIMIT

struct place {
	struct tree tree;
	char sysfs[PATH_MAX], state[PATH_MAX];
	struct reason why;
	struct events *events;
	struct limits *limits;
};

static struct limits *new_limits(struct place *place)
{
	return limits__new(place->sysfs, place->state, place->events);
}

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	tree__new(&place->tree);
	tree__puts(&place->tree, "fs/cgroup/cgroup.procs", "");
	tree__puts(&place->tree, IO_MAX, "");
	snprintf(place->sysfs, sizeof(place->sysfs), "%s", place->tree.root);
	snprintf(place->state, sizeof(place->state), "%s/%s", place->tree.root, STATE);
	place->events = events__new();
	place->limits = new_limits(place);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	limits__free(place->limits);
	events__free(place->events);
	tree__remove(&place->tree, "");
	free(place);
	return 0;
}

static void read_file(const struct place *place, const char *below, char text[4096])
{
	char path[PATH_MAX];
	FILE *file = fopen(tree__path(&place->tree, below, path), "r");

	assert_non_null(file);
	text[fread(text, 1, 4095, file)] = '\0';
	fclose(file);
}

/* The first line counts: a plain file keeps the ends of longer ones. */
static void assert_limit(const struct place *place, uint64_t rbps, uint64_t wbps)
{
	struct io_limit limit;
	char text[4096];

	read_file(place, IO_MAX, text);
	assert_true(io_limit__parse(text, "8:0", &limit));
	assert_int_equal(limit.values[IO_RBPS], rbps);
	assert_int_equal(limit.values[IO_WBPS], wbps);
}

static bool has_state(const struct place *place)
{
	return access(place->state, F_OK) == 0;
}

static uint64_t claim(struct place *place, uint64_t rbps, uint64_t wbps)
{
	const struct io_limit limit = {{rbps, wbps, MAX, MAX}};

	return limits__claim(place->limits, "/x", "8:0", &limit, &place->why);
}

static void release(struct place *place, uint64_t id)
{
	assert_int_equal(limits__release(place->limits, id, &place->why), 0);
}

static void test_parse(void **unused)
{
	static const char text[] = "8:16 rbps=1 wbps=max riops=3 wiops=4\n8:1 rbps=9\n";
	struct io_limit limit;

	assert_true(io_limit__parse(text, "8:16", &limit));
	assert_int_equal(limit.values[IO_RBPS], 1);
	assert_int_equal(limit.values[IO_WBPS], MAX);
	assert_int_equal(limit.values[IO_WIOPS], 4);
	assert_true(io_limit__parse(text, "8:1", &limit));
	assert_int_equal(limit.values[IO_RBPS], 9);
	assert_true(io_limit__parse(text, "8:2", &limit));
	assert_int_equal(limit.values[IO_RBPS], MAX);
	assert_false(io_limit__parse("8:0 rbps=x\n", "8:0", &limit));
	assert_false(io_limit__parse("8:0 latency=5\n", "8:0", &limit));
	assert_false(io_limit__parse("8:0 rbps=\n", "8:0", &limit));
}

static void test_stricter(void **state)
{
	struct place *place = *state;
	uint64_t first, second;

	tree__puts(&place->tree, IO_MAX, "8:0 rbps=500 wbps=max riops=max wiops=max\n");
	first = claim(place, 1000, 300); /* rbps of 500 was there, and is stricter */
	assert_limit(place, 500, 300);
	assert_true(has_state(place));
	second = claim(place, 200, 400);
	assert_limit(place, 200, 300);
	release(place, first);
	assert_limit(place, 200, 400);
	assert_non_null(strstr(place->why.text, "another policy"));
	release(place, second);
	assert_limit(place, 500, MAX);
	assert_false(has_state(place));
	assert_int_equal(limits__release(place->limits, second, &place->why), -ENOENT);
	first = claim(place, 100, 100); /* in the other order */
	second = claim(place, 50, MAX);
	release(place, second);
	assert_limit(place, 100, 100);
	release(place, first);
	assert_limit(place, 500, MAX);
}

static void test_somebody_else(void **state)
{
	struct place *place = *state;
	uint64_t first = claim(place, 1000, MAX), second;

	tree__puts(&place->tree, IO_MAX, "8:0 rbps=77 wbps=max riops=max wiops=max\n");
	release(place, first);
	assert_limit(place, 77, MAX);
	assert_non_null(strstr(place->why.text, "somebody else"));
	assert_false(has_state(place));
	/* Between two claims: not loosened, and there again at the end. */
	first = claim(place, 50, MAX);
	tree__puts(&place->tree, IO_MAX, "8:0 rbps=60 wbps=9 riops=max wiops=max\n");
	second = claim(place, 70, 100);
	assert_limit(place, 50, 9);
	release(place, first);
	assert_limit(place, 60, 9);
	release(place, second);
	assert_limit(place, 60, 9);
}

static void test_refused(void **state)
{
	const struct io_limit limit = {{1, MAX, MAX, MAX}};
	struct place *place = *state;

	assert_int_equal(limits__claim(place->limits, "/gone", "8:0", &limit, &place->why), 0);
	assert_non_null(strstr(place->why.text, "has no io.max"));
	assert_int_equal(limits__claim(place->limits, "/../x", "8:0", &limit, &place->why), 0);
	assert_int_equal(limits__claim(place->limits, "x", "8:0", &limit, &place->why), 0);
	tree__puts(&place->tree, IO_MAX, "8:0 what=is this\n");
	assert_int_equal(claim(place, 1, 1), 0);
	assert_false(has_state(place));
}

static void test_ends(void **state)
{
	struct place *place = *state;

	assert_int_not_equal(claim(place, 1000, MAX), 0);
	limits__free(place->limits);
	assert_limit(place, MAX, MAX);
	assert_false(has_state(place));
	place->limits = new_limits(place);
	assert_int_not_equal(claim(place, 1000, MAX), 0);
	tree__remove(&place->tree, "fs/cgroup/x");
	limits__free(place->limits);
	assert_false(has_state(place));
	place->limits = new_limits(place);
}

/* The state of an agent that was killed, as it stands on disk. */
static void test_recovery(void **state)
{
	struct place *place = *state;
	char text[4096];

	tree__puts(&place->tree, IO_MAX, "8:0 rbps=500 wbps=max riops=max wiops=max\n");
	assert_int_not_equal(claim(place, 200, 300), 0);
	read_file(place, STATE, text);
	limits__free(place->limits);
	/* As it was at the crash. */
	tree__puts(&place->tree, STATE, text);
	tree__puts(&place->tree, IO_MAX, "8:0 rbps=200 wbps=300 riops=max wiops=max\n");
	place->limits = new_limits(place);
	limits__recover(place->limits);
	assert_limit(place, 500, MAX);
	assert_false(has_state(place));
	/* Changed since by somebody else: left. */
	tree__puts(&place->tree, STATE, text);
	tree__puts(&place->tree, IO_MAX, "8:0 rbps=201 wbps=300 riops=max wiops=max\n");
	limits__recover(place->limits);
	assert_limit(place, 201, 300);
	assert_false(has_state(place));
	/* It cannot be read now: kept for later. */
	tree__puts(&place->tree, STATE, text);
	tree__puts(&place->tree, IO_MAX, "8:0 nonsense\n");
	limits__recover(place->limits);
	assert_true(has_state(place));
	tree__puts(&place->tree, IO_MAX, "8:0 rbps=200 wbps=300 riops=max wiops=max\n");
	limits__free(place->limits);
	assert_limit(place, 500, MAX);
	assert_false(has_state(place));
	place->limits = new_limits(place);
}

static void test_damaged(void **state)
{
#define ENTRY(cgroup, before)                                                  \
	"[{\"cgroup\": \"" cgroup "\", \"disk\": \"8:0\", \"before\": " before \
	", \"set\": [1, null, null, null]}]"
	static const char *const damaged[] = {"",
					      "{",
					      "[1]",
					      "{}",
					      "7",
					      "[{}]",
					      "[{\"cgroup\": \"/x\"}]",
					      "null",
					      ENTRY("x", "[null, null, null, null]"),
					      ENTRY("/../x", "[null, null, null, null]"),
					      ENTRY("/x", "[null, null, null]"),
					      ENTRY("/x", "[-1, null, null, null]"),
					      ENTRY("/x", "[\"1\", null, null, null]"),
					      ENTRY("/x", "[1e3, null, null, null]"),
					      ENTRY("/x", "{}"),
					      "[\xff]"};
	struct place *place = *state;
	struct limit_entry *entries;

	tree__puts(&place->tree, IO_MAX, "8:0 rbps=1 wbps=max riops=max wiops=max\n");
	for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
		tree__puts(&place->tree, STATE, damaged[i]);
		assert_int_equal(limits_state__read(place->state, &entries), -EBADMSG);
		assert_null(entries);
		limits__recover(place->limits);
		assert_limit(place, 1, MAX);
		assert_true(has_state(place)); /* for whoever looks into it */
	}
	tree__remove(&place->tree, STATE);
	assert_int_equal(limits_state__read(place->state, &entries), -ENOENT);
	/* The good ones before a damaged one are restored all the same. */
	tree__puts(&place->tree, STATE,
		   "[{\"cgroup\": \"/x\", \"disk\": \"8:0\", \"before\": [5, null, null, null], "
		   "\"set\": [1, null, null, null]}, 7]");
	limits__recover(place->limits);
	assert_limit(place, 5, MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test_setup_teardown(test_stricter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_somebody_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_recovery, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
