/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/interactive_answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dashboards/terminal/live/view.h"
#include "dashboards/terminal/tables/cells.h"

static void took_summary(struct view *view, struct feed_answer *answer)
{
	json_t *before = json_object_get(view->header.summary, "sensors");
	bool same = view->header.sensors &&
		    json_equal(before, json_object_get(answer->json, "sensors"));

	/* Large, and seldom new. */
	if (!same)
		view__ask(view, ASK_SENSORS, "GET", "/api/v1/sensors", NULL);
	header__take_summary(&view->header, json_incref(answer->json));
	if (!view->list_failed)
		view->trouble[0] = '\0';
}

static void took_list(struct view *view, struct feed_answer *answer)
{
	struct pane *pane = view__pane(view);

	if (answer->generation != view->generation)
		return;
	if (!pane__take(pane, json_incref(answer->json))) {
		view->list_failed = true;
		snprintf(view->trouble, sizeof(view->trouble),
			 "the answer holds no %s; is this a dirtyscope agent?",
			 pane->listing.resource->name);
		return;
	}
	if (answer->tag == ASK_FIND && !pane__select_found(pane))
		view__say(view, true, "no row holds '%s'", view->search.data);
	if (pane__move(pane, 0, view__lines(view).rows))
		view__ask_list(view);
}

/* ---- details ---- */

static void put_flows(json_t *row, struct text *out)
{
	struct listing listing = {.resource = resource__find("flows")};
	const struct table_style style = {0};
	struct reason error;

	if (!json_array_size(json_object_get(row, "flows")))
		return;
	if (listing__set_columns(&listing, "device,requests,pages,bytes,rate", &error))
		return;
	text__putc(out, '\n');
	listing__table(&listing, row, &style, out);
}

static void took_details(struct view *view, struct feed_answer *answer)
{
	bool process = json_object_get(answer->json, "pid") != NULL;
	struct listing listing = {.resource = resource__find(process ? "processes" : "devices")};
	json_t *rows = json_pack("{s:[O]}", listing.resource->name, answer->json);
	const struct table_style style = {0};
	struct reason error;

	view->pager.text.length = 0;
	if (!rows || listing__set_columns(&listing, listing.resource->verbose, &error)) {
		json_decref(rows);
		return;
	}
	text__puts(&view->pager.text, process ? "process " : "device ");
	listing__records(&listing, rows, &style, &view->pager.text);
	put_flows(answer->json, &view->pager.text);
	json_decref(rows);
}

/* ---- tracks ---- */

static const char *active_track_on(json_t *answer, json_t *target)
{
	size_t index;
	json_t *track, *value;
	const char *key;

	json_array_foreach(json_object_get(answer, "tracks"), index, track)
	{
		const char *state = json_string_value(json_object_get(track, "state"));
		bool same = state && strcmp(state, "active") == 0;

		json_object_foreach(target, key, value) same =
			same &&
			json_equal(json_object_get(json_object_get(track, "target"), key), value);
		if (same)
			return json_string_value(json_object_get(track, "id"));
	}
	return NULL;
}

static void took_tracks(struct view *view, struct feed_answer *answer)
{
	const char *id = active_track_on(answer->json, view->target);
	struct text path = {0};
	json_t *body;
	char *string;

	if (id) {
		text__puts(&path, "/api/v1/tracks/");
		listing__put_encoded(id, &path);
		if (!path.failed)
			view__ask(view, ASK_TRACK_STOP, "DELETE", path.data, "");
		text__free(&path);
		return;
	}
	body = json_pack("{s:O}", "target", view->target);
	string = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (string)
		view__ask(view, ASK_TRACK_START, "POST", "/api/v1/tracks", string);
	free(string);
	json_decref(body);
}

static void took_track(struct view *view, struct feed_answer *answer)
{
	const char *id = json_string_value(json_object_get(answer->json, "id"));

	view__say(view, false, "track %s of %s %s", id ? id : "?", view->tracked.data,
		  answer->tag == ASK_TRACK_START ? "started" : "stopped");
}

static void took_sensors(struct view *view, struct feed_answer *answer)
{
	header__take_sensors(&view->header, json_incref(answer->json));
}

/* ---- the table ---- */

static const struct {
	void (*take)(struct view *view, struct feed_answer *answer);
	bool matters; /* without it the view is not live */
} requests[] = {
	[ASK_SUMMARY] = {took_summary, true},	 [ASK_LIST] = {took_list, true},
	[ASK_FIND] = {took_list, false},	 [ASK_SENSORS] = {took_sensors, false},
	[ASK_DETAILS] = {took_details, false},	 [ASK_TRACKS] = {took_tracks, false},
	[ASK_TRACK_START] = {took_track, false}, [ASK_TRACK_STOP] = {took_track, false},
};

static void failed(struct view *view, const struct feed_answer *answer)
{
	if (answer->tag == ASK_DETAILS && answer->err == -ENOENT) {
		view__say(view, true, "it is no longer listed");
		view->mode = MODE_LIST;
		view__ask_list(view);
	} else if (requests[answer->tag].matters) {
		snprintf(view->trouble, sizeof(view->trouble), "%s", answer->error.message);
	} else if (answer->tag != ASK_SENSORS) {
		view__say(view, true, "%s", answer->error.message);
	}
}

void interactive__take_answer(struct view *view, struct feed_answer *answer)
{
	bool late = answer->tag == ASK_DETAILS && view->mode != MODE_DETAILS;

	if (answer->tag == ASK_LIST) {
		view->list_waits = false;
		view->list_failed = answer->err != 0;
	}
	if (answer->tag == ASK_FIND)
		view->find_waits = false;
	if (answer->tag == ASK_SUMMARY) {
		view->waits = false;
		view->refreshes++;
	}
	if (!late && answer->err)
		failed(view, answer);
	else if (!late)
		requests[answer->tag].take(view, answer);
	if (answer->tag == ASK_LIST && view->list_again)
		view__ask_list(view);
	if (answer->tag == ASK_FIND)
		view__seek_on(view);
	json_decref(answer->json);
	view->dirty = true;
}
