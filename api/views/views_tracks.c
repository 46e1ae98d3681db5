/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/views_tracks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/cpu/cpu_side.h"
#include "agent/tracks/forecast.h"
#include "agent/tracks/tracks.h"
#include "api/views/json.h"
#include "api/views/page_answer.h"
#include "api/views/posted.h"
#include "api/views/track_json.h"
#include "api/views/track_target.h"

#define CURSOR_MAX INT64_MAX /* what JSON readers take */

static const char *const evidences[] = {"conservative", "completed", "reported", NULL};
/* What `conservative` adds to the rest is what is exposed. */
static const enum ds_evidence evidence_of[] = {DS_EVIDENCE_EXPOSED, DS_EVIDENCE_COMPLETED};

struct evidence_choice {
	const char *name;
};
static const struct evidence_choice evidence_choices[] = {
	{"conservative"}, {"completed"}, {"reported"}, {NULL}};

const struct param_row view_track_params[] = {
	{
		.name = "evidence",
		.type = PARAM_CHOICE,
		.choices = evidence_choices,
		.stride = sizeof(evidence_choices[0]),
		.initial = "conservative",
		.help = "the weakest that counts of a device",
	},
	{},
};

const struct param_row view_forecast_params[] = {
	{
		.name = "bandwidth",
		.type = PARAM_INTEGER,
		.min = 1,
		.max = 1000000000000000ULL,
		.help = "of the transfer, bytes per second; required",
	},
	{
		.name = "downtime_ms",
		.type = PARAM_INTEGER,
		.max = 86400000,
		.initial = "300",
		.help = "that the target may stand still, milliseconds",
	},
	{
		.name = "pages",
		.type = PARAM_INTEGER,
		.max = 1ULL << 40,
		.initial = "0",
		.help = "that the first round sends; 0: all that the target has in memory",
	},
	{
		.name = "range",
		.type = PARAM_TEXT,
		.max = 64,
		.help = "of addresses that are sent, 0xSTART-0xEND; all of them by default",
	},
	{},
};

/* ---- refusals ---- */

static const struct {
	int err;
	unsigned status;
	const char *code;
} refusals[] = {
	{-ENOENT, 404, "not_found"},	     {-ESRCH, 404, "no_such_process"},
	{-EINVAL, 400, "invalid_target"},    {-EPERM, 403, "not_permitted"},
	{-EACCES, 403, "not_permitted"},     {-EBUSY, 409, "busy"},
	{-EOPNOTSUPP, 409, "not_supported"}, {-EMFILE, 409, "not_supported"},
	{-ETIMEDOUT, 409, "target_stuck"},   {-ENOSPC, 409, "too_many_tracks"},
	{-ESTALE, 410, "track_ended"},	     {-ERANGE, 409, "cursor_not_given"},
	{-ENODATA, 409, "too_few_epochs"},   {-ECANCELED, 503, "cancelled"},
	{-EAGAIN, 503, "not_ready"},
};

static int refuse(struct answer *answer, int err, const struct track_error *error)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].err != err)
			continue;
		answer__error(answer, refusals[i].status, refusals[i].code, "%s",
			      *error->message ? error->message : strerror(-err));
		answer->retry_after = err == -EAGAIN;
		return 0;
	}
	if (err == -ENOMEM)
		return err;
	answer__error(answer, 500, "failed", "%s",
		      *error->message ? error->message : strerror(-err));
	return 0;
}

/* False: no number of a track, and the answer says so. */
static bool take_id(const struct request *request, struct answer *answer, uint64_t *id)
{
	if (url__integer(request->argument, 1, CURSOR_MAX, id) == 0)
		return true;
	answer__error(answer, 404, "not_found",
		      "there is no track of that name; they have numbers");
	return false;
}

/* ---- a track ---- */

/* Those there are; in a replay those there were, which live as long as *snapshot. */
struct track_list {
	struct track_info *own;
	const struct track_info *infos;
	size_t count;
	struct snapshot *snapshot;
};

static int track_list__take(const struct api_context *context, struct track_list *list)
{
	int err;

	*list = (struct track_list){0};
	if (!context->is_replay) {
		err = tracks__list(context->tracks, &list->own, &list->count);
		list->infos = list->own;
		return err;
	}
	list->snapshot = snapshot_store__latest(context->store);
	if (list->snapshot && list->snapshot->replay) {
		list->infos = list->snapshot->replay->tracks;
		list->count = list->snapshot->replay->track_count;
	}
	return 0;
}

static void track_list__drop(struct track_list *list)
{
	free(list->own);
	snapshot__put(list->snapshot);
}

int view__tracks(const struct request *request, struct answer *answer)
{
	struct json json = {.out = &answer->text};
	struct track_list list;
	int err = track_list__take(request->context, &list);

	if (err)
		return err;
	answer->status = 200;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	json__u64(&json, "total", list.count);
	json__array(&json, "tracks");
	for (size_t i = 0; i < list.count; i++) {
		json__object(&json, NULL);
		track_json__put(&json, &list.infos[i]);
		json__end_object(&json);
	}
	json__end_array(&json);
	json__end_object(&json);
	text__putc(&answer->text, '\n');
	track_list__drop(&list);
	return answer->text.failed ? -ENOMEM : 0;
}

int view__track(const struct request *request, struct answer *answer)
{
	struct track_list list;
	uint64_t id;
	int err;

	if (!take_id(request, answer, &id))
		return 0;
	err = track_list__take(request->context, &list);
	if (err)
		return err;
	err = -ENOENT;
	for (size_t i = 0; i < list.count && err; i++)
		if (list.infos[i].id == id)
			err = track_json__answer(&list.infos[i], 200, answer);
	track_list__drop(&list);
	return err;
}

/* ---- what changes state ---- */

static const char *const backend_names[] = {"pagemap-scan", "soft-dirty", "faults", NULL};

struct wanted_track {
	json_t *target;
	unsigned backend; /* 1 + index; 0: any */
};

static const struct json_member_row start_rows[] = {
	{"target", MEMBER_OBJECT, offsetof(struct wanted_track, target), 0, 0, NULL, true},
	{"backend", MEMBER_CHOICE, offsetof(struct wanted_track, backend), 0, 0, backend_names,
	 false},
	{},
};

static int start(const struct request *request, json_t *document, struct answer *answer)
{
	struct wanted_track wanted = {.backend = UINT32_MAX};
	struct track_target target = {0};
	struct track_error error;
	struct track_info info;
	int err;

	if (posted__read(document, start_rows, "", &wanted, answer))
		return 0;
	err = track_target__read(wanted.target, request, &target, answer);
	if (!err) {
		target.request.backend =
			wanted.backend == UINT32_MAX ? NULL : backend_names[wanted.backend];
		err = tracks__start(request->context->tracks, &target.request, request->cancelled,
				    &info, &error);
		err = err ? refuse(answer, err, &error) : track_json__answer(&info, 201, answer);
	}
	track_target__free(&target);
	return err == -EINVAL ? 0 : err;
}

int view__track_start(const struct request *request, struct answer *answer)
{
	json_t *document = posted__parse(request, answer);
	int err = document ? start(request, document, answer) : 0;

	json_decref(document);
	return err;
}

int view__track_stop(const struct request *request, struct answer *answer)
{
	struct track_info info;
	uint64_t id;

	if (!take_id(request, answer, &id))
		return 0;
	if (tracks__get(request->context->tracks, id, &info) ||
	    tracks__stop(request->context->tracks, id))
		return -ENOENT;
	info.ended = true;
	snprintf(info.reason, sizeof(info.reason), "stopped");
	info.member_count = info.member_more = 0;
	info.bytes = 0;
	return track_json__answer(&info, 200, answer);
}

/* ---- pages ---- */

static int tell_pages(const struct request *request, uint64_t id, unsigned choice, bool collect,
		      struct answer *answer)
{
	struct tracks *tracks = request->context->tracks;
	struct page_answer *pages;
	struct track_error error;
	struct track_info info;
	int err;

	if (choice >= sizeof(evidence_of) / sizeof(evidence_of[0])) {
		answer__error(answer, 409, "not_supported",
			      "how many pages hardware reported is known "
			      "(dirtyscope_hardware_reported_pages_total), but not which");
		return 0;
	}
	pages = page_answer__new(tracks, request->accept);
	if (!pages)
		return -ENOMEM;
	err = (collect ? tracks__collect : tracks__owed)(tracks, id, evidence_of[choice],
							 page_answer__add, pages,
							 request->cancelled, &info, &error);
	if (err)
		err = refuse(answer, err, &error);
	else
		err = page_answer__finish(pages, &info, evidences[choice], answer);
	page_answer__free(pages);
	return err;
}

int view__track_pages(const struct request *request, struct answer *answer)
{
	unsigned choice = (unsigned)query__get(&request->query, "evidence")->number;
	uint64_t id;

	if (!take_id(request, answer, &id))
		return 0;
	return tell_pages(request, id, choice, false, answer);
}

/* Numbers and choices only: what points into the body is gone with it. */
static int read_body(const struct request *request, const struct json_member_row *rows,
		     void *wanted, struct answer *answer)
{
	json_t *document = posted__parse(request, answer);
	int err = document ? posted__read(document, rows, "", wanted, answer) : -EINVAL;

	json_decref(document);
	return err;
}

struct wanted_collect {
	unsigned evidence;
};

int view__track_collect(const struct request *request, struct answer *answer)
{
	static const struct json_member_row rows[] = {
		{"evidence", MEMBER_CHOICE, offsetof(struct wanted_collect, evidence), 0, 0,
		 evidences, false},
		{},
	};
	struct wanted_collect wanted = {0};
	uint64_t id;

	if (!take_id(request, answer, &id))
		return 0;
	return read_body(request, rows, &wanted, answer)
		       ? 0
		       : tell_pages(request, id, wanted.evidence, true, answer);
}

struct wanted_cursor {
	uint64_t cursor;
};

int view__track_acknowledge(const struct request *request, struct answer *answer)
{
	static const struct json_member_row rows[] = {
		{"cursor", MEMBER_INTEGER, offsetof(struct wanted_cursor, cursor), 0, CURSOR_MAX,
		 NULL, true},
		{},
	};
	struct wanted_cursor wanted = {0};
	struct track_error error;
	struct track_info info;
	uint64_t id;
	int err;

	if (!take_id(request, answer, &id))
		return 0;
	if (read_body(request, rows, &wanted, answer))
		return 0;
	err = tracks__acknowledge(request->context->tracks, id, wanted.cursor, &info, &error);
	return err ? refuse(answer, err, &error) : track_json__answer(&info, 200, answer);
}

/* ---- forecast ---- */

static void put_number(struct json *json, const char *key, bool known, double value)
{
	if (known)
		json__double(json, key, value);
	else
		json__null(json, key);
}

static void put_zero(struct json *json, const struct zero_pages *zero)
{
	if (!zero->sampled) {
		json__null(json, "zero_pages");
		return;
	}
	json__object(json, "zero_pages");
	json__double(json, "value", zero->value);
	json__double(json, "low", zero->low);
	json__double(json, "high", zero->high);
	json__u64(json, "sample_pages", zero->sampled);
	json__end_object(json);
}

static int answer_forecast(uint64_t id, const struct forecast_options *options,
			   const struct forecast *forecast, struct answer *answer)
{
	const bool known = forecast->verdict != FORECAST_UNKNOWN;
	struct json json = {.out = &answer->text};

	answer->status = 200;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	track_json__id(&json, "track", id);
	json__double(&json, "bandwidth", options->bandwidth);
	json__double(&json, "downtime_allowed_seconds", options->downtime);
	if (known)
		json__bool(&json, "converges", forecast->verdict == FORECAST_CONVERGES);
	else
		json__null(&json, "converges");
	json__string(&json, "reason", forecast->reason);
	if (known)
		json__u64(&json, "rounds", forecast->rounds);
	else
		json__null(&json, "rounds");
	put_number(&json, "bytes", known, forecast->bytes);
	put_number(&json, "seconds", known, forecast->seconds);
	put_number(&json, "downtime_seconds", known, forecast->downtime);
	put_number(&json, "rate", known, forecast->rate);
	json__u64(&json, "pages", forecast->pages);
	put_zero(&json, &forecast->zero);
	json__double(&json, "cpu_share", forecast->cpu_share);
	json__array(&json, "devices");
	for (size_t i = 0; i < forecast->device_count; i++) {
		json__object(&json, NULL);
		json__string(&json, "device", forecast->devices[i].id);
		json__double(&json, "share", forecast->devices[i].share);
		json__end_object(&json);
	}
	json__end_array(&json);
	json__end_object(&json);
	text__putc(&answer->text, '\n');
	return answer->text.failed ? -ENOMEM : 0;
}

/* A memory mapping's, as in /proc/PID/maps, with or without 0x. No range is all addresses. */
static bool take_range(const struct query_value *range, uint64_t *start, uint64_t *end)
{
	char *stop;

	*start = *end = 0;
	if (!range)
		return true;
	errno = 0;
	*start = strtoull(range->text, &stop, 16);
	if (*stop != '-' || range->text[strcspn(range->text, " +-")] != '-')
		return false;
	*end = strtoull(stop + 1, &stop, 16);
	return !*stop && !errno && *start < *end && *start % 4096 == 0 && *end % 4096 == 0;
}

int view__track_forecast(const struct request *request, struct answer *answer)
{
	uint64_t start, end;
	const struct query_value *bandwidth = query__get(&request->query, "bandwidth");
	struct forecast_options options;
	struct forecast forecast;
	struct track_error error;
	uint64_t id;
	int err;

	if (!take_id(request, answer, &id))
		return 0;
	if (!bandwidth) {
		answer__error(answer, 400, "invalid_parameter",
			      "bandwidth is missing: bytes per second");
		return 0;
	}
	if (!take_range(query__get(&request->query, "range"), &start, &end)) {
		answer__error(answer, 400, "invalid_parameter",
			      "range must be 0xSTART-0xEND, two addresses of pages");
		return 0;
	}
	options = (struct forecast_options){
		.start = start,
		.end = end,
		.bandwidth = (double)bandwidth->number,
		.downtime = (double)query__get(&request->query, "downtime_ms")->number / 1000,
		.pages = query__get(&request->query, "pages")->number,
	};
	err = tracks__forecast(request->context->tracks, id, &options, request->cancelled,
			       &forecast, &error);
	return err ? refuse(answer, err, &error) : answer_forecast(id, &options, &forecast, answer);
}
