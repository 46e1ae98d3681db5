/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A YAML file, event by event, so that each error has its place: FILE:LINE:COLUMN. What libyaml
 * takes without a word, or refuses without a place, is refused here: bytes that are not UTF-8, NUL
 * and control characters, anchors, aliases and tags.
 */
#ifndef DIRTYSCOPE_AGENT_INPUT_YAML_SOURCE_H
#define DIRTYSCOPE_AGENT_INPUT_YAML_SOURCE_H

#include <stddef.h>
#include <yaml.h>

#include "agent/base/reason.h"
#include "agent/base/text.h"

#define YAML_FILE_MAX (1024 * 1024) /* bytes */

struct yaml_source {
	const char *path;	/* in errors; borrowed */
	const char *subject;	/* what is being read, for errors; NULL: nothing with a name */
	struct reason *message; /* where errors go */
	struct text content;
	yaml_parser_t parser;
};

/* 0, -EINVAL or another negative errno with the message; yaml_source__close in any case. */
int yaml_source__open(struct yaml_source *source, const char *path, struct reason *message);
/* The same for text in memory; path is what errors call it. */
int yaml_source__open_text(struct yaml_source *source, const char *path, const char *text,
			   size_t length, struct reason *message);
void yaml_source__close(struct yaml_source *source);
/* The caller deletes the event, also after an error. */
int yaml_source__next(struct yaml_source *source, yaml_event_t *event);
/* line and column count from 0, as libyaml does. Returns -EINVAL. */
int yaml_source__refuse(struct yaml_source *source, size_t line, size_t column, const char *format,
			...) __attribute__((format(printf, 4, 5)));
#define yaml_source__refuse_at(source, mark, ...) \
	yaml_source__refuse(source, (mark).line, (mark).column, __VA_ARGS__)
int yaml_source__no_memory(struct yaml_source *source);

#endif
