/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a policy can do: one table of actions. To add one is to add a row in action.c and the
 * functions that it names.
 *
 * An action must not block: it runs in the thread that watches the snapshots. What takes time is
 * handed to a thread of its own (policy_tracks, webhook_queue, exec_queue), which reports the
 * result later.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_ACTION_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_ACTION_H

#include <time.h>

#include "agent/policies/rules/expand.h"
#include "agent/policies/actions/report.h"
#include "agent/policies/rules/rule.h"
#include "agent/base/text.h"

struct policy_tracks;
struct limits;
struct webhook_queue;
struct exec_queue;

/* All borrowed. webhooks, execs: NULL where nothing is configured for them. */
struct action_services {
	const struct agent_config *config;
	struct report *report;
	struct policy_tracks *policy_tracks;
	struct limits *limits;
	struct webhook_queue *webhooks;
	struct exec_queue *execs;
};

/* One action of a policy that fires for a target. */
struct action_call {
	const struct action_services *services;
	const struct rule *rule;
	const struct rule_action *action;
	const struct expand_facts *facts; /* view: NULL once the target is gone */
	struct target_key key;
	const char *summary;	  /* the rule's, as of now */
	struct timespec fired;	  /* realtime, when it began to fire */
	struct timespec resolved; /* realtime, of `end` */
	double now;		  /* seconds, monotonic */
	uint64_t *handle;	  /* the action's own, for this target; 0 at first */
};

struct action_type {
	const char *name, *help;
	unsigned kinds; /* of targets, a bit each */
	bool is_gated;	/* it changes the host: policies.allow has to name it */
	bool undoes;	/* `end` is called when the agent ends, too: it has changed the host */
	size_t settings_size;
	const void *defaults; /* settings_size bytes; NULL: zeroes */
	const struct json_member_row *rows;
	/* What the rows cannot say; may be NULL. path: of the options. */
	int (*check)(const void *settings, const struct rule *rule, const struct rule_world *world,
		     const char *path, struct json_member_error *error);
	void (*begin)(const struct action_call *call);
	void (*again)(const struct action_call *call); /* each interval in between; NULL */
	void (*end)(const struct action_call *call);   /* NULL */
};

const struct action_type *action_type__find(const char *name);
/* NULL behind the last. */
const struct action_type *action_type__at(size_t index);
void action_type__names(struct text *out);
/* Fills in action->settings from its options (NULL: none). As rule__read. */
int action__read(struct rule_action *action, const struct rule *rule, json_t *options,
		 const char *path, const struct rule_world *world, struct json_member_error *error);

/* Counts a result and tells of it. reason: printf format, may be "". */
void action__report(const struct action_call *call, const char *result, const char *severity,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* For results that come later. */
struct action_tag *action__tag(const struct action_call *call);

/* What the settings of "webhook" and "exec" refer to: "NAME=REST" in a list of the configuration;
 * REST, or NULL. */
const char *config__named(const struct option_list *list, const char *name);

#endif
