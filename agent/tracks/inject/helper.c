/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/files.h"

uint64_t helper__now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* ---- where it stands ---- */

static const char *const cgroup_roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

/* The root of cgroup version 2, or -1. That of a cgroup namespace, which has a type, is none. */
static int open_cgroup_root(void)
{
	for (size_t i = 0; i < sizeof(cgroup_roots) / sizeof(*cgroup_roots); i++) {
		int fd = open(cgroup_roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && faccessat(fd, "cgroup.controllers", F_OK, 0) == 0 &&
		    faccessat(fd, "cgroup.type", F_OK, 0) != 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

struct hierarchy {
	const char *entry; /* of /proc/self/cgroup, with the start of its path */
	const char *procs; /* of its root */
};

static const struct hierarchy hierarchies[] = {
	{":freezer:/", "/sys/fs/cgroup/freezer/cgroup.procs"},
	{":name=systemd:/", "/sys/fs/cgroup/systemd/cgroup.procs"},
};

static bool write_text(const char *path, const char *text)
{
	const size_t length = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, length) == (ssize_t)length;
	close(fd);
	return done;
}

/* To the roots of version 1, from wherever it is below them. False: it has to stay. */
static bool leave_hierarchies(void)
{
	char text[4096];
	bool left = true;

	if (files__read(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return false;
	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies); i++) {
		const char *found = strstr(text, hierarchies[i].entry);

		if (found && found[strlen(hierarchies[i].entry)] != '\n')
			left &= write_text(hierarchies[i].procs, "0");
	}
	return left;
}

/* ---- what it has ---- */

static void close_range_or_each(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	/* Linux before 5.9. */
	for (long fd = first; fd <= last && fd < sysconf(_SC_OPEN_MAX); fd++)
		close((int)fd);
}

/* All but the socket and what is kept. */
static void close_others(const struct helper_options *options, int socket)
{
	unsigned from = 0;

	for (;;) {
		unsigned next = UINT_MAX;

		for (size_t i = 0; i <= HELPER_DESCRIPTORS; i++) {
			int kept = i < HELPER_DESCRIPTORS ? options->keep[i] : socket;

			if (kept >= 0 && (unsigned)kept >= from && (unsigned)kept < next)
				next = (unsigned)kept;
		}
		if (next == UINT_MAX)
			break;
		if (next > from)
			close_range_or_each(from, next - 1);
		from = next + 1;
	}
	close_range_or_each(from, UINT_MAX);
}

static _Noreturn void be_helper(const struct helper_options *options, struct helper helper)
{
	(void)prctl(PR_SET_NAME, HELPER_NAME);
	setsid();
	close_others(options, helper.socket);
	helper.outside &= leave_hierarchies();
	(void)write_text("/proc/self/oom_score_adj", "-1000"); /* may be refused */
	options->run(&helper, options->context);
	_exit(0);
}

/*
 * To the root of cgroup version 2: a process more, since moving one that is there takes a lock that
 * holds up every fork of the host (cgroup_threadgroup_rwsem).
 */
static _Noreturn void move_and_be_helper(const struct helper_options *options, int socket,
					 int cgroup)
{
	struct clone_args into = {.flags = CLONE_INTO_CGROUP,
				  .exit_signal = SIGCHLD,
				  .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0};
	struct helper helper = {.socket = socket, .outside = true};
	long pid = cgroup >= 0 ? syscall(SYS_clone3, &into, sizeof(into)) : -1;

	if (pid > 0)
		_exit(0);
	if (pid < 0)
		helper.outside = false;
	be_helper(options, helper);
}

/* The agent's child, which ends at once: the agent waits for it, and for nothing that it made. */
static _Noreturn void be_parent(const struct helper_options *options, int socket, int cgroup)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	const struct sched_param first = {.sched_priority = 1};
	sigset_t all;
	pid_t pid;

	/* Inherited; may be refused. */
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* Blocked, it is still what wakes a tracer; ignored, it would not be. */
	sigaction(SIGCHLD, &by_default, NULL);
	pid = _Fork();
	if (pid == 0)
		move_and_be_helper(options, socket, cgroup);
	_exit(pid < 0);
}

int helper__start(const struct helper_options *options, int *out)
{
	int sockets[2], cgroup, status = 0, err = 0;
	pid_t parent;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	cgroup = open_cgroup_root();
	parent = _Fork();
	if (parent == 0)
		be_parent(options, sockets[1], cgroup);
	if (parent < 0)
		err = -errno;
	while (!err && waitpid(parent, &status, 0) < 0 && errno == EINTR)
		;
	if (!err && (!WIFEXITED(status) || WEXITSTATUS(status)))
		err = -EAGAIN;
	if (cgroup >= 0)
		close(cgroup);
	close(sockets[1]);
	if (err)
		close(sockets[0]);
	else
		*out = sockets[0];
	return err;
}

/* ---- what it says ---- */

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

void helper__send(int socket, const void *message, size_t size, int fd)
{
	union control control = {0};
	struct iovec data = {(void *)message, size};
	struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *rights;

		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(int));
	}
	(void)sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int helper__receive(int socket, void *message, size_t size, int *fd)
{
	union control control;
	struct iovec data = {message, size};
	struct msghdr header = {.msg_iov = &data,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *rights;
	ssize_t length;

	*fd = -1;
	do {
		length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (length < 0 && errno == EINTR);
	if (length < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (length != (ssize_t)size)
		return -ECHILD;
	rights = CMSG_FIRSTHDR(&header);
	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(rights), sizeof(int));
	return 0;
}
