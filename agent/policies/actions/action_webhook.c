/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "webhook": a message to receivers that the configuration names, when the policy fires, in between
 * (an Alertmanager forgets what is not said again) and when it is resolved.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/actions/actions.h"
#include "agent/policies/delivery/webhook_queue.h"

#define REPEAT 60.0 /* seconds; Prometheus does the same, within an Alertmanager's 5 minutes */
#define GRACE 4	    /* repeats that may get lost before an Alertmanager takes it for resolved */

enum format { FORMAT_AUTO, FORMAT_ALERTMANAGER, FORMAT_JSON };

struct webhook_settings {
	const char *to; /* NULL: all that are configured */
	unsigned format;
	double repeat; /* seconds; below 0: by the format */
};

static const struct webhook_settings defaults = {.format = FORMAT_AUTO, .repeat = -1};
static const char *const formats[] = {"auto", "alertmanager", "json", NULL};

#define AT(member) offsetof(struct webhook_settings, member)
static const struct json_member_row rows[] = {
	{"to", MEMBER_TEXT, AT(to), 0, 63, NULL, false},
	{"format", MEMBER_CHOICE, AT(format), 0, 0, formats, false},
	{"repeat", MEMBER_SECONDS, AT(repeat), 0, 86400000, NULL, false},
	{},
};

static int webhook_check(const void *settings, const struct rule *rule,
			 const struct rule_world *world, const char *path,
			 struct json_member_error *error)
{
	const struct webhook_settings *webhook = settings;

	if (webhook->to && world->config &&
	    !config__named(&world->config->policies_webhook, webhook->to))
		return json_member_error__set(
			error, path,
			"sends to '%s', which the agent's configuration does not "
			"have: policies.webhook: [%s=URL]",
			webhook->to, webhook->to);
	return 0;
}

/* By where it goes: an Alertmanager takes alerts at one path, whatever stands before it. */
static enum format format_of(const struct action_call *call, const char *name)
{
	static const char path[] = "/api/v2/alerts";
	const struct webhook_settings *settings = call->action->settings;
	const char *url = config__named(&call->services->config->policies_webhook, name);
	const size_t length = url ? strlen(url) : 0;

	if (settings->format != FORMAT_AUTO)
		return settings->format;
	return length >= sizeof(path) - 1 && strcmp(url + length - (sizeof(path) - 1), path) == 0
		       ? FORMAT_ALERTMANAGER
		       : FORMAT_JSON;
}

/* Seconds; 0: what fires is said once. */
static double repeat_of(const struct webhook_settings *settings, enum format format)
{
	if (settings->repeat >= 0)
		return settings->repeat;
	return format == FORMAT_ALERTMANAGER ? REPEAT : 0;
}

/* ---- messages ---- */

static void put_member(struct text *out, const char *name, const char *value)
{
	text__json_string(out, name);
	text__putc(out, ':');
	text__json_string(out, value);
}

static void put_time(struct text *out, const char *name, const struct timespec *time)
{
	text__json_string(out, name);
	text__puts(out, ":\"");
	text__time(out, time);
	text__putc(out, '"');
}

static void put_number(struct text *out, double value)
{
	if (isnan(value))
		text__puts(out, "null");
	else
		text__double(out, value);
}

/* All that is known of the target, by the names of the API. */
static void put_fields(struct text *out, const struct action_call *call)
{
	const struct target_view *view = call->facts->view;
	bool first = true;

	text__puts(out, "\"fields\":{");
	for (const struct field *field = target_kinds[call->rule->kind].fields; view && field->name;
	     field++) {
		struct text value = {0};

		if (!first)
			text__putc(out, ',');
		first = false;
		text__json_string(out, field->name);
		text__putc(out, ':');
		if (field__is_number(field)) {
			put_number(out, field__number(field, view));
		} else {
			field__print(field, view, &value);
			text__json_string(out, value.length ? value.data : "");
		}
		text__free(&value);
	}
	text__putc(out, '}');
}

static void put_json(struct text *out, const struct action_call *call, bool resolved)
{
	text__putc(out, '{');
	put_member(out, "policy", call->rule->name);
	text__putc(out, ',');
	put_member(out, "state", call->facts->state);
	text__putc(out, ',');
	put_member(out, "severity", call->facts->severity);
	text__putc(out, ',');
	put_member(out, "host", call->facts->host);
	text__putc(out, ',');
	put_member(out, "kind", target_kinds[call->rule->kind].name);
	text__putc(out, ',');
	put_member(out, "target", call->facts->target);
	text__putc(out, ',');
	put_member(out, "summary", call->summary);
	text__puts(out, ",\"value\":");
	put_number(out, call->facts->value);
	text__putc(out, ',');
	put_time(out, "fired", &call->fired);
	text__putc(out, ',');
	if (resolved)
		put_time(out, "resolved", &call->resolved);
	else
		text__puts(out, "\"resolved\":null");
	text__putc(out, ',');
	put_fields(out, call);
	text__putc(out, '}');
}

/* Labels say which alert it is, so nothing may be in them that changes while it fires. */
static void put_alert(struct text *out, const struct action_call *call, bool resolved)
{
	const double repeat = repeat_of(call->action->settings, FORMAT_ALERTMANAGER);
	struct timespec ends = call->resolved;
	struct text value = {0};

	text__puts(out, "[{\"labels\":{");
	put_member(out, "alertname", call->rule->name);
	text__putc(out, ',');
	put_member(out, "severity", call->facts->severity);
	text__putc(out, ',');
	put_member(out, "instance", call->facts->host);
	text__putc(out, ',');
	put_member(out, "kind", target_kinds[call->rule->kind].name);
	text__putc(out, ',');
	put_member(out, "target", call->facts->target);
	text__puts(out, "},\"annotations\":{");
	put_member(out, "summary", *call->summary ? call->summary : call->rule->name);
	text__putc(out, ',');
	text__printf(&value, "%.6g", call->facts->value);
	put_member(out, "value", value.length ? value.data : "");
	text__puts(out, "},");
	put_time(out, "startsAt", &call->fired);
	text__putc(out, ',');
	if (!resolved) {
		clock_gettime(CLOCK_REALTIME, &ends);
		ends.tv_sec += (time_t)(GRACE * repeat);
	}
	if (resolved || repeat > 0) {
		put_time(out, "endsAt", &ends);
		text__putc(out, ',');
	}
	put_member(out, "generatorURL", "");
	text__puts(out, "}]");
	text__free(&value);
}

static void send_to(const struct action_call *call, const char *name, bool resolved)
{
	struct action_tag *tag = action__tag(call);
	struct text body = {0};
	int err;

	if (format_of(call, name) == FORMAT_ALERTMANAGER)
		put_alert(&body, call, resolved);
	else
		put_json(&body, call, resolved);
	if (body.failed || !tag) {
		text__free(&body);
		err = -ENOMEM;
	} else {
		err = webhook_queue__send(call->services->webhooks, name, body.data, tag);
	}
	if (err) {
		free(tag);
		action__report(call, "dropped", "warning", "%s: %s", name,
			       err == -ENOSPC ? "too many messages wait for it" : strerror(-err));
	}
}

/* To one that is set, or to all; of these, when `again`, those alone that want to hear it again. */
static void send(const struct action_call *call, bool again, bool resolved)
{
	const struct webhook_settings *settings = call->action->settings;
	const struct option_list *all = &call->services->config->policies_webhook;
	char name[64];

	for (size_t i = 0; i < all->count; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(all->values[i], "="),
			 all->values[i]);
		if ((!settings->to || strcmp(settings->to, name) == 0) &&
		    (!again || repeat_of(settings, format_of(call, name)) > 0))
			send_to(call, name, resolved);
	}
	*call->handle = (uint64_t)(call->now * 1000);
}

static void webhook_begin(const struct action_call *call)
{
	if (!call->services->config->policies_webhook.count)
		action__report(call, "skipped", "info", "no receiver is configured");
	send(call, false, false);
}

static void webhook_again(const struct action_call *call)
{
	const struct webhook_settings *settings = call->action->settings;
	const double repeat = settings->repeat >= 0 ? settings->repeat : REPEAT;

	if (repeat > 0 && call->now - (double)*call->handle / 1000 >= repeat)
		send(call, true, false);
}

static void webhook_end(const struct action_call *call)
{
	send(call, false, true);
}

const struct action_type action_webhook = {
	.name = "webhook",
	.help = "a message to a receiver that the configuration names",
	.kinds = FOR_ANY,
	.settings_size = sizeof(struct webhook_settings),
	.defaults = &defaults,
	.rows = rows,
	.check = webhook_check,
	.begin = webhook_begin,
	.again = webhook_again,
	.end = webhook_end,
};
