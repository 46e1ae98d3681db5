/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds whose signals tell whether they were harmed, and the calls that signals break off. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/live/hostile.h"

#define SELECTOR_BLOCK 1 /* include/uapi/linux/prctl.h: SYSCALL_DISPATCH_FILTER_BLOCK */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static void ignore(int signal)
{
}

/* Before, a signal would run its handler and end nothing. */
static void await_call(pid_t pid, long number)
{
	char path[64], call[16];
	ssize_t length = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	do {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		length = fd < 0 ? -1 : read(fd, call, sizeof(call) - 1);
		if (fd >= 0)
			close(fd);
		call[length > 0 ? length : 0] = '\0';
	} while (length >= 0 && strtol(call, NULL, 10) != number);
}

/* Sends a signal, waits until the call has returned, and so on; returns how often it did not. */
static long send_signals(pid_t parent, long call, long number, const atomic_long *returned)
{
	long lost = 0;

	for (long i = 1; i <= number; i++) {
		await_call(parent, call);
		usleep((unsigned)(i * 37 % 2000));
		kill(parent, SIGUSR1);
		for (uint64_t begin = hostile__now_ns(); atomic_load(returned) < i; usleep(50))
			if (hostile__now_ns() - begin > 10000000000ULL) {
				lost++;
				begin = hostile__now_ns();
				kill(parent, SIGUSR1);
			}
	}
	return lost;
}

static void count_signals(long call, int (*wait)(void), long number)
{
	const struct sigaction action = {.sa_handler = ignore};
	atomic_long *state =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const pid_t parent = getpid();

	sigaction(SIGUSR1, &action, NULL);
	if (!hostile__start_child()) {
		atomic_store(&state[1], send_signals(parent, call, number, &state[0]) + 1);
		while (kill(parent, SIGUSR1) == 0)
			usleep(1000);
		_exit(0);
	}
	hostile__ready();
	while (!atomic_load(&state[1])) {
		if (wait() != -1 || errno != EINTR)
			hostile__harmed("a call that only a signal ends", 0);
		atomic_fetch_add(&state[0], 1);
	}
	printf("%ld signals, %ld lost\n", number, atomic_load(&state[1]) - 1);
	fflush(stdout);
}

void hostile__pause(long number)
{
	count_signals(SYS_pause, pause, number);
}

static int suspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

/* As a program waits for a signal that it must not lose. */
void hostile__sigsuspend(long number)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	count_signals(SYS_rt_sigsuspend, suspend, number);
}

/* Calls that Linux ends with EINTR whenever their thread is stopped: signal(7). */
static _Noreturn void wait_epoll(int epoll, int event)
{
	struct epoll_event what;
	uint64_t value;

	for (;;) {
		if (epoll_wait(epoll, &what, 1, -1) != 1)
			hostile__harmed("epoll_wait", -1);
		if (read(event, &value, sizeof(value)) != sizeof(value))
			hostile__harmed("read", -1);
	}
}

static void *end_on_line(void *argument)
{
	hostile__await_line();
	printf("fine\n");
	fflush(stdout);
	_exit(0);
}

void hostile__epoll(long number)
{
	const int event = eventfd(0, EFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event what = {.events = EPOLLIN};
	const uint64_t one = 1;

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, event, &what))
		hostile__harmed("epoll_ctl", -1);
	if (!hostile__start_child()) {
		for (;;) {
			usleep(3000);
			if (write(event, &one, sizeof(one)) != sizeof(one))
				_exit(1);
		}
	}
	hostile__make_threads(1, end_on_line, NULL);
	hostile__ready();
	wait_epoll(epoll, event);
}

void hostile__semaphore(long number)
{
	int set = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf down = {.sem_op = -1}, up = {.sem_op = 1};

	if (set < 0)
		hostile__harmed("semget", set);
	if (!hostile__start_child()) {
		for (;;) {
			usleep(3000);
			if (semop(set, &up, 1))
				_exit(0);
		}
	}
	hostile__ready();
	while (!hostile__told_to_end())
		if (semop(set, &down, 1))
			hostile__harmed("semop", -1);
	semctl(set, 0, IPC_RMID);
}

void hostile__sigwait(long number)
{
	const pid_t parent = getpid();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!hostile__start_child()) {
		while (kill(parent, SIGUSR1) == 0)
			usleep(3000);
		_exit(0);
	}
	hostile__ready();
	while (!hostile__told_to_end())
		if (sigwaitinfo(&set, NULL) != SIGUSR1)
			hostile__harmed("sigwaitinfo", -1);
}

/* ---- its handlers ---- */

static size_t handled;

static void count(int signal)
{
	handled++;
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *context)
{
	uintptr_t *range = context;

	if (!strstr(info->dlpi_name, "libc.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			range[0] = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			range[1] = info->dlpi_phdr[i].p_memsz;
		}
	return 1;
}

/* Every system call that does not come from libc is its own to handle. */
void hostile__dispatch(long number)
{
	static _Alignas(4096) char memory[256 * 4096];
	static char selector = SELECTOR_BLOCK;
	const struct sigaction action = {.sa_handler = count};
	uintptr_t libc[2] = {0};

	dl_iterate_phdr(find_libc, libc);
	sigaction(SIGSYS, &action, NULL);
	hostile__ready();
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, libc[0], libc[1], &selector))
		hostile__harmed("PR_SET_SYSCALL_USER_DISPATCH", -1);
	while (!hostile__told_to_end()) {
		hostile__check_registers(20000);
		/* It writes a lot, for policies. */
		madvise(memory, sizeof(memory), MADV_DONTNEED);
		memset(memory, 1, sizeof(memory));
		if (handled)
			hostile__harmed("calls that it did not make", (long)handled);
	}
}

/* Stops itself again and again; somebody else has to wake it. */
void hostile__stopping(long number)
{
	const pid_t parent = getpid();

	if (!hostile__start_child()) {
		while (kill(parent, SIGCONT) == 0)
			usleep(200);
		_exit(0);
	}
	hostile__ready();
	while (!hostile__told_to_end()) {
		kill(parent, SIGSTOP);
		hostile__check_registers(100);
	}
}

/* As many signals of many kinds as its child can send, each with its handler. */
void hostile__storm(long number)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGALRM, SIGSEGV,
				      SIGTRAP, SIGSYS,	SIGBUS,	 40};
	struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
	const pid_t parent = getpid();

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
	if (!hostile__start_child()) {
		for (size_t i = 0; kill(parent, signals[i % 8]) == 0; i++)
			if (i % 16 == 0)
				usleep(50);
		_exit(0);
	}
	hostile__ready();
	while (!hostile__told_to_end())
		hostile__check_registers(1000);
	if (!handled)
		hostile__harmed("no signal was handled", 0);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		sigaction(signals[i], NULL, &action);
		if (action.sa_handler != count)
			hostile__harmed("a handler is gone", signals[i]);
	}
}
