/* SPDX-License-Identifier: BSD-2-Clause */
/* `dirtyscope top` on a terminal: panes that live, and keys. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_INTERACTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/client.h"
#include "dashboards/terminal/live/pane.h"

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

#endif
