/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be shown of each resource of the API: one table of columns per resource. The option
 * --columns, the option --sort and --help follow from it.
 */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_COLUMNS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_COLUMNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/text.h"

enum column_format {
	COLUMN_TEXT,  /* as it is; a list as its items joined by commas */
	COLUMN_STATE, /* the same, coloured by its word */
	COLUMN_TIME,  /* RFC 3339, without the fraction of a second */
	COLUMN_COUNT, /* a whole number, to the right */
	COLUMN_RATE,  /* one decimal, to the right */
	COLUMN_BYTES, /* three digits and a unit of 1024, to the right */
};

struct column {
	const char *name;  /* in --columns and --sort; ends the table when NULL */
	const char *title; /* in the head of the table */
	enum column_format format;
	/*
	 * Where the value is in a row of the API: "written.cpu.rewrite". In a number's column an
	 * object stands for the sum of its members, so "rates" is the rate of all writers;
	 * "written-tracked" is the sum of those that are not named "tracked".
	 */
	const char *path;
	unsigned width;	  /* at most that many cells on a terminal; 0: no limit */
	bool sortable;	  /* the API's "sort" knows it, by the same name */
	const char *help; /* one line */
};

/* Which of the API's query parameters a resource takes. */
enum resource_query {
	TAKES_SORT = 1, /* sort and order */
	TAKES_LIMIT = 2,
	TAKES_FILTER = 4, /* and offset, around, find */
	TAKES_PID = 8,
	TAKES_AFTER = 16,
	TAKES_DEVICE = 32,
};

struct resource {
	const char *name; /* also the subcommand and the list's name in the answer */
	const char *path;
	unsigned query;	    /* of enum resource_query */
	uint32_t limit_max; /* most rows that the API gives; 0: it has no limit */
	const struct column *columns;
	const char *shown;   /* columns, comma-separated */
	const char *verbose; /* the same with -v, one a line; NULL: there is no -v */
	const char *sort;    /* column; NULL: the API's order */
	const char *help;    /* one line */
	const char *about;   /* what the numbers are, for --help */
	/* With -v: what goes below the lines of a row. NULL: nothing. */
	void (*details)(json_t *row, unsigned indent, struct text *out);
};

/* By name; NULL when there is none. */
const struct resource *resource__find(const char *name);
/* For i = 0, 1, ... until NULL. */
const struct resource *resource__at(size_t index);

/* By name; NULL when there is none. */
const struct column *column__find(const struct column *columns, const char *name, size_t length);
/* Stands to the right; sorted, the largest comes first. */
bool column__is_number(const struct column *column);
/* The value as text, "-" when there is none. It may hold any bytes: text__terminal before it is
 * shown. */
void column__format(const struct column *column, json_t *row, struct text *out);
/* The names, comma-separated; only the sortable ones when asked. */
void columns__names(const struct column *columns, bool sortable, struct text *out);
/* Name and help, one column a line. */
void columns__help(const struct column *columns, struct text *out);

#endif
