/* SPDX-License-Identifier: BSD-2-Clause */
/* Standard output and standard error of the commands. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_OUTPUT_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_OUTPUT_H

#include <stdbool.h>

#include "agent/base/exit_status.h"
#include "agent/base/text.h"
#include "dashboards/terminal/tables/table.h"

/* Is standard output a terminal? Then `rows` (may be NULL) is its height. */
bool output__is_terminal(unsigned *rows);
/*
 * The terminal's width, and colours unless NO_COLOR is set or TERM is dumb; neither when standard
 * output is something else.
 */
struct table_style output__style(void);
/* Writes all of the text to standard output at once. Returns 0 or a negative errno. */
int output__write(const struct text *text);
/* The exit status after output__write; complains unless the reader has just gone away. */
int output__status(int err);
/* "dirtyscope: ..." on standard error; whatever the arguments hold, it stays one line. Returns
 * status. */
int output__fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
