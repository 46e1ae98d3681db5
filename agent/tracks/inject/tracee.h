/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread, held by ptrace(2), that runs system calls for us and then goes on as if nothing had
 * been. x86-64. For a process that helper__start() made; all of it is async-signal-safe.
 *
 * The states, what the thread lacks in each, and how and when it gets that back:
 *
 *   FREE       nothing: it is not ours, or has ended.
 *   SEIZED     nothing, but a call without a time limit that ends with EINTR when its thread stops
 *              (below): so it is waited for, as in ENTERING. Not in state D, in which nothing
 *              reached it: the end of the process that seized it lets it go (exit_ptrace(),
 *              kernel/ptrace.c), and withdraws what it was asked.
 *   STOPPED    time: it stands still, all registers its own. PTRACE_DETACH, at once.
 *   ENTERING   its registers and its signal mask: ours are in it, and it is to run to the entry of
 *              a call. PTRACE_INTERRUPT; at the stop both are put back and it is let go. At once in
 *              a frozen cgroup of version 2, whose threads stop for a tracer; at the latest when it
 *              gets to a CPU, or a version 1 freezer thaws.
 *   IN_CALL    likewise, between the entry of a call and the exit from it; then as CALLED.
 *   CALLED     likewise; it stands still at the exit. PTRACE_INTERRUPT and PTRACE_CONT, then as
 *              RETURNING.
 *   RETURNING  likewise; on its way, within the kernel, to the stop in get_signal() where both are
 *              put back.
 *
 * A thread goes on from a stop in get_signal() (kernel/signal.c) with rax and orig_rax as they
 * were, so the kernel decides, as always, whether the call that we broke off begins again, returns
 * EINTR to a signal that came meanwhile, or goes on where it was (arch_do_signal_or_restart() in
 * arch/x86/kernel/signal.c; restart_syscall(2) for what has a time limit: its restart block is not
 * touched by the calls made here). Some calls end with EINTR whenever their thread stops
 * (signal(7)): those of them that have no time limit begin again as well; those with one return
 * EINTR, as after SIGCONT. A signal that only the mask of sigsuspend(2), ppoll(2) and their like
 * holds back may come before the call begins again.
 *
 * Signals are held back while the registers are ours, but for SIGSTOP and those that the kernel
 * raises for a fault: were they blocked, the kernel would reset their handlers
 * (force_sig_info_to_task()).
 *
 * What cannot be undone: SIGKILL for the tracer itself from ENTERING to RETURNING, 50 to 100 us
 * where the target gets a CPU. A frame on the thread's stack to return by would close the gap, and
 * break programs whose stacks have no room for it (Go).
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_INJECT_TRACEE_H
#define DIRTYSCOPE_AGENT_TRACKS_INJECT_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

enum tracee_state {
	TRACEE_FREE,
	TRACEE_SEIZED,
	TRACEE_STOPPED,
	TRACEE_ENTERING,
	TRACEE_IN_CALL,
	TRACEE_CALLED,
	TRACEE_RETURNING,
};

struct tracee {
	pid_t tgid, tid;
	enum tracee_state state;
	struct user_regs_struct registers; /* to go on with */
	uint64_t mask;			   /* of signals, to go on with */
	uint64_t instruction;		   /* address of a syscall instruction in it */
	uint64_t signals; /* bit N - 1: signal N came, and is sent again when it is let go */
	int signal;	  /* that came instead of the call, which returned -EINTR */
	bool leaving;	  /* no call is entered any more */
	bool entered;	  /* the call was, and was not cancelled */
	bool mended;	  /* its own call ended with EINTR for the stop, and is to begin again */
	uint64_t stopped_at, released_at; /* nanoseconds, CLOCK_MONOTONIC */
};

/*
 * Of a thread that stands still by PTRACE_INTERRUPT, and is then let go: a call without a time
 * limit that ended with EINTR only for that begins again.
 */
void tracee__mend(pid_t tid);

/* FREE to SEIZED. 0, or a negative errno of PTRACE_SEIZE. */
int tracee__seize(struct tracee *tracee, pid_t tgid, pid_t tid);

/*
 * SEIZED to STOPPED. Signals that come first are its own. `until`: nanoseconds, CLOCK_MONOTONIC.
 * -ETIMEDOUT: it is still SEIZED; -ESRCH: it has ended.
 */
int tracee__stop(struct tracee *tracee, uint64_t until);

/* ---- STOPPED: to look at what the thread is now ---- */

bool tracee__is_64_bit(const struct tracee *tracee);
/* Whether the two bytes at the address are those of a syscall instruction. */
bool tracee__is_instruction(const struct tracee *tracee, uint64_t address);
/* The instruction of the call that the stop broke off, or 0. */
uint64_t tracee__own_instruction(const struct tracee *tracee);
/*
 * Its seccomp filters let everything pass until it is let go, and are then as they were
 * (PTRACE_O_SUSPEND_SECCOMP, Linux 4.3). -EPERM: that needs CAP_SYS_ADMIN, and a tracer without a
 * filter of its own; -EINVAL: a kernel without CONFIG_CHECKPOINT_RESTORE.
 */
int tracee__suspend_seccomp(const struct tracee *tracee);
/*
 * 1: Syscall User Dispatch would hand our calls to a handler of its own, 0: it is off. -EIO: this
 * kernel cannot tell (Linux 6.4: PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG).
 */
int tracee__dispatches(const struct tracee *tracee);

/* ---- calls ---- */

/*
 * STOPPED or CALLED to CALLED: a system call of one argument, by tracee->instruction. 0 and what it
 * returned. -ETIMEDOUT: not yet; it goes on with tracee__finish(). -EINTR: a signal (in
 * tracee->signal) came before it was entered, -EFAULT: the kernel refused it with one; then the
 * thread is FREE, and has got its signal if it was one of its own. `hold`: signals wait instead.
 */
int tracee__call(struct tracee *tracee, long number, long argument, bool hold, uint64_t until,
		 long *result);
/*
 * After -ETIMEDOUT of a call: waits until it has returned, without a limit. `cancel`: -EINTR and
 * FREE if it was not entered yet.
 */
int tracee__finish(struct tracee *tracee, bool cancel, long *result);

/*
 * STOPPED, CALLED or RETURNING to FREE; after -ETIMEDOUT of a call, tracee__finish() comes first.
 * -ETIMEDOUT: not yet; call it again. In STOPPED it never waits.
 */
int tracee__release(struct tracee *tracee, uint64_t until);

#endif
