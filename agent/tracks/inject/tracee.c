/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/tracee.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/tracks/inject/helper.h"

#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */
#define USER_64_CS 0x33		      /* __USER_CS, arch/x86/include/asm/segment.h */
#define INSTRUCTION 0x050f	      /* 0f 05 */
#define INSTRUCTION_BYTES 2
#define SLICE_NS 1000000000ULL

/* include/linux/errno.h: not for user space, but what a tracer sees. */
#define ERESTARTNOHAND 514

#define IO_URING_TIMED (1U << 3) /* IORING_ENTER_EXT_ARG, include/uapi/linux/io_uring.h */

/* include/uapi/linux/ptrace.h and rseq.h: newer than Debian 12's headers, or not in glibc's. */
#define SUSPEND_SECCOMP (1L << 21) /* PTRACE_O_SUSPEND_SECCOMP */
#define GET_DISPATCH 0x4211	   /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG */
#define GET_RSEQ 0x420f		   /* PTRACE_GET_RSEQ_CONFIGURATION */
struct dispatch_configuration {
	uint64_t mode, selector, offset, length;
};
struct rseq_configuration {
	uint64_t abi_pointer;
	uint32_t abi_size, signature, flags, padding;
};
struct rseq_section {
	uint32_t version, flags;
	uint64_t start, length, abort;
};
#define RSEQ_SECTION_OFFSET 8 /* offsetof(struct rseq, rseq_cs) */

#define BIT(signal) (1ULL << ((signal)-1))
#define FAULTS (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(SIGSYS))

/* ---- stops ---- */

int tracee__seize(struct tracee *tracee, pid_t tgid, pid_t tid)
{
	*tracee = (struct tracee){.tgid = tgid, .tid = tid};
	/* Without PTRACE_O_EXITKILL: if we end, it goes on. */
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD))
		return -errno;
	tracee->state = TRACEE_SEIZED;
	return 0;
}

/* It was killed: there is nothing to put anything back into. */
static int gone(struct tracee *tracee)
{
	tracee->state = TRACEE_FREE;
	tracee->released_at = helper__now_ns();
	return -ESRCH;
}

/* Its next stop, as waitpid(2) has it. -ETIMEDOUT, -ESRCH. */
static int wait_for_stop(struct tracee *tracee, uint64_t until, int *status)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		uint64_t now = helper__now_ns(), left = until > now ? until - now : 0;
		struct timespec slice;
		pid_t pid;

		if (!left)
			return -ETIMEDOUT;
		pid = waitpid(tracee->tid, status, __WALL | WNOHANG);
		if (pid == tracee->tid && WIFSTOPPED(*status))
			return 0;
		if (pid == tracee->tid || (pid < 0 && errno != EINTR))
			return gone(tracee);
		left = left < SLICE_NS ? left : SLICE_NS;
		slice = (struct timespec){.tv_sec = (time_t)(left / 1000000000),
					  .tv_nsec = (long)(left % 1000000000)};
		sigtimedwait(&child, NULL, &slice);
	}
}

static bool is_event_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

static bool read_words(const struct tracee *tracee, uint64_t address, uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		errno = 0;
		words[i] = (uint64_t)ptrace(PTRACE_PEEKDATA, tracee->tid, (void *)(address + i * 8),
					    NULL);
		if (errno)
			return false;
	}
	return true;
}

/*
 * A restartable sequence (rseq(2)) must not go on where it was: the kernel takes a stop somewhere
 * else for its end, so we abort it, as the kernel itself does after a preemption.
 */
static void abort_sequence(struct tracee *tracee)
{
	struct rseq_configuration rseq = {0};
	union {
		uint64_t words[4];
		struct rseq_section section;
	} at;
	uint64_t pointer;

	if (ptrace(GET_RSEQ, tracee->tid, sizeof(rseq), &rseq) <= 0 || !rseq.abi_pointer ||
	    !read_words(tracee, rseq.abi_pointer + RSEQ_SECTION_OFFSET, &pointer, 1) || !pointer ||
	    !read_words(tracee, pointer, at.words, 4))
		return;
	if (tracee->registers.rip - at.section.start < at.section.length)
		tracee->registers.rip = at.section.abort;
}

/* Calls that end with EINTR whenever their thread stops (signal(7)), and whose wait has no limit.
 */
static bool is_endless(const struct user_regs_struct *registers)
{
	switch (registers->orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int)registers->r10 < 0;
	case SYS_epoll_pwait2:
	case SYS_semtimedop:
		return registers->r10 == 0;
	case SYS_rt_sigtimedwait:
		return registers->rdx == 0;
	case SYS_io_getevents:
		return registers->r8 == 0;
	case SYS_io_uring_enter:
		return !(registers->r10 & IO_URING_TIMED);
	case SYS_semop:
		return true;
	default:
		return false;
	}
}

/* They wait anew, unless there is a signal for them. */
static bool mend(struct user_regs_struct *registers)
{
	if (registers->cs != USER_64_CS || registers->rax != (unsigned long long)-EINTR ||
	    !is_endless(registers))
		return false;
	registers->rax = (unsigned long long)-ERESTARTNOHAND;
	return true;
}

static void set_result(pid_t tid, const struct user_regs_struct *registers)
{
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.rax), registers->rax);
}

void tracee__mend(pid_t tid)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &registers) == 0 && mend(&registers))
		set_result(tid, &registers);
}

int tracee__stop(struct tracee *tracee, uint64_t until)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL))
		return gone(tracee);
	for (;;) {
		int err = wait_for_stop(tracee, until, &status);

		if (err)
			return err;
		if (is_event_stop(status))
			break;
		/* A signal of its own came first: it gets it. */
		if (ptrace(PTRACE_CONT, tracee->tid, NULL, (void *)(long)WSTOPSIG(status)))
			return gone(tracee);
	}
	tracee->stopped_at = helper__now_ns();
	if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &tracee->registers) ||
	    ptrace(PTRACE_GETSIGMASK, tracee->tid, sizeof(tracee->mask), &tracee->mask))
		return gone(tracee);
	tracee->mended = mend(&tracee->registers);
	tracee->state = TRACEE_STOPPED;
	return 0;
}

/* ---- what it is now ---- */

bool tracee__is_64_bit(const struct tracee *tracee)
{
	return tracee->registers.cs == USER_64_CS;
}

bool tracee__is_instruction(const struct tracee *tracee, uint64_t address)
{
	uint64_t word;

	return address && read_words(tracee, address, &word, 1) && (word & 0xffff) == INSTRUCTION;
}

uint64_t tracee__own_instruction(const struct tracee *tracee)
{
	return (long long)tracee->registers.orig_rax < 0
		       ? 0
		       : tracee->registers.rip - INSTRUCTION_BYTES;
}

int tracee__suspend_seccomp(const struct tracee *tracee)
{
	return ptrace(PTRACE_SETOPTIONS, tracee->tid, NULL,
		      (void *)(PTRACE_O_TRACESYSGOOD | SUSPEND_SECCOMP))
		       ? -errno
		       : 0;
}

int tracee__dispatches(const struct tracee *tracee)
{
	struct dispatch_configuration dispatch;

	if (ptrace(GET_DISPATCH, tracee->tid, sizeof(dispatch), &dispatch))
		return -errno;
	return dispatch.mode != 0;
}

/* ---- the way back ---- */

/* It stands in get_signal(): it goes on with what is its own, and with a signal (0: none). */
static void let_go(struct tracee *tracee, int signal)
{
	if (tracee->state == TRACEE_STOPPED) {
		if (tracee->mended)
			set_result(tracee->tid, &tracee->registers);
	} else {
		ptrace(PTRACE_SETREGS, tracee->tid, NULL, &tracee->registers);
		ptrace(PTRACE_SETSIGMASK, tracee->tid, sizeof(tracee->mask), &tracee->mask);
	}
	for (int number = 1; tracee->signals; number++) {
		if (tracee->signals & BIT(number))
			syscall(SYS_tgkill, tracee->tgid, tracee->tid, number);
		tracee->signals &= ~BIT(number);
	}
	ptrace(PTRACE_DETACH, tracee->tid, NULL, (void *)(long)signal);
	tracee->state = TRACEE_FREE;
	tracee->released_at = helper__now_ns();
}

static int resume(struct tracee *tracee, enum __ptrace_request request, enum tracee_state state)
{
	if (ptrace(request, tracee->tid, NULL, NULL))
		return gone(tracee);
	tracee->state = state;
	return 0;
}

/* From the exit of a call to a stop in get_signal(), without an instruction in between. */
static int start_return(struct tracee *tracee)
{
	if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL))
		return gone(tracee);
	return resume(tracee, PTRACE_CONT, TRACEE_RETURNING);
}

/* ---- one stop, and what follows from it ---- */

#define GOES_ON 1 /* there is another stop to come */

static int at_syscall_stop(struct tracee *tracee)
{
	switch (tracee->state) {
	case TRACEE_ENTERING:
		tracee->entered = !tracee->leaving;
		/* No call has the number -1: do_syscall_64(), arch/x86/entry/common.c. */
		if (!tracee->entered &&
		    ptrace(PTRACE_POKEUSER, tracee->tid, offsetof(struct user, regs.orig_rax), -1L))
			return gone(tracee);
		return resume(tracee, PTRACE_SYSCALL, TRACEE_IN_CALL) ?: GOES_ON;
	case TRACEE_IN_CALL:
		tracee->state = TRACEE_CALLED;
		return tracee->entered ? 0 : start_return(tracee) ?: GOES_ON;
	default:
		return resume(tracee, PTRACE_CONT, TRACEE_RETURNING) ?: GOES_ON;
	}
}

static int at_event_stop(struct tracee *tracee)
{
	/* A group stop, or its end: we run all the same, and leave it as the group is. */
	if (tracee->state != TRACEE_RETURNING && !tracee->leaving)
		return resume(tracee, PTRACE_SYSCALL, tracee->state) ?: GOES_ON;
	let_go(tracee, 0);
	return tracee->entered ? 0 : -EINTR;
}

/* Whether the kernel raised it for our call: there, or for the instruction before it. */
static bool is_ours(const struct tracee *tracee)
{
	siginfo_t info;
	uint64_t at;

	if (ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, &info) || info.si_code <= 0)
		return false;
	at = (uint64_t)(info.si_signo == SIGSYS ? info.si_call_addr : info.si_addr);
	return at - tracee->instruction <= INSTRUCTION_BYTES;
}

static int at_signal_stop(struct tracee *tracee, int signal, bool hold)
{
	bool ours;

	if (tracee->state == TRACEE_RETURNING) {
		let_go(tracee, signal);
		return tracee->entered ? 0 : -EINTR;
	}
	ours = is_ours(tracee);
	tracee->signal = signal;
	if (hold && !ours) {
		const uint64_t held = tracee->mask | ~FAULTS | (tracee->signals |= BIT(signal));

		/* Once is enough: a storm of them would keep it from its call. */
		ptrace(PTRACE_SETSIGMASK, tracee->tid, sizeof(held), &held);
		return resume(tracee, PTRACE_SYSCALL, tracee->state) ?: GOES_ON;
	}
	let_go(tracee, ours ? 0 : signal);
	return ours ? -EFAULT : -EINTR;
}

/* Until it stands behind its call, or is FREE. */
static int run(struct tracee *tracee, bool hold, uint64_t until)
{
	int status, err;

	do {
		err = wait_for_stop(tracee, until, &status);
		if (err)
			return err;
		if (is_event_stop(status))
			err = at_event_stop(tracee);
		else if (WSTOPSIG(status) == SYSCALL_STOP)
			err = at_syscall_stop(tracee);
		else
			err = at_signal_stop(tracee, WSTOPSIG(status), hold);
	} while (err == GOES_ON);
	return err;
}

/* ---- calls ---- */

static int result_of(struct tracee *tracee, long *result)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &registers))
		return gone(tracee);
	*result = (long)registers.rax;
	return 0;
}

/* Its mask and its registers are ours from here on. */
static int lend(struct tracee *tracee, long number, long argument)
{
	const uint64_t held = tracee->mask | ~FAULTS;
	struct user_regs_struct registers;

	if (tracee->state == TRACEE_STOPPED)
		abort_sequence(tracee);
	registers = tracee->registers;
	registers.rip = tracee->instruction;
	registers.rax = (unsigned long long)number;
	registers.rdi = (unsigned long long)argument;
	registers.orig_rax = (unsigned long long)-1; /* nothing to begin again */
	tracee->state = TRACEE_ENTERING;
	if (ptrace(PTRACE_SETSIGMASK, tracee->tid, sizeof(held), &held) ||
	    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &registers)) {
		let_go(tracee, 0);
		return -ESRCH;
	}
	return resume(tracee, PTRACE_SYSCALL, TRACEE_ENTERING);
}

int tracee__call(struct tracee *tracee, long number, long argument, bool hold, uint64_t until,
		 long *result)
{
	int err = lend(tracee, number, argument);

	tracee->leaving = tracee->entered = false;
	if (!err)
		err = run(tracee, hold, until);
	return err ? err : result_of(tracee, result);
}

int tracee__finish(struct tracee *tracee, bool cancel, long *result)
{
	int err;

	if (cancel) {
		tracee->leaving = true;
		if (tracee->state == TRACEE_ENTERING &&
		    ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL))
			return gone(tracee);
	}
	err = run(tracee, !cancel || tracee->state == TRACEE_IN_CALL, HELPER_FOREVER);
	return err ? err : result_of(tracee, result);
}

int tracee__release(struct tracee *tracee, uint64_t until)
{
	int err = 0;

	if (tracee->state == TRACEE_STOPPED)
		let_go(tracee, 0);
	if (tracee->state == TRACEE_CALLED)
		err = start_return(tracee);
	if (!err && tracee->state == TRACEE_RETURNING)
		err = run(tracee, true, until);
	return err == -ETIMEDOUT ? err : 0;
}
