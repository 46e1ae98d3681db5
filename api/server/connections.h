/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The open connections, so that slow or idle clients can be cut whatever they do:
 *  - a total deadline, which the HTTP library does not have (its time-out starts anew with each
 * byte): from accept, or from the end of the last answer; and for a request on a connection that
 * was kept alive, from its request line to the end of its answer;
 *  - a place for each newcomer: beyond a limit the oldest connection without a request goes.
 * A stream has no total deadline: it is cut when its client reads nothing for as long.
 * A connection is cut with shutdown(2); the HTTP library then closes it. Thread-safe.
 */
#ifndef DIRTYSCOPE_API_SERVER_CONNECTIONS_H
#define DIRTYSCOPE_API_SERVER_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "api/metrics/counters.h"

/* Beyond the limit, connections that cannot be placed are let in to be told so; this many. */
#define CONNECTIONS_RESERVE 64

struct connections_options {
	uint32_t max;		  /* at least 1 */
	uint32_t max_per_address; /* at least 1; does not hold for Unix sockets */
	uint32_t max_requests;	  /* being answered at once */
	uint32_t max_streams;	  /* at once; they do not count as requests */
	uint64_t max_bytes;	  /* of answers being sent at once */
	double deadline;	  /* seconds */
};

struct connections;
struct connection;

/* *counters must outlive it. Starts a thread. 0 or -errno. */
int connections__new(const struct connections_options *options, struct api_counters *counters,
		     struct connections **out);
/* All connections must be closed. */
void connections__free(struct connections *connections);

/* Before the first byte is read. fd stays the caller's, who must call __close before close(2).
 * NULL: no memory. */
struct connection *connections__open(struct connections *connections, int fd,
				     const struct sockaddr *address);
void connections__close(struct connections *connections, struct connection *connection);
/* Is it a connection of a Unix socket? */
bool connection__is_local(const struct connection *connection);
/* Of a Unix socket, and made by uid 0. */
bool connection__is_root(const struct connection *connection);

/* A request line has come. */
void connections__request(struct connections *connections, struct connection *connection);
/* The request is being answered from now on. False: there are too many; it should be refused. */
bool connections__begin(struct connections *connections, struct connection *connection);
/* Its answer will send this many bytes. False: too many are being sent; the bytes are then not
 * counted. */
bool connections__reserve(struct connections *connections, struct connection *connection,
			  size_t bytes);
/* Its answer goes on for ever. False: there are too many of these; it should be refused. */
bool connections__stream(struct connections *connections, struct connection *connection);
/* Of a stream: does its client read? False: it was cut, and the stream must end. */
bool connections__stays(struct connections *connections, struct connection *connection, bool reads);
/* The answer is sent, or given up. */
void connections__end(struct connections *connections, struct connection *connection);

#endif
