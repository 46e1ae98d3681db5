/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/input/yaml_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int yaml_source__refuse(struct yaml_source *source, size_t line, size_t column, const char *format,
			...)
{
	va_list args;
	size_t used;

	reason__set(source->message, "%s:%zu:%zu: %s%s", source->path, line + 1, column + 1,
		    source->subject ? source->subject : "", source->subject ? ": " : "");
	used = strlen(source->message->text);
	va_start(args, format);
	vsnprintf(source->message->text + used, REASON_MAX - used, format, args);
	va_end(args);
	return -EINVAL;
}

int yaml_source__no_memory(struct yaml_source *source)
{
	reason__set(source->message, "out of memory");
	return -ENOMEM;
}

static int read_all(struct yaml_source *source)
{
	char buffer[4096];
	ssize_t got;
	int err = 0, fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

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
		text__append(&source->content, buffer, (size_t)got);
		if (source->content.length > YAML_FILE_MAX) {
			err = -EFBIG;
			goto cleanup;
		}
	}
	if (source->content.failed)
		err = -ENOMEM;
cleanup:
	if (err)
		reason__set(source->message, "%s: %s", source->path, strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

/* libyaml would end a string at a NUL, and guesses UTF-16; both are refused with their place. */
static int check_bytes(struct yaml_source *source)
{
	const struct text *content = &source->content;
	size_t line = 0, column = 0, taken;
	uint32_t code;

	for (size_t at = 0; at < content->length; at += taken) {
		const char *data = content->data + at;

		taken = utf8__next(data, content->length - at, &code);
		if (code == 0)
			return yaml_source__refuse(source, line, column, "a NUL byte");
		if (code == 0xfffd && !(taken == 3 && memcmp(data, "\xef\xbf\xbd", 3) == 0))
			return yaml_source__refuse(source, line, column, "not valid UTF-8");
		/* libyaml refuses these too, but without saying where. */
		if ((code < 0x20 && !strchr("\t\n\r", (int)code)) ||
		    (code >= 0x7f && code < 0xa0 && code != 0x85) || (code == 0xfeff && at > 0))
			return yaml_source__refuse(source, line, column, "control character U+%04X",
						   code);
		column++;
		if (code == '\n') {
			line++;
			column = 0;
		}
	}
	return 0;
}

static int begin(struct yaml_source *source, const char *path, struct reason *message)
{
	*source = (struct yaml_source){.path = path, .message = message};
	message->text[0] = '\0';
	if (yaml_parser_initialize(&source->parser))
		return 0;
	memset(&source->parser, 0, sizeof(source->parser));
	return yaml_source__no_memory(source);
}

static int parse(struct yaml_source *source)
{
	int err = check_bytes(source);

	if (err)
		return err;
	yaml_parser_set_encoding(&source->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&source->parser,
		(const unsigned char *)(source->content.data ? source->content.data : ""),
		source->content.length);
	return 0;
}

int yaml_source__open(struct yaml_source *source, const char *path, struct reason *message)
{
	int err = begin(source, path, message);

	if (!err)
		err = read_all(source);
	return err ? err : parse(source);
}

int yaml_source__open_text(struct yaml_source *source, const char *path, const char *text,
			   size_t length, struct reason *message)
{
	int err = begin(source, path, message);

	if (err)
		return err;
	text__append(&source->content, text, length);
	return source->content.failed ? yaml_source__no_memory(source) : parse(source);
}

void yaml_source__close(struct yaml_source *source)
{
	yaml_parser_delete(&source->parser);
	text__free(&source->content);
}

int yaml_source__next(struct yaml_source *source, yaml_event_t *event)
{
	yaml_parser_t *parser = &source->parser;
	const unsigned char *anchor = NULL, *tag = NULL;

	if (!yaml_parser_parse(parser, event)) {
		memset(event, 0, sizeof(*event));
		if (parser->error == YAML_MEMORY_ERROR)
			return yaml_source__no_memory(source);
		return yaml_source__refuse_at(source, parser->problem_mark, "%s",
					      parser->problem ? parser->problem : "not valid YAML");
	}
	if (event->type == YAML_ALIAS_EVENT)
		return yaml_source__refuse_at(source, event->start_mark,
					      "aliases are not supported");
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
		return yaml_source__refuse_at(source, event->start_mark, "%s are not supported",
					      anchor ? "anchors" : "tags");
	/* An escape such as "\0" makes a NUL that the file's bytes do not show. */
	if (event->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return yaml_source__refuse_at(source, event->start_mark, "a NUL byte");
	return 0;
}
