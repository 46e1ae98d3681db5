/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things go on a screen of any size. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_LAYOUT_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_LAYOUT_H

#include <stddef.h>

#define LAYOUT_GAP 2 /* cells between two columns */

struct layout_column {
	size_t index; /* in the widths */
	unsigned x, width;
};

/*
 * Places columns from the left into `columns`, as many as fit; the first always, and of the others
 * the `skip` first not. The last of all takes what is left, the last that fits may be narrower than
 * it wants to be. Returns their number, 0 where there is no room at all.
 */
size_t layout__columns(const unsigned *widths, size_t count, size_t skip, unsigned width,
		       struct layout_column *columns);

/* Lines of the screen's parts, from top to bottom. */
struct layout_lines {
	unsigned head, tabs, titles, rows, foot;
};

/*
 * Shares out `height` lines, of which the head would like `head`: rows come first, the head comes
 * last, and only where it leaves some rows.
 */
struct layout_lines layout__lines(unsigned height, unsigned head);

#endif
