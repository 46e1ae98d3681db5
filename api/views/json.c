/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/json.h"

#include <stddef.h>

static void begin(struct json *json, const char *key)
{
	if (json->comma)
		text__putc(json->out, ',');
	json->comma = true;
	if (key) {
		text__json_string(json->out, key);
		text__putc(json->out, ':');
	}
}

static void open_with(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	text__putc(json->out, bracket);
	json->comma = false;
}

static void close_with(struct json *json, char bracket)
{
	text__putc(json->out, bracket);
	json->comma = true;
}

void json__object(struct json *json, const char *key)
{
	open_with(json, key, '{');
}

void json__end_object(struct json *json)
{
	close_with(json, '}');
}

void json__array(struct json *json, const char *key)
{
	open_with(json, key, '[');
}

void json__end_array(struct json *json)
{
	close_with(json, ']');
}

void json__string(struct json *json, const char *key, const char *value)
{
	begin(json, key);
	if (value)
		text__json_string(json->out, value);
	else
		text__append(json->out, "null", 4);
}

void json__u64(struct json *json, const char *key, uint64_t value)
{
	begin(json, key);
	text__u64(json->out, value);
}

void json__i64(struct json *json, const char *key, int64_t value)
{
	begin(json, key);
	text__i64(json->out, value);
}

void json__double(struct json *json, const char *key, double value)
{
	begin(json, key);
	text__double(json->out, value);
}

void json__bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	text__puts(json->out, value ? "true" : "false");
}

void json__null(struct json *json, const char *key)
{
	json__string(json, key, NULL);
}

void json__time(struct json *json, const char *key, const struct timespec *value)
{
	begin(json, key);
	text__putc(json->out, '"');
	text__time(json->out, value);
	text__putc(json->out, '"');
}
