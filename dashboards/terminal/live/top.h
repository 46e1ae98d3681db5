/* SPDX-License-Identifier: BSD-2-Clause */
/* `dirtyscope top`: the live view on a terminal; elsewhere the busiest processes, again and again.
 */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_TOP_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_TOP_H

/* Returns the exit status; also 0 when the reader of the output goes away. */
int top__main(int argc, char **argv);

#endif
