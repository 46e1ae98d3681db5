/* SPDX-License-Identifier: BSD-2-Clause */
/* The subcommands that ask a running agent. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_COMMANDS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_COMMANDS_H

/* argv[0] is the name of a resource: "processes", "devices", ... Returns the exit status. */
int commands__list(int argc, char **argv);

#endif
