/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/routes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/base/startup.h"
#include "agent/base/version.h"
#include "api/metrics/scrape.h"
#include "api/views/assets.h"
#include "api/views/compress.h"
#include "api/views/json.h"
#include "api/views/negotiate.h"
#include "api/views/views.h"
#include "api/views/views_policies.h"
#include "api/views/views_tracks.h"

#define COMPRESSED_FROM 1024 /* bytes: fewer fit into one packet anyway */

/* The file api/openapi.json, linked in. */
extern const char _binary_api_openapi_json_start[], _binary_api_openapi_json_end[];

static int write_status(struct answer *answer, const char *status)
{
	struct json json = {.out = &answer->text};

	answer->status = 200;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	json__string(&json, "status", status);
	json__end_object(&json);
	text__putc(&answer->text, '\n');
	return answer->text.failed ? -ENOMEM : 0;
}

static int answer_healthy(const struct request *request, struct answer *answer)
{
	return write_status(answer, "healthy");
}

static int answer_ready(const struct request *request, struct answer *answer)
{
	return write_status(answer, "ready");
}

static int answer_openapi(const struct request *request, struct answer *answer)
{
	answer->status = 200;
	answer->type = TYPE_JSON;
	text__append(&answer->text, _binary_api_openapi_json_start,
		     (size_t)(_binary_api_openapi_json_end - _binary_api_openapi_json_start));
	return answer->text.failed ? -ENOMEM : 0;
}

static int answer_index(const struct request *request, struct answer *answer);

const struct route api_routes[] = {
	{"GET", "/", answer_index, NULL, NEEDS_NOTHING,
	 "this list of routes; the web page for who prefers HTML"},
	{"GET", PATH_HEALTHY, answer_healthy, NULL, NEEDS_NOTHING, "200 while the agent is alive"},
	{"GET", "/-/ready", answer_ready, NULL, NEEDS_SNAPSHOT,
	 "200 once there are numbers, 503 before"},
	{"GET", "/metrics", view__metrics, NULL, NEEDS_SNAPSHOT,
	 "metrics as Prometheus text, or OpenMetrics when asked by Accept"},
	{"GET", "/api/v1/summary", view__summary, NULL, NEEDS_SNAPSHOT,
	 "the host: totals, rates, limits"},
	{"GET", "/api/v1/processes", view__processes, view_processes_params, NEEDS_SNAPSHOT,
	 "processes and what was written for them"},
	{"GET", "/api/v1/processes/{pid}", view__process, view_process_params, NEEDS_SNAPSHOT,
	 "one process with its flows"},
	{"GET", "/api/v1/cgroups", view__cgroups, view_groups_params, NEEDS_SNAPSHOT,
	 "sums per cgroup"},
	{"GET", "/api/v1/vms", view__vms, view_groups_params, NEEDS_SNAPSHOT,
	 "sums per virtual machine"},
	{"GET", "/api/v1/devices", view__devices, view_devices_params, NEEDS_SNAPSHOT,
	 "devices and what they wrote"},
	{"GET", "/api/v1/devices/{id}", view__device, NULL, NEEDS_SNAPSHOT, "one device"},
	{"GET", "/api/v1/flows", view__flows, view_flows_params, NEEDS_SNAPSHOT,
	 "who had which device write how many pages"},
	{"GET", "/api/v1/pins", view__pins, view_pins_params, NEEDS_SNAPSHOT,
	 "who holds memory that a device or the kernel may write at any time"},
	{"GET", "/api/v1/sensors", view__sensors, NULL, NEEDS_SNAPSHOT,
	 "what is counted, what is lost, what cannot run and why"},
	{"GET", "/api/v1/history", view__history, view_history_params, NEEDS_NOTHING,
	 "the last minutes, as columns"},
	{"GET", "/api/v1/events", view__events, view_events_params, NEEDS_NOTHING, "what happened"},
	{"GET", "/api/v1/stream", view__stream, view_stream_params, NEEDS_NOTHING,
	 "snapshots and events as they come, as server-sent events"},
	{"GET", "/api/v1/tracks", view__tracks, NULL, NEEDS_NOTHING, "the tracks"},
	{"POST", "/api/v1/tracks", view__track_start, NULL, NEEDS_TRACK,
	 "starts a track of {\"target\": {\"pid\": N}}, or of a \"vm\", a \"cgroup\" or a "
	 "\"device\""},
	{"GET", "/api/v1/tracks/{id}", view__track, NULL, NEEDS_NOTHING, "one track"},
	{"DELETE", "/api/v1/tracks/{id}", view__track_stop, NULL, NEEDS_TRACK, "ends a track"},
	{"GET", "/api/v1/tracks/{id}/pages", view__track_pages, view_track_params, NEEDS_TRACK,
	 "what is owed to its consumer, again"},
	{"POST", "/api/v1/tracks/{id}/collect", view__track_collect, NULL, NEEDS_TRACK,
	 "ends an epoch, and gives all that is owed"},
	{"POST", "/api/v1/tracks/{id}/ack", view__track_acknowledge, NULL, NEEDS_TRACK,
	 "forgets what was delivered up to {\"cursor\": N}"},
	{"GET", "/api/v1/tracks/{id}/forecast", view__track_forecast, view_forecast_params,
	 NEEDS_TRACK, "what a pre-copy of its target would do"},
	{"GET", "/api/v1/policies", view__policies, NULL, NEEDS_NOTHING,
	 "policies, for what they are pending or firing, and what came of it"},
	{"PUT", "/api/v1/policies", view__policies_put, NULL, NEEDS_HOST,
	 "{\"policies\": [...]} in place of those that were put before, beside the directory's"},
	{"POST", "/-/reload", view__reload, NULL, NEEDS_HOST,
	 "reads the directory of policies again, all of it or nothing"},
	{"GET", "/api/v1/openapi.json", answer_openapi, NULL, NEEDS_NOTHING,
	 "this API, machine-readable"},
	{},
};

static int answer_index(const struct request *request, struct answer *answer)
{
	struct json json = {.out = &answer->text};

	answer->status = 200;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	json__string(&json, "name", "dirtyscope");
	json__string(&json, "version", dirtyscope_version());
	json__array(&json, "routes");
	for (const struct route *route = api_routes; route->method; route++) {
		json__object(&json, NULL);
		json__string(&json, "method", route->method);
		json__string(&json, "path", route->path);
		json__string(&json, "help", route->help);
		json__array(&json, "parameters");
		for (size_t i = 0; route->params && route->params[i].name; i++)
			json__string(&json, NULL, route->params[i].name);
		json__end_array(&json);
		json__end_object(&json);
	}
	json__end_array(&json);
	json__end_object(&json);
	text__putc(&answer->text, '\n');
	return answer->text.failed ? -ENOMEM : 0;
}

/* An exact path wins over one with a part, and one that goes on behind it over one that does not.
 */
static bool matches(const struct route *route, const char *path)
{
	size_t fixed = strcspn(route->path, "{"), part;
	const char *tail;

	if (!route->path[fixed])
		return strcmp(path, route->path) == 0;
	if (strncmp(path, route->path, fixed) != 0 || !path[fixed])
		return false;
	tail = strchr(route->path, '}') + 1;
	if (!*tail)
		return true;
	part = strcspn(path + fixed, "/");
	return part && strcmp(path + fixed + part, tail) == 0;
}

/* What its {part} stands for; cuts the path behind it. NULL: it has none. */
static const char *take_argument(const struct route *route, char *path)
{
	size_t fixed = strcspn(route->path, "{");

	if (!route->path[fixed])
		return NULL;
	if (strchr(route->path, '}')[1])
		path[fixed + strcspn(path + fixed, "/")] = '\0';
	return path + fixed;
}

static bool method_fits(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* Of two that match, one with a tail is the right one: {id} alone would take the tail as well. */
static bool is_closer(const struct route *route, const struct route *than)
{
	return !than || strlen(strpbrk(route->path, "{") ? route->path : "") >
				strlen(strpbrk(than->path, "{") ? than->path : "");
}

static const struct route *find_route(const char *method, const char *path, struct answer *answer)
{
	const struct route *closest = NULL;
	char allow[sizeof(answer->allow)] = "";

	for (const struct route *route = api_routes; route->method; route++)
		if (matches(route, path) && (!closest || is_closer(route, closest)))
			closest = route;
	if (!closest) {
		answer__error(answer, 404, "not_found", "no such path; / lists those there are");
		return NULL;
	}
	for (const struct route *route = api_routes; route->method; route++) {
		size_t length = strlen(allow);

		if (strcmp(route->path, closest->path) != 0)
			continue;
		if (method_fits(route, method))
			return route;
		snprintf(allow + length, sizeof(allow) - length, "%s%s", length ? ", " : "",
			 strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
	}
	answer__error(answer, 405, "method_not_allowed", "this path takes %s only", allow);
	memcpy(answer->allow, allow, sizeof(allow));
	return NULL;
}

/* In a time that tells nothing of how much of it is right. */
static bool is_token(const char *token, const char *given)
{
	size_t length = strlen(given);
	unsigned char difference = strlen(token) != length;

	for (size_t i = 0; token[i]; i++)
		difference |=
			(unsigned char)token[i] ^ (unsigned char)given[length ? i % length : 0];
	return difference == 0;
}

/* False: refused, and the answer says why. */
static bool may_change(const struct api_context *context, const struct route_call *call,
		       struct answer *answer)
{
	static const char scheme[] = "Bearer ";

	if (call->is_root)
		return true;
	if (!context->token) {
		answer__error(
			answer, 403, "forbidden",
			"this changes state: ask as root over the agent's Unix socket, or give "
			"the agent --web.token-file");
		return false;
	}
	if (strncasecmp(call->authorization, scheme, sizeof(scheme) - 1) == 0 &&
	    is_token(context->token, call->authorization + sizeof(scheme) - 1))
		return true;
	answer__error(answer, 401, "unauthorized",
		      "this changes state and needs the agent's token");
	answer->challenge = true;
	return false;
}

static bool takes_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
}

static void finish(int err, struct answer *answer)
{
	if (err == -ENOENT) {
		answer__error(answer, 404, "not_found",
			      "there is none with this identifier now; it may have ended");
	} else if (err) {
		answer__error(answer, 503, "overloaded", "not enough memory to answer now: %s",
			      strerror(-err));
		answer->retry_after = 1;
	}
}

/* An answer that is not worth it, or for which memory is short, stays as it is. */
static void compress(const struct route_call *call, struct answer *answer)
{
	struct text packed = {0};

	if (answer->gzip || answer->body || answer->stream.wanted ||
	    answer->text.length < COMPRESSED_FROM || !accept__gzip(call->accept_encoding) ||
	    text__gzip(&answer->text, &packed))
		return;
	text__free(&answer->text);
	answer->text = packed;
	answer->gzip = true;
}

static void not_ready(const struct api_context *context, struct answer *answer)
{
	char step[128];

	startup__text(context->startup, step, sizeof(step));
	answer__error(answer, 503, "not_ready", "%s",
		      *step ? step : "nothing was sampled yet; try again in a second");
	answer->retry_after = 1;
}

bool routes__takes_long(const struct api_context *context, const struct route_call *call,
			uint64_t *key)
{
	struct answer ignored = {0};
	char path[4096 + 1];
	const char *why, *argument;
	const struct route *route;
	size_t length = strcspn(call->uri, "?");
	bool takes_long;

	*key = 0;
	if (length >= sizeof(path))
		return false;
	memcpy(path, call->uri, length);
	path[length] = '\0';
	if (url__decode(path, false, &why))
		return false;
	route = find_route(call->method, path, &ignored);
	/* A request that would be refused is answered at once, without a thread of its own. */
	takes_long = route && route->needs == NEEDS_TRACK && !context->is_replay &&
		     (strcmp(route->method, "GET") == 0 || may_change(context, call, &ignored));
	answer__free(&ignored);
	argument = takes_long ? take_argument(route, path) : NULL;
	if (argument && url__integer(argument, 1, INT64_MAX, key))
		*key = 0;
	return takes_long;
}

void routes__answer(const struct api_context *context, const struct route_call *call,
		    struct answer *answer)
{
	struct request request = {
		.context = context,
		.accept = call->accept,
		.accept_encoding = call->accept_encoding,
		.last_event_id = call->last_event_id ? call->last_event_id : "",
		.cancelled = call->cancelled,
		.body = call->body ? call->body : "",
		.body_length = call->body_length,
	};
	char error[QUERY_ERROR_MAX], none[] = "";
	char *path = call->uri, *query = strchr(path, '?');
	const char *why = "";

	if (query)
		*query++ = '\0';
	if (url__decode(path, false, &why)) {
		answer__error(answer, 400, "invalid_path", "the path %s", why);
		return;
	}
	if (assets__answer(call, path, answer))
		return;
	request.route = find_route(call->method, path, answer);
	if (!request.route)
		return;
	request.argument = take_argument(request.route, path);
	if (request.route->needs >= NEEDS_HOST && context->is_replay) {
		answer__error(answer, 409, "replay",
			      "this agent replays a record: there is nothing here to be followed "
			      "or changed");
		return;
	}
	if (strcmp(request.route->method, "GET") != 0 && !may_change(context, call, answer))
		return;
	if (call->body_length && !takes_body(request.route->method)) {
		answer__error(answer, 400, "unexpected_body", "this path takes no body");
		return;
	}
	if (query__parse(&request.query, request.route->params, query ? query : none, error)) {
		answer__error(answer, 400, "invalid_parameter", "%s", error);
		return;
	}
	if (request.route->needs == NEEDS_SNAPSHOT) {
		request.snapshot = snapshot_store__latest(context->store);
		if (!request.snapshot) {
			not_ready(context, answer);
			return;
		}
	}
	finish(request.route->handler(&request, answer), answer);
	compress(call, answer);
	if (request.snapshot)
		snapshot__put(request.snapshot);
}
