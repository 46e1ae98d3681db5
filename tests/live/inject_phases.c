/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kills the process that takes a userfaultfd out of another one, at a given step of it.
 *
 *   inject_phases PID PHASE      PHASE: of enum inject_phase; INJECT_PHASES: nobody is killed
 *
 * A child stands for the agent; the helper that it starts kills it at that step, and goes on.
 * Prints a JSON line once all of them are gone.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/tracks/inject/inject.h"

struct plan {
	enum inject_phase phase;
	pid_t agent;
};

static void reached(void *context, enum inject_phase phase)
{
	const struct plan *plan = context;

	if (phase == plan->phase)
		kill(plan->agent, SIGKILL);
}

static _Noreturn void be_agent(uint32_t pid, enum inject_phase phase)
{
	struct plan plan = {.phase = phase, .agent = getpid()};
	const struct inject_options options = {
		.procfs = "/proc", .tgid = pid, .reached = reached, .context = &plan};
	struct inject_result result;

	_exit(inject__userfaultfd(&options, &result) ? 1 : 0);
}

int main(int argc, char **argv)
{
	int status, agent_status = 0, others = 0;
	pid_t agent, pid;

	if (argc != 3) {
		fprintf(stderr, "usage: inject_phases PID PHASE\n");
		return 2;
	}
	/* The helper comes to us when its parent is gone: so we know when it has ended. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	agent = fork();
	if (agent == 0)
		be_agent((uint32_t)strtoul(argv[1], NULL, 10), (enum inject_phase)atoi(argv[2]));
	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR) {
		if (pid == agent)
			agent_status = status;
		else if (pid > 0)
			others++;
	}
	printf("{\"killed\": %s, \"status\": %d, \"helpers\": %d}\n",
	       WIFSIGNALED(agent_status) ? "true" : "false",
	       WIFEXITED(agent_status) ? WEXITSTATUS(agent_status) : -1, others);
	return 0;
}
