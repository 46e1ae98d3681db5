/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes a userfaultfd out of a process: one of its threads is stopped, runs userfaultfd(2) and
 * close(2) for us, and goes on with its registers as before.
 *
 * A helper of its own does it (helper.h): the agent may be killed at any moment, the helper goes on
 * to the end, and then the descriptor dies with it. One deadline holds for the whole: when it
 * passes, the agent is told, and the helper stays for as long as the thread's registers are not its
 * own, since a target that cannot run now is not a dead one (tracee.h has the states). While it
 * stays, another start says that the process is traced by it.
 *
 * What the helper does, and looks at:
 * - before: another tracer, pid 1, a frozen cgroup; a thread is chosen that can stop, which need
 *   not be the first one (that may have ended, or wait in vfork(2));
 * - once the thread stands still, for what was true before need not be now: that it is that
 *   process's, 64-bit, that the bytes at the instruction are 0f 05, Syscall User Dispatch; and its
 *   seccomp filters are suspended, for our calls only;
 * - a signal that comes first is delivered, the thread goes on, and it is tried again, until the
 *   deadline.
 *
 * Visible to the target: a stop of some 100 us of one thread; one descriptor number more for as
 * long, as if another thread had opened something.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_INJECT_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/reason.h"

/* Where the helper is; for tests, which kill at each of them. */
enum inject_phase {
	INJECT_BEGUN,	 /* nothing was done yet */
	INJECT_SEIZED,	 /* the thread is asked to stop */
	INJECT_STOPPED,	 /* it stands still */
	INJECT_MADE,	 /* the descriptor is in the target */
	INJECT_TAKEN,	 /* and in the helper */
	INJECT_CLOSED,	 /* and no longer in the target */
	INJECT_RELEASED, /* the thread runs again */
	INJECT_PHASES,
};

struct inject_options {
	const char *procfs;
	uint32_t tgid;
	uint64_t start_ticks; /* of the process, as in its stat; 0: whoever has the number */
	unsigned timeout_ms;  /* until the agent is told; 0: 1000 */
	/* Called in the helper, after each phase; may be NULL. Async-signal-safe. */
	void (*reached)(void *context, enum inject_phase phase);
	void *context;
};

struct inject_result {
	int fd;		     /* a userfaultfd of the target's memory, close-on-exec; the caller's */
	uint64_t stopped_ns; /* that the thread stood still */
	bool outside;	     /* the helper was out of reach of the agent's cgroup: helper.h */
	struct reason reason; /* of a failure: what stands in the way */
};

struct inject;

/*
 * Never waits for the target. 0, or -ENOMEM, or -EMFILE or -ENFILE: no descriptor is left. Whatever
 * else is in the way comes with the result.
 */
int inject__begin(const struct inject_options *options, struct inject **out);
/*
 * Readable once there is a result; -1: it is there already. inject__finish() is also to be called
 * once the time is up.
 */
int inject__fd(const struct inject *inject);
int inject__milliseconds_left(const struct inject *inject);
/*
 * -EAGAIN: there is no result yet, and the time is not up. Else the object is freed: 0, or a
 * negative errno with result->reason: -ESRCH (gone), -EPERM (no permission, pid 1, or traced
 * already), -EOPNOTSUPP (32-bit, Syscall User Dispatch, seccomp that may not be suspended, another
 * pid namespace), -EBUSY (frozen, in vfork(2), a signal; no process can be made), -EMFILE and
 * whatever else the target's userfaultfd(2) said, -ETIMEDOUT (the thread did not stop, or not get a
 * CPU, in time).
 */
int inject__finish(struct inject *inject, struct inject_result *result);
/* Without waiting. The helper puts back what it took, and what it got dies with it. NULL is fine.
 */
void inject__abandon(struct inject *inject);

/* All of it, for who may wait: for the timeout and a quarter of a second at most. */
int inject__userfaultfd(const struct inject_options *options, struct inject_result *result);

#endif
