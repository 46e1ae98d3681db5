/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader of a policy's "when". */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_CONDITIONS_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_CONDITIONS_H

#include "agent/policies/rules/rule.h"

/* Fills in the conditions and `hold`. path: of the object itself. */
int conditions__read(struct rule *rule, json_t *when, const char *path,
		     struct json_member_error *error);

#endif
