/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a track's start or collect has come, on one line of standard error while it takes more
 * than a second; nothing where that is no terminal.
 */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TRACK_PROGRESS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TRACK_PROGRESS_H

#include "api/client.h"

struct progress_line;
/*
 * Starts a thread that asks the agent by itself. id: of the track; NULL: the one that begins. NULL
 * where there is nothing to show it on.
 */
struct progress_line *progress_line__start(const struct client_options *options, const char *id);
/* Takes the line away again. NULL is fine. */
void progress_line__stop(struct progress_line *line);

#endif
