/* SPDX-License-Identifier: BSD-2-Clause */
/* One program that runs: what it writes, when its time is over, and how it ended. */
#ifndef DIRTYSCOPE_AGENT_POLICIES_ACTIONS_EXEC_PROCESS_H
#define DIRTYSCOPE_AGENT_POLICIES_ACTIONS_EXEC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/reason.h"
#include "agent/policies/actions/child.h"

#define EXEC_OUTPUT_KEPT 4096

extern const char exec_process_stopped[]; /* the reason of what an end of the agent drops */

enum exec_process_stage { EXEC_FREE, EXEC_RUNS, EXEC_TERMINATED, EXEC_KILLED };

struct exec_process {
	enum exec_process_stage stage; /* RUN_FREE: nothing else here counts */
	struct child child;
	int pidfd;	    /* -1 where there are none to be had: seccomp, no descriptor left */
	double timeout;	    /* seconds, as it was given */
	double deadline;    /* of the stage, on the monotonic clock */
	const char *result; /* what we ended it for: "timeout", "dropped"; or NULL */
	char output[EXEC_OUTPUT_KEPT];
	size_t length;
};

/* How a program ended. */
struct exec_process_end {
	const char *result; /* static */
	struct reason reason;
};

double exec_process__now(void);
/* 0; or a negative errno, and it stays free. */
int exec_process__start(struct exec_process *run, const struct child_plan *plan, double timeout);
/* Whether it is over: then it is free again, and *end filled. give_up: one that even SIGKILL does
 * not end is left alone. */
bool exec_process__look(struct exec_process *run, bool give_up, struct exec_process_end *end);
/* Begins to end it, for good: SIGTERM now, SIGKILL later. Once. */
void exec_process__stop(struct exec_process *run, const char *result);

#endif
