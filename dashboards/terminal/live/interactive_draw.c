/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/interactive_draw.h"

#include <string.h>

#include "dashboards/terminal/live/interactive_keys.h"
#include "dashboards/terminal/live/view.h"
#include "dashboards/terminal/tables/cells.h"
#include "dashboards/terminal/tables/table.h"

/* Any text, cut to the line. */
static void put(struct view *view, unsigned y, unsigned x, unsigned columns, bool fill,
		enum tone tone, const char *string)
{
	struct text safe = {0};

	if (x >= columns)
		return;
	table__put_safe(string, columns - x, &safe);
	if (!safe.failed)
		screen__put(view->screen, y, x, fill ? columns - x : 0, tone,
			    safe.length ? safe.data : "");
	text__free(&safe);
}

static void draw_header(struct view *view, unsigned lines, unsigned columns)
{
	for (unsigned i = 0; i < lines; i++) {
		struct header_line line = header__line(&view->header, i, columns);
		enum tone tone = line.warns ? TONE_WARNING : i == 0 ? TONE_BOLD : TONE_PLAIN;

		if (line.text.length && !line.text.failed)
			screen__put(view->screen, i, 0, 0, tone, line.text.data);
		text__free(&line.text);
	}
}

static void put_state(const struct view *view, struct text *out)
{
	const struct pane *pane = view__pane(view);

	text__printf(out, "%zu of %zu", pane->total ? pane->index + 1 : 0, pane->total);
	if (pane->listing.sort)
		text__printf(out, ", by %s, %s", pane->listing.sort->name,
			     pane->listing.descending ? "falling" : "rising");
	if (pane->listing.pid)
		text__printf(out, ", pid %u", pane->listing.pid);
	if (pane->filter.length)
		text__printf(out, ", filter '%s'", pane->filter.data);
	if (view->paused)
		text__puts(out, ", PAUSED");
}

static void draw_tabs(struct view *view, unsigned y, unsigned columns)
{
	struct text state = {0};
	unsigned x = 0;

	for (size_t i = 0; i < PANES; i++) {
		const char *title = view->panes[i].kind->title;

		put(view, y, x, columns, false, i == view->current ? TONE_SELECTED : TONE_PLAIN,
		    title);
		x += (unsigned)strlen(title) + 1;
	}
	put_state(view, &state);
	if (!state.failed)
		put(view, y, x + 1, columns, false, view->paused ? TONE_WARNING : TONE_BOLD,
		    state.data);
	text__free(&state);
}

/* ---- the list ---- */

static size_t place_columns(const struct pane *pane, unsigned columns,
			    struct layout_column placed[TABLE_COLUMNS_MAX])
{
	unsigned widths[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < pane->listing.column_count; i++) {
		const struct column *column = pane->listing.columns[i];
		/* A sortable column needs one more cell, for the mark of the order. */
		unsigned title = (unsigned)strlen(column->title) + column->sortable;
		unsigned most = column->width ? column->width : UINT16_MAX;

		widths[i] = pane->widths[i] < most ? pane->widths[i] : most;
		if (widths[i] < title)
			widths[i] = title;
	}
	return layout__columns(widths, pane->listing.column_count, pane->skip, columns, placed);
}

static void draw_titles(struct view *view, unsigned y, unsigned columns,
			const struct layout_column *placed, size_t count)
{
	const struct listing *listing = &view__pane(view)->listing;

	screen__put(view->screen, y, 0, columns, TONE_TITLES, "");
	for (size_t i = 0; i < count; i++) {
		const struct column *column = listing->columns[placed[i].index];
		bool sorted = column == listing->sort;
		struct text title = {0}, field = {0};

		text__puts(&title, column->title);
		if (sorted)
			text__puts(&title, listing->descending ? "▼" : "▲");
		cells__put_field(title.failed ? "" : title.data, placed[i].width,
				 column__is_number(column), &field);
		if (!field.failed)
			screen__put(view->screen, y, placed[i].x, 0,
				    sorted ? TONE_SORTED : TONE_TITLES, field.data);
		text__free(&title);
		text__free(&field);
	}
}

static bool is_gone(json_t *row)
{
	const char *state = json_string_value(json_object_get(row, "state"));

	return (state && strcmp(state, "exited") == 0) ||
	       json_is_true(json_object_get(row, "gone"));
}

static void draw_row(struct view *view, unsigned y, unsigned columns, json_t *row, bool selected,
		     const struct layout_column *placed, size_t count)
{
	const struct pane *pane = view__pane(view);
	struct text line = {0}, value = {0};
	unsigned x = 0;

	for (size_t i = 0; i < count; i++) {
		const struct column *column = pane->listing.columns[placed[i].index];

		value.length = 0;
		column__format(column, row, &value);
		text__printf(&line, "%*s", (int)(placed[i].x - x), "");
		cells__put_field(value.failed ? "" : value.data, placed[i].width,
				 column__is_number(column), &line);
		x = placed[i].x + placed[i].width;
	}
	if (!line.failed && line.length)
		screen__put(view->screen, y, 0, selected ? columns : 0,
			    selected			       ? TONE_SELECTED
			    : view->trouble[0] || is_gone(row) ? TONE_DIM
							       : TONE_PLAIN,
			    line.data);
	text__free(&line);
	text__free(&value);
}

static void draw_list(struct view *view, unsigned y, const struct layout_lines *lines,
		      unsigned columns)
{
	struct layout_column placed[TABLE_COLUMNS_MAX];
	const struct pane *pane = view__pane(view);
	size_t count = place_columns(pane, columns, placed);

	if (lines->titles)
		draw_titles(view, y, columns, placed, count);
	y += lines->titles;
	for (unsigned i = 0; i < lines->rows; i++) {
		json_t *row = pane__row(pane, pane->first + i);

		if (row)
			draw_row(view, y + i, columns, row, pane->first + i == pane->index, placed,
				 count);
	}
	if (!pane->answer)
		put(view, y, 0, columns, false, TONE_PLAIN, "waiting for the agent");
	else if (!pane->total)
		put(view, y, 0, columns, false, TONE_PLAIN,
		    pane->filter.length ? "nothing holds the filter's text" : "there are none yet");
}

static void draw_menu(struct view *view, unsigned y, unsigned rows, unsigned columns)
{
	/* The chosen one is always shown. */
	size_t first = view->choice >= rows ? view->choice - rows + 1 : 0;
	const struct column *column;

	for (unsigned i = 0; i < rows && (column = view__sortable(view, first + i)); i++) {
		bool chosen = first + i == view->choice;
		struct text line = {0};

		text__printf(&line, "%-18s %-10s %s", column->name, column->title, column->help);
		if (!line.failed)
			put(view, y + i, 0, columns, chosen, chosen ? TONE_SELECTED : TONE_PLAIN,
			    line.data);
		text__free(&line);
	}
}

/* ---- the last line ---- */

static void draw_keys(struct view *view, unsigned y, unsigned columns)
{
	const char *shown, *label;
	unsigned x = 0;

	for (size_t i = 0; keys__at(i, &shown, &label) && x < columns; i++) {
		char key[16];

		if (!label)
			continue;
		/* The first name of the key. */
		snprintf(key, sizeof(key), "%.*s", (int)strcspn(shown, " "), shown);
		put(view, y, x, columns, false, TONE_BOLD, key);
		x += (unsigned)strlen(key);
		put(view, y, x, columns, false, TONE_KEY, label);
		x += (unsigned)strlen(label) + 1;
	}
}

static void draw_prompt(struct view *view, unsigned y, unsigned columns)
{
	struct text line = {0};
	unsigned used;

	text__puts(&line, view->prompt == PROMPT_FILTER ? "filter: " : "search: ");
	if (view->input.length)
		text__puts(&line, view->input.data);
	if (!line.failed) {
		put(view, y, 0, columns, true, TONE_BOLD, line.data);
		used = cells__measure(line.data, line.length);
		screen__cursor(view->screen, y, used < columns ? used : columns - 1);
	}
	text__free(&line);
}

static void draw_foot(struct view *view, unsigned y, unsigned columns)
{
	struct text line = {0};

	if (view->prompt) {
		draw_prompt(view, y, columns);
	} else if (view->message[0]) {
		put(view, y, 0, columns, false, view->message_warns ? TONE_WARNING : TONE_BOLD,
		    view->message);
	} else if (view->trouble[0]) {
		text__printf(&line, "trying again: %s", view->trouble);
		if (!line.failed)
			put(view, y, 0, columns, false, TONE_ERROR, line.data);
	} else if (view->mode == MODE_SORT) {
		put(view, y, 0, columns, false, TONE_BOLD,
		    "Enter sorts by this column, Esc does not");
	} else if (view->mode != MODE_LIST) {
		put(view, y, 0, columns, false, TONE_BOLD,
		    "Esc goes back; Up, Down, PgUp, PgDn, Home and End scroll");
	} else {
		draw_keys(view, y, columns);
	}
	text__free(&line);
}

void interactive__draw(struct view *view)
{
	struct layout_lines lines = view__lines(view);
	unsigned rows, columns, y;

	screen__size(view->screen, &rows, &columns);
	screen__clear(view->screen);
	draw_header(view, lines.head, columns);
	y = lines.head;
	if (lines.tabs)
		draw_tabs(view, y, columns);
	y += lines.tabs;
	if (view->mode == MODE_LIST)
		draw_list(view, y, &lines, columns);
	else if (view->mode == MODE_SORT)
		draw_menu(view, y, lines.titles + lines.rows, columns);
	else
		pager__draw(&view->pager, view->screen, y, lines.titles + lines.rows, columns);
	if (lines.foot)
		draw_foot(view, rows - 1, columns);
	screen__show(view->screen);
}
