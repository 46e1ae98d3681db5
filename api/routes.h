/* SPDX-License-Identifier: BSD-2-Clause */
/* Which path is answered by what: one table, that the index and the tests read too. */
#ifndef DIRTYSCOPE_API_ROUTES_H
#define DIRTYSCOPE_API_ROUTES_H

#include "api/views/answer.h"

enum route_needs {
	NEEDS_NOTHING,
	NEEDS_SNAPSHOT, /* 503 before the first one */
	NEEDS_HOST,	/* 409 in a replay */
	NEEDS_TRACK,	/* that, too; it may take long: no thread of the HTTP library waits */
};

struct route {
	/*
	 * "GET" takes HEAD as well; NULL ends the table. All others change state, and need the
	 * token, or root over a Unix socket; POST and PUT take a body, a JSON object.
	 */
	const char *method;
	/*
	 * "/api/v1/processes/{pid}": a last {part} stands for the rest of the path, not empty; one
	 * that more follows, for what has no slash.
	 */
	const char *path;
	/* 0, with the answer filled in; -ENOENT: 404; any other -errno: 503. */
	int (*handler)(const struct request *request, struct answer *answer);
	const struct param_row *params; /* NULL: takes none */
	enum route_needs needs;
	const char *help;
};
extern const struct route api_routes[];

/* Always answered, however busy the server is. */
#define PATH_HEALTHY "/-/healthy"

/* Fills in *answer, whatever comes. */
void routes__answer(const struct api_context *context, const struct route_call *call,
		    struct answer *answer);
/*
 * Must the answer be made by a thread that may wait? *key: what such requests must not run at once
 * for, as the number in the path; 0: anything.
 */
bool routes__takes_long(const struct api_context *context, const struct route_call *call,
			uint64_t *key);

#endif
