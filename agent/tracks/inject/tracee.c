/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/tracee.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_NS 1000000000ULL
#define TICK_US 20000
#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */
#define USER_64_CS 0x33		      /* __USER_CS, arch/x86/include/asm/segment.h */

/* include/linux/errno.h: not for user space, but what a tracer sees. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

/* include/uapi/linux/rseq.h, include/uapi/linux/ptrace.h (5.13) */
#define GET_RSEQ_CONFIGURATION 0x420f
struct rseq_configuration {
	uint64_t abi_pointer;
	uint32_t abi_size, signature, flags, padding;
};
struct rseq_section {
	uint32_t version, flags;
	uint64_t start, length, abort;
};
#define RSEQ_SECTION_OFFSET 8 /* offsetof(struct rseq, rseq_cs) */

uint64_t tracee__now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Ends a wait from time to time, so that it can be given up. */
static void tick(int signal)
{
}

static void start_ticking(void)
{
	const struct sigaction action = {.sa_handler = tick};
	const struct itimerval every = {.it_interval = {.tv_usec = TICK_US},
					.it_value = {.tv_usec = TICK_US}};
	sigset_t set;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int tracee__attach(struct tracee *tracee, pid_t tid)
{
	*tracee = (struct tracee){.tid = tid};
	start_ticking();
	/* Without PTRACE_O_EXITKILL: if we end, it goes on. */
	return ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD) ? -errno : 0;
}

/* Its next stop: the status of waitpid(2), or a negative errno. Asleep, and awake at once. */
static int wait_for_stop(const struct tracee *tracee, uint64_t until)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(tracee->tid, &status, __WALL);

		if (pid < 0 && errno != EINTR)
			return -errno;
		if (pid == tracee->tid)
			return WIFSTOPPED(status) ? status : -ESRCH;
		if (tracee__now_ns() > until)
			return -ETIMEDOUT;
	}
}

static bool read_words(pid_t tid, uint64_t address, uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		errno = 0;
		words[i] = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)(address + i * 8), NULL);
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

	if (ptrace(GET_RSEQ_CONFIGURATION, tracee->tid, sizeof(rseq), &rseq) <= 0 ||
	    !rseq.abi_pointer ||
	    !read_words(tracee->tid, rseq.abi_pointer + RSEQ_SECTION_OFFSET, &pointer, 1) ||
	    !pointer || !read_words(tracee->tid, pointer, at.words, 4))
		return;
	if (tracee->registers.rip - at.section.start < at.section.length)
		tracee->registers.rip = at.section.abort;
}

/* What the kernel does on its way out of a call that was broken off: arch_do_signal_or_restart().
 */
static void restart_call(struct user_regs_struct *registers)
{
	if ((long long)registers->orig_rax < 0)
		return;
	switch (-(long long)registers->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		registers->rax = registers->orig_rax;
		break;
	case ERESTART_RESTARTBLOCK:
		registers->rax = SYS_restart_syscall;
		break;
	default:
		return;
	}
	registers->rip -= 2;
	registers->orig_rax = (unsigned long long)-1;
}

int tracee__stop(struct tracee *tracee, uint64_t instruction)
{
	const uint64_t until = tracee__now_ns() + STOP_NS, all = ~0ULL;
	int status;

	tracee->instruction = instruction;
	if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL))
		return -errno;
	for (;;) {
		status = wait_for_stop(tracee, until);
		if (status < 0)
			return status;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		/* A signal of its own came first: it gets it. */
		if (ptrace(PTRACE_CONT, tracee->tid, NULL, (void *)(long)WSTOPSIG(status)))
			return -errno;
	}
	tracee->stopped_at = tracee__now_ns();
	if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &tracee->registers) ||
	    ptrace(PTRACE_GETSIGMASK, tracee->tid, sizeof(tracee->mask), &tracee->mask) ||
	    ptrace(PTRACE_SETSIGMASK, tracee->tid, sizeof(all), &all))
		return -errno;
	abort_sequence(tracee);
	return 0;
}

bool tracee__is_64_bit(const struct tracee *tracee)
{
	return tracee->registers.cs == USER_64_CS;
}

/* To its next entry of or exit from a system call. */
static int run_to_call(struct tracee *tracee)
{
	for (;;) {
		int status;

		if (ptrace(PTRACE_SYSCALL, tracee->tid, NULL, NULL))
			return -errno;
		status = wait_for_stop(tracee, tracee__now_ns() + STOP_NS);
		if (status < 0)
			return status;
		if (WSTOPSIG(status) == SYSCALL_STOP)
			return 0;
		/* Only SIGSTOP comes through. */
		if (status >> 16 != PTRACE_EVENT_STOP)
			tracee->signal = WSTOPSIG(status);
	}
}

long tracee__call(struct tracee *tracee, long number, long argument)
{
	struct user_regs_struct registers = tracee->registers;
	int err;

	registers.rip = tracee->instruction;
	registers.rax = (unsigned long long)number;
	registers.rdi = (unsigned long long)argument;
	registers.orig_rax = (unsigned long long)-1;
	if (ptrace(PTRACE_SETREGS, tracee->tid, NULL, &registers))
		return -errno;
	err = run_to_call(tracee);
	if (!err)
		err = run_to_call(tracee);
	if (!err && ptrace(PTRACE_GETREGS, tracee->tid, NULL, &registers))
		err = -errno;
	return err ? err : (long)registers.rax;
}

uint64_t tracee__release(struct tracee *tracee)
{
	restart_call(&tracee->registers);
	ptrace(PTRACE_SETREGS, tracee->tid, NULL, &tracee->registers);
	ptrace(PTRACE_SETSIGMASK, tracee->tid, sizeof(tracee->mask), &tracee->mask);
	ptrace(PTRACE_DETACH, tracee->tid, NULL, NULL);
	if (tracee->signal)
		kill(tracee->tid, tracee->signal);
	return tracee__now_ns() - tracee->stopped_at;
}
