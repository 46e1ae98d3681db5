/* SPDX-License-Identifier: BSD-2-Clause */
/* A text longer and wider than the screen: lines are folded at blanks, and scrolled. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_PAGER_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_PAGER_H

#include <stddef.h>

#include "agent/base/text.h"
#include "dashboards/terminal/live/screen.h"

/* Zero-initialise. The text: lines that text__terminal has made safe. */
struct pager {
	struct text text;
	size_t top; /* folded lines scrolled away */
};

/* One folded line: bytes of `line` (up to its end, or a '\n') that fit; at least one if there are.
 */
size_t pager__fold(const char *line, unsigned width);
/* Draws `rows` lines from `y` on, and keeps `top` where there still is text. */
void pager__draw(struct pager *pager, struct screen *screen, unsigned y, unsigned rows,
		 unsigned width);

#endif
