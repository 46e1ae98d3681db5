/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request's body: a JSON object whose members are named in a table. What is not in the table,
 * comes twice, or has the wrong type is refused with a sentence that names it.
 */
#ifndef DIRTYSCOPE_API_POSTED_H
#define DIRTYSCOPE_API_POSTED_H

#include <jansson.h>

#include "api/answer.h"

enum posted_type {
	POSTED_INTEGER, /* uint64_t at the offset: min..max */
	POSTED_CHOICE,	/* unsigned: the index in `choices` */
	POSTED_TEXT,	/* const char *, into the document: at most `max` bytes */
	POSTED_OBJECT,	/* json_t *, borrowed */
};

struct posted_row {
	const char *name; /* NULL ends the table */
	enum posted_type type;
	size_t offset; /* in the caller's struct */
	uint64_t min, max;
	const char *const *choices;
	bool required;
};

/* NULL, with the answer filled in; otherwise a new reference. An empty body is an empty object. */
json_t *posted__parse(const struct request *request, struct answer *answer);
/* -EINVAL, with the answer filled in. where: "" or "target.", before names. */
int posted__read(json_t *object, const struct posted_row *table, const char *where, void *out,
		 struct answer *answer);

#endif
