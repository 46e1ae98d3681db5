/* SPDX-License-Identifier: BSD-2-Clause */
/* options__read_file: YAML, read event by event so that each error has its place. */
#include "agent/input/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/input/option_value.h"
#include "agent/input/yaml_source.h"

struct reader {
	const struct option_row *table;
	struct option_value *values; /* one per row; stored only when the whole file is good */
	struct option_strings strings;
	struct yaml_source source;
	const struct option_row *row; /* the key that is being read, or NULL */
};

void option_strings__free(struct option_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct option_strings){0};
}

static const char *strings_add(struct option_strings *strings, const char *string)
{
	char **items = reallocarray(strings->items, strings->count + 1, sizeof(*items));

	if (!items)
		return NULL;
	strings->items = items;
	items[strings->count] = strdup(string);
	return items[strings->count] ? items[strings->count++] : NULL;
}

static int check_plain(struct reader *reader, const yaml_event_t *event)
{
	const char *string = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (plain && (!*string || strcmp(string, "~") == 0 || strcasecmp(string, "null") == 0))
		return yaml_source__refuse_at(&reader->source, event->start_mark, "has no value");
	if (reader->row->type == OPTION_FLAG && !plain)
		return yaml_source__refuse_at(&reader->source, event->start_mark,
					      "a quoted string where true or false is expected");
	return 0;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event)
{
	struct option_value *value = &reader->values[reader->row - reader->table];
	struct reason why;
	const char *string;
	int err = check_plain(reader, event);

	if (err)
		return err;
	string = strings_add(&reader->strings, (const char *)event->data.scalar.value);
	if (!string)
		return yaml_source__no_memory(&reader->source);
	err = option_value__parse(reader->row, string, value, &why);
	if (!err && reader->row->type == OPTION_LIST)
		err = option_list__add(&value->list, string, &why);
	return err ? yaml_source__refuse_at(&reader->source, event->start_mark, "%s", why.text) : 0;
}

static int read_list(struct reader *reader, const yaml_event_t *start)
{
	size_t count = 0;
	int err;

	if (reader->row->type != OPTION_LIST)
		return yaml_source__refuse_at(&reader->source, start->start_mark,
					      "a list where one value is expected");
	for (;;) {
		yaml_event_t event;
		bool end;

		err = yaml_source__next(&reader->source, &event);
		end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!err && event.type == YAML_SCALAR_EVENT)
			err = read_scalar(reader, &event);
		else if (!err && !end)
			err = yaml_source__refuse_at(&reader->source, event.start_mark,
						     "a list or a mapping inside a list");
		yaml_event_delete(&event);
		if (err)
			return err;
		if (end)
			break;
		count++;
	}
	return count ? 0
		     : yaml_source__refuse_at(&reader->source, start->start_mark, "an empty list");
}

static int read_value(struct reader *reader)
{
	yaml_event_t event;
	int err = yaml_source__next(&reader->source, &event);

	if (!err && event.type == YAML_SCALAR_EVENT)
		err = read_scalar(reader, &event);
	else if (!err && event.type == YAML_SEQUENCE_START_EVENT)
		err = read_list(reader, &event);
	else if (!err)
		err = yaml_source__refuse_at(&reader->source, event.start_mark,
					     "a mapping where a value is expected");
	yaml_event_delete(&event);
	return err;
}

static int read_key(struct reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.scalar.value;

	if (event->type != YAML_SCALAR_EVENT)
		return yaml_source__refuse_at(
			&reader->source, event->start_mark,
			"a list or a mapping where an option's name is expected");
	for (const struct option_row *row = reader->table; row->name; row++) {
		if (strlen(row->name) != event->data.scalar.length ||
		    memcmp(row->name, name, event->data.scalar.length) != 0)
			continue;
		if (reader->values[row - reader->table].set)
			return yaml_source__refuse_at(&reader->source, event->start_mark,
						      "option '%s' is given twice", name);
		reader->row = row;
		reader->source.subject = row->name;
		return 0;
	}
	return yaml_source__refuse_at(&reader->source, event->start_mark, "unknown option '%.100s'",
				      name);
}

static int read_mapping(struct reader *reader)
{
	for (;;) {
		yaml_event_t event;
		bool end;
		int err;

		reader->row = NULL;
		reader->source.subject = NULL;
		err = yaml_source__next(&reader->source, &event);
		end = event.type == YAML_MAPPING_END_EVENT;
		if (!err && !end)
			err = read_key(reader, &event);
		yaml_event_delete(&event);
		if (err || end)
			return err;
		err = read_value(reader);
		if (err)
			return err;
	}
}

/* One document at most; an empty one sets nothing. */
static int read_stream(struct reader *reader)
{
	bool seen = false;

	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;
		yaml_mark_t mark;
		bool empty;
		int err = yaml_source__next(&reader->source, &event);

		type = event.type;
		mark = event.start_mark;
		empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
			event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		yaml_event_delete(&event);
		if (err || type == YAML_STREAM_END_EVENT)
			return err;
		if (type == YAML_DOCUMENT_START_EVENT && seen)
			return yaml_source__refuse_at(&reader->source, mark,
						      "more than one document");
		if (type == YAML_DOCUMENT_START_EVENT)
			seen = true;
		else if (type == YAML_MAPPING_START_EVENT)
			err = read_mapping(reader);
		else if ((type == YAML_SCALAR_EVENT && !empty) || type == YAML_SEQUENCE_START_EVENT)
			err = yaml_source__refuse_at(&reader->source, mark,
						     "a mapping of options to values is expected");
		if (err)
			return err;
	}
}

static int keep_strings(struct option_strings *to, struct option_strings *from)
{
	char **items = reallocarray(to->items, to->count + from->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	if (from->count)
		memcpy(items + to->count, from->items, from->count * sizeof(*items));
	to->items = items;
	to->count += from->count;
	free(from->items);
	*from = (struct option_strings){0};
	return 0;
}

int options__read_file(const struct option_row *table, const char *path, void *config,
		       struct option_strings *strings, struct reason *error)
{
	struct reader reader = {.table = table};
	size_t rows = 0;
	int err;

	while (table[rows].name)
		rows++;
	reader.values = calloc(rows + 1, sizeof(*reader.values));
	err = yaml_source__open(&reader.source, path, error);
	if (!err && !reader.values)
		err = yaml_source__no_memory(&reader.source);
	if (!err)
		err = read_stream(&reader);
	if (!err && keep_strings(strings, &reader.strings))
		err = yaml_source__no_memory(&reader.source);
	for (size_t i = 0; i < rows && !err; i++)
		if (reader.values[i].set)
			option_value__store(&table[i], &reader.values[i], config);
	yaml_source__close(&reader.source);
	option_strings__free(&reader.strings);
	free(reader.values);
	return err;
}
