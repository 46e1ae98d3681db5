/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/rules/selector.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

#define NODES_MAX 512 /* of a regular expression, about */
#define NESTED_MAX 3

#define REGEX_NEGATIONS "^"
#define GLOB_NEGATIONS "^!"

struct operation;

struct selector {
	const struct field *field;
	const struct operation *operation;
	char value[SELECTOR_VALUE_MAX + 1];
	double number; /* the value, of a field that is one */
	regex_t regex;
	bool compiled;
};

struct operation {
	const char *text;
	bool negated, takes_numbers;
	int (*prepare)(struct selector *selector, struct reason *reason); /* may be NULL */
	bool (*matches)(const struct selector *selector, const char *string);
};

static bool equals(const struct selector *selector, const char *string)
{
	return strcmp(string, selector->value) == 0;
}

static bool begins(const struct selector *selector, const char *string)
{
	return strncmp(string, selector->value, strlen(selector->value)) == 0;
}

static bool is_found(const struct selector *selector, const char *string)
{
	return regexec(&selector->regex, string, 0, NULL, 0) == 0;
}

/*
 * Behind a bracket expression: "[]x]", "[^]x]", "[[:alpha:][]" have brackets that do not end it.
 * negations: the characters that negate where they come first.
 */
static const char *skip_bracket(const char *at, const char *negations)
{
	at++;
	at += *at && strchr(negations, *at);
	at += *at == ']';
	for (; *at && *at != ']'; at++) {
		const char end[] = {at[1], ']', '\0'};
		const char *found;

		if (*at != '[' || !at[1] || !strchr(":.=", at[1]))
			continue;
		found = strstr(at + 2, end);
		if (!found)
			return at + strlen(at);
		at = found + 1;
	}
	return at + (*at == ']');
}

/* What a part of a regular expression makes glibc build. */
struct cost {
	size_t nodes;
	size_t nested; /* "+" within "+" */
};

static void add_cost(struct cost *to, struct cost part)
{
	to->nodes += part.nodes;
	to->nested = part.nested > to->nested ? part.nested : to->nested;
}

/*
 * A few bytes can ask for gigabytes, or for years; a rule can do without. glibc copies what stands
 * before a "+" (duplicate_tree, posix/regcomp.c), so that nested ones double what it needs each
 * time, and walks the empty ways through such copies once for each way (calc_eclosure_iter):
 * "a*+++++++" takes minutes of its 256 nodes.
 */
static const char *costs_too_much(const char *pattern)
{
	struct cost groups[SELECTOR_VALUE_MAX + 1] = {0}; /* each open group */
	struct cost last = {0};				  /* what a "+" would copy */
	size_t depth = 0;

	for (const char *at = pattern; *at;) {
		struct cost part = {.nodes = 1};

		if (*at == '{' || (*at == '\\' && at[1] >= '1' && at[1] <= '9'))
			return "has {} or a back reference in its regular expression: what they "
			       "cost has no bound";
		if (*at == '+')
			part = (struct cost){last.nodes, last.nested + 1};
		else if (*at == ')' && depth)
			part = groups[depth--];
		if (*at == '(')
			groups[++depth] = part = (struct cost){0};
		add_cost(&groups[depth], part);
		if (*at == '+' || *at == '*' || *at == '?')
			add_cost(&last, part);
		else
			last = part;
		if (groups[depth].nodes > NODES_MAX || last.nested > NESTED_MAX)
			return "has too many nested + in its regular expression";
		if (*at == '[')
			at = skip_bracket(at, REGEX_NEGATIONS);
		else
			at += 1 + (*at == '\\' && at[1]);
	}
	return NULL;
}

static int refuse(struct reason *reason, const char *why)
{
	reason__set(reason, "%s", why);
	return -EINVAL;
}

static int compile(struct selector *selector, const char *what, const char *pattern,
		   struct reason *reason)
{
	const char *why = costs_too_much(pattern);
	int err;

	if (why)
		return refuse(reason, why);
	err = regcomp(&selector->regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (err) {
		char why_not[256];

		regerror(err, &selector->regex, why_not, sizeof(why_not));
		reason__set(reason, "has a bad %s: %s", what, why_not);
		return err == REG_ESPACE ? -ENOMEM : -EINVAL;
	}
	selector->compiled = true;
	return 0;
}

static int compile_regex(struct selector *selector, struct reason *reason)
{
	return compile(selector, "regular expression", selector->value, reason);
}

/* Copies a bracket expression, in which "!" negates as "^" does. Returns what is behind it. */
static const char *copy_bracket(const char *at, char **out)
{
	const char *end = skip_bracket(at, GLOB_NEGATIONS);

	*(*out)++ = *at++;
	if (*at == '!') {
		*(*out)++ = '^';
		at++;
	}
	while (at < end)
		*(*out)++ = *at++;
	return end;
}

/*
 * A glob as a regular expression; a \ within [] is one. fnmatch() tries each way to share out a
 * string among the "*": four of them and the 4096 bytes of a command line, which anyone can choose,
 * are hours.
 */
static int compile_glob(struct selector *selector, struct reason *reason)
{
	char pattern[2 * SELECTOR_VALUE_MAX + 3], *out = pattern;
	const char *at = selector->value;

	*out++ = '^';
	while (*at) {
		if (*at == '*') {
			at += strspn(at, "*");
			*out++ = '.';
			*out++ = '*';
		} else if (*at == '?') {
			at++;
			*out++ = '.';
		} else if (*at == '[' && skip_bracket(at, GLOB_NEGATIONS)[-1] == ']') {
			at = copy_bracket(at, &out);
		} else {
			at += *at == '\\' && at[1];
			if (strchr("\\.[]{}()*+?^$|", *at))
				*out++ = '\\';
			*out++ = *at++;
		}
	}
	*out++ = '$';
	*out = '\0';
	return compile(selector, "glob", pattern, reason);
}

/* The longest first, where one begins as another one does. */
static const struct operation operations[] = {
	{"!^=", true, false, NULL, begins},
	{"!*=", true, false, compile_glob, is_found},
	{"!~", true, false, compile_regex, is_found},
	{"!=", true, true, NULL, equals},
	{"^=", false, false, NULL, begins},
	{"*=", false, false, compile_glob, is_found},
	{"=~", false, false, compile_regex, is_found},
	{"=", false, true, NULL, equals},
};

static int take_field(const struct kind *kind, const char **at, struct selector *selector,
		      struct reason *reason)
{
	const size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789_.");
	struct text names = {0};
	char name[64];

	if (!length || length >= sizeof(name))
		return refuse(reason, "does not begin with a field's name");
	memcpy(name, *at, length);
	name[length] = '\0';
	*at += length;
	selector->field = kind__field(kind, name);
	if (selector->field)
		return 0;
	kind__names(kind, &names);
	reason__set(reason, "names no field of a %s: '%s'; there are %s", kind->name, name,
		    names.length ? names.data : "none");
	text__free(&names);
	return -EINVAL;
}

static int take_operator(const char **at, struct selector *selector, struct reason *reason)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		const struct operation *operation = &operations[i];

		if (strncmp(*at, operation->text, strlen(operation->text)) != 0)
			continue;
		*at += strlen(operation->text);
		selector->operation = operation;
		return 0;
	}
	return refuse(reason,
		      "has none of the operators =, !=, ^=, !^=, *=, !*=, =~, !~ after the field");
}

/* Up to its quote at the end. */
static int take_quoted(const char *at, struct selector *selector, struct reason *reason)
{
	size_t length = 0;

	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
			at++;
		if (length == SELECTOR_VALUE_MAX)
			return refuse(reason, "has a value longer than 256 bytes");
		selector->value[length++] = *at;
	}
	if (*at != '"' || at[1])
		return refuse(reason, "has a quoted value that does not end with its quote");
	return 0;
}

static int take_value(const char *at, struct selector *selector, struct reason *reason)
{
	size_t length = strlen(at);

	while (length && (at[length - 1] == ' ' || at[length - 1] == '\t'))
		length--;
	if (!length)
		return refuse(reason, "has no value; an empty one is written \"\"");
	if (*at == '"')
		return take_quoted(at, selector, reason);
	if (length > SELECTOR_VALUE_MAX)
		return refuse(reason, "has a value longer than 256 bytes");
	memcpy(selector->value, at, length);
	return 0;
}

static int check_number(struct selector *selector, struct reason *reason)
{
	char *end;

	if (!field__is_number(selector->field))
		return 0;
	if (!selector->operation->takes_numbers)
		return refuse(reason,
			      "is about a number, which can be = or != only; 'when' compares");
	selector->number = strtod(selector->value, &end);
	if (!*selector->value || *end || !isfinite(selector->number))
		return refuse(reason, "compares a number with what is none");
	return 0;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

int selector__parse(const struct kind *kind, const char *text, struct selector **out,
		    struct reason *reason)
{
	struct selector *selector = calloc(1, sizeof(*selector));
	const char *at = skip_blanks(text);
	int err;

	*out = NULL;
	if (!selector)
		return -ENOMEM;
	err = take_field(kind, &at, selector, reason);
	at = skip_blanks(at);
	if (!err)
		err = take_operator(&at, selector, reason);
	if (!err)
		err = take_value(skip_blanks(at), selector, reason);
	if (!err)
		err = check_number(selector, reason);
	if (!err && selector->operation->prepare)
		err = selector->operation->prepare(selector, reason);
	if (err) {
		selector__free(selector);
		return err;
	}
	*out = selector;
	return 0;
}

void selector__free(struct selector *selector)
{
	if (selector && selector->compiled)
		regfree(&selector->regex);
	free(selector);
}

bool selector__is_fixed(const struct selector *selector)
{
	return !field__is_number(selector->field);
}

bool selector__matches(const struct selector *selector, const struct target_view *view)
{
	const struct field *field = selector->field;
	bool found = false;

	if (field__is_number(field)) {
		found = field__number(field, view) == selector->number;
	} else {
		const char *string;

		for (size_t i = 0; !found && (string = field->string(view, i)); i++)
			found = selector->operation->matches(selector, string);
	}
	return found != selector->operation->negated;
}
