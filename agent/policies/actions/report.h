/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What actions came to: counted by policy, action and result for as long as the agent runs, and
 * told as events. Thread-safe.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_REPORT_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_REPORT_H

#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"

struct report;

/* events: borrowed. NULL when memory is short. */
struct report *report__new(struct events *events);
void report__free(struct report *report);

/* Whose action it is, for when its result comes later. One allocation, for free(). */
struct action_tag {
	char policy[64], action[16], target[96];
};
/* NULL when memory is short; report__done takes that, too. */
struct action_tag *action_tag__new(const char *policy, const char *action, const char *target);

/*
 * result: a word, static, that becomes a label: "started", "failed", "dry_run". reason: "" or a
 * sentence for the event.
 */
void report__add(struct report *report, const struct action_tag *tag, const char *result,
		 const char *severity, const char *reason);
/* The same, and frees the tag; fits webhook_queue.h and exec_queue.h. context: the report. */
void report__done(void *context, void *tag, const char *result, const char *reason);

/* A new array, by policy, action, result, that the caller frees; NULL and 0: none, or no memory. */
struct snapshot_action *report__list(struct report *report, size_t *count);

#endif
