/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Templates: "{comm} ({pid}) writes {value} pages/s". In braces stands a field of the target, or
 * one of rule, target, kind, state, severity, value, host. "{{" is a brace. Nothing that stands in
 * a value is looked at again.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_EXPAND_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_EXPAND_H

#include "agent/input/json_members.h"
#include "agent/policies/rules/kinds.h"
#include "agent/base/text.h"

struct expand_facts {
	const char *rule, *target, *state, *severity, *host;
	enum target_kind kind;
	double value;
	const struct target_view *view; /* NULL: the target is gone; its fields are "?" */
};

/* -EINVAL with *error: a brace without its end, a name that a target of this kind does not have.
 */
int expand__check(const char *template, enum target_kind kind, const char *path,
		  struct json_member_error *error);
void expand__print(const char *template, const struct expand_facts *facts, struct text *out);
/* For a configuration that does not know yet for what kind it will be used: any kind's fields. */
int expand__check_any(const char *template, const char *path, struct json_member_error *error);

#endif
