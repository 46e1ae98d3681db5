/* SPDX-License-Identifier: BSD-2-Clause */
/* What a route's handler is given and what it fills in; nothing here knows the HTTP library. */
#ifndef DIRTYSCOPE_API_VIEWS_ANSWER_H
#define DIRTYSCOPE_API_VIEWS_ANSWER_H

#include <stdbool.h>

#include "agent/snapshot/events.h"
#include "agent/snapshot/history.h"
#include "agent/snapshot/snapshot.h"
#include "agent/base/text.h"
#include "api/views/query.h"

#define TYPE_JSON "application/json; charset=utf-8"
#define TYPE_STREAM "text/event-stream"

struct startup;

/* A finished body that several answers may send at once; immutable but for the count. */
struct body {
	int references; /* atomic */
	const char *type;
	bool gzip;
	struct text text;
};
/* Takes over *text. NULL when memory is short; *text is then freed. */
struct body *body__new(struct text *text, const char *type, bool gzip);
struct body *body__get(struct body *body);
void body__put(struct body *body);

/* What the routes answer from. */
struct api_context {
	struct snapshot_store *store;
	struct history *history;
	struct events *events;
	struct tracks *tracks;	   /* NULL in a replay */
	struct policies *policies; /* NULL: there are none */
	struct startup *startup;   /* NULL: how far the start is is not told */
	bool is_replay;		   /* what is told of tracks and policies is in the snapshots */
	struct scrape *scrape;
	const char *token; /* that allows changes; NULL: none is set */
};

/* One request, as the server read it. */
struct route_call {
	const char *method;
	char *uri; /* path and query, still encoded; changed by the call */
	const char *accept, *accept_encoding, *authorization; /* "" when absent */
	const char *if_none_match;			      /* NULL when absent */
	const char *last_event_id;			      /* "" or NULL when absent */
	const char *body;				      /* "" when there is none */
	size_t body_length;
	bool is_root; /* over a Unix socket */
	/* Atomic: becomes true when nobody waits for the answer any more; NULL: never. */
	const bool *cancelled;
};

struct request {
	const struct api_context *context;
	const struct route *route;
	struct snapshot *snapshot; /* NULL where the route does not need one */
	struct query query;
	const char *argument; /* what {pid} or {id} stood for, decoded; NULL */
	const char *body;     /* "" when there is none */
	size_t body_length;
	const char *accept; /* headers; "" when absent */
	const char *accept_encoding;
	const char *last_event_id;
	const bool *cancelled; /* atomic: nobody waits for the answer any more; NULL: never */
};

/* Where an answer that goes on for ever begins. */
struct stream_start {
	bool wanted; /* the answer is a stream: the server goes on with it */
	bool has_after;
	uint64_t after; /* id of the last event that the client has */
};

/* Zero-initialised for the handler, which sets one of `text`, `body` and `stream`. */
struct answer {
	unsigned status;
	const char *type; /* of `text` */
	struct text text;
	bool gzip;	   /* `text` is compressed */
	struct body *body; /* a reference is held */
	struct stream_start stream;
	char allow[48];	      /* for 405; "" */
	bool challenge;	      /* for 401 */
	unsigned retry_after; /* seconds, 0: no such header */
	char etag[32];	      /* of a file of the web page; "" */
};

/* Replaces whatever the answer held. code: snake_case; the message is one sentence. */
void answer__error(struct answer *answer, unsigned status, const char *code, const char *format,
		   ...) __attribute__((format(printf, 4, 5)));
void answer__free(struct answer *answer);

#endif
