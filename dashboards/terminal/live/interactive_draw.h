/* SPDX-License-Identifier: BSD-2-Clause */
/* The live view on the screen. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_DRAW_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_DRAW_H

struct view;
void interactive__draw(struct view *view);

#endif
