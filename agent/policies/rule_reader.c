/* SPDX-License-Identifier: BSD-2-Clause */
/* A policy out of a JSON tree. */
#include "agent/policies/rule_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/actions/action.h"
#include "agent/policies/rules/conditions.h"
#include "agent/policies/rules/expand.h"

#define DAY_MS 86400000
#define NAME_MAX_BYTES 63

/* As it stands in the document, before it is looked at. */
struct raw_rule {
	const char *name, *summary;
	unsigned severity, kind;
	json_t *where, *when, *then;
	double cooldown;
	uint64_t max_active;
	bool dry_run;
};

#define RAW(member) offsetof(struct raw_rule, member)

static const char *const kind_names[TARGET_KINDS + 1] = {
	"process", "cgroup", "vm", "device", "flow", "host", "sensor", NULL,
};

static const struct json_member_row rule_rows[] = {
	{"name", MEMBER_TEXT, RAW(name), 0, NAME_MAX_BYTES, NULL, true},
	{"summary", MEMBER_TEXT, RAW(summary), 0, 500, NULL, false},
	{"severity", MEMBER_CHOICE, RAW(severity), 0, 0, rule_severity_names, false},
	{"for_each", MEMBER_CHOICE, RAW(kind), 0, 0, kind_names, true},
	{"where", MEMBER_LIST, RAW(where), 1, RULE_SELECTORS_MAX, NULL, false},
	{"when", MEMBER_OBJECT, RAW(when), 0, 0, NULL, true},
	{"then", MEMBER_LIST, RAW(then), 1, RULE_ACTIONS_MAX, NULL, true},
	{"cooldown", MEMBER_SECONDS, RAW(cooldown), 0, DAY_MS, NULL, false},
	{"max_active", MEMBER_INTEGER, RAW(max_active), 1, 100000, NULL, false},
	{"dry_run", MEMBER_BOOL, RAW(dry_run), 0, 0, NULL, false},
	{},
};

/* It becomes a label, a file's part, an event's subject. */
static int check_name(const char *name, const char *path, struct json_member_error *error)
{
	const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (strspn(name, allowed) == strlen(name))
		return 0;
	return json_member_error__set(
		error, path, "has other characters than letters, digits, '-', '_' and '.'");
}

static int read_selectors(struct rule *rule, const json_t *list, const char *where,
			  struct json_member_error *error)
{
	struct reason reason;
	char path[MEMBER_PATH_MAX];
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		int err;

		snprintf(path, sizeof(path), "%swhere[%zu]", where, i);
		if (!json_is_string(item) ||
		    strlen(json_string_value(item)) != json_string_length(item))
			return json_member_error__set(error, path,
						      "is not a string: FIELD OPERATOR VALUE");
		err = selector__parse(&target_kinds[rule->kind], json_string_value(item),
				      &rule->selectors[i], &reason);
		if (err)
			return err == -EINVAL
				       ? json_member_error__set(error, path, "%s", reason.text)
				       : err;
		rule->selector_count++;
	}
	return 0;
}

/* "log", or {"log": {...}}: its name, and its options or NULL. */
static const char *action_name(json_t *item, json_t **options)
{
	const char *name;

	*options = NULL;
	if (json_is_string(item))
		return json_string_value(item);
	if (!json_is_object(item) || json_object_size(item) != 1)
		return NULL;
	name = json_object_iter_key(json_object_iter(item));
	*options = json_object_get(item, name);
	return name;
}

static int read_action(struct rule *rule, json_t *item, const char *path,
		       const struct rule_world *world, struct json_member_error *error)
{
	struct rule_action *action = &rule->actions[rule->action_count];
	json_t *options;
	const char *name = action_name(item, &options);
	char within[MEMBER_PATH_MAX];

	if (json_is_object(item) && json_object_size(item) > 1)
		return json_member_error__set(
			error, path,
			"has more than one name: each action is an item of its "
			"own, its options below it");
	if (!name)
		return json_member_error__set(
			error, path, "is neither an action's name nor one with its options");
	action->type = action_type__find(name);
	if (!action->type) {
		struct text names = {0};

		action_type__names(&names);
		json_member_error__set(error, path, "names no action: '%.64s'; there are %s", name,
				       names.length ? names.data : "none");
		text__free(&names);
		return -EINVAL;
	}
	snprintf(within, sizeof(within), "%.200s.%s", path, name);
	if (options && !json_is_object(options) && !json_is_null(options))
		return json_member_error__set(error, within, "is not a mapping of options");
	return action__read(action, rule, json_is_object(options) ? options : NULL, within, world,
			    error);
}

static int read_actions(struct rule *rule, json_t *list, const char *where,
			const struct rule_world *world, struct json_member_error *error)
{
	char path[MEMBER_PATH_MAX];
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		int err;

		snprintf(path, sizeof(path), "%sthen[%zu]", where, i);
		err = read_action(rule, item, path, world, error);
		if (err)
			return err;
		rule->action_count++;
	}
	return 0;
}

static int fill(struct rule *rule, json_t *document, const char *where,
		const struct rule_world *world, struct json_member_error *error)
{
	struct raw_rule raw = {
		.summary = "", .severity = RULE_WARNING, .cooldown = 60, .max_active = 16};
	char path[MEMBER_PATH_MAX];
	int err = json_members__read(document, rule_rows, where, &raw, error);

	if (err)
		return err;
	rule->name = raw.name;
	rule->summary = raw.summary;
	rule->severity = raw.severity;
	rule->kind = raw.kind;
	rule->cooldown = raw.cooldown;
	rule->max_active = raw.max_active;
	rule->dry_run = raw.dry_run;
	snprintf(path, sizeof(path), "%sname", where);
	err = check_name(rule->name, path, error);
	if (!err && raw.where)
		err = read_selectors(rule, raw.where, where, error);
	snprintf(path, sizeof(path), "%swhen", where);
	if (!err)
		err = conditions__read(rule, raw.when, path, error);
	snprintf(path, sizeof(path), "%ssummary", where);
	if (!err)
		err = expand__check(rule->summary, rule->kind, path, error);
	return err ? err : read_actions(rule, raw.then, where, world, error);
}

int rule__read(json_t *document, const char *where, const char *source,
	       const struct rule_world *world, struct rule **out, struct json_member_error *error)
{
	struct rule *rule = calloc(1, sizeof(*rule));
	char path[MEMBER_PATH_MAX];
	int err;

	*out = NULL;
	if (!rule)
		return -ENOMEM;
	rule->document = json_incref(document);
	rule->source = strdup(source);
	snprintf(path, sizeof(path), "%.*s", (int)(*where ? strlen(where) - 1 : 0), where);
	if (!rule->source)
		err = -ENOMEM;
	else if (!json_is_object(document))
		err = json_member_error__set(error, path, "is not a mapping");
	else
		err = fill(rule, document, where, world, error);
	if (err) {
		rule__free(rule);
		return err;
	}
	*out = rule;
	return 0;
}
