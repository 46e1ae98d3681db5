/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that holds threads of a target and outlives the agent: who takes a thread's registers
 * has to be there to put them back.
 *
 * - It is no child of the agent's: pid 1 of its pid namespace reaps it. It is in a session of its
 *   own, with every signal blocked, and starts in the root of cgroup version 2 (clone3(2),
 * CLONE_INTO_CGROUP, Linux 5.7), so that neither a signal for the agent's group nor cgroup.kill of
 * its cgroup ends it half-way, and neither a frozen nor a throttled cgroup of the agent's holds up
 * the target. The version 1 hierarchies by which a group is frozen or killed (freezer,
 * name=systemd) it leaves likewise.
 * - It keeps no descriptor but those it is given: no listening socket, no lock.
 * - It runs as SCHED_FIFO where it may: the target stands still until it runs.
 * - SIGKILL for this very process, or the OOM killer (oom_score_adj is -1000 where it may be), is
 *   what remains. A thread that it only holds goes on then; see tracee.h for one that runs a call.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_HELPER_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELPER_NAME "dirtyscope-hold" /* as ps and top show it */
#define HELPER_DESCRIPTORS 4
#define HELPER_FOREVER UINT64_MAX

struct helper {
	int socket; /* to the agent: SOCK_SEQPACKET */
	/* It is out of reach of what ends or stops the agent's cgroup. */
	bool outside;
};

struct helper_options {
	/* Runs in the helper, which ends when it returns. The memory is a copy of the agent's, and
	 * the agent has threads: only what is async-signal-safe. */
	void (*run)(const struct helper *helper, void *context);
	void *context;
	int keep[HELPER_DESCRIPTORS]; /* descriptors that it needs, beside the socket; -1: none */
};

/*
 * 0, and the agent's end of the socket: close-on-exec, the caller's. -EMFILE, -ENFILE: no
 * descriptor is left; -EAGAIN, -ENOMEM: no process. Waits for no target.
 */
int helper__start(const struct helper_options *options, int *socket);

/* Nanoseconds, CLOCK_MONOTONIC. */
uint64_t helper__now_ns(void);

/* One message, with a descriptor (-1: none). Nobody need be there to read it. */
void helper__send(int socket, const void *message, size_t size, int fd);
/*
 * 0, and the descriptor that came with it, or -1. -EAGAIN: nothing is there yet; -ECHILD: the
 * helper has ended without a word.
 */
int helper__receive(int socket, void *message, size_t size, int *fd);

#endif
