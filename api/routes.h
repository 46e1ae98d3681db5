/* SPDX-License-Identifier: BSD-2-Clause */
/* Which path is answered by what: one table, that the index and the tests read too. */
#ifndef DIRTYSCOPE_API_ROUTES_H
#define DIRTYSCOPE_API_ROUTES_H

#include "api/answer.h"

struct route {
	const char *method; /* "GET" takes HEAD as well; NULL ends the table */
	/* "/api/v1/processes/{pid}": a last {part} stands for the rest of the path, not empty. */
	const char *path;
	/* 0, with the answer filled in; -ENOENT: 404; any other -errno: 503. */
	int (*handler)(const struct request *request, struct answer *answer);
	const struct param_row *params; /* NULL: takes none */
	bool needs_snapshot;		/* 503 before the first one */
	const char *help;
};
extern const struct route api_routes[];

/* Always answered, however busy the server is. */
#define PATH_HEALTHY "/-/healthy"

/* One request, as the server read it. */
struct route_call {
	const char *method;
	char *uri; /* path and query, still encoded; changed by the call */
	const char *accept, *accept_encoding; /* "" when absent */
};
/* Fills in *answer, whatever comes. */
void routes__answer(const struct api_context *context, const struct route_call *call,
		    struct answer *answer);

#endif
