/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/input/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/input/option_value.h"
#include "agent/base/text.h"

struct parser {
	const struct option_row *table;
	struct option_value *values; /* one per row of the table */
	int argc;
	char *const *argv;
	int next; /* index of the argument to look at next */
	void *config;
	struct reason *error;
};

static size_t row_count(const struct option_row *table)
{
	size_t count = 0;

	while (table[count].name)
		count++;
	return count;
}

static const struct option_row *find_name(const struct option_row *table, const char *name,
					  size_t length)
{
	for (; table->name; table++)
		if (strlen(table->name) == length && memcmp(table->name, name, length) == 0)
			return table;
	return NULL;
}

static const struct option_row *find_letter(const struct option_row *table, char letter)
{
	for (; table->name; table++)
		if (table->letter && table->letter == letter)
			return table;
	return NULL;
}

/* The value of an option that takes one: glued to it, or the next argument. */
static int take_value(struct parser *parser, const struct option_row *row, const char *glued,
		      const char **value)
{
	if (glued) {
		*value = glued;
	} else if (parser->next < parser->argc) {
		*value = parser->argv[parser->next++];
	} else {
		reason__set(parser->error, "option --%s needs a value (%s)", row->name,
			    row->value ? row->value : "VALUE");
		return -EINVAL;
	}
	return 0;
}

static int apply(struct parser *parser, const struct option_row *row, const char *string)
{
	struct option_value *value = &parser->values[row - parser->table];
	struct reason why;
	int err;

	if (row->type == OPTION_FLAG) {
		value->flag = true;
	} else {
		err = option_value__parse(row, string, value, &why);
		if (!err && row->type == OPTION_LIST)
			err = option_list__add(&value->list, string, &why);
		if (err) {
			reason__set(parser->error, "option --%s: %s", row->name, why.text);
			return err;
		}
	}
	option_value__store(row, value, parser->config);
	return 0;
}

static int parse_long(struct parser *parser, const char *name)
{
	const char *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = find_name(parser->table, name, length);
	const char *value = NULL;
	int err;

	if (!row) {
		reason__set(parser->error, "unknown option --%.*s; see --help",
			    (int)(length > 100 ? 100 : length), name);
		return -EINVAL;
	}
	if (row->type == OPTION_FLAG) {
		if (equals) {
			reason__set(parser->error, "option --%s takes no value", row->name);
			return -EINVAL;
		}
		return apply(parser, row, NULL);
	}
	err = take_value(parser, row, equals ? equals + 1 : NULL, &value);
	return err ? err : apply(parser, row, value);
}

/* letters: "b", "bn5": flags may be joined, the rest after a letter with a value is that value. */
static int parse_letters(struct parser *parser, const char *letters)
{
	const struct option_row *row;
	const char *value = NULL;
	int err;

	for (; *letters; letters++) {
		row = find_letter(parser->table, *letters);
		if (!row) {
			reason__set(parser->error, "unknown option -%c; see --help", *letters);
			return -EINVAL;
		}
		if (row->type != OPTION_FLAG) {
			err = take_value(parser, row, letters[1] ? letters + 1 : NULL, &value);
			return err ? err : apply(parser, row, value);
		}
		err = apply(parser, row, NULL);
		if (err)
			return err;
	}
	return 0;
}

int options__parse(const struct option_row *table, int argc, char *const *argv, void *config,
		   const char **operands, int max_operands, struct reason *error)
{
	struct parser parser = {
		.table = table,
		.values = calloc(row_count(table) + 1, sizeof(struct option_value)),
		.argc = argc,
		.argv = argv,
		.next = 1,
		.config = config,
		.error = error,
	};
	bool only_operands = false;
	int count = 0, err = 0;

	error->text[0] = '\0';
	if (!parser.values) {
		reason__set(error, "out of memory");
		return -ENOMEM;
	}
	while (!err && parser.next < argc) {
		const char *argument = argv[parser.next++];

		if (only_operands || argument[0] != '-' || !argument[1]) {
			if (count == max_operands) {
				reason__set(error, "unexpected argument '%s'; see --help",
					    argument);
				err = -EINVAL;
			} else {
				operands[count++] = argument;
			}
		} else if (strcmp(argument, "--") == 0) {
			only_operands = true;
		} else if (argument[1] == '-') {
			err = parse_long(&parser, argument + 2);
		} else {
			err = parse_letters(&parser, argument + 1);
		}
	}
	free(parser.values);
	return err ? err : count;
}

static void put_left(const struct option_row *row, struct text *out)
{
	if (row->letter)
		text__printf(out, "  -%c, --%s", row->letter, row->name);
	else
		text__printf(out, "      --%s", row->name);
	if (row->type != OPTION_FLAG)
		text__printf(out, " %s", row->value ? row->value : "VALUE");
}

void options__help(const struct option_row *table, struct text *out)
{
	struct text left = {0};
	size_t width = 0;

	for (const struct option_row *row = table; row->name; row++) {
		left.length = 0;
		put_left(row, &left);
		width = left.length > width ? left.length : width;
	}
	for (const struct option_row *row = table; row->name; row++) {
		left.length = 0;
		put_left(row, &left);
		text__append(out, left.data, left.length);
		text__printf(out, "%*s%s\n", (int)(width - left.length) + 2, "",
			     row->help ? row->help : "");
	}
	out->failed |= left.failed;
	text__free(&left);
}
