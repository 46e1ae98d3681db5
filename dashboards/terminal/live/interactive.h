/* SPDX-License-Identifier: BSD-2-Clause */
/* `dirtyscope top` on a terminal: panes that live, and keys. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/text.h"
#include "api/client.h"
#include "dashboards/terminal/live/pane.h"

#define PANES 3

struct interactive_options {
	double delay;	     /* seconds between two refreshes */
	uint32_t iterations; /* refreshes; 0: for ever */
	bool colour;
};

/*
 * Shows the panes until the user has enough, with the client that it gets. Both stay the caller's.
 * Returns the exit status; ends the process by SIGINT, SIGTERM, SIGHUP or SIGQUIT, with the
 * terminal given back, when it gets one of these.
 */
int interactive__run(const struct interactive_options *options, struct client *client,
		     struct pane panes[PANES]);
/* What the keys do, one a line. */
void interactive__keys_help(struct text *out);

#endif
