/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Query parameters: each route names its own in a table; what is not in the table, comes twice, or
 * has a value that does not fit is refused with a sentence that names the parameter.
 */
#ifndef DIRTYSCOPE_API_VIEWS_QUERY_H
#define DIRTYSCOPE_API_VIEWS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_MAX 12	    /* parameters a route may have */
#define QUERY_ERROR_MAX 320 /* bytes that fit any of the sentences */

enum param_type {
	PARAM_INTEGER, /* decimal, min..max */
	PARAM_CHOICE,  /* one of `choices` */
	PARAM_TEXT,    /* any UTF-8 without NUL, at most `max` bytes */
};

struct param_row {
	const char *name; /* NULL ends the table */
	enum param_type type;
	uint64_t min, max;
	/* Names found every `stride` bytes, the last NULL, so that any table of named rows will do.
	 */
	const void *choices;
	size_t stride;
	const char *initial; /* when it is not given; NULL: there is no value then */
	const char *help;
};

struct query_value {
	bool given;	 /* by the client, or through `initial` */
	uint64_t number; /* of an integer; the index of a choice */
	const char *text;
};

struct query {
	const struct param_row *rows;
	struct query_value values[QUERY_MAX];
};

/* Name of a choice, NULL behind the last. */
const char *param_row__choice(const struct param_row *row, size_t index);

/*
 * Decodes `raw` (what follows the '?'; "" when there is none) in place; the texts in *query point
 * into it, or into the table. Returns 0, or -EINVAL with a sentence in error.
 */
int query__parse(struct query *query, const struct param_row *rows, char *raw,
		 char error[QUERY_ERROR_MAX]);
/* The value of a parameter of the route's table; NULL when it was not given and has no initial. */
const struct query_value *query__get(const struct query *query, const char *name);

/* Percent-decodes in place, '+' as a blank if asked. -EINVAL: broken escape, NUL, not UTF-8; *why
 * says which. */
int url__decode(char *string, bool plus, const char **why);
/* Decimal digits only; -EINVAL for anything else, -ERANGE outside min..max. */
int url__integer(const char *string, uint64_t min, uint64_t max, uint64_t *value);

#endif
