/* SPDX-License-Identifier: BSD-2-Clause */
/* What every subcommand ends with. */
#ifndef DIRTYSCOPE_AGENT_BASE_EXIT_STATUS_H
#define DIRTYSCOPE_AGENT_BASE_EXIT_STATUS_H

enum exit_status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1, /* agent unreachable, refused, output lost */
	STATUS_USAGE = 2,  /* wrong option, operand or file */
	STATUS_UNABLE = 3, /* this kernel or this user cannot run it */
};

#endif
