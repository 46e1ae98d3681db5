/* SPDX-License-Identifier: BSD-2-Clause */
/* options__read_file: YAML, read event by event so that each error has its place. */
#include "agent/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <yaml.h>

#include "agent/option_value.h"
#include "agent/text.h"

#define FILE_MAX (1024 * 1024)

struct reader {
	const struct option_row *table;
	const char *path;
	struct option_value *values; /* one per row; stored only when the whole file is good */
	struct option_strings strings;
	struct option_error *error;
	yaml_parser_t parser;
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

/* line and column count from 0, as libyaml does. The key is named when one is being read. */
static __attribute__((format(printf, 4, 5))) int refuse(struct reader *reader, size_t line,
							size_t column, const char *format, ...)
{
	char *message = reader->error->message;
	size_t size = sizeof(reader->error->message);
	int used;
	va_list args;

	used = snprintf(message, size, "%s:%zu:%zu: %s%s", reader->path, line + 1, column + 1,
			reader->row ? reader->row->name : "", reader->row ? ": " : "");
	if (used > 0 && (size_t)used < size) {
		va_start(args, format);
		vsnprintf(message + used, size - (size_t)used, format, args);
		va_end(args);
	}
	return -EINVAL;
}

#define refuse_at(reader, mark, ...) refuse(reader, (mark).line, (mark).column, __VA_ARGS__)

static int out_of_memory(struct reader *reader)
{
	snprintf(reader->error->message, sizeof(reader->error->message), "out of memory");
	return -ENOMEM;
}

static int read_all(struct reader *reader, struct text *content)
{
	char buffer[4096];
	ssize_t got;
	int err = 0, fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		err = -errno;
		goto cleanup;
	}
	while ((got = read(fd, buffer, sizeof(buffer))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = -errno;
			goto cleanup;
		}
		text__append(content, buffer, (size_t)got);
		if (content->length > FILE_MAX) {
			err = -EFBIG;
			goto cleanup;
		}
	}
	if (content->failed)
		err = -ENOMEM;
cleanup:
	if (err)
		snprintf(reader->error->message, sizeof(reader->error->message), "%s: %s",
			 reader->path, strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

/* libyaml would end a string at a NUL, and guesses UTF-16; both are refused with their place. */
static int check_bytes(struct reader *reader, const struct text *content)
{
	size_t line = 0, column = 0, taken;
	uint32_t code;

	for (size_t at = 0; at < content->length; at += taken) {
		const char *data = content->data + at;

		taken = utf8__next(data, content->length - at, &code);
		if (code == 0)
			return refuse(reader, line, column, "a NUL byte");
		if (code == 0xfffd && !(taken == 3 && memcmp(data, "\xef\xbf\xbd", 3) == 0))
			return refuse(reader, line, column, "not valid UTF-8");
		/* libyaml refuses these too, but without saying where. */
		if ((code < 0x20 && !strchr("\t\n\r", (int)code)) ||
		    (code >= 0x7f && code < 0xa0 && code != 0x85) || (code == 0xfeff && at > 0))
			return refuse(reader, line, column, "control character U+%04X", code);
		column++;
		if (code == '\n') {
			line++;
			column = 0;
		}
	}
	return 0;
}

/* The next event; its anchors, tags and aliases are refused here, once for all places. */
static int next_event(struct reader *reader, yaml_event_t *event)
{
	yaml_parser_t *parser = &reader->parser;
	const unsigned char *anchor = NULL, *tag = NULL;

	if (!yaml_parser_parse(parser, event)) {
		memset(event, 0, sizeof(*event));
		if (parser->error == YAML_MEMORY_ERROR)
			return out_of_memory(reader);
		return refuse_at(reader, parser->problem_mark, "%s",
				 parser->problem ? parser->problem : "not valid YAML");
	}
	if (event->type == YAML_ALIAS_EVENT)
		return refuse_at(reader, event->start_mark, "aliases are not supported");
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor || tag)
		return refuse_at(reader, event->start_mark, "%s are not supported",
				 anchor ? "anchors" : "tags");
	return 0;
}

static int check_plain(struct reader *reader, const yaml_event_t *event)
{
	const char *string = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	/* An escape such as "\0" makes a NUL that the file's bytes do not show. */
	if (strlen(string) != event->data.scalar.length)
		return refuse_at(reader, event->start_mark, "a NUL byte");
	if (plain && (!*string || strcmp(string, "~") == 0 || strcasecmp(string, "null") == 0))
		return refuse_at(reader, event->start_mark, "has no value");
	if (reader->row->type == OPTION_FLAG && !plain)
		return refuse_at(reader, event->start_mark,
				 "a quoted string where true or false is expected");
	return 0;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event)
{
	struct option_value *value = &reader->values[reader->row - reader->table];
	char why[400];
	const char *string;
	int err = check_plain(reader, event);

	if (err)
		return err;
	string = strings_add(&reader->strings, (const char *)event->data.scalar.value);
	if (!string)
		return out_of_memory(reader);
	err = option_value__parse(reader->row, string, value, why, sizeof(why));
	if (!err && reader->row->type == OPTION_LIST)
		err = option_list__add(&value->list, string, why, sizeof(why));
	return err ? refuse_at(reader, event->start_mark, "%s", why) : 0;
}

static int read_list(struct reader *reader, const yaml_event_t *start)
{
	size_t count = 0;
	int err;

	if (reader->row->type != OPTION_LIST)
		return refuse_at(reader, start->start_mark, "a list where one value is expected");
	for (;;) {
		yaml_event_t event;
		bool end;

		err = next_event(reader, &event);
		end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!err && event.type == YAML_SCALAR_EVENT)
			err = read_scalar(reader, &event);
		else if (!err && !end)
			err = refuse_at(reader, event.start_mark,
					"a list or a mapping inside a list");
		yaml_event_delete(&event);
		if (err)
			return err;
		if (end)
			break;
		count++;
	}
	return count ? 0 : refuse_at(reader, start->start_mark, "an empty list");
}

static int read_value(struct reader *reader)
{
	yaml_event_t event;
	int err = next_event(reader, &event);

	if (!err && event.type == YAML_SCALAR_EVENT)
		err = read_scalar(reader, &event);
	else if (!err && event.type == YAML_SEQUENCE_START_EVENT)
		err = read_list(reader, &event);
	else if (!err)
		err = refuse_at(reader, event.start_mark, "a mapping where a value is expected");
	yaml_event_delete(&event);
	return err;
}

static int read_key(struct reader *reader, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.scalar.value;

	if (event->type != YAML_SCALAR_EVENT)
		return refuse_at(reader, event->start_mark,
				 "a list or a mapping where an option's name is expected");
	for (const struct option_row *row = reader->table; row->name; row++) {
		if (strlen(row->name) != event->data.scalar.length ||
		    memcmp(row->name, name, event->data.scalar.length) != 0)
			continue;
		if (reader->values[row - reader->table].set)
			return refuse_at(reader, event->start_mark, "option '%s' is given twice",
					 name);
		reader->row = row;
		return 0;
	}
	return refuse_at(reader, event->start_mark, "unknown option '%.100s'", name);
}

static int read_mapping(struct reader *reader)
{
	for (;;) {
		yaml_event_t event;
		bool end;
		int err;

		reader->row = NULL;
		err = next_event(reader, &event);
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
		int err = next_event(reader, &event);

		type = event.type;
		mark = event.start_mark;
		empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
			event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		yaml_event_delete(&event);
		if (err || type == YAML_STREAM_END_EVENT)
			return err;
		if (type == YAML_DOCUMENT_START_EVENT && seen)
			return refuse_at(reader, mark, "more than one document");
		if (type == YAML_DOCUMENT_START_EVENT)
			seen = true;
		else if (type == YAML_MAPPING_START_EVENT)
			err = read_mapping(reader);
		else if ((type == YAML_SCALAR_EVENT && !empty) || type == YAML_SEQUENCE_START_EVENT)
			err = refuse_at(reader, mark, "a mapping of options to values is expected");
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
		       struct option_strings *strings, struct option_error *error)
{
	struct reader reader = {.table = table, .path = path, .error = error};
	struct text content = {0};
	size_t rows = 0;
	int err;

	error->message[0] = '\0';
	while (table[rows].name)
		rows++;
	reader.values = calloc(rows + 1, sizeof(*reader.values));
	if (!reader.values || !yaml_parser_initialize(&reader.parser)) {
		free(reader.values);
		return out_of_memory(&reader);
	}
	err = read_all(&reader, &content);
	if (!err)
		err = check_bytes(&reader, &content);
	if (err)
		goto cleanup;
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser,
				     (const unsigned char *)(content.data ? content.data : ""),
				     content.length);
	err = read_stream(&reader);
	if (!err && keep_strings(strings, &reader.strings))
		err = out_of_memory(&reader);
	if (err)
		goto cleanup;
	for (size_t i = 0; i < rows; i++)
		if (reader.values[i].set)
			option_value__store(&table[i], &reader.values[i], config);
cleanup:
	yaml_parser_delete(&reader.parser);
	option_strings__free(&reader.strings);
	free(reader.values);
	text__free(&content);
	return err;
}
