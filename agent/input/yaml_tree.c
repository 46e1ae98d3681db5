/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/input/yaml_tree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/input/yaml_source.h"

struct place {
	char *node;
	size_t line, column;
};

struct yaml_places {
	struct place *places; /* sorted by node once all are there */
	size_t count, room;
};

struct builder {
	struct yaml_source source;
	struct yaml_places *places;
	struct text path; /* of the node that is being read */
};

void yaml_places__free(struct yaml_places *places)
{
	if (!places)
		return;
	for (size_t i = 0; i < places->count; i++)
		free(places->places[i].node);
	free(places->places);
	free(places);
}

static int by_node(const void *left, const void *right)
{
	return strcmp(((const struct place *)left)->node, ((const struct place *)right)->node);
}

void yaml_places__find(const struct yaml_places *places, const char *node, size_t *line,
		       size_t *column)
{
	char *name = strdup(node);

	*line = *column = 1;
	while (name && places) {
		const struct place key = {.node = name};
		const struct place *place = bsearch(&key, places->places, places->count,
						    sizeof(*places->places), by_node);
		char *dot = strrchr(name, '.'), *bracket = strrchr(name, '[');

		if (place) {
			*line = place->line;
			*column = place->column;
			break;
		}
		if (!*name)
			break;
		if (bracket > dot)
			dot = bracket;
		*(dot ? dot : name) = '\0';
	}
	free(name);
}

static int note_place(struct builder *builder, const yaml_mark_t *mark)
{
	struct yaml_places *places = builder->places;
	struct place *place;

	if (places->count == YAML_NODES_MAX)
		return yaml_source__refuse_at(&builder->source, *mark, "more than %d values",
					      YAML_NODES_MAX);
	if (places->count == places->room) {
		size_t room = places->room ? 2 * places->room : 64;
		struct place *larger = reallocarray(places->places, room, sizeof(*larger));

		if (!larger)
			return yaml_source__no_memory(&builder->source);
		places->places = larger;
		places->room = room;
	}
	place = &places->places[places->count];
	*place = (struct place){strdup(builder->path.length ? builder->path.data : ""),
				mark->line + 1, mark->column + 1};
	if (!place->node || builder->path.failed)
		return yaml_source__no_memory(&builder->source);
	places->count++;
	return 0;
}

static void cut_path(struct builder *builder, size_t length)
{
	if (builder->path.data) {
		builder->path.length = length;
		builder->path.data[length] = '\0';
	}
}

/* Decimal, as JSON has it, and a plus sign; no octal, no infinities. NULL: it is no number. */
static json_t *number_of(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+'), *at = digits;
	double value;

	at += strspn(at, "0123456789");
	if (at == digits)
		return NULL;
	if (!*at && at - digits < 19)
		return json_integer(strtoll(text, NULL, 10));
	if (*at == '.')
		at += 1 + strspn(at + 1, "0123456789");
	if (*at == 'e' || *at == 'E') {
		at += 1 + (at[1] == '-' || at[1] == '+');
		if (!strspn(at, "0123456789"))
			return NULL;
		at += strspn(at, "0123456789");
	}
	if (*at)
		return NULL;
	value = strtod(text, NULL);
	return isfinite(value) ? json_real(value) : NULL;
}

static json_t *scalar_of(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	json_t *number;

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return json_string(text);
	if (!*text || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0)
		return json_null();
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return json_boolean(*text == 't');
	number = number_of(text);
	return number ? number : json_string(text);
}

static int read_node(struct builder *builder, const yaml_event_t *event, unsigned depth,
		     json_t **node);

static int read_list(struct builder *builder, unsigned depth, json_t *list)
{
	const size_t length = builder->path.length;

	for (;;) {
		json_t *item = NULL;
		yaml_event_t event;
		bool end;
		int err = yaml_source__next(&builder->source, &event);

		end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!err && !end) {
			text__printf(&builder->path, "[%zu]", json_array_size(list));
			err = read_node(builder, &event, depth, &item);
			cut_path(builder, length);
		}
		yaml_event_delete(&event);
		if (!err && item && json_array_append_new(list, item))
			err = yaml_source__no_memory(&builder->source);
		if (err || end)
			return err;
	}
}

static int check_key(struct builder *builder, const yaml_event_t *key, const json_t *object)
{
	const char *name = (const char *)key->data.scalar.value;

	if (key->type != YAML_SCALAR_EVENT)
		return yaml_source__refuse_at(&builder->source, key->start_mark,
					      "a list or a mapping where a name is expected");
	if (json_object_get(object, name))
		return yaml_source__refuse_at(&builder->source, key->start_mark,
					      "'%.64s' is given twice", name);
	return 0;
}

static int read_mapping(struct builder *builder, unsigned depth, json_t *object)
{
	const size_t length = builder->path.length;

	for (;;) {
		yaml_event_t key, value = {0};
		json_t *item = NULL;
		bool end;
		int err = yaml_source__next(&builder->source, &key);

		end = key.type == YAML_MAPPING_END_EVENT;
		if (!err && !end)
			err = check_key(builder, &key, object);
		if (!err && !end)
			err = yaml_source__next(&builder->source, &value);
		if (!err && !end) {
			text__printf(&builder->path, "%s%s", length ? "." : "",
				     (const char *)key.data.scalar.value);
			err = read_node(builder, &value, depth, &item);
			cut_path(builder, length);
		}
		if (!err && item &&
		    json_object_set_new(object, (const char *)key.data.scalar.value, item))
			err = yaml_source__no_memory(&builder->source);
		yaml_event_delete(&key);
		yaml_event_delete(&value);
		if (err || end)
			return err;
	}
}

static int read_node(struct builder *builder, const yaml_event_t *event, unsigned depth,
		     json_t **node)
{
	int err = note_place(builder, &event->start_mark);

	if (err)
		return err;
	if (depth == YAML_DEPTH_MAX)
		return yaml_source__refuse_at(&builder->source, event->start_mark,
					      "nested deeper than %d", YAML_DEPTH_MAX);
	if (event->type == YAML_SCALAR_EVENT)
		*node = scalar_of(event);
	else
		*node = event->type == YAML_SEQUENCE_START_EVENT ? json_array() : json_object();
	if (!*node)
		err = yaml_source__no_memory(&builder->source);
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		err = read_list(builder, depth + 1, *node);
	else if (event->type == YAML_MAPPING_START_EVENT)
		err = read_mapping(builder, depth + 1, *node);
	if (err) {
		json_decref(*node);
		*node = NULL;
	}
	return err;
}

/* One document at most. */
static int read_stream(struct builder *builder, json_t **tree)
{
	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;
		int err = yaml_source__next(&builder->source, &event);

		type = event.type;
		if (!err && type == YAML_DOCUMENT_START_EVENT && *tree)
			err = yaml_source__refuse_at(&builder->source, event.start_mark,
						     "more than one document");
		if (!err && (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
			     type == YAML_MAPPING_START_EVENT))
			err = read_node(builder, &event, 0, tree);
		yaml_event_delete(&event);
		if (err || type == YAML_STREAM_END_EVENT)
			return err;
	}
}

static int build(struct builder *builder, int err, json_t **tree, struct yaml_places **places)
{
	*tree = NULL;
	*places = NULL;
	builder->places = calloc(1, sizeof(*builder->places));
	if (!err && !builder->places)
		err = yaml_source__no_memory(&builder->source);
	if (!err)
		err = read_stream(builder, tree);
	yaml_source__close(&builder->source);
	text__free(&builder->path);
	if (err) {
		json_decref(*tree);
		*tree = NULL;
		yaml_places__free(builder->places);
		return err;
	}
	if (builder->places->count)
		qsort(builder->places->places, builder->places->count, sizeof(struct place),
		      by_node);
	*places = builder->places;
	return 0;
}

int yaml_tree__read(const char *path, json_t **tree, struct yaml_places **places,
		    struct reason *message)
{
	struct builder builder = {0};
	int err = yaml_source__open(&builder.source, path, message);

	return build(&builder, err, tree, places);
}

int yaml_tree__parse(const char *path, const char *text, size_t length, json_t **tree,
		     struct yaml_places **places, struct reason *message)
{
	struct builder builder = {0};
	int err = yaml_source__open_text(&builder.source, path, text, length, message);

	return build(&builder, err, tree, places);
}
