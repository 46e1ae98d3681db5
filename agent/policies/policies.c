/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/policies.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/base/log.h"
#include "agent/policies/delivery/webhook_queue.h"
#include "agent/policies/actions/policy_tracks.h"
#include "agent/policies/actions/limits.h"
#include "agent/policies/policies_private.h"
#include "agent/policies/policies_tell.h"
#include "agent/policies/actions/exec_queue.h"

#define WAIT_SECONDS 1.0 /* for a snapshot, before a look at whether to stop */
#define GRACE_SECONDS 2.0

static double now_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- the rules in force ---- */

static void free_policy(struct policy *policy)
{
	free(policy->selected);
}

static int prepare(struct policies *policies, const struct rule *rule, struct policy *policy)
{
	struct target_table **targets = &policies->target_tables[rule->kind];

	if (!*targets)
		*targets = target_table__new(rule->kind);
	if (!*targets)
		return -ENOMEM;
	*policy = (struct policy){.rule = rule, .targets = *targets, .fixed = true};
	for (size_t i = 0; i < rule->selector_count; i++)
		policy->fixed &= selector__is_fixed(rule->selectors[i]);
	for (size_t i = 0; i < rule->condition_count; i++) {
		const struct condition *condition = &rule->conditions[i];

		if (condition->type != CONDITION_COMPARE)
			continue;
		policy->columns[i] = target_table__column(*targets, condition->field,
							  condition->is_rate, condition->over);
		if (!policy->columns[i])
			return -ENOMEM;
	}
	return 0;
}

/* The same policy, word for word, keeps its states. */
static void inherit(struct policies *policies, struct policy *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < policies->count; j++) {
			struct policy *before = &policies->list[j];

			if (strcmp(before->rule->name, list[i].rule->name) != 0 ||
			    before->rule->kind != list[i].rule->kind ||
			    !json_equal(before->rule->document, list[i].rule->document))
				continue;
			list[i].instances = before->instances;
			memcpy(list[i].counts, before->counts, sizeof(before->counts));
			before->instances = NULL;
		}
}

static void drop_instances(struct policies *policies, bool stopping)
{
	struct instance *instance, *next;

	for (size_t i = 0; i < policies->count; i++)
		HASH_ITER (hh, policies->list[i].instances, instance, next)
			instance__drop(policies, &policies->list[i], instance, stopping,
				       now_seconds());
}

/* Under the lock: the set takes the place of the one in force, or nothing changes. */
static int enforce(struct policies *policies, struct rule_set *set)
{
	struct policy *list = calloc(set->count + 1, sizeof(*list));
	int err = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < set->count && !err; i++)
		err = prepare(policies, set->rules[i], &list[i]);
	if (err) {
		free(list);
		return err;
	}
	inherit(policies, list, set->count);
	drop_instances(policies, false);
	for (size_t i = 0; i < policies->count; i++)
		free_policy(&policies->list[i]);
	free(policies->list);
	rule_set__free(policies->set);
	policies->set = set;
	policies->list = list;
	policies->count = set->count;
	for (int kind = 0; kind < TARGET_KINDS; kind++)
		if (policies->target_tables[kind])
			target_table__unwant(policies->target_tables[kind]);
	/* They are there already: this only marks them, and cannot fail. */
	for (size_t i = 0; i < policies->count; i++)
		for (size_t j = 0; j < list[i].rule->condition_count; j++)
			if (list[i].columns[j])
				list[i].columns[j]->wanted = true;
	for (int kind = 0; kind < TARGET_KINDS; kind++)
		if (policies->target_tables[kind])
			target_table__sweep_columns(policies->target_tables[kind]);
	policies_tell__publish(policies);
	return 0;
}

/* All of the directory and of what was posted, as one set. */
static int read_all(struct policies *policies, json_t *posted, struct rule_set **out,
		    struct json_member_error *error, struct reason *message)
{
	const struct rule_world world = {policies->options.config};
	struct rule_set *set = rule_set__new();
	int err = set ? 0 : -ENOMEM;

	if (!err && policies->options.config->policies)
		err = rule_set__add_directory(set, policies->options.config->policies, &world,
					      message);
	if (!err && posted) {
		*error->path = '\0';
		err = rule_set__add(set, posted, "api", &world, error);
		if (err == -EINVAL)
			reason__set(message, "posted policies: %s %s", error->path, error->reason);
	}
	if (err) {
		rule_set__free(set);
		return err;
	}
	*out = set;
	return 0;
}

int policies__reload(struct policies *policies, struct reason *message)
{
	struct json_member_error error;
	struct rule_set *set;
	int err;

	message->text[0] = '\0';
	pthread_mutex_lock(&policies->lock);
	err = read_all(policies, policies->posted, &set, &error, message);
	if (!err) {
		err = enforce(policies, set);
		if (err)
			rule_set__free(set);
	}
	if (err && !message->text[0])
		reason__set(message, "%s", strerror(-err));
	if (err)
		events__add(policies->options.events, "agent", "error", "policies",
			    "not reloaded, those before stay: %s", message->text);
	else
		events__add(policies->options.events, "agent", "info", "policies",
			    "reloaded, %zu in force", policies->count);
	pthread_mutex_unlock(&policies->lock);
	return err;
}

int policies__put(struct policies *policies, json_t *document, struct json_member_error *error)
{
	struct reason message = {""};
	struct rule_set *set;
	int err;

	pthread_mutex_lock(&policies->lock);
	*error->path = '\0';
	snprintf(error->reason, sizeof(error->reason), "%s", "");
	err = read_all(policies, document, &set, error, &message);
	/* It was the directory, which somebody has changed since it was read. */
	if (err && !*error->reason)
		snprintf(error->reason, sizeof(error->reason), "cannot be put beside those: %.700s",
			 *message.text ? message.text : strerror(-err));
	if (!err) {
		err = enforce(policies, set);
		if (err)
			rule_set__free(set);
	}
	if (!err) {
		json_decref(policies->posted);
		policies->posted = json_incref(document);
		events__add(policies->options.events, "agent", "info", "policies",
			    "posted, %zu in force", policies->count);
	}
	pthread_mutex_unlock(&policies->lock);
	return err;
}

/* ---- life ---- */

static void *policies_run(void *argument)
{
	struct policies *policies = argument;
	uint64_t sequence = 0;

	while (!__atomic_load_n(&policies->stop, __ATOMIC_ACQUIRE)) {
		struct snapshot *snapshot =
			snapshot_store__wait(policies->options.store, sequence, WAIT_SECONDS);
		double begun;

		if (!snapshot)
			continue;
		sequence = snapshot->sequence;
		pthread_mutex_lock(&policies->lock);
		begun = now_seconds();
		engine__evaluate(policies, snapshot, begun);
		policies->evaluate_seconds = now_seconds() - begun;
		policies_tell__publish(policies);
		pthread_mutex_unlock(&policies->lock);
		snapshot__put(snapshot);
	}
	return NULL;
}

/* A name or a number; of a number without an entry, the group of the same number. */
static int find_user(const char *user, struct exec_queue_options *options)
{
	const struct passwd *entry;
	uint64_t number;

	if (files__parse_u64(user, strlen(user), &number) && number < UINT32_MAX) {
		entry = getpwuid((uid_t)number);
		options->uid = (uid_t)number;
		options->gid = entry ? entry->pw_gid : (gid_t)number;
	} else {
		entry = getpwnam(user);
		if (!entry)
			return -ENOENT;
		options->uid = entry->pw_uid;
		options->gid = entry->pw_gid;
	}
	/* Whoever writes root into the configuration means it. */
	options->allow_root = true;
	return 0;
}

static int start_exec_queue(struct policies *policies, struct reason *message)
{
	const struct agent_config *config = policies->options.config;
	struct exec_queue_options options = {
		.timeout = config->policies_exec_timeout,
		.done = report__done,
		.context = policies->report,
	};

	if (!config->policies_exec.count)
		return 0;
	if (find_user(config->policies_user, &options)) {
		reason__set(message, "policies.exec-user: there is no user '%s'",
			    config->policies_user);
		return -EINVAL;
	}
	return exec_queue__new(&options, &policies->execs, message);
}

static int start_webhook_queue(struct policies *policies, struct reason *message)
{
	const struct agent_config *config = policies->options.config;
	struct webhook_target targets[OPTION_LIST_MAX];
	char names[OPTION_LIST_MAX][64];
	const struct webhook_queue_options options = {
		.targets = targets,
		.target_count = config->policies_webhook.count,
		.timeout = config->policies_webhook_timeout,
		.done = report__done,
		.context = policies->report,
	};

	if (!options.target_count)
		return 0;
	for (size_t i = 0; i < options.target_count; i++) {
		const char *value = config->policies_webhook.values[i];
		const size_t length = strcspn(value, "=");

		snprintf(names[i], sizeof(names[i]), "%.*s", (int)length, value);
		targets[i] = (struct webhook_target){names[i], value + length + 1};
	}
	return webhook_queue__new(&options, &policies->webhooks, message);
}

int policies__new(const struct policies_options *options, struct policies **out,
		  struct reason *message)
{
	struct policies *policies = calloc(1, sizeof(*policies));
	struct json_member_error error;
	struct rule_set *set;
	int err = -ENOMEM;

	*out = NULL;
	message->text[0] = '\0';
	if (!policies)
		return err;
	policies->options = *options;
	pthread_mutex_init(&policies->lock, NULL);
	pthread_mutex_init(&policies->publish_lock, NULL);
	policies->report = report__new(options->events);
	policies->limits = limits__new(options->config->sysfs, options->config->policies_state,
				       options->events);
	if (policies->report && policies->limits)
		err = start_webhook_queue(policies, message);
	if (!err)
		err = start_exec_queue(policies, message);
	if (!err)
		err = read_all(policies, NULL, &set, &error, message);
	if (!err) {
		err = enforce(policies, set);
		if (err)
			rule_set__free(set);
	}
	if (err) {
		policies__free(policies);
		return err;
	}
	*out = policies;
	return 0;
}

int policies__start(struct policies *policies)
{
	int err = policy_tracks__new(policies->options.config, policies->options.tracks,
				     policies->report, &policies->policy_tracks);

	if (err)
		return err;
	policies->services = (struct action_services){
		.config = policies->options.config,
		.report = policies->report,
		.policy_tracks = policies->policy_tracks,
		.limits = policies->limits,
		.webhooks = policies->webhooks,
		.execs = policies->execs,
	};
	limits__recover(policies->limits);
	err = -pthread_create(&policies->thread, NULL, policies_run, policies);
	policies->running = !err;
	if (!err && policies->count)
		log_info("policies", "count=%zu directory=%s", policies->count,
			 policies->options.config->policies);
	return err;
}

void policies__stop(struct policies *policies)
{
	if (!policies)
		return;
	if (policies->running) {
		__atomic_store_n(&policies->stop, true, __ATOMIC_RELEASE);
		snapshot_store__wake(policies->options.store);
		pthread_join(policies->thread, NULL);
		policies->running = false;
		drop_instances(policies, true);
	}
	policy_tracks__free(policies->policy_tracks);
	policies->policy_tracks = NULL;
	limits__free(policies->limits);
	policies->limits = NULL;
	webhook_queue__free(policies->webhooks, GRACE_SECONDS);
	policies->webhooks = NULL;
	exec_queue__free(policies->execs, GRACE_SECONDS);
	policies->execs = NULL;
}

void policies__free(struct policies *policies)
{
	if (!policies)
		return;
	policies__stop(policies);
	for (size_t i = 0; i < policies->count; i++)
		free_policy(&policies->list[i]);
	free(policies->list);
	rule_set__free(policies->set);
	json_decref(policies->posted);
	for (int kind = 0; kind < TARGET_KINDS; kind++)
		target_table__free(policies->target_tables[kind]);
	snapshot__put(policies->snapshot);
	free(policies->scratch);
	free(policies->published);
	report__free(policies->report);
	pthread_mutex_destroy(&policies->publish_lock);
	pthread_mutex_destroy(&policies->lock);
	free(policies);
}
