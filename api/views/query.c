/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int url__decode(char *string, bool plus, const char **why)
{
	char *to = string;

	for (const char *from = string; *from; from++) {
		int high, low;

		if (*from == '+' && plus) {
			*to++ = ' ';
			continue;
		}
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = hex_digit(from[1]);
		low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0) {
			*why = "has a broken percent escape";
			return -EINVAL;
		}
		if (high == 0 && low == 0) {
			*why = "holds a NUL byte";
			return -EINVAL;
		}
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	if (!utf8__valid(string, (size_t)(to - string))) {
		*why = "is not valid UTF-8";
		return -EINVAL;
	}
	return 0;
}

int url__integer(const char *string, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t number = 0;

	if (!*string)
		return -EINVAL;
	for (const char *c = string; *c; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
	}
	for (const char *c = string; *c; c++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*c - '0'), &number))
			return -ERANGE;
	}
	if (number < min || number > max)
		return -ERANGE;
	*value = number;
	return 0;
}

const char *param_row__choice(const struct param_row *row, size_t index)
{
	const char *const *name = (const void *)((const char *)row->choices + index * row->stride);

	return *name;
}

/* A client's own bytes inside an error: cut and made printable. */
static void quote(const char *string, char out[64])
{
	size_t length = 0;

	for (; *string && length < 40; string++)
		out[length++] = *string >= 0x20 && *string < 0x7F ? *string : '?';
	memcpy(out + length, *string ? "..." : "", *string ? 4 : 1);
}

static int parse_choice(const struct param_row *row, struct query_value *value,
			char error[QUERY_ERROR_MAX])
{
	const char *name;
	int length;

	for (size_t i = 0; (name = param_row__choice(row, i)); i++) {
		if (strcmp(name, value->text) == 0) {
			value->number = i;
			return 0;
		}
	}
	length = snprintf(error, QUERY_ERROR_MAX, "%s must be one of", row->name);
	for (size_t i = 0; (name = param_row__choice(row, i)) && length < QUERY_ERROR_MAX; i++)
		length += snprintf(error + length, (size_t)(QUERY_ERROR_MAX - length), "%s %s",
				   i ? "," : "", name);
	return -EINVAL;
}

static int parse_value(const struct param_row *row, struct query_value *value,
		       char error[QUERY_ERROR_MAX])
{
	switch (row->type) {
	case PARAM_INTEGER:
		if (url__integer(value->text, row->min, row->max, &value->number) == 0)
			return 0;
		snprintf(error, QUERY_ERROR_MAX,
			 "%s must be a whole number from %" PRIu64 " to %" PRIu64, row->name,
			 row->min, row->max);
		return -EINVAL;
	case PARAM_CHOICE:
		return parse_choice(row, value, error);
	case PARAM_TEXT:
		if (strlen(value->text) <= row->max)
			return 0;
		snprintf(error, QUERY_ERROR_MAX, "%s must have at most %" PRIu64 " bytes",
			 row->name, row->max);
		return -EINVAL;
	}
	return -EINVAL;
}

static int parse_pair(struct query *query, char *pair, char error[QUERY_ERROR_MAX])
{
	const struct param_row *rows = query->rows;
	char *text = strchr(pair, '=');
	const char *why = "";
	char shown[64];
	size_t i = 0;

	if (text)
		*text++ = '\0';
	quote(pair, shown);
	if (url__decode(pair, true, &why)) {
		snprintf(error, QUERY_ERROR_MAX, "the parameter name \"%s\" %s", shown, why);
		return -EINVAL;
	}
	while (rows && rows[i].name && strcmp(rows[i].name, pair) != 0)
		i++;
	if (!rows || !rows[i].name) {
		snprintf(error, QUERY_ERROR_MAX, "unknown parameter \"%s\"", shown);
		return -EINVAL;
	}
	if (query->values[i].given) {
		snprintf(error, QUERY_ERROR_MAX, "%s is given more than once", rows[i].name);
		return -EINVAL;
	}
	if (!text) {
		snprintf(error, QUERY_ERROR_MAX, "%s has no value", rows[i].name);
		return -EINVAL;
	}
	if (url__decode(text, true, &why)) {
		snprintf(error, QUERY_ERROR_MAX, "%s %s", rows[i].name, why);
		return -EINVAL;
	}
	query->values[i].given = true;
	query->values[i].text = text;
	return parse_value(&rows[i], &query->values[i], error);
}

int query__parse(struct query *query, const struct param_row *rows, char *raw,
		 char error[QUERY_ERROR_MAX])
{
	*query = (struct query){.rows = rows};
	while (raw && *raw) {
		char *next = strchr(raw, '&');
		int err;

		if (next)
			*next++ = '\0';
		err = parse_pair(query, raw, error);
		if (err)
			return err;
		raw = next;
	}
	for (size_t i = 0; rows && rows[i].name; i++) {
		struct query_value *value = &query->values[i];
		int err;

		if (value->given || !rows[i].initial)
			continue;
		*value = (struct query_value){.given = true, .text = rows[i].initial};
		err = parse_value(&rows[i], value, error);
		if (err)
			return err;
	}
	return 0;
}

const struct query_value *query__get(const struct query *query, const char *name)
{
	for (size_t i = 0; query->rows && query->rows[i].name; i++) {
		if (strcmp(query->rows[i].name, name) == 0)
			return query->values[i].given ? &query->values[i] : NULL;
	}
	return NULL;
}
