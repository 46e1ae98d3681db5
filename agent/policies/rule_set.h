/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies read from documents: JSON trees, be they from a file or a request, by one validation.
 * It stands above the rules and the actions that they name.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULE_SET_H
#define DIRTYSCOPE_AGENT_POLICIES_RULE_SET_H

#include <jansson.h>

#include "agent/base/reason.h"
#include "agent/input/json_members.h"
#include "agent/policies/rules/rule.h"

/*
 * where: "policies[3].", before names in errors. 0, or -EINVAL with *error, or -ENOMEM. `source`
 * is copied.
 */
int rule__read(json_t *document, const char *where, const char *source,
	       const struct rule_world *world, struct rule **out, struct json_member_error *error);

/* All policies that are in force together; names are unique. */
struct rule_set {
	struct rule **rules;
	size_t count;
};
struct rule_set *rule_set__new(void);
void rule_set__free(struct rule_set *set);
/* Adds the policies of {"policies": [...]}. As rule__read; the set is then to be thrown away. */
int rule_set__add(struct rule_set *set, json_t *document, const char *source,
		  const struct rule_world *world, struct json_member_error *error);
/*
 * Adds those of a file, or of all *.yaml and *.yml of a directory in the order of their names.
 * 0, or a negative errno with one sentence: FILE:LINE:COLUMN: where: why.
 */
int rule_set__add_file(struct rule_set *set, const char *path, const struct rule_world *world,
		       struct reason *message);
int rule_set__add_directory(struct rule_set *set, const char *path, const struct rule_world *world,
			    struct reason *message);

#endif
