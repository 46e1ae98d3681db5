/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of the agent's answers. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_ANSWERS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_ANSWERS_H

struct view;
struct feed_answer;
void interactive__take_answer(struct view *view, struct feed_answer *answer);

#endif
