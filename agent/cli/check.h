/* SPDX-License-Identifier: BSD-2-Clause */
/* dirtyscope check: validates files as the agent would read them. */
#ifndef DIRTYSCOPE_AGENT_CLI_CHECK_H
#define DIRTYSCOPE_AGENT_CLI_CHECK_H

int check__main(int argc, char **argv);

#endif
