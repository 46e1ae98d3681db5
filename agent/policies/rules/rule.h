/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy as it was written: which targets, when, and what then. agent/policies/rule_set.h reads
 * it. Immutable afterwards.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_RULE_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_RULE_H

#include <jansson.h>

#include "agent/base/config.h"
#include "agent/input/json_members.h"
#include "agent/policies/rules/kinds.h"
#include "agent/policies/rules/selector.h"

#define RULE_ACTIONS_MAX 8
#define RULE_SELECTORS_MAX 16
#define RULE_CONDITIONS_MAX 16 /* of one rule, those around others with them */
#define RULES_MAX 2000

enum comparison { IS_ABOVE, IS_AT_LEAST, IS_BELOW, IS_AT_MOST, IS_EQUAL, IS_NOT_EQUAL };

enum condition_type { CONDITION_COMPARE, CONDITION_ALL, CONDITION_ANY };

/* Of a tree in prefix order: what stands below a node follows it. */
struct condition {
	enum condition_type type;
	size_t span; /* nodes of this subtree, itself included */
	/* CONDITION_COMPARE */
	const struct field *field;
	bool is_rate; /* of its change per second, not of its value */
	double over;  /* seconds that the change is taken over; 0: one interval */
	enum comparison comparison;
	double threshold, clear; /* to begin, and to end */
};

enum rule_severity { RULE_INFO, RULE_WARNING, RULE_ERROR, RULE_SEVERITIES };
extern const char *const rule_severity_names[RULE_SEVERITIES + 1];

struct action_type;
struct rule_action {
	const struct action_type *type;
	void *settings; /* type->settings_size bytes; strings point into the rule's document */
};

struct rule {
	const char *name;
	const char *summary; /* a template, agent/policies/rules/expand.h; "" */
	const char *source;  /* the file it came from, or "api" */
	enum rule_severity severity;
	enum target_kind kind;
	struct selector *selectors[RULE_SELECTORS_MAX];
	size_t selector_count;
	struct condition conditions[RULE_CONDITIONS_MAX];
	size_t condition_count;
	double hold;	     /* seconds that it must be true without a break */
	double cooldown;     /* seconds from one firing for a target to the next */
	uint64_t max_active; /* targets that it fires for at once */
	bool dry_run;
	struct rule_action actions[RULE_ACTIONS_MAX];
	size_t action_count;
	json_t *document; /* a reference is held */
};

/* What a policy may refer to. NULL where nothing is configured: names are then not checked. */
struct rule_world {
	const struct agent_config *config;
};

/* NULL is allowed. */
void rule__free(struct rule *rule);

#endif
