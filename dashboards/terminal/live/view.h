/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of the live view, and what its parts ask of it: interactive_keys.c changes it by keys,
 * interactive_answers.c by the agent's answers, interactive_draw.c shows it, and interactive.c has
 * the loop around them.
 */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_VIEW_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_VIEW_H

#include "dashboards/terminal/live/feed.h"
#include "dashboards/terminal/live/header.h"
#include "dashboards/terminal/live/layout.h"
#include "dashboards/terminal/live/pager.h"
#include "dashboards/terminal/live/pane.h"
#include "dashboards/terminal/live/screen.h"

#define INPUT_MAX 200 /* bytes; the API takes 256 */

enum mode {
	MODE_LIST,
	MODE_SORT, /* a menu of columns */
	MODE_DETAILS,
	MODE_HELP,
};

enum prompt { PROMPT_NONE, PROMPT_FILTER, PROMPT_SEARCH };

/* What the agent is asked for: tags of the feed. */
enum request {
	ASK_SUMMARY,
	ASK_LIST,
	ASK_FIND,
	ASK_SENSORS,
	ASK_DETAILS,
	ASK_TRACKS,
	ASK_TRACK_START,
	ASK_TRACK_STOP,
};

struct interactive_options;

struct view {
	const struct interactive_options *options;
	struct screen *screen;
	struct feed *feed;
	struct header header;
	struct pane *panes;
	size_t current;
	enum mode mode;
	enum prompt prompt;
	struct text input;   /* of the prompt */
	struct text search;  /* what was sought last */
	struct pager pager;  /* details, help */
	struct text details; /* path of what they are about; "" */
	struct text tracked; /* "process 12": what a track is started or stopped on */
	json_t *target;	     /* the same for the API */
	size_t choice;	     /* in the menu */
	char message[512];   /* until the next key; "" */
	bool message_warns;
	char trouble[512];	/* why the agent does not answer; "" when it does */
	bool list_failed;	/* the last time */
	bool waits, list_waits; /* for a summary, for a list */
	bool find_waits;	/* for what was found */
	int64_t steps;		/* to go on from there: next ones, or (below 0) previous ones */
	bool list_again;	/* another list is wanted by then */
	unsigned generation;	/* of what the list shows: an answer of another one is late */
	uint32_t refreshes;
	bool paused, quits, dirty; /* dirty: to be drawn */
};

static inline struct pane *view__pane(const struct view *view)
{
	return &view->panes[view->current];
}

struct layout_lines view__lines(const struct view *view);
/* The columns that the pane may be sorted by: of index 0, 1, ... until NULL. */
const struct column *view__sortable(const struct view *view, size_t index);
/* A message for the last line, until the next key. */
void view__say(struct view *view, bool warns, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* body: NULL for a GET. */
void view__ask(struct view *view, enum request request, const char *method, const char *path,
	       const char *body);
void view__ask_list(struct view *view);
/* Another sort, filter or pane. */
void view__restart_list(struct view *view);
/* Asks for the row that holds what is sought; which: "here", "next", "previous". */
void view__seek(struct view *view, const char *which);
/* When what was found is selected: the next of the steps that are left. */
void view__seek_on(struct view *view);

#endif
