/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader of "when", for rule.c. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_RULE_PRIVATE_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_RULE_PRIVATE_H

#include "agent/policies/rules/rule.h"

/* Fills in the conditions and `hold`. path: of the object itself. */
int conditions__read(struct rule *rule, json_t *when, const char *path,
		     struct json_member_error *error);

#endif
