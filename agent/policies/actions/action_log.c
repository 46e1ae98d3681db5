/* SPDX-License-Identifier: BSD-2-Clause */
/* "log": a line in the agent's log when the policy fires, and one when it is resolved. */
#include "agent/base/log.h"
#include "agent/policies/actions/actions.h"

struct log_settings {
	unsigned level;
};

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const struct log_settings defaults = {LOG_WARN};
static const struct json_member_row rows[] = {
	{"level", MEMBER_CHOICE, offsetof(struct log_settings, level), 0, 0, levels, false},
	{},
};

/* Names come from the host; a log is read on terminals. */
static void write_line(const struct action_call *call)
{
	const struct log_settings *settings = call->action->settings;
	struct text target = {0}, summary = {0};

	text__json_string(&target, call->facts->target);
	text__json_string(&summary, call->summary);
	log__write(settings->level, "policy", "policy=%s state=%s target=%s value=%.6g summary=%s",
		   call->rule->name, call->facts->state, target.length ? target.data : "\"\"",
		   call->facts->value, summary.length ? summary.data : "\"\"");
	text__free(&target);
	text__free(&summary);
}

static void log_begin(const struct action_call *call)
{
	write_line(call);
	action__report(call, "ok", "info", "");
}

const struct action_type action_log = {
	.name = "log",
	.help = "a line in the agent's log",
	.kinds = FOR_ANY,
	.settings_size = sizeof(struct log_settings),
	.defaults = &defaults,
	.rows = rows,
	.begin = log_begin,
	.end = write_line,
};
