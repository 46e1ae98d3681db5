/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes a userfaultfd out of a process: one of its threads is stopped, runs userfaultfd(2) and
 * close(2) for us, and goes on with its registers as before.
 *
 * A helper process of its own does it, so that the agent may be killed at any moment: the helper
 * goes on to the end, and then the descriptor dies with it.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_INJECT_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_INJECT_H

#include <stdint.h>

/* Where the helper is; for tests, which kill at each of them. */
enum inject_phase {
	INJECT_BEGUN,	 /* nothing was done yet */
	INJECT_STOPPED,	 /* the thread stands still */
	INJECT_MADE,	 /* the descriptor is in the target */
	INJECT_TAKEN,	 /* and in the helper */
	INJECT_CLOSED,	 /* and no longer in the target */
	INJECT_RELEASED, /* the thread runs again */
	INJECT_PHASES,
};

struct inject_options {
	const char *procfs;
	uint32_t tgid;
	/* Called in the helper, after each phase; may be NULL. Async-signal-safe. */
	void (*reached)(void *context, enum inject_phase phase);
	void *context;
};

struct inject_result {
	int fd;		     /* a userfaultfd of the target's memory, close-on-exec; the caller's */
	uint64_t stopped_ns; /* that the thread stood still */
	char reason[160];    /* of a failure: what stands in the way */
};

/*
 * 0, or a negative errno with result->reason: -ESRCH (gone), -EPERM (no permission, or already
 * traced), -EOPNOTSUPP (32-bit, seccomp, no vDSO), -EMFILE and whatever else the target's
 * userfaultfd(2) said, -ETIMEDOUT (the thread did not stop within a second).
 */
int inject__userfaultfd(const struct inject_options *options, struct inject_result *result);

#endif
