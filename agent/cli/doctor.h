/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `dirtyscope doctor`: what this host gives, and what would be gained with more. All programs are
 * loaded as the agent loads them, and none is attached. Exit status 0 when every base sensor can
 * run, 3 when not.
 */
#ifndef DIRTYSCOPE_AGENT_CLI_DOCTOR_H
#define DIRTYSCOPE_AGENT_CLI_DOCTOR_H

int doctor__main(int argc, char **argv);

#endif
