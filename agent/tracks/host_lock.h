/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One agent at a time tracks on a host: a range of memory can be registered with one userfaultfd
 * alone, so a second one would get what the first has left.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_HOST_LOCK_H
#define DIRTYSCOPE_AGENT_TRACKS_HOST_LOCK_H

#define HOST_LOCK_PATH "/run/dirtyscope/agent.lock"

/*
 * *fd: a descriptor that holds it until it is closed, however this process ends; -1 where no such
 * file can be made, which the log says: then nobody is held off. -EBUSY: another agent has it.
 */
int host_lock__take(int *fd);

#endif
