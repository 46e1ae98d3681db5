/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks the agent on a thread of its own, so that keys and signals are served while it does not
 * answer. Requests are done one after the other, in their order.
 */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_FEED_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_FEED_H

#include <jansson.h>
#include <stdbool.h>

#include "api/client.h"

struct feed_answer {
	int tag;	     /* as asked */
	unsigned generation; /* likewise */
	int err;	     /* of client__get and client__send */
	struct client_error error;
	json_t *json; /* the receiver's; NULL with err */
};

struct feed;
/* The feed uses the client, alone from now on, until feed__free; it does not own it. 0 or a
 * negative errno. */
int feed__new(struct client *client, struct feed **feed);
/* Ends what is being asked; takes up to about a second. */
void feed__free(struct feed *feed);
/* Readable while there may be answers. */
int feed__fd(const struct feed *feed);
/* The strings are copied; body: NULL with "GET". 0 or -ENOMEM. */
int feed__ask(struct feed *feed, int tag, unsigned generation, const char *method, const char *path,
	      const char *body);
/* The next answer, if there is one. */
bool feed__next(struct feed *feed, struct feed_answer *answer);

#endif
