/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/rules/rule.h"

#include <stdlib.h>

const char *const rule_severity_names[RULE_SEVERITIES + 1] = {"info", "warning", "error", NULL};

void rule__free(struct rule *rule)
{
	if (!rule)
		return;
	for (size_t i = 0; i < RULE_SELECTORS_MAX; i++)
		selector__free(rule->selectors[i]);
	for (size_t i = 0; i < RULE_ACTIONS_MAX; i++)
		free(rule->actions[i].settings);
	json_decref(rule->document);
	free((char *)rule->source);
	free(rule);
}
