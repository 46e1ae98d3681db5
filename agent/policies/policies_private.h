/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of struct policies, for its own files alone: policies.c has its life, engine.c looks
 * at the targets, instance.c has the states, policies_tell.c what is told of them.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_POLICIES_PRIVATE_H
#define DIRTYSCOPE_AGENT_POLICIES_POLICIES_PRIVATE_H

#include <pthread.h>
#include <uthash.h>

#include "agent/policies/actions/action.h"
#include "agent/policies/policies.h"
#include "agent/policies/rule_set.h"
#include "agent/policies/target_table.h"

#define INSTANCES_MAX 100000 /* of all policies together */

/* One policy and one target for which it is not inactive. */
struct instance {
	uint32_t slot; /* in the policy's target table; held */
	enum policy_state state;
	const char *held; /* PENDING, though it has been true long enough: why; else NULL */
	const char *told; /* the last `held` that was told since it fired */
	double since;	  /* monotonic, of the state */
	double fired_at;  /* monotonic; below 0: never yet */
	struct timespec since_time, fired_time, resolved_time; /* realtime */
	double value;
	char target[96]; /* "1234 (dd)" */
	char summary[256];
	uint64_t handles[RULE_ACTIONS_MAX];
	UT_hash_handle hh;
};

/* A rule that is in force, with its targets and their states. */
struct policy {
	const struct rule *rule;
	struct target_table *targets;
	struct target_column *columns[RULE_CONDITIONS_MAX]; /* of its conditions that compare */
	uint8_t *selected;	  /* by slot: 1 where its selectors match, and it is there */
	size_t selected_capacity; /* 0: all slots are to be looked at */
	bool fixed; /* selectors change their mind only with the target table's facts */
	struct instance *instances; /* uthash, by slot */
	uint64_t counts[POLICY_STATES];
	uint64_t chosen; /* targets that its selectors match */
};

struct policies {
	struct policies_options options;
	struct report *report;
	struct policy_tracks *policy_tracks;
	struct limits *limits;
	struct webhook_queue *webhooks;
	struct exec_queue *execs;
	struct action_services services;

	pthread_mutex_t lock; /* what follows */
	json_t *posted;	      /* what the API was given last; NULL: nothing */
	struct rule_set *set; /* all in force; owns the rules of `list` */
	struct policy *list;
	size_t count;
	struct target_table *target_tables[TARGET_KINDS]; /* NULL: no policy is about it */
	struct snapshot *snapshot; /* that was looked at last; a reference is held */
	uint8_t *scratch;	   /* masks, while conditions are worked out */
	size_t scratch_size;
	size_t instances;	 /* of all */
	bool told_full;		 /* that there are INSTANCES_MAX */
	double evaluate_seconds; /* the last time */

	pthread_mutex_t publish_lock; /* what follows; nobody waits under it */
	struct snapshot_policy *published;
	size_t published_count;

	pthread_t thread;
	bool running;
	bool stop; /* atomic */
};

/* engine.c; under the lock. Looks at a snapshot once, and acts. now: seconds, monotonic. */
void engine__evaluate(struct policies *policies, struct snapshot *snapshot, double now);

/* instance.c; under the lock */
/* The conditions hold for a target that was inactive. */
void instance__see(struct policies *policies, struct policy *policy, uint32_t slot, double value,
		   double now);
/* One that was seen before. on: the conditions hold; still: they are not clear yet. */
void instance__step(struct policies *policies, struct policy *policy, struct instance *instance,
		    bool on, bool still, double value, double now);
/* Ends it at once: its policy is taken away. stopping: the agent ends. */
void instance__drop(struct policies *policies, struct policy *policy, struct instance *instance,
		    bool stopping, double now);

#endif
