/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/routes.h"
#include "api/server/mhd_info.h"
#include "api/views/assets.h"
#include "api/views/negotiate.h"

#define PARAMETERS_MAX 128 /* of a query; far more than any path takes */

struct exchange {
	const char *raw;  /* where the library has the URI: an address, not to be read */
	char *uri;	  /* NULL: longer than URI_MAX */
	bool begun;	  /* the handler has seen the headers */
	struct text body; /* at most REQUEST_BODY_MAX */
	struct job job;	  /* where the answer takes long */
};

void exchange__connection(void *closure, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct exchanges *exchanges = closure;
	int fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context)
			connections__close(exchanges->connections, *socket_context);
		*socket_context = NULL;
		return;
	}
	fd = mhd_info__descriptor(connection);
	*socket_context =
		connections__open(exchanges->connections, fd, mhd_info__address(connection));
	/* Without a record it could not be cut, so it must not stay. */
	if (!*socket_context)
		shutdown(fd, SHUT_RDWR);
}

/*
 * The library keeps every parameter in the connection's memory, and when that runs out in the
 * middle of a query it neither answers nor closes (0.9.75). No path takes more than QUERY_MAX.
 */
static bool has_too_many_parameters(const char *uri)
{
	size_t count = 0;

	for (; *uri; uri++)
		count += *uri == '&';
	return count > PARAMETERS_MAX;
}

void *exchange__begin(void *closure, const char *uri, struct MHD_Connection *connection)
{
	struct exchanges *exchanges = closure;
	struct connection *peer = mhd_info__context(connection);
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (peer)
		connections__request(exchanges->connections, peer);
	if (has_too_many_parameters(uri))
		shutdown(mhd_info__descriptor(connection), SHUT_RDWR);
	if (!exchange)
		return NULL;
	exchange->raw = uri;
	if (strlen(uri) <= URI_MAX) {
		exchange->uri = strdup(uri);
		if (!exchange->uri) {
			free(exchange);
			return NULL;
		}
	}
	return exchange;
}

void exchange__end(void *closure, struct MHD_Connection *connection, void **request_context,
		   enum MHD_RequestTerminationCode code)
{
	struct exchanges *exchanges = closure;
	struct exchange *exchange = *request_context;
	struct connection *peer = mhd_info__context(connection);

	if (peer)
		connections__end(exchanges->connections, peer);
	if (exchange) {
		free(exchange->uri);
		text__free(&exchange->body);
		answer__free(&exchange->job.answer);
	}
	free(exchange);
	*request_context = NULL;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

	return value ? value : "";
}

static void free_body(void *body)
{
	body__put(body);
}

/* Of a file of the web page. */
static void add_page_headers(struct MHD_Response *response, const struct answer *answer)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
	MHD_add_response_header(response, "Content-Security-Policy", ASSETS_POLICY);
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
}

static void add_headers(struct MHD_Response *response, const struct answer *answer, bool close)
{
	char seconds[12];

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				answer->body ? answer->body->type : answer->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
				*answer->etag ? "no-cache" : "no-store");
	if (*answer->etag)
		add_page_headers(response, answer);
	if (answer->body && answer->body->gzip)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	if (*answer->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	if (answer->challenge)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
					"Bearer realm=\"dirtyscope\"");
	if (answer->retry_after) {
		snprintf(seconds, sizeof(seconds), "%u", answer->retry_after);
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (close)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

/* Queues the answer and frees it. MHD_NO makes the library close the connection. */
static enum MHD_Result send_answer(struct exchanges *exchanges, struct MHD_Connection *connection,
				   struct answer *answer, bool close)
{
	enum MHD_Result result = MHD_NO;
	struct MHD_Response *response;

	if (!answer->body)
		answer->body = body__new(&answer->text, answer->type, answer->gzip);
	if (!answer->body)
		goto cleanup;
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		answer->body->text.length, answer->body->text.data, free_body, answer->body);
	if (!response)
		goto cleanup;
	add_headers(response, answer, close);
	result = MHD_queue_response(connection, answer->status, response);
	if (result == MHD_YES)
		api_counters__request(exchanges->counters, answer->status);
	answer->body = NULL; /* the response's now */
	MHD_destroy_response(response);
cleanup:
	answer__free(answer);
	return result;
}

/* The same for an answer that goes on for ever. */
static enum MHD_Result send_stream(struct exchanges *exchanges, struct MHD_Connection *connection,
				   struct connection *peer, struct answer *answer)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!connections__stream(exchanges->connections, peer)) {
		answer__error(answer, 503, "too_many_streams",
			      "too many streams are open; try again, or ask for snapshots");
		answer->retry_after = 10;
		api_counters__connection(exchanges->counters, CONNECTION_REFUSED);
		return send_answer(exchanges, connection, answer, true);
	}
	response = streams__open(exchanges->streams, connection, peer, &answer->stream);
	if (!response)
		return MHD_NO;
	add_headers(response, answer, true);
	result = MHD_queue_response(connection, answer->status, response);
	if (result == MHD_YES)
		api_counters__request(exchanges->counters, answer->status);
	MHD_destroy_response(response);
	return result;
}

static void refuse_busy(struct exchanges *exchanges, struct answer *answer, const char *what)
{
	answer__error(answer, 503, "overloaded", "too many %s at once; try again", what);
	answer->retry_after = 1;
	api_counters__connection(exchanges->counters, CONNECTION_REFUSED);
}

/*
 * The library takes the request line apart in place, and a NUL byte ends the URI for it: then the
 * version does not follow it after one byte.
 */
static bool holds_nul(const struct exchange *exchange, const char *version)
{
	uintptr_t end = (uintptr_t)exchange->raw + strlen(exchange->uri);
	uintptr_t gap = (uintptr_t)version - end;

	/* Without a version it is a constant, somewhere else. */
	return gap > 1 && gap <= CONNECTION_MEMORY;
}

struct header_scan {
	unsigned hosts, lengths;
};

static enum MHD_Result scan_header(void *closure, enum MHD_ValueKind kind, const char *key,
				   size_t key_size, const char *value, size_t value_size)
{
	struct header_scan *scan = closure;

	scan->hosts += strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0;
	scan->lengths += strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
	return MHD_YES;
}

/* Two readers may take such a request for two different ones, so it is refused. */
static bool refuse_ambiguous(struct MHD_Connection *connection, const struct exchange *exchange,
			     const char *version, struct answer *answer)
{
	struct header_scan scan = {};

	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, scan_header, &scan);
	if (holds_nul(exchange, version))
		answer__error(answer, 400, "invalid_path", "the URI holds a NUL byte");
	else if (scan.hosts > 1 || scan.lengths > 1)
		answer__error(answer, 400, "invalid_header", "%s is given more than once",
			      scan.hosts > 1 ? "Host" : "Content-Length");
	else
		return false;
	return true;
}

static bool is_health_check(const struct exchange *exchange)
{
	size_t length = strlen(PATH_HEALTHY);

	return exchange->uri && strncmp(exchange->uri, PATH_HEALTHY, length) == 0 &&
	       (!exchange->uri[length] || exchange->uri[length] == '?');
}

/* What can be said from the headers alone. True: *answer is a refusal, and the connection ends. */
static bool refuse_early(struct exchanges *exchanges, struct MHD_Connection *connection,
			 struct connection *peer, const struct exchange *exchange,
			 const char *version, struct answer *answer)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t bytes = 0;

	if (!connections__begin(exchanges->connections, peer) && !is_health_check(exchange))
		refuse_busy(exchanges, answer, "connections or requests");
	else if (!exchange->uri)
		answer__error(answer, 414, "uri_too_long", "the URI is longer than %d bytes",
			      URI_MAX);
	else if (mhd_info__header_size(connection) > HEADERS_MAX)
		answer__error(answer, 431, "headers_too_large",
			      "the headers are longer than %d bytes", HEADERS_MAX);
	else if (*header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		answer__error(answer, 411, "length_required",
			      "a body needs a Content-Length; Transfer-Encoding is not taken");
	else if (*length && url__integer(length, 0, REQUEST_BODY_MAX, &bytes))
		answer__error(answer, 413, "body_too_large", "a body has at most %d bytes",
			      REQUEST_BODY_MAX);
	else
		return refuse_ambiguous(connection, exchange, version, answer);
	return true;
}

/* "http://host/path", or https, is a valid request target: its host counts, not the header's. */
static char *split_target(char *uri, char host[256])
{
	char *authority, *path;
	size_t length;

	if (strncasecmp(uri, "http://", 7) != 0 && strncasecmp(uri, "https://", 8) != 0)
		return uri;
	authority = strchr(uri, '/') + 2;
	length = strcspn(authority, "/?");
	path = authority + length;
	if (length >= 256 || *path != '/')
		return NULL;
	memcpy(host, authority, length);
	host[length] = '\0';
	return path;
}

static bool defer(struct exchanges *exchanges, struct MHD_Connection *connection,
		  struct connection *peer, struct job *job, const struct route_call *call)
{
	job->connection = connection;
	job->peer = peer;
	job->call = *call;
	return deferred__submit(exchanges->deferred, job);
}

/*
 * False: the answer is not there yet, and the handler will be called again. What the call points to
 * is the connection's and the exchange's, and stays until then.
 */
static bool answer_request(struct exchanges *exchanges, struct MHD_Connection *connection,
			   struct connection *peer, struct exchange *exchange, const char *method,
			   struct answer *answer)
{
	struct route_call call = {
		.method = method,
		.accept = header(connection, MHD_HTTP_HEADER_ACCEPT),
		.accept_encoding = header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING),
		.authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
		.if_none_match = header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH),
		.last_event_id = header(connection, "Last-Event-ID"),
		.body = exchange->body.length ? exchange->body.data : "",
		.body_length = exchange->body.length,
		.is_root = connection__is_root(peer),
	};
	char host[256];

	snprintf(host, sizeof(host), "%s", header(connection, MHD_HTTP_HEADER_HOST));
	call.uri = split_target(exchange->uri, host);
	if (!call.uri || (*call.uri != '/' && strcmp(call.uri, "*") != 0))
		answer__error(answer, 400, "invalid_path", "the path must begin with a slash");
	/* No web page can have a browser connect to a Unix socket. */
	else if (!connection__is_local(peer) && !host__allowed(host))
		answer__error(
			answer, 403, "forbidden_host",
			"the Host header must be an address, localhost or this machine's name, "
			"so that no web page can reach it under a name of its own (DNS "
			"rebinding); ask by address");
	else if (!routes__takes_long(&exchanges->context, &call, &exchange->job.key))
		routes__answer(&exchanges->context, &call, answer);
	else if (defer(exchanges, connection, peer, &exchange->job, &call))
		return false;
	else
		refuse_busy(exchanges, answer, "requests to tracks");
	return true;
}

enum MHD_Result exchange__handle(void *closure, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *upload_data,
				 size_t *upload_data_size, void **request_context)
{
	struct exchanges *exchanges = closure;
	struct exchange *exchange = *request_context;
	struct connection *peer = mhd_info__context(connection);
	struct answer answer = {};

	/* Out of memory. */
	if (!exchange || !peer)
		return MHD_NO;
	if (!exchange->begun) {
		exchange->begun = true;
		if (refuse_early(exchanges, connection, peer, exchange, version, &answer))
			return send_answer(exchanges, connection, &answer, true);
		return MHD_YES;
	}
	if (*upload_data_size) {
		/* Content-Length was looked at; the library holds the client to it. */
		if (exchange->body.length + *upload_data_size <= REQUEST_BODY_MAX)
			text__append(&exchange->body, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return exchange->body.failed ? MHD_NO : MHD_YES;
	}
	if (exchange->job.state == JOB_DONE) {
		answer = exchange->job.answer;
		exchange->job.answer = (struct answer){0};
	} else if (!answer_request(exchanges, connection, peer, exchange, method, &answer)) {
		return MHD_YES;
	}
	if (answer.stream.wanted && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return send_stream(exchanges, connection, peer, &answer);
	/* A shared body costs nothing more, however many read it. */
	if (!connections__reserve(exchanges->connections, peer, answer.text.length) &&
	    !is_health_check(exchange)) {
		refuse_busy(exchanges, &answer, "large answers");
		return send_answer(exchanges, connection, &answer, true);
	}
	return send_answer(exchanges, connection, &answer, false);
}
