/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All threads of a process stand still for a while. A helper process holds them, and its end, for
 * whatever reason, lets them go: also when the agent is killed, whose pipe it waits on.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_FREEZE_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_FREEZE_H

#include <stdint.h>
#include <sys/types.h>

struct freeze {
	pid_t helper;
	int hold; /* closing it lets them go */
	uint64_t begun;
};

/* 0, -ESRCH, -EPERM (traced by another), -ETIMEDOUT (not within a second), ... */
int freeze__begin(struct freeze *freeze, const char *procfs, uint32_t tgid);
/* How long they stood, in nanoseconds. */
uint64_t freeze__end(struct freeze *freeze);

#endif
