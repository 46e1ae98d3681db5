/* SPDX-License-Identifier: BSD-2-Clause */
/* "track": a track on the target for as long as the policy fires; "reclaim": the same, and what it
 * sees unwritten is given to the kernel to take. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/actions/actions.h"
#include "agent/policies/actions/policy_tracks.h"

#define FOLLOWED (FOR(PROCESS) | FOR(VM) | FOR(CGROUP) | FOR(DEVICE))

struct track_settings {
	double every, downtime;
	uint64_t bandwidth;
};

static const struct track_settings track_defaults = {.every = 5, .downtime = 0.3};

#define TRACK(member) offsetof(struct track_settings, member)
static const struct json_member_row track_rows[] = {
	{"every", MEMBER_SECONDS, TRACK(every), 100, 3600000, NULL, false},
	{"bandwidth", MEMBER_SIZE, TRACK(bandwidth), 1, 1000000000000000, NULL, false},
	{"downtime", MEMBER_SECONDS, TRACK(downtime), 0, 86400000, NULL, false},
	{},
};

struct reclaim_settings {
	double every;
	uint64_t epochs, most;
	unsigned advice;
};

static const struct reclaim_settings reclaim_defaults = {
	.every = 1, .epochs = 60, .most = 64 << 20, .advice = RECLAIM_PAGEOUT};
static const char *const advices[] = {"pageout", "cold", NULL};

#define RECLAIM(member) offsetof(struct reclaim_settings, member)
static const struct json_member_row reclaim_rows[] = {
	{"every", MEMBER_SECONDS, RECLAIM(every), 100, 3600000, NULL, false},
	{"epochs", MEMBER_INTEGER, RECLAIM(epochs), 2, TRACK_EPOCHS, NULL, false},
	{"most", MEMBER_SIZE, RECLAIM(most), 4096, 1ULL << 40, NULL, false},
	{"how", MEMBER_CHOICE, RECLAIM(advice), 0, 0, advices, false},
	{},
};

/* Of a VM: its first process, which has the guest's memory. */
static uint32_t pid_of(const struct action_call *call)
{
	const struct target_view *view = call->facts->view;

	if (call->rule->kind == TARGET_PROCESS)
		return (uint32_t)call->key.first;
	if (call->rule->kind != TARGET_VM || !view)
		return 0;
	for (size_t i = 0; i < view->snapshot->process_count; i++) {
		const struct snapshot_process *process = &view->snapshot->processes[i];

		if (process->state == PROCESS_RUNNING && process->identity->vm_name &&
		    strcmp(process->identity->vm_name, call->key.name) == 0)
			return process->identity->tgid;
	}
	return 0;
}

static void begin(const struct action_call *call, struct policy_track_request *request)
{
	struct action_tag *tag = action__tag(call);

	request->kind = call->rule->kind;
	request->key = call->key;
	request->pid = pid_of(call);
	request->tag = tag;
	if (tag)
		*call->handle = policy_tracks__begin(call->services->policy_tracks, request);
	if (!*call->handle)
		action__report(call, "failed", "warning", "out of memory");
	free(tag);
}

static void track_begin(const struct action_call *call)
{
	const struct track_settings *settings = call->action->settings;
	struct policy_track_request request = {
		.every = settings->every,
		.bandwidth = (double)settings->bandwidth,
		.downtime = settings->downtime,
	};

	begin(call, &request);
}

static void reclaim_begin(const struct action_call *call)
{
	const struct reclaim_settings *settings = call->action->settings;
	struct policy_track_request request = {
		.every = settings->every,
		.reclaim = {settings->epochs, settings->advice, settings->most},
	};

	begin(call, &request);
}

static void track_end(const struct action_call *call)
{
	if (*call->handle)
		policy_tracks__end(call->services->policy_tracks, *call->handle);
}

const struct action_type action_track = {
	.name = "track",
	.help = "a track on the target for as long as the policy fires",
	.kinds = FOLLOWED,
	.settings_size = sizeof(struct track_settings),
	.defaults = &track_defaults,
	.rows = track_rows,
	.begin = track_begin,
	.undoes = true,
	.end = track_end,
};

const struct action_type action_reclaim = {
	.name = "reclaim",
	.help = "memory that was not written for a while is paged out",
	.kinds = FOR(PROCESS) | FOR(VM),
	.is_gated = true,
	.settings_size = sizeof(struct reclaim_settings),
	.defaults = &reclaim_defaults,
	.rows = reclaim_rows,
	.begin = reclaim_begin,
	.undoes = true,
	.end = track_end,
};
