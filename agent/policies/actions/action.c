/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/action.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/actions/actions.h"

static const struct action_type *const types[] = {
	&action_track, &action_limit, &action_reclaim, &action_webhook, &action_exec, &action_log,
};

const struct action_type *action_type__at(size_t index)
{
	return index < sizeof(types) / sizeof(*types) ? types[index] : NULL;
}

const struct action_type *action_type__find(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}

void action_type__names(struct text *out)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		text__printf(out, "%s%s", i ? ", " : "", types[i]->name);
}

const char *config__named(const struct option_list *list, const char *name)
{
	const size_t length = strlen(name);

	for (size_t i = 0; i < list->count; i++)
		if (strncmp(list->values[i], name, length) == 0 && list->values[i][length] == '=')
			return list->values[i] + length + 1;
	return NULL;
}

static bool is_allowed(const struct agent_config *config, const char *name)
{
	for (size_t i = 0; i < config->policies_allow.count; i++)
		if (strcmp(config->policies_allow.values[i], name) == 0)
			return true;
	return false;
}

static int check_kind(const struct action_type *type, const struct rule *rule, const char *path,
		      struct json_member_error *error)
{
	struct text kinds = {0};

	if (type->kinds & 1u << rule->kind)
		return 0;
	for (int kind = 0; kind < TARGET_KINDS; kind++)
		if (type->kinds & 1u << kind)
			text__printf(&kinds, "%s%s", kinds.length ? ", " : "",
				     target_kinds[kind].name);
	json_member_error__set(error, path, "is not for a %s; it takes %s",
			       target_kinds[rule->kind].name,
			       kinds.length ? kinds.data : "nothing");
	text__free(&kinds);
	return -EINVAL;
}

int action__read(struct rule_action *action, const struct rule *rule, json_t *options,
		 const char *path, const struct rule_world *world, struct json_member_error *error)
{
	const struct action_type *type = action->type;
	char where[MEMBER_PATH_MAX];
	int err = check_kind(type, rule, path, error);

	if (err)
		return err;
	if (type->is_gated && world->config && !is_allowed(world->config, type->name))
		return json_member_error__set(
			error, path,
			"changes the host: it needs 'policies.allow: [%s]' in the "
			"agent's configuration",
			type->name);
	action->settings = calloc(1, type->settings_size + 1);
	if (!action->settings)
		return -ENOMEM;
	if (type->defaults)
		memcpy(action->settings, type->defaults, type->settings_size);
	snprintf(where, sizeof(where), "%.250s.", path);
	if (options)
		err = json_members__read(options, type->rows, where, action->settings, error);
	for (const struct json_member_row *row = type->rows; !err && !options && row->name; row++)
		if (row->required)
			err = json_member_error__set(error, path, "needs %s", row->name);
	if (!err && type->check)
		err = type->check(action->settings, rule, world, path, error);
	return err;
}

struct action_tag *action__tag(const struct action_call *call)
{
	return action_tag__new(call->rule->name, call->action->type->name, call->facts->target);
}

void action__report(const struct action_call *call, const char *result, const char *severity,
		    const char *format, ...)
{
	struct action_tag *tag = action__tag(call);
	char reason[256];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (tag)
		report__add(call->services->report, tag, result, severity, reason);
	free(tag);
}
