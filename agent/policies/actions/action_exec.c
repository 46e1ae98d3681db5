/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "exec": a program that the configuration names is run when the policy fires, and when it is
 * resolved. Its arguments are a template of the configuration: split at blanks first, filled in
 * then, so that no name of the host can become two arguments.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/actions/actions.h"
#include "agent/policies/actions/exec_queue.h"

#define ARGUMENTS_MAX 64
#define VARIABLES_MAX 96

struct exec_settings {
	const char *run;
	bool resolved;
};

static const struct exec_settings defaults = {.resolved = true};

#define AT(member) offsetof(struct exec_settings, member)
static const struct json_member_row rows[] = {
	{"run", MEMBER_TEXT, AT(run), 0, 63, NULL, true},
	{"resolved", MEMBER_BOOL, AT(resolved), 0, 0, NULL, false},
	{},
};

static int exec_check(const void *settings, const struct rule *rule, const struct rule_world *world,
		      const char *path, struct json_member_error *error)
{
	const struct exec_settings *exec = settings;
	const char *template;

	if (!world->config)
		return 0;
	template = config__named(&world->config->policies_exec, exec->run);
	if (!template)
		return json_member_error__set(error, path,
					      "runs '%s', which the agent's configuration does not "
					      "have: policies.exec: [\"%s=/PATH ARGUMENT...\"]",
					      exec->run, exec->run);
	return expand__check(template, rule->kind, path, error);
}

struct words {
	struct text items[VARIABLES_MAX > ARGUMENTS_MAX ? VARIABLES_MAX : ARGUMENTS_MAX];
	const char *pointers[VARIABLES_MAX + 1];
	size_t count;
};

static void words__free(struct words *words)
{
	for (size_t i = 0; words && i < words->count; i++)
		text__free(&words->items[i]);
	free(words);
}

/* False: memory was short. */
static bool words__end(struct words *words)
{
	for (size_t i = 0; i < words->count; i++) {
		if (words->items[i].failed)
			return false;
		words->pointers[i] = words->items[i].length ? words->items[i].data : "";
	}
	words->pointers[words->count] = NULL;
	return true;
}

static void split(const char *template, const struct expand_facts *facts, struct words *words)
{
	while (*template && words->count < ARGUMENTS_MAX) {
		const size_t length = strcspn(template, " ");
		char *word = strndup(template, length);

		if (length && word)
			expand__print(word, facts, &words->items[words->count++]);
		free(word);
		template += length;
		template += strspn(template, " ");
	}
}

static void put_variable(struct words *words, const char *prefix, const char *name,
			 const char *value)
{
	struct text *out = &words->items[words->count];

	if (words->count == VARIABLES_MAX)
		return;
	words->count++;
	text__puts(out, prefix);
	for (; *name; name++)
		text__putc(out, isalnum((unsigned char)*name) ? (char)toupper((unsigned char)*name)
							      : '_');
	text__putc(out, '=');
	text__puts(out, value);
}

/* DIRTYSCOPE_POLICY and the like, and DIRTYSCOPE_FIELD_RATES_CPU for each field of the target. */
static void put_facts(const struct action_call *call, struct words *words)
{
	static const char *const names[] = {"POLICY", "STATE",	 "SEVERITY", "KIND",
					    "TARGET", "SUMMARY", "HOST"};
	const char *const values[] = {call->rule->name,	     call->facts->state,
				      call->facts->severity, target_kinds[call->rule->kind].name,
				      call->facts->target,   call->summary,
				      call->facts->host};
	const struct field *field = target_kinds[call->rule->kind].fields;
	struct text value = {0};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		put_variable(words, "DIRTYSCOPE_", names[i], values[i]);
	text__printf(&value, "%.6g", call->facts->value);
	put_variable(words, "DIRTYSCOPE_", "VALUE", value.length ? value.data : "");
	for (; call->facts->view && field->name; field++) {
		value.length = 0;
		if (value.data)
			value.data[0] = '\0';
		field__print(field, call->facts->view, &value);
		put_variable(words, "DIRTYSCOPE_FIELD_", field->name,
			     value.length ? value.data : "");
	}
	text__free(&value);
}

static void exec_begin(const struct action_call *call)
{
	const struct exec_settings *settings = call->action->settings;
	const char *template = config__named(&call->services->config->policies_exec, settings->run);
	struct words *arguments = calloc(1, sizeof(*arguments));
	struct words *variables = calloc(1, sizeof(*variables));
	struct action_tag *tag = action__tag(call);
	int err = -ENOMEM;

	if (arguments && variables && tag && template) {
		split(template, call->facts, arguments);
		put_facts(call, variables);
		if (words__end(arguments) && words__end(variables))
			err = exec_queue__run(call->services->execs, arguments->pointers,
					      variables->pointers, tag);
	}
	if (err) {
		free(tag);
		action__report(call, "dropped", "warning", "%s",
			       err == -ENOSPC ? "too many programs wait to be run"
					      : strerror(-err));
	}
	words__free(arguments);
	words__free(variables);
}

static void exec_end(const struct action_call *call)
{
	const struct exec_settings *settings = call->action->settings;

	if (settings->resolved)
		exec_begin(call);
}

const struct action_type action_exec = {
	.name = "exec",
	.help = "a program that the configuration names is run",
	.kinds = FOR_ANY,
	.is_gated = true,
	.settings_size = sizeof(struct exec_settings),
	.defaults = &defaults,
	.rows = rows,
	.check = exec_check,
	.begin = exec_begin,
	.end = exec_end,
};
