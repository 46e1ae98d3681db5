/* SPDX-License-Identifier: BSD-2-Clause */
/* The lists of the API: filtered, sorted, cut to a page; one table of columns each. */
#ifndef DIRTYSCOPE_API_VIEWS_LISTS_H
#define DIRTYSCOPE_API_VIEWS_LISTS_H

#include "api/views/answer.h"
#include "api/views/json.h"

#define LIST_LIMIT_MAX 100000

/* What a list can be sorted by: one of the three is set. */
struct column {
	const char *name; /* NULL ends the table */
	uint64_t (*count)(const void *item);
	double (*rate)(const void *item); /* not negative */
	const char *(*string)(const void *item);
};

/* A getter over `it`, an item of struct snapshot_KIND, for a row of a table of columns. */
#define COLUMN_GETTER(kind, type, name, expression)      \
	static type kind##_##name(const void *item)      \
	{                                                \
		const struct snapshot_##kind *it = item; \
		return expression;                       \
	}

struct list {
	const char *key; /* "processes" */
	const void *items;
	size_t count, size; /* size: of one item */
	const struct column *columns;
	/* By parameters of its own route; NULL: all match. */
	bool (*match)(const void *item, const struct query *query);
	/* Does one of its names hold this text? For "filter" and "find". */
	bool (*holds)(const void *item, const char *text);
	/* Is it the entry of this identity? For "around". */
	bool (*is)(const void *item, const char *id);
	void (*write)(struct json *json, const void *item, const struct snapshot *snapshot);
};

/* The parameters of every list; a route may add its own around them. */
#define LIST_PARAMS(columns, by)                                                            \
	{                                                                                   \
		.name = "sort",                                                             \
		.type = PARAM_CHOICE,                                                       \
		.choices = (columns),                                                       \
		.stride = sizeof(struct column),                                            \
		.initial = (by),                                                            \
		.help = "column to sort by; ties stay in the order of the identifiers",     \
	},                                                                                  \
		{                                                                           \
			.name = "order",                                                    \
			.type = PARAM_CHOICE,                                               \
			.choices = list_orders,                                             \
			.stride = sizeof(list_orders[0]),                                   \
			.initial = "desc",                                                  \
			.help = "rising or falling",                                        \
		},                                                                          \
		{                                                                           \
			.name = "limit",                                                    \
			.type = PARAM_INTEGER,                                              \
			.max = LIST_LIMIT_MAX,                                              \
			.initial = "100",                                                   \
			.help = "entries at most; 0 gives the total alone",                 \
		},                                                                          \
	{                                                                                   \
		.name = "offset", .type = PARAM_INTEGER, .max = UINT32_MAX, .initial = "0", \
		.help = "entries to leave out at the start",                                \
	}
/* over: what "filter" and "find" look at; identity: what "around" is. */
#define FIND_PARAMS(over, identity)                                                              \
	{                                                                                        \
		.name = "filter",                                                                \
		.type = PARAM_TEXT,                                                              \
		.max = 256,                                                                      \
		.help = "only entries that hold this text, whatever its case, in " over,         \
	},                                                                                       \
		{                                                                                \
			.name = "around",                                                        \
			.type = PARAM_TEXT,                                                      \
			.max = 256,                                                              \
			.help = "moves the page, no further than it must, so that it holds the " \
				"entry " identity,                                               \
		},                                                                               \
		{                                                                                \
			.name = "find",                                                          \
			.type = PARAM_TEXT,                                                      \
			.max = 256,                                                              \
			.help = "moves the page likewise to an entry that holds this text",      \
		},                                                                               \
	{                                                                                        \
		.name = "which", .type = PARAM_CHOICE, .choices = list_steps,                    \
		.stride = sizeof(list_steps[0]), .initial = "next",                              \
		.help = "of those that find tells: the next one behind around, the previous "    \
			"one, or around itself if it is one; begins anew at the ends",           \
	}
extern const char *const list_orders[], *const list_steps[];

/*
 * Writes "total" (entries that match), "offset" (of the first in the array), "found" (the index of
 * what "find" found, null when nothing, absent when nothing was sought) and the array. -ENOMEM.
 */
int list__write(const struct list *list, const struct request *request, struct json *json);
/* Does `name` (may be NULL) hold the text, whatever its case? */
bool list__holds(const char *name, const char *text);

#endif
