/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of `hostile` share: hostile.c has the table of kinds, hostile_signals.c those that
 * are about signals.
 */
#ifndef DIRTYSCOPE_TESTS_LIVE_HOSTILE_H
#define DIRTYSCOPE_TESTS_LIVE_HOSTILE_H

#include <stdint.h>
#include <sys/types.h>

/* Prints what was done to it, with errno, and ends with 1. */
_Noreturn void hostile__harmed(const char *what, long got);
/* From here on the test may do with it what it likes. */
void hostile__ready(void);
/* Without a system call that could be broken off for longer than a moment. */
int hostile__told_to_end(void);
/* The end of input means that the test is gone, and it ends with 0. */
void hostile__await_line(void);
/* Monotonic. */
uint64_t hostile__now_ns(void);
/* Forks; the child dies with its parent. */
pid_t hostile__start_child(void);
void hostile__make_threads(long number, void *(*run)(void *), void *argument);
/* Every general and vector register holds what it should, round after round. */
void hostile__check_registers(uint64_t rounds);

/* ---- kinds, of hostile_signals.c ---- */

void hostile__pause(long number);
void hostile__sigsuspend(long number);
void hostile__epoll(long number);
void hostile__semaphore(long number);
void hostile__sigwait(long number);
void hostile__dispatch(long number);
void hostile__stopping(long number);
void hostile__storm(long number);

#endif
