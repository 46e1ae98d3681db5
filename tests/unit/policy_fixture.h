/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies without a kernel: rules in a directory, snapshots and a clock made by the test. */
#ifndef DIRTYSCOPE_TESTS_UNIT_POLICY_FIXTURE_H
#define DIRTYSCOPE_TESTS_UNIT_POLICY_FIXTURE_H

#include "agent/base/arena.h"
#include "agent/base/reason.h"
#include "agent/option_table.h"
#include "agent/policies/policies_private.h"
#include "tests/unit/tree.h"

struct host {
	struct tree tree;
	char rules[PATH_MAX], state[PATH_MAX], sysfs[PATH_MAX];
	struct agent_config config;
	struct events *events;
	struct policies *policies;
	uint64_t sequence;
};

static inline void host__write(const struct host *host, const char *rules)
{
	tree__puts(&host->tree, "rules/rules.yaml", rules);
}

static inline void host__new(struct host *host, const char *rules)
{
	struct reason message;

	*host = (struct host){.sequence = 0};
	tree__new(&host->tree);
	host__write(host, rules);
	tree__path(&host->tree, "rules", host->rules);
	tree__path(&host->tree, "run/limits.json", host->state);
	tree__path(&host->tree, "sys", host->sysfs);
	agent_config__defaults(&host->config);
	host->config.policies = host->rules;
	host->config.policies_state = host->state;
	host->config.sysfs = host->sysfs;
	host->events = events__new();
	tree__check(policies__new(&(struct policies_options){.config = &host->config,
							     .events = host->events},
				  &host->policies, &message) != 0,
		    message.text);
	/* As policies__start has it, without its threads. */
	host->policies->services = (struct action_services){
		.config = &host->config,
		.report = host->policies->report,
		.limits = host->policies->limits,
	};
}

static inline int host__reload(struct host *host, const char *rules)
{
	struct reason message;

	host__write(host, rules);
	return policies__reload(host->policies, &message);
}

static inline void host__free(struct host *host)
{
	tree__check(host__reload(host, "policies: []\n") != 0, "reload");
	policies__free(host->policies);
	events__free(host->events);
	agent_config__free(&host->config);
	tree__remove(&host->tree, "");
}

static inline struct process_identity *host__identity(uint32_t pid, uint64_t start,
						      const char *comm)
{
	struct process_identity identity = {
		.tgid = pid,
		.start_boottime_ns = start,
		.user = "",
		.cmdline = "",
		.cgroup = "/a",
	};

	snprintf(identity.comm, sizeof(identity.comm), "%s", comm);
	return process_identity__new(&identity);
}

/* Processes and devices are the caller's; references on identities are taken. */
static inline struct snapshot *
host__snapshot(struct host *host, const struct snapshot_process *processes, size_t process_count,
	       const struct snapshot_device *devices, size_t device_count)
{
	struct snapshot *snapshot = snapshot__new();

	snapshot->sequence = ++host->sequence;
	snapshot->hostname = "host";
	snapshot->kernel = "6.1";
	snapshot->processes =
		arena__alloc(snapshot->arena, (process_count + 1) * sizeof(*processes));
	snapshot->devices = arena__alloc(snapshot->arena, (device_count + 1) * sizeof(*devices));
	for (size_t i = 0; i < process_count; i++) {
		snapshot->processes[i] = processes[i];
		process_identity__get(processes[i].identity);
	}
	for (size_t i = 0; i < device_count; i++)
		snapshot->devices[i] = devices[i];
	snapshot->process_count = process_count;
	snapshot->device_count = device_count;
	for (unsigned i = 0; i < DS_SENSOR_COUNT; i++)
		snapshot->sensors[i].id = i;
	return snapshot;
}

static inline void host__look(struct host *host, const struct snapshot_process *processes,
			      size_t process_count, const struct snapshot_device *devices,
			      size_t device_count, double now)
{
	struct snapshot *snapshot =
		host__snapshot(host, processes, process_count, devices, device_count);

	pthread_mutex_lock(&host->policies->lock);
	engine__evaluate(host->policies, snapshot, now);
	pthread_mutex_unlock(&host->policies->lock);
	snapshot__put(snapshot);
}

static inline uint64_t host__actions(const struct host *host, const char *action,
				     const char *result)
{
	struct snapshot_action *rows;
	uint64_t found = 0;
	size_t count;

	rows = report__list(host->policies->report, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].action, action) == 0 && strcmp(rows[i].result, result) == 0)
			found += rows[i].count;
	free(rows);
	return found;
}

#endif
