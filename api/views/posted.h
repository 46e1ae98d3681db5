/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's body: a JSON object whose members are named in a table, agent/input/json_members.h.
 */
#ifndef DIRTYSCOPE_API_VIEWS_POSTED_H
#define DIRTYSCOPE_API_VIEWS_POSTED_H

#include "agent/input/json_members.h"
#include "api/views/answer.h"

/* NULL, with the answer filled in; otherwise a new reference. An empty body is an empty object. */
json_t *posted__parse(const struct request *request, struct answer *answer);
/* -EINVAL, with the answer filled in. where: "" or "target.", before names. */
int posted__read(json_t *object, const struct json_member_row *table, const char *where, void *out,
		 struct answer *answer);

#endif
