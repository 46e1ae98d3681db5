/* SPDX-License-Identifier: BSD-2-Clause */
/* `dirtyscope agent`: the service in the foreground, until SIGINT or SIGTERM. */
#ifndef DIRTYSCOPE_AGENT_AGENT_H
#define DIRTYSCOPE_AGENT_AGENT_H

/* Returns the exit status: 0 stopped, 1 failed, 2 wrong usage, 3 cannot run on this kernel or as
 * this user. */
int agent__main(int argc, char **argv);

#endif
