/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in "when". */
#include "agent/policies/rules/conditions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"

#define DAY_MS 86400000
#define DEPTH_MAX 4

static const char *const comparison_names[] = {">", ">=", "<", "<=", "==", "!=", NULL};

struct raw_condition {
	const char *metric, *rate;
	unsigned comparison;
	double threshold, clear, over, hold;
	json_t *all, *any;
};

#define RAW(member) offsetof(struct raw_condition, member)

static const struct json_member_row condition_rows[] = {
	{"metric", MEMBER_TEXT, RAW(metric), 0, 63, NULL, false},
	{"rate", MEMBER_TEXT, RAW(rate), 0, 63, NULL, false},
	{"over", MEMBER_SECONDS, RAW(over), 1, DAY_MS, NULL, false},
	{"comparison", MEMBER_CHOICE, RAW(comparison), 0, 0, comparison_names, false},
	{"threshold", MEMBER_NUMBER, RAW(threshold), 0, 0, NULL, false},
	{"clear", MEMBER_NUMBER, RAW(clear), 0, 0, NULL, false},
	{"all", MEMBER_LIST, RAW(all), 1, RULE_CONDITIONS_MAX, NULL, false},
	{"any", MEMBER_LIST, RAW(any), 1, RULE_CONDITIONS_MAX, NULL, false},
	{"for", MEMBER_SECONDS, RAW(hold), 0, DAY_MS, NULL, false},
	{},
};

static bool has(const json_t *object, const char *name)
{
	return json_object_get(object, name);
}

/* The end must not be reached before the beginning is left. */
static bool clears_wrongly(const struct condition *condition)
{
	switch (condition->comparison) {
	case IS_ABOVE:
	case IS_AT_LEAST:
		return condition->clear > condition->threshold;
	case IS_BELOW:
	case IS_AT_MOST:
		return condition->clear < condition->threshold;
	default:
		return condition->clear != condition->threshold;
	}
}

static int read_compare(const struct rule *rule, const json_t *object,
			const struct raw_condition *raw, const char *path,
			struct condition *condition, struct json_member_error *error)
{
	const struct kind *kind = &target_kinds[rule->kind];
	const char *name = raw->metric ? raw->metric : raw->rate;
	struct text names = {0};

	if (raw->metric && raw->rate)
		return json_member_error__set(error, path, "has both metric and rate");
	if (!has(object, "threshold"))
		return json_member_error__set(error, path, "has no threshold");
	if (raw->over > 0 && !raw->rate)
		return json_member_error__set(error, path, "has 'over', which goes with rate only");
	condition->field = kind__field(kind, name);
	condition->is_rate = raw->rate;
	condition->over = raw->over;
	condition->comparison = raw->comparison;
	condition->threshold = raw->threshold;
	condition->clear = has(object, "clear") ? raw->clear : raw->threshold;
	if (!condition->field) {
		kind__names(kind, &names);
		json_member_error__set(error, path, "names no field of a %s: '%s'; there are %s",
				       kind->name, name, names.length ? names.data : "none");
		text__free(&names);
		return -EINVAL;
	}
	if (!field__is_number(condition->field))
		return json_member_error__set(error, path, "compares '%s', which is no number",
					      name);
	if (clears_wrongly(condition))
		return json_member_error__set(
			error, path, "has a 'clear' at which it would end while it still holds");
	return 0;
}

static int read_condition(struct rule *rule, json_t *object, const char *path, unsigned depth,
			  struct json_member_error *error);

static int read_group(struct rule *rule, const json_t *object, json_t *list, const char *name,
		      const char *path, unsigned depth, struct json_member_error *error)
{
	char within[MEMBER_PATH_MAX];
	json_t *item;
	size_t i;

	if (json_object_size(object) != 1u + has(object, "for"))
		return json_member_error__set(error, path, "has '%s' and something beside it",
					      name);
	json_array_foreach(list, i, item)
	{
		int err;

		snprintf(within, sizeof(within), "%.200s.%s[%zu]", path, name, i);
		if (!json_is_object(item))
			return json_member_error__set(error, within, "is not a mapping");
		err = read_condition(rule, item, within, depth + 1, error);
		if (err)
			return err;
	}
	return 0;
}

static int read_condition(struct rule *rule, json_t *object, const char *path, unsigned depth,
			  struct json_member_error *error)
{
	struct raw_condition raw = {.comparison = IS_ABOVE};
	struct condition *condition;
	const size_t index = rule->condition_count;
	char where[MEMBER_PATH_MAX];
	int err;

	if (depth == DEPTH_MAX)
		return json_member_error__set(error, path, "is nested deeper than %d", DEPTH_MAX);
	if (index == RULE_CONDITIONS_MAX)
		return json_member_error__set(error, path,
					      "is one condition too many; %d are allowed",
					      RULE_CONDITIONS_MAX);
	rule->condition_count++;
	condition = &rule->conditions[index];
	snprintf(where, sizeof(where), "%.250s.", path);
	err = json_members__read(object, condition_rows, where, &raw, error);
	if (err)
		return err;
	if (depth > 0 && has(object, "for"))
		return json_member_error__set(error, path,
					      "has 'for', which goes with the whole only");
	if (depth == 0)
		rule->hold = raw.hold;
	condition->type = raw.all ? CONDITION_ALL : raw.any ? CONDITION_ANY : CONDITION_COMPARE;
	if (raw.all)
		err = read_group(rule, object, raw.all, "all", path, depth, error);
	else if (raw.any)
		err = read_group(rule, object, raw.any, "any", path, depth, error);
	else if (raw.metric || raw.rate)
		err = read_compare(rule, object, &raw, path, condition, error);
	else
		err = json_member_error__set(error, path, "has none of metric, rate, all, any");
	condition->span = rule->condition_count - index;
	return err;
}

int conditions__read(struct rule *rule, json_t *when, const char *path,
		     struct json_member_error *error)
{
	return read_condition(rule, when, path, 0, error);
}
