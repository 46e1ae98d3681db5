/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/interactive_keys.h"

#include <stdio.h>
#include <string.h>

#include "dashboards/terminal/live/view.h"

#define KEYS_MAX 3

/* ---- the list ---- */

static void move_by(struct view *view, int64_t by)
{
	if (pane__move(view__pane(view), by, view__lines(view).rows))
		view__ask_list(view);
}

static void go_up(struct view *view)
{
	move_by(view, -1);
}

static void go_down(struct view *view)
{
	move_by(view, 1);
}

static void page_up(struct view *view)
{
	move_by(view, -(int64_t)view__lines(view).rows);
}

static void page_down(struct view *view)
{
	move_by(view, view__lines(view).rows);
}

static void go_home(struct view *view)
{
	move_by(view, INT32_MIN);
}

static void go_to_end(struct view *view)
{
	move_by(view, INT32_MAX);
}

static void go_left(struct view *view)
{
	struct pane *pane = view__pane(view);

	pane->skip -= pane->skip > 0;
}

static void go_right(struct view *view)
{
	struct pane *pane = view__pane(view);

	pane->skip += pane->skip + 2 < pane->listing.column_count;
}

static void go_to_pane(struct view *view, size_t pane)
{
	view->current = pane % PANES;
	view__restart_list(view);
}

static void next_pane(struct view *view)
{
	go_to_pane(view, view->current + 1);
}

static void previous_pane(struct view *view)
{
	go_to_pane(view, view->current + PANES - 1);
}

static void set_sort(struct view *view, const struct column *column)
{
	struct listing *listing = &view__pane(view)->listing;

	listing->sort = column;
	listing->descending = column__is_number(column);
	pane__restart(view__pane(view));
	view__restart_list(view);
}

/* Among the columns that are shown. */
static void move_sort(struct view *view, bool right)
{
	const struct listing *listing = &view__pane(view)->listing;
	const struct column *before = NULL, *column = NULL;
	bool passed = false;

	for (size_t i = 0; i < listing->column_count && !column; i++) {
		const struct column *one = listing->columns[i];

		if (one == listing->sort) {
			passed = true;
			if (!right)
				column = before;
			if (!right && !before)
				return;
		} else if (one->sortable && right && passed) {
			column = one;
		} else if (one->sortable) {
			before = one;
		}
	}
	/* One that is not shown is left for the nearest end. */
	if (!column && !passed)
		column = before;
	if (column)
		set_sort(view, column);
}

static void sort_left(struct view *view)
{
	move_sort(view, false);
}

static void sort_right(struct view *view)
{
	move_sort(view, true);
}

static void invert(struct view *view)
{
	struct pane *pane = view__pane(view);

	pane->listing.descending = !pane->listing.descending;
	pane__restart(pane);
	view__restart_list(view);
}

static void open_menu(struct view *view)
{
	const struct column *column;

	view->mode = MODE_SORT;
	view->choice = 0;
	for (size_t i = 0; (column = view__sortable(view, i)); i++)
		if (column == view__pane(view)->listing.sort)
			view->choice = i;
}

static void pause_or_go_on(struct view *view)
{
	view->paused = !view->paused;
}

static void open_details(struct view *view)
{
	struct pane *pane = view__pane(view);
	json_t *row = pane__row(pane, pane->index), *pid = json_object_get(row, "pid");
	const char *device = json_string_value(
		json_object_get(row, strcmp(pane->kind->member, "device") == 0 ? "id" : "device"));

	if (!row)
		return;
	view->details.length = 0;
	if (json_is_integer(pid)) {
		text__printf(&view->details,
			     "/api/v1/processes/%" JSON_INTEGER_FORMAT
			     "?start_boottime_ns=%" JSON_INTEGER_FORMAT,
			     json_integer_value(pid),
			     json_integer_value(json_object_get(row, "start_boottime_ns")));
	} else if (device) {
		text__puts(&view->details, "/api/v1/devices/");
		listing__put_encoded(device, &view->details);
	}
	if (!view->details.length || view->details.failed)
		return;
	view->mode = MODE_DETAILS;
	view->pager.top = view->pager.text.length = 0;
	view__ask(view, ASK_DETAILS, "GET", view->details.data, NULL);
}

/* ---- prompts ---- */

static void open_prompt(struct view *view, enum prompt prompt, const struct text *initial)
{
	view->prompt = prompt;
	view->input.length = 0;
	text__puts(&view->input, initial->length ? initial->data : "");
}

static void open_filter(struct view *view)
{
	open_prompt(view, PROMPT_FILTER, &view__pane(view)->filter);
}

static void open_search(struct view *view)
{
	open_prompt(view, PROMPT_SEARCH, &(struct text){0});
}

/* From where the last one led to, which may not be known yet. */
static void step(struct view *view, int by)
{
	if (!view->search.length)
		view__say(view, true, "nothing was sought yet: / does");
	view->steps = view->search.length ? view->steps + by : 0;
	view__seek_on(view);
}

static void seek_next(struct view *view)
{
	step(view, 1);
}

static void seek_previous(struct view *view)
{
	step(view, -1);
}

static void finish_prompt(struct view *view)
{
	struct pane *pane = view__pane(view);
	struct text *to = view->prompt == PROMPT_FILTER ? &pane->filter : &view->search;
	enum prompt prompt = view->prompt;

	view->prompt = PROMPT_NONE;
	to->length = 0;
	text__puts(to, view->input.data);
	if (prompt == PROMPT_FILTER) {
		pane__restart(pane);
		view__restart_list(view);
	} else if (to->length) {
		view->steps = 0;
		view__seek(view, "here");
	}
}

static void prompt_key(struct view *view, int key)
{
	struct text *input = &view->input;

	if (key == SCREEN_KEY_ENTER) {
		finish_prompt(view);
	} else if (key == SCREEN_KEY_ESCAPE) {
		view->prompt = PROMPT_NONE;
	} else if (key == SCREEN_KEY_BACKSPACE) {
		while (input->length && (input->data[--input->length] & 0xc0) == 0x80)
			;
		if (input->data)
			input->data[input->length] = '\0';
	} else if (key == 'U' - '@') { /* as a shell's line */
		input->length = 0;
		text__puts(input, "");
	} else if (key >= ' ' && key < SCREEN_KEY_UP && input->length < INPUT_MAX) {
		text__put_code(input, (uint32_t)key);
	}
}

/* ---- tracks ---- */

static void start_or_stop_track(struct view *view)
{
	const struct pane_kind *kind = view__pane(view)->kind;
	json_t *row = pane__row(view__pane(view), view__pane(view)->index);
	json_t *value = json_object_get(row, kind->target);
	const char *state = json_string_value(json_object_get(row, "state"));

	if (!row)
		return;
	if (!value || json_is_null(value)) {
		view__say(view, true, "the process of this flow is not known");
		return;
	}
	/* Its pid may be another's by now. */
	if (state && strcmp(state, "exited") == 0) {
		view__say(view, true, "this process has ended");
		return;
	}
	json_decref(view->target);
	view->target = json_pack("{s:O}", kind->member, value);
	view->tracked.length = 0;
	if (json_is_integer(value))
		text__printf(&view->tracked, "process %" JSON_INTEGER_FORMAT,
			     json_integer_value(value));
	else
		text__printf(&view->tracked, "device %s", json_string_value(value));
	if (view->target && !view->tracked.failed)
		view__ask(view, ASK_TRACKS, "GET", "/api/v1/tracks", NULL);
}

static void open_help(struct view *view)
{
	struct text *out = &view->pager.text;

	out->length = view->pager.top = 0;
	view->mode = MODE_HELP;
	text__puts(out, "Keys\n");
	keys__help(out);
	text__printf(out, "\nColumns of %s; pages are 4 KiB, rates are of the last interval\n",
		     view__pane(view)->listing.resource->name);
	columns__help(view__pane(view)->listing.resource->columns, out);
	text__puts(out, "\nSensors, and what is not seen here\n");
	header__not_seen(&view->header, out);
}

static void quit(struct view *view)
{
	view->quits = true;
}

/* ---- the table ---- */

static const struct {
	int keys[KEYS_MAX];
	const char *shown; /* how help names them */
	const char *label; /* in the last line; NULL: not there */
	const char *help;
	void (*act)(struct view *view);
} keys[] = {
	{{SCREEN_KEY_F1, '?', 'h'}, "F1 ?", "Help", "show this help", open_help},
	{{SCREEN_KEY_TAB}, "Tab", "Pane", "next pane: processes, devices, flows", next_pane},
	{{SCREEN_KEY_BACK_TAB}, "Shift-Tab", NULL, "previous pane", previous_pane},
	{{SCREEN_KEY_UP, 'k'}, "Up k", NULL, "select the row above", go_up},
	{{SCREEN_KEY_DOWN, 'j'}, "Down j", NULL, "select the row below", go_down},
	{{SCREEN_KEY_PAGE_UP}, "PgUp", NULL, "a screen up", page_up},
	{{SCREEN_KEY_PAGE_DOWN}, "PgDn", NULL, "a screen down", page_down},
	{{SCREEN_KEY_HOME, 'g'},
	 "Home g",
	 NULL,
	 "first row; the selection stays at the top",
	 go_home},
	{{SCREEN_KEY_END, 'G'}, "End G", NULL, "last row", go_to_end},
	{{SCREEN_KEY_LEFT}, "Left", NULL, "columns to the left", go_left},
	{{SCREEN_KEY_RIGHT}, "Right", NULL, "columns to the right", go_right},
	{{SCREEN_KEY_F1 + 3, '\\'},
	 "F4 \\",
	 "Filter",
	 "only rows that hold a text; an empty one shows all",
	 open_filter},
	{{'/', SCREEN_KEY_F1 + 2}, "/ F3", "Search", "go to a row that holds a text", open_search},
	{{'n'}, "n", NULL, "next row that holds it", seek_next},
	{{'N'}, "N", NULL, "previous row that holds it", seek_previous},
	{{SCREEN_KEY_F1 + 5}, "F6", "Sort", "choose the column to sort by", open_menu},
	{{'<', ','}, "<", NULL, "sort by the column to the left", sort_left},
	{{'>', '.'}, ">", NULL, "sort by the column to the right", sort_right},
	{{'I'}, "I", "Invert", "turn the order around", invert},
	{{'Z'},
	 "Z",
	 "Pause",
	 "hold everything, and go on; other rows are still fetched when asked for",
	 pause_or_go_on},
	{{'t'},
	 "t",
	 "Track",
	 "start or stop a track of the selected process or device",
	 start_or_stop_track},
	{{SCREEN_KEY_ENTER}, "Enter", "Details", "all about the selected row", open_details},
	{{SCREEN_KEY_F1 + 9, 'q'}, "F10 q", "Quit", "quit", quit},
};

#define KEY_COUNT (sizeof(keys) / sizeof(*keys))

bool keys__at(size_t index, const char **shown, const char **label)
{
	if (index >= KEY_COUNT)
		return false;
	*shown = keys[index].shown;
	*label = keys[index].label;
	return true;
}

void keys__help(struct text *out)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		text__printf(out, "  %-10s  %s\n", keys[i].shown, keys[i].help);
}

static void list_key(struct view *view, int key)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		for (size_t k = 0; k < KEYS_MAX && keys[i].keys[k]; k++) {
			if (keys[i].keys[k] == key) {
				keys[i].act(view);
				return;
			}
		}
	}
}

static void menu_key(struct view *view, int key)
{
	if (key == SCREEN_KEY_UP || key == 'k')
		view->choice -= view->choice > 0;
	else if (key == SCREEN_KEY_DOWN || key == 'j')
		view->choice += view__sortable(view, view->choice + 1) != NULL;
	else if (key == SCREEN_KEY_ENTER)
		set_sort(view, view__sortable(view, view->choice));
	if (key == SCREEN_KEY_ENTER || key == SCREEN_KEY_ESCAPE || key == 'q')
		view->mode = MODE_LIST;
}

static void pager_key(struct view *view, int key)
{
	size_t *top = &view->pager.top, page = view__lines(view).rows;

	switch (key) {
	case SCREEN_KEY_UP:
	case 'k':
		*top -= *top > 0;
		break;
	case SCREEN_KEY_DOWN:
	case 'j':
		++*top;
		break;
	case SCREEN_KEY_PAGE_UP:
		*top -= *top < page ? *top : page;
		break;
	case SCREEN_KEY_PAGE_DOWN:
	case ' ':
		*top += page;
		break;
	case SCREEN_KEY_HOME:
		*top = 0;
		break;
	case SCREEN_KEY_END:
		*top = UINT32_MAX; /* as far as there is text */
		break;
	case 'Z':
		pause_or_go_on(view);
		break;
	case SCREEN_KEY_ESCAPE:
	case SCREEN_KEY_ENTER:
	case SCREEN_KEY_F1:
	case '?':
	case 'q':
		view->mode = MODE_LIST;
		view->details.length = 0;
		view__ask_list(view); /* it was not refreshed meanwhile */
		break;
	default:
		break;
	}
}

void interactive__key(struct view *view, int key)
{
	if (key == SCREEN_KEY_OTHER)
		return;
	view->message[0] = '\0';
	if (key == SCREEN_KEY_F1 + 9)
		quit(view);
	else if (view->prompt)
		prompt_key(view, key);
	else if (view->mode == MODE_SORT)
		menu_key(view, key);
	else if (view->mode == MODE_LIST)
		list_key(view, key);
	else
		pager_key(view, key);
	view->dirty = true;
}
