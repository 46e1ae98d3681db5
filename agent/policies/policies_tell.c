/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of policies: to the API, and to snapshots, from which the metrics come. */
#include "agent/policies/policies_tell.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/arena.h"
#include "agent/policies/policies_private.h"

#define INSTANCES_SHOWN 1000 /* of one policy */

static uint64_t inactive(const struct policy *policy)
{
	uint64_t others = 0;

	for (int state = POLICY_PENDING; state < POLICY_STATES; state++)
		others += policy->counts[state];
	return policy->chosen > others ? policy->chosen - others : 0;
}

void policies_tell__publish(struct policies *policies)
{
	struct snapshot_policy *published = calloc(policies->count + 1, sizeof(*published));
	struct snapshot_policy *before;

	if (!published)
		return;
	for (size_t i = 0; i < policies->count; i++) {
		const struct policy *policy = &policies->list[i];

		snprintf(published[i].name, sizeof(published[i].name), "%s", policy->rule->name);
		memcpy(published[i].states, policy->counts, sizeof(policy->counts));
		published[i].states[POLICY_INACTIVE] = inactive(policy);
	}
	pthread_mutex_lock(&policies->publish_lock);
	before = policies->published;
	policies->published = published;
	policies->published_count = policies->count;
	pthread_mutex_unlock(&policies->publish_lock);
	free(before);
}

int policies__publish(struct policies *policies, struct snapshot *snapshot)
{
	struct snapshot_action *actions;
	size_t count, size;

	pthread_mutex_lock(&policies->publish_lock);
	size = policies->published_count * sizeof(*policies->published);
	snapshot->policies = arena__alloc(snapshot->arena, size + 1);
	if (snapshot->policies && size)
		memcpy(snapshot->policies, policies->published, size);
	snapshot->policy_count = snapshot->policies ? policies->published_count : 0;
	pthread_mutex_unlock(&policies->publish_lock);
	actions = report__list(policies->report, &count);
	snapshot->actions = arena__alloc(snapshot->arena, count * sizeof(*actions) + 1);
	if (snapshot->actions && count)
		memcpy(snapshot->actions, actions, count * sizeof(*actions));
	snapshot->action_count = snapshot->actions ? count : 0;
	free(actions);
	return snapshot->policies && snapshot->actions ? 0 : -ENOMEM;
}

/* ---- JSON ---- */

/* Any bytes become valid text; NULL only when memory is short. */
static json_t *string_of(const char *bytes)
{
	struct text text = {0};
	const size_t length = strlen(bytes);
	json_t *string;

	for (size_t at = 0, taken; at < length; at += taken) {
		uint32_t code;

		taken = utf8__next(bytes + at, length - at, &code);
		text__put_code(&text, code);
	}
	string = json_string(text.length ? text.data : "");
	text__free(&text);
	return string;
}

static json_t *time_of(const struct timespec *time)
{
	struct text text = {0};
	json_t *string;

	if (!time->tv_sec)
		return json_null();
	text__time(&text, time);
	string = json_string(text.length ? text.data : "");
	text__free(&text);
	return string;
}

static json_t *describe_instance(const struct instance *instance)
{
	const bool resolved = instance->state == POLICY_RESOLVED;

	return json_pack("{s:o, s:s, s:s?, s:o, s:o, s:o, s:o, s:o}", "target",
			 string_of(instance->target), "state", policy_state_names[instance->state],
			 "held", instance->held, "value",
			 isnan(instance->value) ? json_null() : json_real(instance->value), "since",
			 time_of(&instance->since_time), "fired", time_of(&instance->fired_time),
			 "resolved", resolved ? time_of(&instance->resolved_time) : json_null(),
			 "summary", string_of(instance->summary));
}

static json_t *describe_actions(const struct policies *policies, const char *name)
{
	json_t *list = json_array();
	size_t count;
	struct snapshot_action *actions = report__list(policies->report, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(actions[i].policy, name) == 0)
			json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "action",
							      actions[i].action, "result",
							      actions[i].result, "count",
							      (json_int_t)actions[i].count));
	free(actions);
	return list;
}

static json_t *describe(const struct policies *policies, const struct policy *policy)
{
	json_t *one = json_deep_copy(policy->rule->document), *instances = json_array();
	const struct instance *instance;
	size_t shown = 0;

	for (instance = policy->instances; instance && shown < INSTANCES_SHOWN;
	     instance = instance->hh.next, shown++)
		json_array_append_new(instances, describe_instance(instance));
	json_object_set_new(one, "source", string_of(policy->rule->source));
	json_object_set_new(one, "severity",
			    json_string(rule_severity_names[policy->rule->severity]));
	json_object_set_new(one, "dry_run", json_boolean(policy->rule->dry_run));
	json_object_set_new(one, "cooldown", json_real(policy->rule->cooldown));
	json_object_set_new(one, "max_active", json_integer((json_int_t)policy->rule->max_active));
	json_object_set_new(one, "states",
			    json_pack("{s:I, s:I, s:I, s:I}", "inactive",
				      (json_int_t)inactive(policy), "pending",
				      (json_int_t)policy->counts[POLICY_PENDING], "firing",
				      (json_int_t)policy->counts[POLICY_FIRING], "resolved",
				      (json_int_t)policy->counts[POLICY_RESOLVED]));
	json_object_set_new(one, "instances", instances);
	json_object_set_new(one, "instances_total",
			    json_integer((json_int_t)HASH_COUNT(policy->instances)));
	json_object_set_new(one, "actions", describe_actions(policies, policy->rule->name));
	return one;
}

json_t *policies__describe(struct policies *policies)
{
	json_t *list = json_array(), *answer;

	if (!policies)
		return json_pack("{s:f, s:i, s:o}", "evaluation_seconds", 0.0, "total", 0,
				 "policies", list);
	pthread_mutex_lock(&policies->lock);
	for (size_t i = 0; i < policies->count && list; i++)
		json_array_append_new(list, describe(policies, &policies->list[i]));
	answer = json_pack("{s:f, s:I, s:o}", "evaluation_seconds", policies->evaluate_seconds,
			   "total", (json_int_t)policies->count, "policies", list);
	pthread_mutex_unlock(&policies->lock);
	return answer;
}
