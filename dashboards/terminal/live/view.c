/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/view.h"

#include <stdarg.h>
#include <stdio.h>

struct layout_lines view__lines(const struct view *view)
{
	unsigned rows, columns;

	screen__size(view->screen, &rows, &columns);
	return layout__lines(rows, header__height(columns));
}

const struct column *view__sortable(const struct view *view, size_t index)
{
	for (const struct column *column = view__pane(view)->listing.resource->columns;
	     column->name; column++)
		if (column->sortable && index-- == 0)
			return column;
	return NULL;
}

void view__say(struct view *view, bool warns, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(view->message, sizeof(view->message), format, args);
	va_end(args);
	view->message_warns = warns;
	view->dirty = true;
}

void view__ask(struct view *view, enum request request, const char *method, const char *path,
	       const char *body)
{
	if (feed__ask(view->feed, request, view->generation, method, path, body))
		view__say(view, true, "out of memory");
}

void view__ask_list(struct view *view)
{
	struct text path = {0};

	/* One at a time: a key that is held down must not pile them up. */
	view->list_again = view->list_waits;
	if (view->list_waits)
		return;
	pane__path(view__pane(view), view__lines(view).rows, &path);
	if (!path.failed) {
		view->list_waits = true;
		view__ask(view, ASK_LIST, "GET", path.data, NULL);
	}
	text__free(&path);
}

void view__restart_list(struct view *view)
{
	view->generation++;
	view__ask_list(view);
}

void view__seek(struct view *view, const char *which)
{
	struct text path = {0};

	pane__find_path(view__pane(view), view__lines(view).rows, view->search.data, which, &path);
	if (!path.failed) {
		view->find_waits = true;
		view__ask(view, ASK_FIND, "GET", path.data, NULL);
	}
	text__free(&path);
}

void view__seek_on(struct view *view)
{
	if (!view->steps || view->find_waits || !view->search.length)
		return;
	view__seek(view, view->steps > 0 ? "next" : "previous");
	view->steps -= view->steps > 0 ? 1 : -1;
}
