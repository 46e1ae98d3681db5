/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies out of documents, files and directories. */
#include "agent/policies/rule_set.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/input/yaml_tree.h"

struct rule_set *rule_set__new(void)
{
	return calloc(1, sizeof(struct rule_set));
}

void rule_set__free(struct rule_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		rule__free(set->rules[i]);
	free(set->rules);
	free(set);
}

static const struct rule *find(const struct rule_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->rules[i]->name, name) == 0)
			return set->rules[i];
	return NULL;
}

static int add(struct rule_set *set, struct rule *rule, const char *where,
	       struct json_member_error *error)
{
	const struct rule *before = find(set, rule->name);
	char path[MEMBER_PATH_MAX];
	struct rule **rules;

	snprintf(path, sizeof(path), "%sname", where);
	if (before)
		return json_member_error__set(error, path,
					      "is '%s', as that of another policy from %s",
					      rule->name, before->source);
	if (set->count == RULES_MAX)
		return json_member_error__set(error, path, "is one policy too many; %d are allowed",
					      RULES_MAX);
	rules = reallocarray(set->rules, set->count + 1, sizeof(struct rule *));
	if (!rules)
		return -ENOMEM;
	set->rules = rules;
	rules[set->count++] = rule;
	return 0;
}

int rule_set__add(struct rule_set *set, json_t *document, const char *source,
		  const struct rule_world *world, struct json_member_error *error)
{
	static const struct json_member_row rows[] = {
		{"policies", MEMBER_LIST, 0, 0, RULES_MAX, NULL, true}, {}};
	json_t *list = NULL, *item;
	size_t i;
	int err;

	if (!json_is_object(document))
		return json_member_error__set(error, "", "is not a mapping with policies");
	err = json_members__read(document, rows, "", &list, error);
	if (err)
		return err;
	json_array_foreach(list, i, item)
	{
		char where[40];
		struct rule *rule;

		snprintf(where, sizeof(where), "policies[%zu].", i);
		err = rule__read(item, where, source, world, &rule, error);
		if (err)
			return err;
		err = add(set, rule, where, error);
		if (err) {
			rule__free(rule);
			return err;
		}
	}
	return 0;
}

int rule_set__add_file(struct rule_set *set, const char *path, const struct rule_world *world,
		       struct reason *message)
{
	struct yaml_places *places;
	struct json_member_error error;
	size_t line, column;
	json_t *tree;
	int err = yaml_tree__read(path, &tree, &places, message);

	if (err)
		return err;
	/* A file with comments alone has no policies. */
	if (tree && !json_is_null(tree))
		err = rule_set__add(set, tree, path, world, &error);
	if (err == -EINVAL) {
		yaml_places__find(places, error.path, &line, &column);
		reason__set(message, "%s:%zu:%zu: %s %s", path, line, column,
			    *error.path ? error.path : "the file", error.reason);
	} else if (err) {
		reason__set(message, "%s: %s", path, strerror(-err));
	}
	json_decref(tree);
	yaml_places__free(places);
	return err;
}

static int is_policy_file(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* The same everywhere, whatever the locale. */
static int files_by_name(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

int rule_set__add_directory(struct rule_set *set, const char *path, const struct rule_world *world,
			    struct reason *message)
{
	struct dirent **entries = NULL;
	char file[PATH_MAX];
	int err = 0, count = scandir(path, &entries, is_policy_file, files_by_name);

	if (count < 0) {
		err = -errno;
		reason__set(message, "%s: %s", path, strerror(-err));
		return err;
	}
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (!err)
			err = rule_set__add_file(set, file, world, message);
		free(entries[i]);
	}
	free(entries);
	return err;
}
