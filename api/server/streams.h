/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The open answers of /api/v1/stream. No thread per client: the HTTP library's threads send, and
 * a connection that has nothing to send is suspended; one thread here resumes it when there is a
 * snapshot, an event, or nothing for too long. A client that reads slowly is only ever given what
 * is newest; one that reads nothing for the deadline of connections is cut by them. Thread-safe.
 */
#ifndef DIRTYSCOPE_API_SERVER_STREAMS_H
#define DIRTYSCOPE_API_SERVER_STREAMS_H

#include <microhttpd.h>

#include "api/views/answer.h"
#include "api/server/connections.h"

struct streams_options {
	struct snapshot_store *store; /* these three are borrowed, alive until streams__free */
	struct events *events;
	struct connections *connections;
	double deadline; /* theirs, seconds */
};

struct streams;
/* Starts a thread. 0 or -errno. */
int streams__new(const struct streams_options *options, struct streams **out);
/* Ends all streams, those to come as well: before the HTTP library is stopped. NULL is fine. */
void streams__end(struct streams *streams);
/* Afterwards, when the library has freed all responses. NULL is fine. */
void streams__free(struct streams *streams);

/*
 * A response that sends what happens from now on, for the caller to queue on this connection and
 * to destroy. The connection was already turned into a stream by connections__stream. NULL: no
 * memory.
 */
struct MHD_Response *streams__open(struct streams *streams, struct MHD_Connection *connection,
				   struct connection *peer, const struct stream_start *start);

#endif
