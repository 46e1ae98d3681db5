/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks a running agent over HTTP; used by the command line and the terminal dashboard. */
#ifndef DIRTYSCOPE_API_CLIENT_H
#define DIRTYSCOPE_API_CLIENT_H

#include <jansson.h>
#include <stddef.h>

#define CLIENT_DEFAULT_URL "http://127.0.0.1:7243"

/* A field that is 0 or NULL means its default. */
struct client_options {
	const char *url; /* http://HOST:PORT, https://HOST:PORT, unix:PATH; CLIENT_DEFAULT_URL */
	const char *ca_file;	/* PEM: with https, only what it vouches for; the system's CAs */
	const char *token_file; /* its content is sent as the bearer token; none */
	double connect_timeout; /* seconds; 3 */
	double total_timeout;	/* seconds for a whole request; 15 */
	size_t max_bytes;	/* of one answer; 64 MiB */
};

struct client_error {
	char message[512]; /* one sentence; may hold any bytes that the agent sent */
};

struct client;
/*
 * Connects to nothing yet. Returns 0, -EINVAL with *error for a bad URL or token, or another
 * negative errno with *error when the token file or the CA file cannot be read. The strings of
 * *options are copied.
 */
int client__new(const struct client_options *options, struct client **client,
		struct client_error *error);
void client__free(struct client *client);
/*
 * GETs a path with its query ("/api/v1/flows?pid=1"). Returns 0 with a new reference in *out (may
 * be NULL), or with *error: -EPERM, -ENOENT, -EREMOTEIO when the agent refused (401 or 403, 404,
 * any other), -EFBIG, -ETIMEDOUT, -EPROTO when the answer is no JSON, -ECONNREFUSED when it cannot
 * be reached for any reason. Not for several threads at once.
 */
int client__get(struct client *client, const char *path, json_t **out, struct client_error *error);
/*
 * The same with another method: "POST" with a JSON body ("" for none), "DELETE". Further errors:
 * -EBUSY (409), -ESTALE (410), -EINVAL (400), -EAGAIN (503).
 */
int client__send(struct client *client, const char *method, const char *path, const char *body,
		 json_t **out, struct client_error *error);
/*
 * From any thread: the call that runs, and all later ones, end within about a second with
 * -ECANCELED.
 */
void client__cancel(struct client *client);
/* The last good answer as it came; valid until the next call. */
const char *client__body(const struct client *client, size_t *length);

#endif
