/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/input/json_members.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/input/option_value.h"
#include "agent/base/text.h"

int json_member_error__set(struct json_member_error *error, const char *path, const char *format,
			   ...)
{
	va_list args;

	snprintf(error->path, sizeof(error->path), "%s", path);
	va_start(args, format);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
	va_end(args);
	return -EINVAL;
}

static int read_choice(const json_t *value, const struct json_member_row *row, const char *path,
		       unsigned *choice, struct json_member_error *error)
{
	struct text names = {0};

	for (unsigned i = 0; row->choices[i]; i++) {
		if (json_is_string(value) &&
		    strcmp(json_string_value(value), row->choices[i]) == 0) {
			*choice = i;
			text__free(&names);
			return 0;
		}
		text__printf(&names, "%s\"%s\"", i ? ", " : "", row->choices[i]);
	}
	json_member_error__set(error, path, "is none of %s", names.length ? names.data : "");
	text__free(&names);
	return -EINVAL;
}

/* A number, or one with a unit in a string, as in the configuration. */
static int read_unit(const json_t *value, const struct json_member_row *row, const char *path,
		     void *field, struct json_member_error *error)
{
	const double unit = row->type == MEMBER_SECONDS ? 1e-3 : 1;
	const struct option_row option = {
		.type = row->type == MEMBER_SECONDS ? OPTION_SECONDS : OPTION_SIZE,
		.min = (double)row->min * unit,
		.max = (double)row->max * unit,
	};
	struct option_value parsed = {0};
	struct reason why;
	char number[32];
	const char *string = json_string_value(value);

	if (json_is_integer(value))
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
	else if (json_is_real(value) && json_real_value(value) >= 0 && json_real_value(value) < 1e9)
		snprintf(number, sizeof(number), "%.9f", json_real_value(value));
	else if (!string)
		return json_member_error__set(error, path, "is not a %s",
					      row->type == MEMBER_SECONDS ? "time" : "size");
	if (option_value__parse(&option, string ? string : number, &parsed, &why))
		return json_member_error__set(error, path, "is wrong: %s", why.text);
	if (row->type == MEMBER_SECONDS)
		*(double *)field = parsed.seconds;
	else
		*(uint64_t *)field = parsed.size;
	return 0;
}

static int read_integer(const json_t *value, const struct json_member_row *row, const char *path,
			uint64_t *number, struct json_member_error *error)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) < row->min ||
	    (uint64_t)json_integer_value(value) > row->max)
		return json_member_error__set(error, path,
					      "is not an integer from %" PRIu64 " to %" PRIu64,
					      row->min, row->max);
	*number = (uint64_t)json_integer_value(value);
	return 0;
}

static int read_list(json_t *value, const struct json_member_row *row, const char *path,
		     json_t **list, struct json_member_error *error)
{
	if (!json_is_array(value) || json_array_size(value) < row->min ||
	    json_array_size(value) > row->max)
		return json_member_error__set(error, path,
					      "is not a list of %" PRIu64 " to %" PRIu64 " items",
					      row->min, row->max);
	*list = value;
	return 0;
}

static int read_member(json_t *value, const struct json_member_row *row, const char *path,
		       void *field, struct json_member_error *error)
{
	switch (row->type) {
	case MEMBER_INTEGER:
		return read_integer(value, row, path, field, error);
	case MEMBER_NUMBER:
		if (!json_is_number(value) || !isfinite(json_number_value(value)))
			return json_member_error__set(error, path, "is not a number");
		*(double *)field = json_number_value(value);
		return 0;
	case MEMBER_SECONDS:
	case MEMBER_SIZE:
		return read_unit(value, row, path, field, error);
	case MEMBER_BOOL:
		if (!json_is_boolean(value))
			return json_member_error__set(error, path, "is neither true nor false");
		*(bool *)field = json_is_true(value);
		return 0;
	case MEMBER_CHOICE:
		return read_choice(value, row, path, field, error);
	case MEMBER_TEXT:
		if (!json_is_string(value) || !json_string_length(value) ||
		    json_string_length(value) > row->max ||
		    strlen(json_string_value(value)) != json_string_length(value))
			return json_member_error__set(
				error, path, "is not a string of 1 to %" PRIu64 " bytes", row->max);
		*(const char **)field = json_string_value(value);
		return 0;
	case MEMBER_LIST:
		return read_list(value, row, path, field, error);
	case MEMBER_OBJECT:
		break;
	}
	if (!json_is_object(value))
		return json_member_error__set(error, path, "is not an object");
	*(json_t **)field = value;
	return 0;
}

int json_members__read(json_t *object, const struct json_member_row *table, const char *where,
		       void *out, struct json_member_error *error)
{
	char path[MEMBER_PATH_MAX];
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		const struct json_member_row *row = table;
		int err;

		while (row->name && strcmp(row->name, name) != 0)
			row++;
		snprintf(path, sizeof(path), "%s%.64s", where, name);
		if (!row->name)
			return json_member_error__set(error, path, "is not known");
		err = read_member(value, row, path, (char *)out + row->offset, error);
		if (err)
			return err;
	}
	for (const struct json_member_row *row = table; row->name; row++) {
		snprintf(path, sizeof(path), "%s%s", where, row->name);
		if (row->required && !json_object_get(object, row->name))
			return json_member_error__set(error, path, "is missing");
	}
	return 0;
}
