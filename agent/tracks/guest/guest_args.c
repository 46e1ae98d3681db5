/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/guest/guest_args.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BYTES (128ULL << 20) /* without -m, of most machines: hw/core/machine.c */
#define MIB (1ULL << 20)
#define BACKEND "memory-backend-"

static void add_size(struct guest_args *args, uint64_t bytes)
{
	if (bytes && args->size_count < GUEST_SIZES_MAX)
		args->sizes[args->size_count++] = bytes;
}

static void add_path(struct guest_args *args, const char *path, size_t length)
{
	if (!length || length >= GUEST_PATH_MAX || args->path_count == GUEST_PATHS_MAX)
		return;
	memcpy(args->paths[args->path_count], path, length);
	args->paths[args->path_count++][length] = '\0';
}

/* "4G", "512" in `unit`s; qemu_strtosz(), util/cutils.c. 0: it is none. */
static uint64_t parse_size(const char *text, size_t length, uint64_t unit)
{
	static const char suffixes[] = "BKMGTPE";
	char copy[32], *stop;
	const char *suffix;
	double number;

	if (!length || length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length);
	copy[length] = '\0';
	number = strtod(copy, &stop);
	if (stop == copy || !(number > 0) || number > 1e18)
		return 0;
	suffix = *stop ? strchr(suffixes, *stop & ~0x20) : NULL;
	if (*stop && (!suffix || stop[1]))
		return 0;
	if (suffix)
		unit = 1ULL << (10 * (suffix - suffixes));
	number *= (double)unit;
	return number > 0 && number < 1e18 ? (uint64_t)number : 0;
}

struct property {
	const char *name, *value; /* name NULL: it has none */
	size_t name_length, length;
};

/* The next of "value,name=value,...", where ",," is a comma of a value. False: there is none. */
static bool next_property(const char **at, struct property *property)
{
	const char *start = *at, *end, *equals;

	if (!*start)
		return false;
	for (end = start; *end; end++) {
		if (*end != ',')
			continue;
		if (end[1] != ',')
			break;
		end++;
	}
	*at = *end ? end + 1 : end;
	equals = memchr(start, '=', (size_t)(end - start));
	*property = (struct property){.value = start, .length = (size_t)(end - start)};
	if (equals)
		*property = (struct property){start, equals + 1, (size_t)(equals - start),
					      (size_t)(end - equals - 1)};
	return true;
}

static bool is_named(const struct property *property, const char *name)
{
	return property->name && property->name_length == strlen(name) &&
	       memcmp(property->name, name, property->name_length) == 0;
}

/* -m [size=]4G,slots=2,maxmem=8G */
static void take_memory(struct guest_args *args, const char *text)
{
	struct property property;

	while (next_property(&text, &property)) {
		if (!property.name || is_named(&property, "size"))
			add_size(args, parse_size(property.value, property.length, MIB));
		else if (is_named(&property, "maxmem") || is_named(&property, "slots"))
			args->may_grow = true;
	}
}

/* -object memory-backend-ram,id=...,size=1G */
static void take_object(struct guest_args *args, const char *text)
{
	struct property property;
	bool is_backend = strncmp(text, BACKEND, strlen(BACKEND)) == 0;

	while (next_property(&text, &property)) {
		if (is_named(&property, "qom-type"))
			is_backend = strncmp(property.value, BACKEND, strlen(BACKEND)) == 0;
		else if (is_backend && is_named(&property, "size"))
			add_size(args, parse_size(property.value, property.length, 1));
		else if (is_backend && is_named(&property, "mem-path"))
			add_path(args, property.value, property.length);
	}
}

/* -object {"qom-type":"memory-backend-ram","id":...,"size":1073741824}, as libvirt writes it */
static void take_json(struct guest_args *args, const char *text)
{
	json_t *object = json_loads(text, 0, NULL), *size = json_object_get(object, "size");
	const char *type = json_string_value(json_object_get(object, "qom-type"));
	const char *path = json_string_value(json_object_get(object, "mem-path"));
	const char *words = json_string_value(size);

	if (type && strncmp(type, BACKEND, strlen(BACKEND)) == 0) {
		if (json_is_integer(size) && json_integer_value(size) > 0)
			add_size(args, (uint64_t)json_integer_value(size));
		else if (words)
			add_size(args, parse_size(words, strlen(words), 1));
		if (path)
			add_path(args, path, strlen(path));
	}
	json_decref(object);
}

static void take_path(struct guest_args *args, const char *text)
{
	add_path(args, text, strlen(text));
}

static void take_any_object(struct guest_args *args, const char *text)
{
	(*text == '{' ? take_json : take_object)(args, text);
}

/* One row an option whose value is the next argument; "--m" is "-m". */
static const struct {
	const char *name;
	void (*take)(struct guest_args *args, const char *text);
} options[] = {
	{"m", take_memory},
	{"mem-path", take_path},
	{"object", take_any_object},
};

void guest_args__parse(struct guest_args *args, const char *arguments, size_t length)
{
	void (*take)(struct guest_args * args, const char *text) = NULL;

	*args = (struct guest_args){0};
	for (size_t at = 0; at < length;) {
		const char *argument = arguments + at;
		const size_t size = strnlen(argument, length - at);

		if (at + size == length) /* without its end: it was cut */
			break;
		at += size + 1;
		if (take) {
			take(args, argument);
			take = NULL;
			continue;
		}
		argument += argument[0] == '-' && argument[1] == '-';
		for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
			if (*argument == '-' && strcmp(argument + 1, options[i].name) == 0)
				take = options[i].take;
	}
	if (!args->size_count)
		add_size(args, DEFAULT_BYTES);
}
