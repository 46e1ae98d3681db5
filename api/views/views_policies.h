/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies: GET and PUT /api/v1/policies, POST /-/reload. As api/views/views.h. */
#ifndef DIRTYSCOPE_API_VIEWS_VIEWS_POLICIES_H
#define DIRTYSCOPE_API_VIEWS_VIEWS_POLICIES_H

#include "api/views/answer.h"

int view__policies(const struct request *request, struct answer *answer);
int view__policies_put(const struct request *request, struct answer *answer);
int view__reload(const struct request *request, struct answer *answer);

#endif
