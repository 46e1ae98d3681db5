/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread, stopped by ptrace(2), that runs system calls for us and then goes on as if nothing
 * had been. x86-64. All of it is async-signal-safe, and for the thread that attached, in a process
 * of its own: it takes SIGALRM and the real-time timer.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_TRACEE_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct tracee {
	pid_t tid;
	struct user_regs_struct registers; /* to go on with */
	uint64_t mask;			   /* of signals, to go on with */
	uint64_t instruction;		   /* address of a syscall instruction in it */
	uint64_t stopped_at;		   /* nanoseconds, monotonic */
	int signal;			   /* came meanwhile; sent again at the end. 0: none */
};

/* Monotonic. */
uint64_t tracee__now_ns(void);
/* 0, or a negative errno of PTRACE_SEIZE. */
int tracee__attach(struct tracee *tracee, pid_t tid);
/* Returns once it stands still, with its signals held back. -ETIMEDOUT after a second, -ESRCH. */
int tracee__stop(struct tracee *tracee, uint64_t instruction);
bool tracee__is_64_bit(const struct tracee *tracee);
/* Has it run a system call of one argument; returns what that returned. */
long tracee__call(struct tracee *tracee, long number, long argument);
/* Lets it go on; a system call that the stop broke off begins again. How long it stood, in ns. */
uint64_t tracee__release(struct tracee *tracee);

#endif
