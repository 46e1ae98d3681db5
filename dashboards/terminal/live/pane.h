/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of the API, of which the part that fits the screen is known, and an entry of it is
 * selected. The selection stays with its entry wherever that moves; at the top it stays there.
 */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_PANE_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_PANE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "dashboards/terminal/tables/listing.h"

#define PANES 3

/* One row of the table of panes. */
struct pane_kind {
	const char *title, *resource;
	const char *shown; /* columns, comma-separated */
	/* The identity of a row, as the API's "around" takes it. */
	void (*identify)(json_t *row, struct text *out);
	const char *target; /* member of a row that a track of it is on: "pid", "device" */
	const char *member; /* the same in the API's "target" */
};
/* For i = 0, 1, ... until NULL. */
const struct pane_kind *pane_kind__at(size_t index);

struct pane {
	const struct pane_kind *kind;
	struct listing listing; /* its strings: of this pane, or of who set them */
	struct text filter;
	json_t *answer;	      /* the newest; NULL before the first */
	size_t offset, total; /* of its rows: index of the first; how many match in all */
	size_t first;	      /* of those that shall be shown */
	size_t index;	      /* of the selected one, of all */
	struct text id;	      /* of the selected one; "" until it is known, or at the top */
	unsigned widths[TABLE_COLUMNS_MAX]; /* cells that the columns have needed so far */
	size_t skip;			    /* columns scrolled away */
};

/* columns: NULL for the pane's own; sort, order: NULL for the resource's. -EINVAL with *error. */
int pane__init(struct pane *pane, const struct pane_kind *kind, const char *columns,
	       const char *sort, const char *order, bool reverse, struct reason *error);
void pane__free(struct pane *pane);
/* The path that gives what `height` lines show. */
void pane__path(const struct pane *pane, unsigned height, struct text *out);
/* The same, with the page moved to what is found: from the selected row on. which: of the API. */
void pane__find_path(const struct pane *pane, unsigned height, const char *text, const char *which,
		     struct text *out);
/* Takes the answer over. False when it is none. */
bool pane__take(struct pane *pane, json_t *answer);
/* After pane__take of what pane__find_path asked: selects what was found. False: nothing was. */
bool pane__select_found(struct pane *pane);
/*
 * Moves the selection by that many, and what is shown as far as it must; true when rows are needed
 * that are not there.
 */
bool pane__move(struct pane *pane, int64_t by, unsigned height);
/* Another sort or filter: begin at the top. */
void pane__restart(struct pane *pane);
/* The row at `index` of all, or NULL. Borrowed. */
json_t *pane__row(const struct pane *pane, size_t index);

#endif
