/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The JSON of every object of the API. A view fills in the answer from the request's snapshot and
 * returns 0, or a negative errno: -ENOENT is 404, -ENOMEM is 503.
 */
#ifndef DIRTYSCOPE_API_VIEWS_VIEWS_H
#define DIRTYSCOPE_API_VIEWS_VIEWS_H

#include "api/views/answer.h"
#include "api/views/json.h"
#include "api/views/lists.h"

int view__summary(const struct request *request, struct answer *answer);
int view__processes(const struct request *request, struct answer *answer);
int view__process(const struct request *request, struct answer *answer);
int view__cgroups(const struct request *request, struct answer *answer);
int view__vms(const struct request *request, struct answer *answer);
int view__devices(const struct request *request, struct answer *answer);
int view__device(const struct request *request, struct answer *answer);
int view__flows(const struct request *request, struct answer *answer);
int view__pins(const struct request *request, struct answer *answer);
int view__sensors(const struct request *request, struct answer *answer);
int view__history(const struct request *request, struct answer *answer);
int view__events(const struct request *request, struct answer *answer);
int view__stream(const struct request *request, struct answer *answer);

/* What their query parameters are. */
extern const struct param_row view_process_params[], view_processes_params[], view_groups_params[],
	view_devices_params[], view_flows_params[], view_pins_params[], view_history_params[],
	view_events_params[], view_stream_params[];

/* Shared by the views, and by the stream. */
void view__summary_fields(struct json *json, const struct snapshot *snapshot);
void view__event(struct json *json, const struct event *event);
/* An id is a string in the API: numbers above 2^53 do not survive every client. */
void view__id(struct json *json, const char *key, uint64_t id);
/*
 * Does an identity, "PID" or "PID-START_NS", at *id name this process (NULL: none is known, "-")?
 * *id then stands behind it.
 */
bool view__is_process(const struct process_identity *identity, const char **id);
void view__flow(struct json *json, const void *item, const struct snapshot *snapshot);
/* "pins" of a process: null where that is not known. */
void view__pins_of(struct json *json, uint32_t pid, const struct snapshot *snapshot);
/* An object of one number per writer: written, rates, totals. */
void view__counts(struct json *json, const char *key, const uint64_t counts[DS_WRITERS]);
void view__rates(struct json *json, const char *key, const double rates[DS_WRITERS]);
void view__limits(struct json *json, const char *key, const struct snapshot_limits *limits);
/* Opens the answer's object with "time"; view__end closes it. */
struct json view__begin(const struct request *request, struct answer *answer);
int view__end(struct json *json, struct answer *answer);
/* A whole list answer. */
int view__list(const struct list *list, const struct request *request, struct answer *answer);

#endif
