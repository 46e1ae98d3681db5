/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All threads of a process stand still for a while. A helper (helper.h) holds them with ptrace(2)
 * and takes no register, so its end, for whatever reason, lets them go. It ends when the
 * agent says so or is gone, and after FREEZE_HOLD_MS in any case.
 *
 * A thread that cannot stop (state D, no CPU, a version 1 freezer) makes the beginning fail after
 * FREEZE_STOP_MS; those that stopped go on then. One that is stopped by SIGSTOP stays so.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_FREEZE_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_FREEZE_H

#include <stdint.h>
#include <sys/types.h>

#define FREEZE_STOP_MS 1000
#define FREEZE_HOLD_MS 10000

struct freeze {
	int socket; /* closing it lets them go */
	uint64_t begun;
};

/*
 * 0, or a negative errno, after FREEZE_STOP_MS and a quarter of a second at most: -ESRCH, -EPERM
 * (no permission, traced by another, pid 1), -ETIMEDOUT (not all stopped in time), -EMFILE,
 * -EAGAIN (no process can be made), ...
 */
int freeze__begin(struct freeze *freeze, const char *procfs, uint32_t tgid);
/*
 * They go on when it returns, after a quarter of a second at most. 0, or -ETIMEDOUT: they went on
 * before, so that what was read need not be of one moment. *stopped_ns: how long they stood.
 */
int freeze__end(struct freeze *freeze, uint64_t *stopped_ns);

#endif
