/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/rules/expand.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_BYTES 64

static const char *const fact_names[] = {"rule",     "target", "kind", "state",
					 "severity", "value",  "host"};

static bool is_fact(const char *name)
{
	for (size_t i = 0; i < sizeof(fact_names) / sizeof(*fact_names); i++)
		if (strcmp(name, fact_names[i]) == 0)
			return true;
	return false;
}

/* What stands between braces at *at, which is set behind it. False: no end, or too long. */
static bool take_name(const char **at, char name[NAME_MAX_BYTES])
{
	const size_t length = strcspn(*at + 1, "{}");

	if ((*at)[1 + length] != '}' || !length || length >= NAME_MAX_BYTES)
		return false;
	memcpy(name, *at + 1, length);
	name[length] = '\0';
	*at += length + 2;
	return true;
}

static bool has_field(const char *name, enum target_kind first, enum target_kind last)
{
	for (enum target_kind kind = first; kind <= last; kind++)
		if (kind__field(&target_kinds[kind], name))
			return true;
	return false;
}

static int check(const char *template, enum target_kind first, enum target_kind last,
		 const char *path, struct json_member_error *error)
{
	char name[NAME_MAX_BYTES];

	for (const char *at = template; *at;) {
		if (*at != '{') {
			at++;
		} else if (at[1] == '{') {
			at += 2;
		} else if (!take_name(&at, name)) {
			return json_member_error__set(
				error, path,
				"has a { without a name and a } behind it; write "
				"{{ for the brace itself");
		} else if (!is_fact(name) && !has_field(name, first, last)) {
			return json_member_error__set(
				error, path, "has {%s}, which %s%s", name,
				first == last ? "is no field of a " : "is unknown",
				first == last ? target_kinds[first].name : "");
		}
	}
	return 0;
}

int expand__check(const char *template, enum target_kind kind, const char *path,
		  struct json_member_error *error)
{
	return check(template, kind, kind, path, error);
}

int expand__check_any(const char *template, const char *path, struct json_member_error *error)
{
	return check(template, 0, TARGET_KINDS - 1, path, error);
}

static void print_name(const char *name, const struct expand_facts *facts, struct text *out)
{
	const char *const strings[] = {
		facts->rule,  facts->target,   target_kinds[facts->kind].name,
		facts->state, facts->severity, NULL,
		facts->host};
	const struct field *field;

	for (size_t i = 0; i < sizeof(fact_names) / sizeof(*fact_names); i++) {
		if (strcmp(name, fact_names[i]) != 0)
			continue;
		if (strings[i])
			text__puts(out, strings[i]);
		else
			text__printf(out, "%.6g", facts->value);
		return;
	}
	field = kind__field(&target_kinds[facts->kind], name);
	if (field && facts->view && facts->view->item)
		field__print(field, facts->view, out);
	else
		text__putc(out, '?');
}

void expand__print(const char *template, const struct expand_facts *facts, struct text *out)
{
	char name[NAME_MAX_BYTES];

	for (const char *at = template; *at;) {
		if (*at == '{' && at[1] == '{') {
			text__putc(out, '{');
			at += 2;
		} else if (*at == '{' && take_name(&at, name)) {
			print_name(name, facts, out);
		} else {
			text__putc(out, *at++);
		}
	}
}
