/* SPDX-License-Identifier: BSD-2-Clause */
/* The states of a policy and a target, and the actions on the way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/policies_private.h"

#define SHOWN_SECONDS 30 /* that a resolved one stays listed, beyond its cooldown */

/* ---- words ---- */

static void name_process(uint64_t pid, const char *comm, char *target, size_t size)
{
	if (comm && *comm)
		snprintf(target, size, "%" PRIu64 " (%s)", pid, comm);
	else
		snprintf(target, size, "%" PRIu64, pid);
}

static void name_target(const struct policy *policy, const struct instance *instance, char *target,
			size_t size)
{
	const struct target_table *targets = policy->targets;
	const struct target_view view = target_table__view(targets, instance->slot);
	const struct target_key *key = &targets->slots[instance->slot].key;
	const struct snapshot_process *process = view.item;
	const struct snapshot_flow *flow = view.item;
	char who[64] = "?";

	switch (targets->id) {
	case TARGET_PROCESS:
		name_process(key->first, process ? process->identity->comm : NULL, target, size);
		break;
	case TARGET_FLOW:
		if (key->first)
			name_process(key->first,
				     flow && flow->identity ? flow->identity->comm : NULL, who,
				     sizeof(who));
		snprintf(target, size, "%s, %s", who, key->name);
		break;
	default:
		snprintf(target, size, "%s", key->name);
		break;
	}
}

static struct expand_facts facts_of(const struct policies *policies, const struct policy *policy,
				    const struct instance *instance, const struct target_view *view)
{
	return (struct expand_facts){
		.rule = policy->rule->name,
		.target = instance->target,
		.state = policy_state_names[instance->state],
		.severity = rule_severity_names[policy->rule->severity],
		.host = policies->snapshot->hostname,
		.kind = policy->rule->kind,
		.value = instance->value,
		.view = view->item ? view : NULL,
	};
}

static void summarise(const struct policies *policies, const struct policy *policy,
		      struct instance *instance)
{
	const struct target_view view = target_table__view(policy->targets, instance->slot);
	const struct expand_facts facts = facts_of(policies, policy, instance, &view);
	struct text text = {0};

	if (!view.item && *instance->summary)
		return; /* what was said of it last says more */
	expand__print(policy->rule->summary, &facts, &text);
	snprintf(instance->summary, sizeof(instance->summary), "%s", text.length ? text.data : "");
	text__free(&text);
}

/* ---- states ---- */

static void tell(const struct policies *policies, const struct policy *policy,
		 const struct instance *instance, const char *severity, const char *why)
{
	events__add(policies->options.events, "policy", severity, policy->rule->name,
		    "%s for %s %s%s%s%s%s", policy_state_names[instance->state],
		    target_kinds[policy->rule->kind].name, instance->target, *why ? ", " : "", why,
		    *instance->summary ? ": " : "", instance->summary);
}

static void enter(struct policy *policy, struct instance *instance, enum policy_state state,
		  double now)
{
	policy->counts[instance->state]--;
	policy->counts[state]++;
	instance->state = state;
	instance->since = now;
	instance->held = NULL;
	clock_gettime(CLOCK_REALTIME, &instance->since_time);
}

static void forget(struct policies *policies, struct policy *policy, struct instance *instance)
{
	policy->counts[instance->state]--;
	target_table__release(policy->targets, instance->slot);
	HASH_DEL(policy->instances, instance);
	policies->instances--;
	free(instance);
}

/* ---- actions ---- */

enum moment { MOMENT_BEGIN, MOMENT_AGAIN, MOMENT_END };

static void act(struct policies *policies, const struct policy *policy, struct instance *instance,
		enum moment moment, bool stopping, double now)
{
	const struct target_view view = target_table__view(policy->targets, instance->slot);
	const struct expand_facts facts = facts_of(policies, policy, instance, &view);
	struct action_call call = {
		.services = &policies->services,
		.rule = policy->rule,
		.facts = &facts,
		.key = policy->targets->slots[instance->slot].key,
		.summary = instance->summary,
		.fired = instance->fired_time,
		.resolved = instance->resolved_time,
		.now = now,
	};

	for (size_t i = 0; i < policy->rule->action_count; i++) {
		const struct action_type *type = policy->rule->actions[i].type;

		call.action = &policy->rule->actions[i];
		call.handle = &instance->handles[i];
		if (policy->rule->dry_run && moment == MOMENT_BEGIN)
			action__report(&call, "dry_run", "info", "not done");
		if (policy->rule->dry_run)
			continue;
		if (moment == MOMENT_BEGIN)
			type->begin(&call);
		else if (moment == MOMENT_AGAIN && type->again)
			type->again(&call);
		/* The end of the agent resolves nothing, so only actions that have to be undone are
		 * ended. */
		else if (moment == MOMENT_END && type->end && (!stopping || type->undoes))
			type->end(&call);
	}
}

static void fire(struct policies *policies, struct policy *policy, struct instance *instance,
		 double now)
{
	enter(policy, instance, POLICY_FIRING, now);
	instance->fired_at = now;
	instance->told = NULL;
	instance->fired_time = instance->since_time;
	memset(instance->handles, 0, sizeof(instance->handles));
	summarise(policies, policy, instance);
	tell(policies, policy, instance, rule_severity_names[policy->rule->severity], "");
	act(policies, policy, instance, MOMENT_BEGIN, false, now);
}

static void resolve(struct policies *policies, struct policy *policy, struct instance *instance,
		    const char *why, bool stopping, double now)
{
	enter(policy, instance, POLICY_RESOLVED, now);
	instance->resolved_time = instance->since_time;
	tell(policies, policy, instance, "info", why);
	act(policies, policy, instance, MOMENT_END, stopping, now);
}

static double cool_at(const struct policy *policy, const struct instance *instance)
{
	return instance->fired_at < 0 ? 0 : instance->fired_at + policy->rule->cooldown;
}

/* Fires when it has held for long enough, and nothing is against it. */
static void try_to_fire(struct policies *policies, struct policy *policy, struct instance *instance,
			double now)
{
	if (now - instance->since < policy->rule->hold)
		return;
	instance->held = NULL;
	if (now < cool_at(policy, instance))
		instance->held = "cooldown";
	else if (policy->counts[POLICY_FIRING] >= policy->rule->max_active)
		instance->held = "max_active";
	if (!instance->held)
		fire(policies, policy, instance, now);
	/* Once: a value that flaps would push everything else out of the events. */
	else if (!instance->told || strcmp(instance->told, instance->held) != 0)
		tell(policies, policy, instance, "info", instance->told = instance->held);
}

void instance__step(struct policies *policies, struct policy *policy, struct instance *instance,
		    bool on, bool still, double value, double now)
{
	const bool there = policy->targets->slots[instance->slot].item;

	if (on || (still && instance->state == POLICY_FIRING))
		instance->value = value;
	switch (instance->state) {
	case POLICY_PENDING:
		if (on) {
			summarise(policies, policy, instance);
			try_to_fire(policies, policy, instance, now);
			return;
		}
		enter(policy, instance, instance->fired_at < 0 ? POLICY_INACTIVE : POLICY_RESOLVED,
		      now);
		/* Of those that fire at once, only one that was held has been told of. */
		if (policy->rule->hold > 0)
			tell(policies, policy, instance, "info", "it no longer holds");
		if (instance->state == POLICY_INACTIVE)
			forget(policies, policy, instance);
		return;
	case POLICY_FIRING:
		if (still) {
			summarise(policies, policy, instance);
			act(policies, policy, instance, MOMENT_AGAIN, false, now);
		} else {
			resolve(policies, policy, instance, there ? "" : "it is gone", false, now);
		}
		return;
	default:
		if (on) {
			enter(policy, instance, POLICY_PENDING, now);
			if (policy->rule->hold > 0)
				tell(policies, policy, instance, "info", "");
			try_to_fire(policies, policy, instance, now);
		} else if (now >= cool_at(policy, instance) &&
			   now - instance->since >= SHOWN_SECONDS) {
			forget(policies, policy, instance);
		}
	}
}

void instance__see(struct policies *policies, struct policy *policy, uint32_t slot, double value,
		   double now)
{
	struct instance *instance;

	if (policies->instances >= INSTANCES_MAX) {
		if (!policies->told_full)
			events__add(policies->options.events, "policy", "error", policy->rule->name,
				    "%d targets of policies are pending or firing; no more are "
				    "looked at",
				    INSTANCES_MAX);
		policies->told_full = true;
		return;
	}
	policies->told_full = false;
	instance = calloc(1, sizeof(*instance));
	if (!instance)
		return; /* the next look finds it again */
	instance->slot = slot;
	instance->fired_at = -1;
	instance->value = value;
	instance->state = POLICY_INACTIVE;
	policy->counts[POLICY_INACTIVE]++;
	HASH_ADD(hh, policy->instances, slot, sizeof(instance->slot), instance);
	policies->instances++;
	target_table__hold(policy->targets, slot);
	name_target(policy, instance, instance->target, sizeof(instance->target));
	enter(policy, instance, POLICY_PENDING, now);
	summarise(policies, policy, instance);
	if (policy->rule->hold > 0)
		tell(policies, policy, instance, "info", "");
	try_to_fire(policies, policy, instance, now);
}

void instance__drop(struct policies *policies, struct policy *policy, struct instance *instance,
		    bool stopping, double now)
{
	if (instance->state == POLICY_FIRING)
		resolve(policies, policy, instance,
			stopping ? "the agent ends" : "the policy was taken away", stopping, now);
	forget(policies, policy, instance);
}
