/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes JSON straight into a text: large lists never exist as a tree. The writer puts the commas;
 * the caller balances objects and arrays. `key` names the value inside an object and is
 * NULL inside an array and at the top. Strings may hold any bytes.
 */
#ifndef DIRTYSCOPE_API_VIEWS_JSON_H
#define DIRTYSCOPE_API_VIEWS_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/text.h"

/* Initialise with {.out = &text}. */
struct json {
	struct text *out;
	bool comma; /* the next value follows another one */
};

void json__object(struct json *json, const char *key);
void json__end_object(struct json *json);
void json__array(struct json *json, const char *key);
void json__end_array(struct json *json);
void json__string(struct json *json, const char *key, const char *value); /* NULL: null */
void json__u64(struct json *json, const char *key, uint64_t value);
void json__i64(struct json *json, const char *key, int64_t value);
void json__double(struct json *json, const char *key, double value);
void json__bool(struct json *json, const char *key, bool value);
void json__null(struct json *json, const char *key);
struct timespec;
void json__time(struct json *json, const char *key, const struct timespec *value);

#endif
