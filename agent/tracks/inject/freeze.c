/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/tracks/inject/helper.h"
#include "agent/tracks/inject/thread.h"
#include "agent/tracks/inject/tracee.h"

#define THREADS_MAX (1U << 22) /* PID_MAX_LIMIT, include/linux/threads.h */
#define NS_PER_MS 1000000ULL
#define GRACE_MS 250
#define LEAVE_NS 5000000000ULL
#define SLICE_NS 10000000 /* for a thread whose end nobody tells us */

/* ---- the helper: only what is async-signal-safe ---- */

struct hold {
	int tasks; /* the directory of its threads */
	uint64_t until;
	size_t running;			    /* seized, and not stopped yet */
	bool leaving;			    /* who stops now goes on at once */
	uint64_t seen[THREADS_MAX / 64];    /* seized, or ended before */
	uint64_t stopped[THREADS_MAX / 64]; /* of those */
};

/* struct linux_dirent64, as getdents64(2) has it */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static bool set(uint64_t *bits, pid_t thread)
{
	const uint64_t bit = 1ULL << thread % 64;
	const bool was = bits[thread / 64] & bit;

	bits[thread / 64] |= bit;
	return !was;
}

/* -EPERM is also said of a thread that has ended: the first one may have, long ago. */
static bool has_ended(const struct hold *hold, const char *name)
{
	const struct thread thread = {
		.directory = openat(hold->tasks, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	const bool ended = thread.directory < 0 || thread__has_ended(&thread);

	if (thread.directory >= 0)
		close(thread.directory);
	return ended;
}

static int seize(struct hold *hold, pid_t thread, const char *name)
{
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, thread, NULL, NULL)) {
		int err = -errno;

		return has_ended(hold, name) ? 0 : err;
	}
	hold->running++;
	return 0;
}

/* One pass over its threads; *more: there were some that were not seized. */
static int seize_new(struct hold *hold, bool *more)
{
	_Alignas(8) char buffer[4096];
	long length;

	*more = false;
	lseek(hold->tasks, 0, SEEK_SET);
	while ((length = syscall(SYS_getdents64, hold->tasks, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < length;) {
			const struct entry *entry = (const struct entry *)(buffer + at);
			pid_t thread = (pid_t)strtol(entry->name, NULL, 10);
			int err;

			at += entry->length;
			if (thread <= 0 || (unsigned)thread >= THREADS_MAX ||
			    !set(hold->seen, thread))
				continue;
			*more = true;
			err = seize(hold, thread, entry->name);
			if (err)
				return err;
		}
	}
	return length < 0 ? -errno : 0;
}

static void wait_a_while(void)
{
	const struct timespec slice = {.tv_nsec = SLICE_NS};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &slice);
}

static void let_go(pid_t thread)
{
	tracee__mend(thread);
	ptrace(PTRACE_DETACH, thread, NULL, NULL);
}

/* Until all that were seized stand still, or have ended. */
static int await_stops(struct hold *hold)
{
	while (hold->running) {
		int status;
		pid_t thread = waitpid(-1, &status, __WALL | WNOHANG);

		if (thread < 0)
			return errno == ECHILD ? 0 : -errno;
		if (thread == 0) {
			if (helper__now_ns() > hold->until)
				return -ETIMEDOUT;
			wait_a_while();
		} else if (!WIFSTOPPED(status)) {
			hold->running -= !(hold->stopped[thread / 64] >> thread % 64 & 1);
		} else if (status >> 16 == PTRACE_EVENT_STOP) {
			hold->running -= set(hold->stopped, thread);
			if (hold->leaving)
				let_go(thread);
		} else {
			/* A signal of its own came first: it gets it. */
			ptrace(PTRACE_CONT, thread, NULL, (void *)(long)WSTOPSIG(status));
		}
	}
	return 0;
}

/*
 * Those that were asked to stop and have not yet may have had a call broken off, which is put right
 * at their stop: they are waited for. Who is in state D has not, and goes on when we end.
 */
static void let_all_go(struct hold *hold)
{
	hold->leaving = true;
	for (size_t i = 0; i < THREADS_MAX / 64; i++)
		for (uint64_t bits = hold->stopped[i]; bits; bits &= bits - 1)
			let_go((pid_t)(i * 64) + __builtin_ctzll(bits));
	hold->until = helper__now_ns() + LEAVE_NS;
	(void)await_stops(hold);
}

static void freeze_help(const struct helper *helper, void *context)
{
	struct pollfd agent = {.fd = helper->socket, .events = POLLIN};
	struct hold *hold = context;
	bool more = true;
	int err = 0;

	/* A thread may make another one before it stops: until there is none that is new. */
	while (!err && more) {
		err = seize_new(hold, &more);
		if (!err && more)
			err = await_stops(hold);
	}
	helper__send(helper->socket, &err, sizeof(err), -1);
	if (!err)
		(void)poll(&agent, 1, FREEZE_HOLD_MS);
	let_all_go(hold);
}

/* ---- the agent ---- */

/* -ETIMEDOUT: nothing came in time. */
static int receive(const struct freeze *freeze, int milliseconds)
{
	struct pollfd helper = {.fd = freeze->socket, .events = POLLIN};
	int err = 0, fd;

	if (poll(&helper, 1, milliseconds) <= 0)
		return -ETIMEDOUT;
	return helper__receive(freeze->socket, &err, sizeof(err), &fd) ?: err;
}

int freeze__begin(struct freeze *freeze, const char *procfs, uint32_t tgid)
{
	struct hold *hold = calloc(1, sizeof(*hold));
	struct helper_options options = {
		.run = freeze_help, .context = hold, .keep = {-1, -1, -1, -1}};
	char path[64];
	int err;

	if (!hold)
		return -ENOMEM;
	freeze->begun = helper__now_ns();
	freeze->socket = -1;
	hold->until = freeze->begun + FREEZE_STOP_MS * NS_PER_MS;
	snprintf(path, sizeof(path), "%.40s/%u/task", procfs, tgid);
	hold->tasks = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.keep[0] = hold->tasks;
	if (tgid == 1)
		err = -EPERM;
	else if (hold->tasks < 0)
		err = errno == ENOENT ? -ESRCH : -errno;
	else
		err = helper__start(&options, &freeze->socket);
	if (!err)
		err = receive(freeze, FREEZE_STOP_MS + GRACE_MS);
	if (err && freeze->socket >= 0)
		close(freeze->socket);
	if (hold->tasks >= 0)
		close(hold->tasks);
	free(hold);
	return err;
}

int freeze__end(struct freeze *freeze, uint64_t *stopped_ns)
{
	struct pollfd helper = {.fd = freeze->socket, .events = POLLIN};
	const int early = poll(&helper, 1, 0);

	shutdown(freeze->socket, SHUT_WR);
	(void)poll(&helper, 1, GRACE_MS); /* its end */
	close(freeze->socket);
	*stopped_ns = helper__now_ns() - freeze->begun;
	return early ? -ETIMEDOUT : 0;
}
