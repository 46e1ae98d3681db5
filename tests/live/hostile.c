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
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <link.h>
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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SELECTOR_BLOCK 1 /* include/uapi/linux/prctl.h: SYSCALL_DISPATCH_FILTER_BLOCK */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static _Noreturn void harmed(const char *what, long got)
{
	printf("%s: %ld (errno %d)\n", what, got, errno);
	fflush(stdout);
	_exit(1);
}

static void ready(void)
{
	printf("ready %d\n", getpid());
	fflush(stdout);
}

/* Without a system call that could be broken off for longer than a moment. */
static int told_to_end(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static void await_line(void)
{
	char line[64];

	while (!fgets(line, sizeof(line), stdin))
		if (feof(stdin))
			_exit(0);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* ---- its registers are its own ---- */

/* Every general and vector register holds what it should, round after round. */
static void check_registers(uint64_t rounds)
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
		harmed("a register changed after rounds", (long)rounds);
}

static void run_spin(long number)
{
	const pid_t parent = getppid();

	ready();
	while (!told_to_end()) {
		check_registers(20000);
		if (syscall(SYS_getppid) != parent)
			harmed("getppid", 0);
	}
}

static void run_sleep(long number)
{
	ready();
	while (!told_to_end()) {
		const struct timespec pause = {.tv_nsec = 5000000};
		uint64_t begin = now_ns();
		int err = clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);

		if (err || now_ns() - begin < 5000000)
			harmed("clock_nanosleep", err);
	}
}

static void *sleep_thread(void *argument)
{
	atomic_int *end = argument;

	while (!atomic_load(end)) {
		const struct timespec pause = {.tv_nsec = 50000000};
		int err = clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);

		if (err)
			harmed("clock_nanosleep", err);
	}
	return NULL;
}

static void make_threads(long number, void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (long i = 0; i < number; i++)
		if (pthread_create(&thread, &attributes, run, argument))
			harmed("pthread_create", i);
}

static void run_threads(long number)
{
	static atomic_int end;

	make_threads(number, sleep_thread, &end);
	ready();
	await_line();
	atomic_store(&end, 1);
}

/* ---- its signals do their work ---- */

static void ignore(int signal)
{
}

static pid_t start_child(void)
{
	pid_t child = fork();

	if (child < 0)
		harmed("fork", child);
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

/* Before, a signal would run its handler and end nothing. */
static void await_pause(pid_t pid)
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
	} while (length >= 0 && strtol(call, NULL, 10) != SYS_pause);
}

/* A child sends a signal, waits until pause() has returned, and so on. */
static void run_pause(long number)
{
	const struct sigaction action = {.sa_handler = ignore};
	atomic_long *state =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const pid_t parent = getpid();

	sigaction(SIGUSR1, &action, NULL);
	if (!start_child()) {
		long lost = 0;

		for (long i = 1; i <= number; i++) {
			await_pause(parent);
			usleep((unsigned)(i * 37 % 2000));
			kill(parent, SIGUSR1);
			for (uint64_t begin = now_ns(); atomic_load(&state[0]) < i; usleep(50))
				if (now_ns() - begin > 10000000000ULL) {
					lost++;
					begin = now_ns();
					kill(parent, SIGUSR1);
				}
		}
		atomic_store(&state[1], lost + 1);
		while (kill(parent, SIGUSR1) == 0)
			usleep(1000);
		_exit(0);
	}
	ready();
	while (!atomic_load(&state[1])) {
		if (pause() != -1 || errno != EINTR)
			harmed("pause", 0);
		atomic_fetch_add(&state[0], 1);
	}
	if (atomic_load(&state[1]) != 1)
		harmed("signals that did not end pause()", atomic_load(&state[1]) - 1);
	printf("signals %ld\n", number);
	fflush(stdout);
}

/* Calls that Linux ends with EINTR whenever their thread is stopped: signal(7). */
static _Noreturn void wait_epoll(int epoll, int event)
{
	struct epoll_event what;
	uint64_t value;

	for (;;) {
		if (epoll_wait(epoll, &what, 1, -1) != 1)
			harmed("epoll_wait", -1);
		if (read(event, &value, sizeof(value)) != sizeof(value))
			harmed("read", -1);
	}
}

static void *end_on_line(void *argument)
{
	await_line();
	printf("fine\n");
	fflush(stdout);
	_exit(0);
}

static void run_epoll(long number)
{
	const int event = eventfd(0, EFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event what = {.events = EPOLLIN};
	const uint64_t one = 1;

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, event, &what))
		harmed("epoll_ctl", -1);
	if (!start_child()) {
		for (;;) {
			usleep(3000);
			if (write(event, &one, sizeof(one)) != sizeof(one))
				_exit(1);
		}
	}
	make_threads(1, end_on_line, NULL);
	ready();
	wait_epoll(epoll, event);
}

static void run_semaphore(long number)
{
	int set = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf down = {.sem_op = -1}, up = {.sem_op = 1};

	if (set < 0)
		harmed("semget", set);
	if (!start_child()) {
		for (;;) {
			usleep(3000);
			if (semop(set, &up, 1))
				_exit(0);
		}
	}
	ready();
	while (!told_to_end())
		if (semop(set, &down, 1))
			harmed("semop", -1);
	semctl(set, 0, IPC_RMID);
}

static void run_sigwait(long number)
{
	const pid_t parent = getpid();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!start_child()) {
		while (kill(parent, SIGUSR1) == 0)
			usleep(3000);
		_exit(0);
	}
	ready();
	while (!told_to_end())
		if (sigwaitinfo(&set, NULL) != SIGUSR1)
			harmed("sigwaitinfo", -1);
}

/* ---- what happens to it is not what it was made for ---- */

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
static void run_dispatch(long number)
{
	static _Alignas(4096) char memory[256 * 4096];
	static char selector = SELECTOR_BLOCK;
	const struct sigaction action = {.sa_handler = count};
	uintptr_t libc[2] = {0};

	dl_iterate_phdr(find_libc, libc);
	sigaction(SIGSYS, &action, NULL);
	ready();
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, libc[0], libc[1], &selector))
		harmed("PR_SET_SYSCALL_USER_DISPATCH", -1);
	while (!told_to_end()) {
		check_registers(20000);
		/* It writes a lot, for policies. */
		madvise(memory, sizeof(memory), MADV_DONTNEED);
		memset(memory, 1, sizeof(memory));
		if (handled)
			harmed("calls that it did not make", (long)handled);
	}
}

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
		harmed("PR_SET_SECCOMP", -1);
	ready();
	while (!told_to_end()) {
		check_registers(2000);
		usleep(100);
	}
	child = start_child();
	if (!child) {
		syscall(SYS_userfaultfd, 1);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGSYS)
		harmed("its filter is gone", status);
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
		ready();
	check_registers(100);
	if (told_to_end())
		return;
	(void)snprintf(text, sizeof(text), "%ld", number + 1);
	execv("/proc/self/exe", arguments);
	harmed("execv", -1);
}

static int wait_as_child(void *argument)
{
	while (!told_to_end())
		;
	return 7;
}

/* Waits, as vfork(2) does, until its child is told to end. */
static void run_vfork(long number)
{
	static char stack[65536];
	int status;
	pid_t child;

	ready();
	child = clone(wait_as_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7)
		harmed("vfork", child);
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
	make_threads(1, go_on, NULL);
	pthread_exit(NULL);
}

/* Stops itself again and again; somebody else has to wake it. */
static void run_stopping(long number)
{
	const pid_t parent = getpid();

	if (!start_child()) {
		while (kill(parent, SIGCONT) == 0)
			usleep(200);
		_exit(0);
	}
	ready();
	while (!told_to_end()) {
		kill(parent, SIGSTOP);
		check_registers(100);
	}
}

/* As many signals of many kinds as its child can send, each with its handler. */
static void run_storm(long number)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGALRM, SIGSEGV,
				      SIGTRAP, SIGSYS,	SIGBUS,	 40};
	struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
	const pid_t parent = getpid();

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
	if (!start_child()) {
		for (size_t i = 0; kill(parent, signals[i % 8]) == 0; i++)
			if (i % 16 == 0)
				usleep(50);
		_exit(0);
	}
	ready();
	while (!told_to_end())
		check_registers(1000);
	if (!handled)
		harmed("no signal was handled", 0);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		sigaction(signals[i], NULL, &action);
		if (action.sa_handler != count)
			harmed("a handler is gone", signals[i]);
	}
}

/* Traces itself: a child is its tracer for as long as it lives. */
static void run_traced(long number)
{
	const pid_t parent = getpid();
	int ends[2];
	char byte;

	if (pipe(ends))
		harmed("pipe", -1);
	if (!start_child()) {
		if (ptrace(PTRACE_SEIZE, parent, NULL, NULL))
			_exit(1);
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	if (read(ends[0], &byte, 1) != 1)
		harmed("nobody traces it", -1);
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
	{"pause", run_pause, 400},
	{"epoll", run_epoll, 0},
	{"semaphore", run_semaphore, 0},
	{"sigwait", run_sigwait, 0},
	{"dispatch", run_dispatch, 0},
	{"seccomp", run_seccomp, 0},
	{"dumpable", run_dumpable, 0},
	{"exec", run_exec, 0},
	{"vfork", run_vfork, 0},
	{"leaderless", run_leaderless, 0},
	{"stopping", run_stopping, 0},
	{"storm", run_storm, 0},
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
