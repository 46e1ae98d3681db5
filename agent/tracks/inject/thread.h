/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which thread of a process to take, and what /proc says of it. Async-signal-safe: no memory is
 * allocated, and no path is made but of names that the kernel gave.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_THREAD_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct thread {
	pid_t tid;
	int directory; /* /proc/PID/task/TID: of this thread, whoever has its number later */
	char state;    /* as in its stat when it was chosen: R, S, D, ... */
};

/*
 * The first thread that can stop: one that has not ended and is not in a wait that nothing breaks
 * off; else the first that has not ended. `process`: a descriptor of /proc/PID. The caller closes
 * its directory. -ESRCH: all of them have ended.
 */
int thread__choose(int process, struct thread *thread);

/* A number of its status, as "TracerPid"; -ESRCH when it has ended, -ENOENT: no such field. */
int thread__status(const struct thread *thread, const char *field, unsigned *value);
/* Ticks since boot at which a process began; 0 when it has ended. `process`: as above. */
uint64_t thread__start_ticks(int process);
/* As in its stat now; 0: it has ended, and its number may be another's. */
char thread__state(const struct thread *thread);
bool thread__has_ended(const struct thread *thread);
/* It is in a frozen cgroup of version 1 or 2. */
bool thread__is_frozen(const struct thread *thread);
/* It executes a 32-bit program. */
bool thread__is_narrow(const struct thread *thread);
/* It waits for a child of vfork(2), posix_spawn(3), or the like. */
bool thread__is_in_vfork(const struct thread *thread);
/*
 * The address of a syscall instruction in its vDSO (AT_SYSINFO_EHDR of its auxv); 0: none. It is
 * to be looked at again once the thread stands still.
 */
uint64_t thread__find_instruction(const struct thread *thread);

#endif
