/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies as they are written: YAML trees, selectors, conditions, templates, a rule of each kind.
 */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/input/yaml_tree.h"
#include "agent/policies/actions/action.h"
#include "agent/policies/rule_set.h"
#include "agent/policies/rules/expand.h"
#include "tests/unit/sample_snapshot.h"

static struct reason message;

/* ---- YAML ---- */

static json_t *tree_of(const char *text, struct yaml_places **places)
{
	json_t *tree;

	*places = NULL;
	return yaml_tree__parse("f", text, strlen(text), &tree, places, &message) ? NULL : tree;
}

static void test_types(void **unused)
{
	static const char text[] =
		"{a: 1, b: -2.5, c: 1e3, d: '1', e: \"x\\ty\", f: true, g: false, h: null, i: ~, "
		"j: , k: yes, l: 0x10, m: .nan, n: 1e999, o: 99999999999999999999, p: +7, q: '', "
		"r: True, s: 010, t: 1., u: .5, v: 1e, w: -, x: 9223372036854775807}";
	static const struct {
		const char *name;
		json_type type;
	} wanted[] = {
		{"a", JSON_INTEGER}, {"b", JSON_REAL},	 {"c", JSON_REAL},    {"d", JSON_STRING},
		{"e", JSON_STRING},  {"f", JSON_TRUE},	 {"g", JSON_FALSE},   {"h", JSON_NULL},
		{"i", JSON_NULL},    {"j", JSON_NULL},	 {"k", JSON_STRING},  {"l", JSON_STRING},
		{"m", JSON_STRING},  {"n", JSON_STRING}, {"o", JSON_REAL},    {"p", JSON_INTEGER},
		{"q", JSON_STRING},  {"r", JSON_STRING}, {"s", JSON_INTEGER}, {"t", JSON_REAL},
		{"u", JSON_STRING},  {"v", JSON_STRING}, {"w", JSON_STRING},
	};
	struct yaml_places *places;
	json_t *tree = tree_of(text, &places);

	assert_non_null(tree);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (json_typeof(json_object_get(tree, wanted[i].name)) != wanted[i].type)
			fail_msg("%s", wanted[i].name);
	assert_int_equal(json_integer_value(json_object_get(tree, "s")), 10);
	assert_string_equal(json_string_value(json_object_get(tree, "e")), "x\ty");
	json_decref(tree);
	yaml_places__free(places);
}

static void test_places(void **unused)
{
	static const char text[] = "a:\n  - b: 1\n    c: [2, {d: 3}]\n";
	static const struct {
		const char *node;
		size_t line, column;
	} wanted[] = {
		{"", 1, 1},
		{"a", 2, 3},
		{"a[0]", 2, 5},
		{"a[0].b", 2, 8},
		{"a[0].c[1].d", 3, 16},
		{"a[0].c[1].nope", 3, 12},
		{"a[0].nope", 2, 5},
		{"nope", 1, 1},
		{"a[7]", 2, 3},
	};
	struct yaml_places *places;
	json_t *tree = tree_of(text, &places);
	size_t line, column;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		yaml_places__find(places, wanted[i].node, &line, &column);
		if (line != wanted[i].line || column != wanted[i].column)
			fail_msg("%s: %zu:%zu", wanted[i].node, line, column);
	}
	json_decref(tree);
	yaml_places__free(places);
	assert_null(tree_of("", &places)); /* nothing is no error */
	assert_non_null(places);
	yaml_places__free(places);
}

static void test_refused_trees(void **unused)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"{a: 1, b: 2, a: 3}", "f:1:14: 'a' is given twice"},
		{"a: {b: 1}\na: 2\n", "f:2:1: 'a' is given twice"},
		{"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "f:1:17: nested deeper than 16"},
		{"? [a]\n: 1\n", "f:1:3: a list or a mapping where a name is expected"},
		{"a: &x 1", "f:1:4: anchors are not supported"},
		{"a: 1\n---\nb: 2\n", "f:2:1: more than one document"},
	};
	struct yaml_places *places;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_null(tree_of(cases[i].text, &places));
		assert_null(places);
		assert_string_equal(message.text, cases[i].message);
	}
}

/* ---- selectors ---- */

struct case_of {
	const char *text;
	bool matches;
};

static void check_cases(enum target_kind kind, const struct target_view *view,
			const struct case_of *cases, size_t count)
{
	struct selector *selector;

	for (size_t i = 0; i < count; i++) {
		if (selector__parse(&target_kinds[kind], cases[i].text, &selector, &message))
			fail_msg("%s: %s", cases[i].text, message.text);
		if (selector__matches(selector, view) != cases[i].matches)
			fail_msg("%s", cases[i].text);
		selector__free(selector);
	}
}

static void test_selectors(void **unused)
{
	static const struct case_of process[] = {
		{"comm = dd", true},
		{"comm=dd", true},
		{"  comm  =  dd  ", true},
		{"comm = \"dd\"", true},
		{"comm = \" dd\"", false},
		{"comm = d", false},
		{"comm != dd", false},
		{"comm != d", true},
		{"comm ^= d", true},
		{"comm ^= dd1", false},
		{"comm !^= d", false},
		{"comm *= d*", true},
		{"comm *= d", false},
		{"comm !*= ?d", false},
		{"comm =~ ^d+$", true},
		{"comm =~ x", false},
		{"comm !~ x", true},
		{"comm !~ d", false},
		{"comm != \"\"", true},
		{"comm == dd", false},
		/* A process without a container: only what is negated matches. */
		{"container = a", false},
		{"container != a", true},
		{"container ^= \"\"", false},
		{"container *= *", false},
		{"container !~ .", true},
		{"container = \"\"", false},
		{"pid = 12", true},
		{"pid != 12", false},
		{"pid = 12.0", true},
		{"pid = 13", false},
		{"uid = 5", true},
		{"user = \"\"", true},
		{"cgroup ^= /system.slice/", true},
	};
	static const struct case_of device[] = {
		{"names = vda", true},	       {"names = vd\"b", true},
		{"names = \"vd\\\"b\"", true}, {"names = vdc", false},
		{"names != vdc", true},	       {"names != vda", false},
		{"names =~ ^vd.b$", true},     {"sensors = block", true},
		{"sensors *= d*", true},       {"bus = virtio", true},
		{"iommu.group != 3", true},    {"iommu.group = 3", false},
	};
	struct snapshot *snapshot = sample_snapshot(1);
	struct snapshot_process it = sample_process(12, 5, "dd");
	struct target_view view = {.item = &it, .snapshot = snapshot};

	check_cases(TARGET_PROCESS, &view, process, sizeof(process) / sizeof(*process));
	view.item = &snapshot->devices[3];
	check_cases(TARGET_DEVICE, &view, device, sizeof(device) / sizeof(*device));
	process_identity__put(it.identity);
	snapshot__put(snapshot);
}

static void test_refused_selectors(void **unused)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"", "does not begin with a field"},
		{"comm", "has none of the operators"},
		{"comm ~ a", "has none of the operators"},
		{"comm =", "has no value"},
		{"nope = 1", "names no field of a process: 'nope'; there are pid"},
		{"names = 1", "names no field of a process"},
		{"comm = \"a", "does not end with its quote"},
		{"comm = \"a\"b", "does not end with its quote"},
		{"comm = \"a\\\"", "does not end with its quote"},
		{"pid ^= 1", "is about a number"},
		{"pid =~ 1", "is about a number"},
		{"pid = \"\"", "compares a number with what is none"},
		{"pid = nan", "compares a number with what is none"},
		{"pid = 1x", "compares a number with what is none"},
		{"comm =~ [", "has a bad regular expression"},
		{"comm *= [b-a]", "has a bad glob"},
		{"comm =~ a{2}", "has {}"},
		{"comm =~ [[:alpha:]]{0}", "has {}"},
		{"comm =~ [[:alpha:][]{99}", "has {}"},
		{"comm =~ []{]{99}", "has {}"},
		{"comm =~ [^]{]{99}", "has {}"},
		{"comm =~ [[.a.][]{99}", "has {}"},
		{"comm =~ [a\\]{99}", "has {}"},
		{"comm =~ (a)\\1", "has {} or a back reference"},
		{"comm =~ ((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+", "too many nested +"},
		{"comm =~ (((((((((((((a+)*+)?+)+)+)+)+)+)+)+)+)+)+)+", "too many nested +"},
		{"comm =~ a+++++++++++++++++++++", "too many nested +"},
		{"comm =~ =*+++++++", "too many nested +"},
	};
	struct selector *selector;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		message.text[0] = '\0';
		assert_int_equal(selector__parse(&target_kinds[TARGET_PROCESS], cases[i].text,
						 &selector, &message),
				 -EINVAL);
		assert_null(selector);
		if (!strstr(message.text, cases[i].reason))
			fail_msg("%s: %s", cases[i].text, message.text);
	}
}

static void test_long_selectors(void **unused)
{
	static const char *const good[] = {
		"comm =~ a\\{2",
		"comm =~ [{]",
		"comm =~ []{]",
		"comm =~ [[:alpha:]{]",
		"comm =~ ((a+)+)+",
		"comm =~ \\+\\+\\+",
		"comm =~ [+++++++++++++++++++++++]",
		"comm =~ (a|b+|c*)?d+",
		"comm =~ x)",
	};
	char text[SELECTOR_VALUE_MAX + 32] = "comm =~ ";
	struct selector *selector;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		if (selector__parse(&target_kinds[TARGET_PROCESS], good[i], &selector, &message))
			fail_msg("%s: %s", good[i], message.text);
		selector__free(selector);
	}
	/* As deep and as long as a value can be. */
	memset(text + 8, '(', SELECTOR_VALUE_MAX);
	assert_int_equal(selector__parse(&target_kinds[TARGET_PROCESS], text, &selector, &message),
			 -EINVAL);
	memset(text + 8, 'x', SELECTOR_VALUE_MAX + 1);
	assert_int_equal(selector__parse(&target_kinds[TARGET_PROCESS], text, &selector, &message),
			 -EINVAL);
	assert_non_null(strstr(message.text, "longer than 256"));
}

static bool glob_matches(const char *glob, const char *string)
{
	const struct snapshot_device device = {
		.id = "d", .bus = "pci", .driver = "nvme", .names = &string, .name_count = 1};
	char text[SELECTOR_VALUE_MAX + 32];
	struct selector *selector;
	bool matches;

	(void)snprintf(text, sizeof(text), "names *= %s", glob);
	if (selector__parse(&target_kinds[TARGET_DEVICE], text, &selector, &message))
		fail_msg("%s: %s", glob, message.text);
	matches = selector__matches(selector, &(struct target_view){.item = &device});
	selector__free(selector);
	return matches;
}

/* As fnmatch() has it, but for a \ within []. */
static void test_globs(void **unused)
{
	static const char *const parts[] = {
		"a", "b", "*", "?", "[ab]", "[!a]", "[]a]", "[^a]", "[!]b]", "[a-c]", "[[:digit:]]",
		".", "+", "^", "$", "(",    "|",    "{2}",  "\\*",  "\\a",   "]"};
	static const char *const strings[] = {"",     "a",  "b",   "ab", "a.b",	 "]",	"a]b", "1",
					      "aab+", "^a", "$(|", "*",	 "a{2}", "[^]", "\\"};
	const size_t part_count = sizeof(parts) / sizeof(*parts);
	size_t matched = 0;
	char *deep = malloc(4096);

	for (size_t i = 0; i < part_count * part_count * part_count; i++) {
		char glob[32];

		(void)snprintf(glob, sizeof(glob), "%s%s%s", parts[i % part_count],
			       parts[i / part_count % part_count],
			       parts[i / part_count / part_count]);
		for (size_t j = 0; j < sizeof(strings) / sizeof(*strings); j++) {
			const bool expected = fnmatch(glob, strings[j], 0) == 0;

			matched += expected;
			if (glob_matches(glob, strings[j]) != expected)
				fail_msg("'%s' and '%s': fnmatch() says %d", glob, strings[j],
					 expected);
		}
	}
	assert_true(matched > 1000);
	/* Anyone can have such a command line; to try each way would take years. */
	assert_non_null(deep);
	memset(deep, 'a', 4095);
	deep[4095] = '\0';
	assert_false(glob_matches("*a*a*a*a*a*a*a*a*b", deep));
	assert_true(glob_matches("*a*a*a*a*a*a*a*a*", deep));
	free(deep);
}

/* ---- templates ---- */

static void test_templates(void **unused)
{
	static const struct {
		const char *template, *text;
	} cases[] = {
		{"", ""},
		{"{comm} ({pid})", "dd (12)"},
		{"{{comm}} {", "{comm}} {"},
		{"}{rule}{", "}r{"},
		{"{value} {state} {severity} {kind} {host}", "1.5 firing warning process h"},
		{"{container} {rates.cpu} {target}", "? 6 {pid}"}, /* a value is not looked at */
	};
	static const char *const bad[] = {"{",	     "{}",     "{comm",	 "{nope}",
					  "{names}", "{a{b}}", "{comm }"};
	struct snapshot_process it = sample_process(12, 5, "dd");
	const struct target_view view = {.item = &it};
	struct expand_facts facts = {"r", "{pid}",	  "firing", "warning",
				     "h", TARGET_PROCESS, 1.5,	    &view};
	struct json_member_error error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text out = {0};

		expand__print(cases[i].template, &facts, &out);
		assert_string_equal(out.length ? out.data : "", cases[i].text);
		text__free(&out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(expand__check(bad[i], TARGET_PROCESS, "p", &error), -EINVAL);
	assert_int_equal(expand__check("{names}{{{value}", TARGET_DEVICE, "p", &error), 0);
	assert_int_equal(expand__check_any("{names}{comm}", "p", &error), 0);
	facts.view = NULL;
	{
		struct text out = {0};

		expand__print("{comm} {value}", &facts, &out);
		assert_string_equal(out.data, "? 1.5");
		text__free(&out);
	}
	process_identity__put(it.identity);
}

/* ---- rules ---- */

static struct rule_set *set_of(const char *text)
{
	struct rule_set *set = rule_set__new();
	struct yaml_places *places;
	struct json_member_error error;
	json_t *tree = tree_of(text, &places);

	if (!tree)
		fail_msg("%s", message.text);
	if (rule_set__add(set, tree, "f", &(struct rule_world){NULL}, &error))
		fail_msg("%s %s", error.path, error.reason);
	json_decref(tree); /* the rules keep what they point into */
	yaml_places__free(places);
	return set;
}

static void test_every_kind(void **unused)
{
	static const struct {
		const char *kind, *metric, *where, *then;
	} cases[TARGET_KINDS] = {
		{"process", "rates.cpu", "comm = a", "[{track: {every: 300ms}}]"},
		{"cgroup", "written", "name ^= /a", "[{limit: {wbps: 5M}}]"},
		{"vm", "forecast.seconds", "name != a", "[{reclaim: {epochs: 5}}]"},
		{"device", "exposed_pages", "names = vda", "[track, log]"},
		{"flow", "rate", "device = a", "[{exec: {run: page}}]"},
		{"host", "writeback.waiting", "host = a", "[{webhook: {to: ops}}]"},
		{"sensor", "losing", "state = active", "[{log: {level: error}}]"},
	};
	char text[512];

	for (int kind = 0; kind < TARGET_KINDS; kind++) {
		struct rule_set *set;

		snprintf(text, sizeof(text),
			 "policies: [{name: a, for_each: %s, where: ['%s'], when: {metric: %s, "
			 "threshold: 5}, then: %s}]",
			 cases[kind].kind, cases[kind].where, cases[kind].metric, cases[kind].then);
		set = set_of(text);
		assert_int_equal(set->count, 1);
		assert_int_equal(set->rules[0]->kind, kind);
		assert_int_equal(set->rules[0]->severity, RULE_WARNING);
		assert_true(set->rules[0]->cooldown == 60);
		assert_int_equal(set->rules[0]->max_active, 16);
		rule_set__free(set);
	}
}

static void test_conditions(void **unused)
{
	struct rule_set *set = set_of(
		"policies: [{name: a, for_each: process, cooldown: 500ms, then: [log], when: {for: "
		"1m, all: [{metric: uid, comparison: '<=', threshold: 5, clear: 7}, {any: [{rate: "
		"written, over: 10, threshold: 1.5}, {metric: pid, threshold: 0}]}]}}]");
	const struct rule *rule = set->rules[0];
	const struct condition *at = rule->conditions;

	assert_int_equal(rule->condition_count, 5);
	assert_true(rule->hold == 60 && rule->cooldown == 0.5);
	assert_int_equal(at[0].type, CONDITION_ALL);
	assert_int_equal(at[0].span, 5);
	assert_int_equal(at[1].comparison, IS_AT_MOST);
	assert_true(at[1].threshold == 5 && at[1].clear == 7);
	assert_int_equal(at[2].type, CONDITION_ANY);
	assert_int_equal(at[2].span, 3);
	assert_true(at[3].is_rate && at[3].over == 10 && at[3].clear == 1.5);
	assert_string_equal(at[4].field->name, "pid");
	rule_set__free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused_trees),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_refused_selectors),
		cmocka_unit_test(test_long_selectors),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
