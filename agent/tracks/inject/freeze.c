/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/tracks/inject/tracee.h"

#define THREADS_MAX 8192
#define STOP_NS 1000000000ULL

/* ---- the helper: only what is async-signal-safe ---- */

struct crew {
	int tasks; /* the directory of its threads */
	uint64_t until;
	size_t count;
	pid_t threads[THREADS_MAX];
};

/* struct linux_dirent64, as getdents64(2) has it */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

static bool has(const struct crew *crew, pid_t thread)
{
	for (size_t i = 0; i < crew->count; i++)
		if (crew->threads[i] == thread)
			return true;
	return false;
}

/* 0 when it stands still, or has ended. */
static int stop_thread(struct crew *crew, pid_t thread)
{
	const struct timespec pause = {.tv_nsec = 20000};

	if (crew->count == THREADS_MAX)
		return -E2BIG;
	crew->threads[crew->count++] = thread;
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL))
		return errno == ESRCH ? 0 : -errno;
	if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL))
		return errno == ESRCH ? 0 : -errno;
	for (;;) {
		int status;
		pid_t pid = waitpid(thread, &status, __WALL | WNOHANG);

		if (pid < 0)
			return errno == ECHILD ? 0 : -errno;
		if (pid == thread && (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_STOP))
			return 0;
		/* A signal of its own came first: it gets it. */
		if (pid == thread)
			ptrace(PTRACE_CONT, thread, NULL, (void *)(long)WSTOPSIG(status));
		else if (tracee__now_ns() > crew->until)
			return -ETIMEDOUT;
		else
			nanosleep(&pause, NULL);
	}
}

/* One pass over its threads; *more: there were some that were not stopped. */
static int stop_pass(struct crew *crew, bool *more)
{
	_Alignas(8) char buffer[4096];
	long length;

	*more = false;
	lseek(crew->tasks, 0, SEEK_SET);
	while ((length = syscall(SYS_getdents64, crew->tasks, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < length;) {
			const struct entry *entry = (const struct entry *)(buffer + at);
			pid_t thread = (pid_t)strtol(entry->name, NULL, 10);
			int err;

			at += entry->length;
			if (thread <= 0 || has(crew, thread))
				continue;
			*more = true;
			err = stop_thread(crew, thread);
			if (err)
				return err;
		}
	}
	return length < 0 ? -errno : 0;
}

static _Noreturn void hold(struct crew *crew, int socket)
{
	bool more = true;
	char byte;
	sigset_t all;
	int err = 0;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	/* A thread may make another one before it stops: until there is none that is new. */
	while (!err && more)
		err = stop_pass(crew, &more);
	if (send(socket, &err, sizeof(err), MSG_NOSIGNAL) == sizeof(err) && !err)
		while (read(socket, &byte, 1) < 0 && errno == EINTR)
			;
	_exit(0); /* exit_ptrace() lets all of them go */
}

/* ---- the agent ---- */

static void reap(const struct freeze *freeze)
{
	while (waitpid(freeze->helper, NULL, 0) < 0 && errno == EINTR)
		;
}

int freeze__begin(struct freeze *freeze, const char *procfs, uint32_t tgid)
{
	struct crew *crew = malloc(sizeof(*crew));
	int sockets[2] = {-1, -1}, err;
	char path[64];

	if (!crew)
		return -ENOMEM;
	freeze->begun = tracee__now_ns();
	crew->count = 0;
	crew->until = freeze->begun + STOP_NS;
	snprintf(path, sizeof(path), "%s/%u/task", procfs, tgid);
	crew->tasks = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = crew->tasks < 0 ? (errno == ENOENT ? -ESRCH : -errno) : 0;
	if (!err && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		err = -errno;
	if (err)
		goto cleanup;
	freeze->hold = sockets[0];
	freeze->helper = fork();
	if (freeze->helper == 0) {
		close(sockets[0]);
		hold(crew, sockets[1]);
	}
	if (freeze->helper < 0) {
		err = -EAGAIN;
	} else {
		close(sockets[1]);
		sockets[1] = -1;
		if (recv(sockets[0], &err, sizeof(err), 0) != sizeof(err))
			err = -ECHILD;
		if (err)
			reap(freeze);
	}
	if (err)
		close(sockets[0]);
cleanup:
	if (sockets[1] >= 0)
		close(sockets[1]);
	if (crew->tasks >= 0)
		close(crew->tasks);
	free(crew);
	return err;
}

uint64_t freeze__end(struct freeze *freeze)
{
	close(freeze->hold);
	reap(freeze);
	return tracee__now_ns() - freeze->begun;
}
