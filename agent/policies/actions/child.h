/* SPDX-License-Identifier: BSD-2-Clause */
/* The birth of a program: between fork(2) and execve(2), and why it failed there. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_CHILD_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/base/reason.h"

struct child_plan {
	char *const *argv, *const *envp;
	int input; /* becomes its standard input */
	bool change_user;
	uid_t uid;
	gid_t gid;
};

struct child {
	pid_t pid;   /* leads its session and its group */
	int output;  /* what it writes; non-blocking */
	int trouble; /* for child__trouble; non-blocking */
};

/* 0, or a negative errno. The caller closes both descriptors and reaps the process. */
int child__start(const struct child_plan *plan, struct child *child);
/* Whether it ended before its program began, and then why. Once, after its end. */
bool child__trouble(const struct child *child, struct reason *reason);

#endif
