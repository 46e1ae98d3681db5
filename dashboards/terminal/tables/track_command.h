/* SPDX-License-Identifier: BSD-2-Clause */
/* `dirtyscope track ...`: precise sessions. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TRACK_COMMAND_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TRACK_COMMAND_H

/* argv[0] is "track". Returns the exit status. */
int track__main(int argc, char **argv);

#endif
