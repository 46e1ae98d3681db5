/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A start that takes its time, in a thread of its own, so that the main thread hears signals
 * meanwhile and can end it. A flag is not enough: the kernel may verify one program for a minute.
 * It gives up with -EAGAIN when a signal is pending for the thread (kernel/bpf/verifier.c,
 * do_check(), since c3494801cd17 in 5.0), and other waits end with -EINTR.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_START_THREAD_H
#define DIRTYSCOPE_AGENT_BASE_START_THREAD_H

#include "agent/base/startup.h"

struct start_thread;

/*
 * Calls run(context) in a new thread, which takes SIGUSR1 and does nothing on it. startup and
 * context are borrowed until start_thread__join has returned. 0, or a negative errno.
 */
int start_thread__new(int (*run)(void *context), void *context, struct startup *startup,
		      struct start_thread **out);
/* Becomes readable when run has returned. */
int start_thread__fd(const struct start_thread *thread);
/*
 * Cancels the startup, and interrupts the thread until run has returned. -ETIMEDOUT when it has not
 * in that time: it calculates, which no signal ends. It goes on, and cannot be joined in time.
 */
int start_thread__cancel(struct start_thread *thread, int timeout_ms);
/* Waits for it and frees it; returns what run returned. */
int start_thread__join(struct start_thread *thread);
/* The same by a thread of that start: when the startup is cancelled, it interrupts run until that
 * has returned. */
int start_thread__finish(struct start_thread *thread);

#endif
