/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/routes.h"

#include <errno.h>
#include <string.h>

#include "agent/version.h"
#include "api/json.h"
#include "api/scrape.h"
#include "api/views.h"

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
	{"GET", "/", answer_index, NULL, false, "this list of routes"},
	{"GET", PATH_HEALTHY, answer_healthy, NULL, false, "200 while the agent is alive"},
	{"GET", "/-/ready", answer_ready, NULL, true, "200 once there are numbers, 503 before"},
	{"GET", "/metrics", view__metrics, NULL, true,
	 "metrics as Prometheus text, or OpenMetrics when asked by Accept"},
	{"GET", "/api/v1/summary", view__summary, NULL, true, "the host: totals, rates, limits"},
	{"GET", "/api/v1/processes", view__processes, view_processes_params, true,
	 "processes and what was written for them"},
	{"GET", "/api/v1/processes/{pid}", view__process, view_process_params, true,
	 "one process with its flows"},
	{"GET", "/api/v1/cgroups", view__cgroups, view_groups_params, true, "sums per cgroup"},
	{"GET", "/api/v1/vms", view__vms, view_groups_params, true, "sums per virtual machine"},
	{"GET", "/api/v1/devices", view__devices, view_devices_params, true,
	 "devices and what they wrote"},
	{"GET", "/api/v1/devices/{id}", view__device, NULL, true, "one device"},
	{"GET", "/api/v1/flows", view__flows, view_flows_params, true,
	 "who had which device write how many pages"},
	{"GET", "/api/v1/sensors", view__sensors, NULL, true,
	 "what is counted, what is lost, what cannot run and why"},
	{"GET", "/api/v1/history", view__history, view_history_params, false,
	 "the last minutes, as columns"},
	{"GET", "/api/v1/events", view__events, view_events_params, false, "what happened"},
	{"GET", "/api/v1/openapi.json", answer_openapi, NULL, false, "this API, machine-readable"},
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

/* *argument: what the {part} stands for. An exact path wins over one with a part. */
static bool matches(const struct route *route, const char *path, const char **argument)
{
	size_t fixed = strcspn(route->path, "{");

	*argument = NULL;
	if (!route->path[fixed])
		return strcmp(path, route->path) == 0;
	if (strncmp(path, route->path, fixed) != 0 || !path[fixed])
		return false;
	*argument = path + fixed;
	return true;
}

static bool method_fits(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static const struct route *find_route(const char *method, const char *path, const char **argument,
				      struct answer *answer)
{
	bool known = false;

	for (const struct route *route = api_routes; route->method; route++) {
		if (!matches(route, path, argument))
			continue;
		if (method_fits(route, method))
			return route;
		known = true;
	}
	if (known) {
		answer__error(answer, 405, "method_not_allowed",
			      "this path takes GET and HEAD only");
		answer->allow = "GET, HEAD";
	} else {
		answer__error(answer, 404, "not_found", "no such path; / lists those there are");
	}
	return NULL;
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

void routes__answer(const struct api_context *context, const struct route_call *call,
		    struct answer *answer)
{
	struct request request = {
		.context = context,
		.accept = call->accept,
		.accept_encoding = call->accept_encoding,
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
	request.route = find_route(call->method, path, &request.argument, answer);
	if (!request.route)
		return;
	if (query__parse(&request.query, request.route->params, query ? query : none, error)) {
		answer__error(answer, 400, "invalid_parameter", "%s", error);
		return;
	}
	if (request.route->needs_snapshot) {
		request.snapshot = board__latest(context->board);
		if (!request.snapshot) {
			answer__error(answer, 503, "not_ready",
				      "nothing was sampled yet; try again in a second");
			answer->retry_after = 1;
			return;
		}
	}
	finish(request.route->handler(&request, answer), answer);
	if (request.snapshot)
		snapshot__put(request.snapshot);
}
