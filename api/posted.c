/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/posted.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/text.h"

json_t *posted__parse(const struct request *request, struct answer *answer)
{
	json_error_t trouble;
	json_t *document;

	if (!request->body_length)
		return json_object();
	document =
		json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &trouble);
	if (!document)
		answer__error(answer, 400, "invalid_body",
			      "the body is not JSON: line %d, column %d: %s", trouble.line,
			      trouble.column, trouble.text);
	if (document && !json_is_object(document)) {
		answer__error(answer, 400, "invalid_body", "the body is not a JSON object");
		json_decref(document);
		return NULL;
	}
	return document;
}

static int refuse(struct answer *answer, const char *where, const struct posted_row *row,
		  const char *what)
{
	answer__error(answer, 400, "invalid_body", "%s%s %s", where, row->name, what);
	return -EINVAL;
}

static int read_choice(const json_t *value, const struct posted_row *row, const char *where,
		       unsigned *choice, struct answer *answer)
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
	answer__error(answer, 400, "invalid_body", "%s%s is none of %s", where, row->name,
		      names.length ? names.data : "");
	text__free(&names);
	return -EINVAL;
}

static int read_member(json_t *value, const struct posted_row *row, const char *where, void *field,
		       struct answer *answer)
{
	switch (row->type) {
	case POSTED_INTEGER:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    (uint64_t)json_integer_value(value) < row->min ||
		    (uint64_t)json_integer_value(value) > row->max) {
			answer__error(answer, 400, "invalid_body",
				      "%s%s is not an integer from %" PRIu64 " to %" PRIu64, where,
				      row->name, row->min, row->max);
			return -EINVAL;
		}
		*(uint64_t *)field = (uint64_t)json_integer_value(value);
		return 0;
	case POSTED_CHOICE:
		return read_choice(value, row, where, field, answer);
	case POSTED_TEXT:
		if (!json_is_string(value) || !json_string_length(value) ||
		    json_string_length(value) > row->max) {
			answer__error(answer, 400, "invalid_body",
				      "%s%s is not a string of 1 to %" PRIu64 " bytes", where,
				      row->name, row->max);
			return -EINVAL;
		}
		*(const char **)field = json_string_value(value);
		return 0;
	default:
		if (!json_is_object(value))
			return refuse(answer, where, row, "is not an object");
		*(json_t **)field = value;
		return 0;
	}
}

int posted__read(json_t *object, const struct posted_row *table, const char *where, void *out,
		 struct answer *answer)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		const struct posted_row *row = table;
		int err;

		while (row->name && strcmp(row->name, name) != 0)
			row++;
		if (!row->name) {
			answer__error(answer, 400, "invalid_body", "%s%.64s is not known", where,
				      name);
			return -EINVAL;
		}
		err = read_member(value, row, where, (char *)out + row->offset, answer);
		if (err)
			return err;
	}
	for (const struct posted_row *row = table; row->name; row++)
		if (row->required && !json_object_get(object, row->name))
			return refuse(answer, where, row, "is missing");
	return 0;
}
