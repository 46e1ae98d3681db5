// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processes that are hard to take hold of, and that know when they were harmed: for test_harm.py.
 *
 *   hostile KIND [NUMBER]
 *
 * It prints "ready PID", does what its kind says until a line comes on its standard input, prints
 * "fine" and ends with 0; or prints what was done to it, and ends with 1.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/live/hostile.h"

_Noreturn void hostile__harmed(const char *what, long got)
{
	printf("%s: %ld (errno %d)\n", what, got, errno);
	fflush(stdout);
	_exit(1);
}

void hostile__ready(void)
{
	printf("ready %d\n", getpid());
	fflush(stdout);
}

int hostile__told_to_end(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

void hostile__await_line(void)
{
	char line[64];

	while (!fgets(line, sizeof(line), stdin))
		if (feof(stdin))
			_exit(0);
}

uint64_t hostile__now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

pid_t hostile__start_child(void)
{
	pid_t child = fork();

	if (child < 0)
		hostile__harmed("fork", child);
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

/* ---- its registers are its own ---- */

void hostile__check_registers(uint64_t rounds)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
	double x = 1.0, y = 2.0, z = 4.0;

	for (uint64_t i = 0; i < rounds; i++) {
		__asm__ volatile("add $1,%0; add $2,%1; add $3,%2; add $4,%3; add $5,%4; add $6,%5"
				 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f)
				 :
				 : "cc");
		__asm__ volatile("addsd %0,%1; subsd %0,%1; addsd %1,%2; subsd %1,%2"
				 : "+x"(x), "+x"(y), "+x"(z));
	}
	if (a != 1 + rounds || b != 2 + 2 * rounds || c != 3 + 3 * rounds || d != 4 + 4 * rounds ||
	    e != 5 + 5 * rounds || f != 6 + 6 * rounds || x != 1.0 || y != 2.0 || z != 4.0)
		hostile__harmed("a register changed after rounds", (long)rounds);
}

static void run_spin(long number)
{
	const pid_t parent = getppid();

	hostile__ready();
	while (!hostile__told_to_end()) {
		hostile__check_registers(20000);
		if (syscall(SYS_getppid) != parent)
			hostile__harmed("getppid", 0);
	}
}

static void run_sleep(long number)
{
	hostile__ready();
	while (!hostile__told_to_end()) {
		const struct timespec pause = {.tv_nsec = 5000000};
		uint64_t begin = hostile__now_ns();
		int err = clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);

		if (err || hostile__now_ns() - begin < 5000000)
			hostile__harmed("clock_nanosleep", err);
	}
}

static void *sleep_thread(void *argument)
{
	atomic_int *end = argument;

	while (!atomic_load(end)) {
		const struct timespec pause = {.tv_nsec = 50000000};
		int err = clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);

		if (err)
			hostile__harmed("clock_nanosleep", err);
	}
	return NULL;
}

void hostile__make_threads(long number, void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (long i = 0; i < number; i++)
		if (pthread_create(&thread, &attributes, run, argument))
			hostile__harmed("pthread_create", i);
}

static void run_threads(long number)
{
	static atomic_int end;

	hostile__make_threads(number, sleep_thread, &end);
	hostile__ready();
	hostile__await_line();
	atomic_store(&end, 1);
}

/* ---- what happens to it is not what it was made for ---- */

/* userfaultfd(2) kills it. */
static void run_seccomp(long number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
	int status;
	pid_t child;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program))
		hostile__harmed("PR_SET_SECCOMP", -1);
	hostile__ready();
	while (!hostile__told_to_end()) {
		hostile__check_registers(2000);
		usleep(100);
	}
	child = hostile__start_child();
	if (!child) {
		syscall(SYS_userfaultfd, 1);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGSYS)
		hostile__harmed("its filter is gone", status);
}

static void run_dumpable(long number)
{
	prctl(PR_SET_DUMPABLE, 0);
	run_sleep(number);
}

/* Becomes itself, again and again. */
static void run_exec(long number)
{
	static char text[32];
	char *arguments[] = {"hostile", "exec", text, NULL};

	if (!number)
		hostile__ready();
	hostile__check_registers(100);
	if (hostile__told_to_end())
		return;
	(void)snprintf(text, sizeof(text), "%ld", number + 1);
	execv("/proc/self/exe", arguments);
	hostile__harmed("execv", -1);
}

static int wait_as_child(void *argument)
{
	while (!hostile__told_to_end())
		;
	return 7;
}

/* Waits, as vfork(2) does, until its child is told to end. */
static void run_vfork(long number)
{
	static char stack[65536];
	int status;
	pid_t child;

	hostile__ready();
	child = clone(wait_as_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7)
		hostile__harmed("vfork", child);
}

/* Its first thread has ended; another one goes on. */
static void *go_on(void *argument)
{
	run_spin(0);
	printf("fine\n");
	fflush(stdout);
	_exit(0);
}

static void run_leaderless(long number)
{
	hostile__make_threads(1, go_on, NULL);
	pthread_exit(NULL);
}

/* Traces itself: a child is its tracer for as long as it lives. */
static void run_traced(long number)
{
	const pid_t parent = getpid();
	int ends[2];
	char byte;

	if (pipe(ends))
		hostile__harmed("pipe", -1);
	if (!hostile__start_child()) {
		if (ptrace(PTRACE_SEIZE, parent, NULL, NULL))
			_exit(1);
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	if (read(ends[0], &byte, 1) != 1)
		hostile__harmed("nobody traces it", -1);
	run_spin(0);
}

static const struct kind {
	const char *name;
	void (*run)(long number);
	long number;
} kinds[] = {
	{"spin", run_spin, 0},
	{"sleep", run_sleep, 0},
	{"threads", run_threads, 1000},
	{"pause", hostile__pause, 400},
	{"sigsuspend", hostile__sigsuspend, 400},
	{"epoll", hostile__epoll, 0},
	{"semaphore", hostile__semaphore, 0},
	{"sigwait", hostile__sigwait, 0},
	{"dispatch", hostile__dispatch, 0},
	{"seccomp", run_seccomp, 0},
	{"dumpable", run_dumpable, 0},
	{"exec", run_exec, 0},
	{"vfork", run_vfork, 0},
	{"leaderless", run_leaderless, 0},
	{"stopping", hostile__stopping, 0},
	{"storm", hostile__storm, 0},
	{"traced", run_traced, 0},
};

int main(int argc, char **argv)
{
	const struct kind *kind = kinds, *end = kinds + sizeof(kinds) / sizeof(*kinds);

	while (argc > 1 && kind < end && strcmp(kind->name, argv[1]) != 0)
		kind++;
	if (argc < 2 || kind == end) {
		(void)fprintf(stderr, "usage: hostile KIND [NUMBER]\n");
		return 2;
	}
	kind->run(argc > 2 ? strtol(argv[2], NULL, 10) : kind->number);
	printf("fine\n");
	return 0;
}
