/* SPDX-License-Identifier: BSD-2-Clause */
/* One URL that JSON documents are posted to, one at a time: its transfer, and what came of it. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_DELIVERY_POST_H
#define DIRTYSCOPE_AGENT_POLICIES_DELIVERY_POST_H

#include <stddef.h>

#include <curl/curl.h>

#include "agent/base/reason.h"

#define POST_LONGEST_WAIT 60.0 /* seconds between two attempts, whatever a receiver asks for */
#define POST_REASON_MAX 400

struct post;

/* libcurl is set up already. timeout: seconds. -EINVAL or -ENOMEM with *error, which holds nothing
 * of the URL. */
int post__new(const char *url, double timeout, struct post **post, struct reason *error);
void post__free(struct post *post);
/* Its transfer, ready to be added to a multi handle. body: borrowed until post__judge. */
CURL *post__prepare(struct post *post, const char *body);

enum post_verdict { POST_DELIVERED, POST_FAILED, POST_AGAIN };
/* After the transfer. *wait: seconds that the receiver asks for, 0 if it does not. */
enum post_verdict post__judge(struct post *post, CURLcode code, double *wait,
			      char reason[POST_REASON_MAX]);

#endif
