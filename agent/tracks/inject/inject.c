/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/inject.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/tracks/shared/maps.h"
#include "agent/tracks/inject/tracee.h"

#define VDSO_MAX 65536
#define HELPER_SECONDS 5
#define USER_MODE_ONLY 1 /* UFFD_USER_MODE_ONLY: any process may have one of these */

static __attribute__((format(printf, 3, 4))) int refuse(struct inject_result *result, int err,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(result->reason, sizeof(result->reason), format, args);
	va_end(args);
	return err;
}

/* ---- before anything is touched ---- */

static const char *status_field(const char *status, const char *name)
{
	const char *found = strstr(status, name);

	return found ? found + strlen(name) + strspn(found + strlen(name), "\t ") : "";
}

static int check_status(const struct inject_options *options, struct inject_result *result)
{
	char path[64], status[4096];
	int length;

	snprintf(path, sizeof(path), "%s/%u/status", options->procfs, options->tgid);
	length = files__read(AT_FDCWD, path, status, sizeof(status));
	if (length < 0)
		return refuse(result, -ESRCH, "the process is gone");
	if (*status_field(status, "\nState:") == 'Z')
		return refuse(result, -ESRCH, "its first thread has ended");
	if (atoi(status_field(status, "\nTracerPid:")))
		return refuse(result, -EPERM, "process %d traces it already",
			      atoi(status_field(status, "\nTracerPid:")));
	if (atoi(status_field(status, "\nSeccomp:")))
		return refuse(result, -EOPNOTSUPP,
			      "it is confined by seccomp: a system call of ours might kill it");
	return 0;
}

struct search {
	uint64_t start, end;
};

static int find_vdso(void *context, const struct map_region *region)
{
	struct search *search = context;

	if (strcmp(region->name, "[vdso]") == 0)
		*search = (struct search){region->start, region->end};
	return 0;
}

/* The address of a syscall instruction that every process has. */
static int find_instruction(const struct inject_options *options, uint64_t *address,
			    struct inject_result *result)
{
	struct search vdso = {0};
	unsigned char code[VDSO_MAX];
	struct iovec local = {code, sizeof(code)}, remote;
	ssize_t length;

	if (maps__read(options->procfs, options->tgid, find_vdso, &vdso))
		return refuse(result, -ESRCH, "the process is gone");
	if (!vdso.start || vdso.end - vdso.start > VDSO_MAX)
		return refuse(result, -EOPNOTSUPP, "it has no vDSO");
	remote = (struct iovec){(void *)(uintptr_t)vdso.start, vdso.end - vdso.start};
	length = process_vm_readv((pid_t)options->tgid, &local, 1, &remote, 1, 0);
	if (length < 0)
		return refuse(result, -errno, "its memory may not be read: %s", strerror(errno));
	for (ssize_t i = 0; i + 1 < length; i++)
		if (code[i] == 0x0f && code[i + 1] == 0x05) {
			*address = vdso.start + (uint64_t)i;
			return 0;
		}
	return refuse(result, -EOPNOTSUPP, "its vDSO holds no system call");
}

/* ---- the helper ---- */

enum step {
	STEP_NONE,
	STEP_ATTACH,
	STEP_STOP,
	STEP_MODE,
	STEP_MAKE,
	STEP_TAKE,
};

static const char *const step_words[] = {
	[STEP_NONE] = "the helper died",
	[STEP_ATTACH] = "it cannot be traced",
	[STEP_STOP] = "its first thread did not stop",
	[STEP_MODE] = "it is a 32-bit process",
	[STEP_MAKE] = "its userfaultfd(2) failed",
	[STEP_TAKE] = "its descriptor cannot be taken over",
};

struct report {
	int err;
	enum step step;
	uint64_t stopped_ns;
};

static void reached(const struct inject_options *options, enum inject_phase phase)
{
	if (options->reached)
		options->reached(options->context, phase);
}

/* The thread stands still: from here to tracee__release nothing returns early. */
static int take(const struct inject_options *options, struct tracee *tracee, int pidfd, int *fd,
		enum step *step)
{
	long made, err;

	*step = STEP_MAKE;
	made = tracee__call(tracee, SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
	if (made < 0)
		return (int)made;
	reached(options, INJECT_MADE);
	*step = STEP_TAKE;
	*fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)made, 0);
	err = *fd < 0 ? -errno : 0;
	reached(options, INJECT_TAKEN);
	tracee__call(tracee, SYS_close, made);
	reached(options, INJECT_CLOSED);
	return (int)err;
}

static struct report help(const struct inject_options *options, uint64_t instruction, int pidfd,
			  int *fd)
{
	struct report report = {.step = STEP_ATTACH};
	struct tracee tracee;

	reached(options, INJECT_BEGUN);
	report.err = tracee__attach(&tracee, (pid_t)options->tgid);
	if (report.err)
		return report;
	report.step = STEP_STOP;
	report.err = tracee__stop(&tracee, instruction);
	if (report.err)
		return report;
	reached(options, INJECT_STOPPED);
	report.step = STEP_MODE;
	if (tracee__is_64_bit(&tracee))
		report.err = take(options, &tracee, pidfd, fd, &report.step);
	else
		report.err = -EOPNOTSUPP;
	report.stopped_ns = tracee__release(&tracee);
	reached(options, INJECT_RELEASED);
	return report;
}

static void send_report(int socket, const struct report *report, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec data = {(void *)report, sizeof(*report)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	sendmsg(socket, &message, MSG_NOSIGNAL);
}

static int receive_report(int socket, struct report *report)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = {report, sizeof(*report)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header;
	int fd = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(*report)) {
		*report = (struct report){.err = -ECHILD};
		return -1;
	}
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}

/*
 * Runs in the forked child of a process with threads: only what is async-signal-safe. It leaves the
 * agent's session, so that a signal for the agent's group does not end it half-way.
 */
static _Noreturn void run_helper(const struct inject_options *options, uint64_t instruction,
				 int pidfd, int socket)
{
	const struct sched_param first = {.sched_priority = 1};
	struct report report;
	sigset_t all;
	int fd = -1;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	/* The thread stands still until we run; we sleep while it runs. It may be refused. */
	(void)sched_setscheduler(0, SCHED_FIFO, &first);
	report = help(options, instruction, pidfd, &fd);
	send_report(socket, &report, fd);
	_exit(0);
}

static int run(const struct inject_options *options, uint64_t instruction, int pidfd,
	       struct inject_result *result)
{
	struct timeval limit = {.tv_sec = HELPER_SECONDS};
	struct report report;
	int sockets[2], status;
	pid_t helper;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return refuse(result, -errno, "no descriptor is left");
	setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	helper = fork();
	if (helper == 0) {
		close(sockets[0]);
		run_helper(options, instruction, pidfd, sockets[1]);
	}
	close(sockets[1]);
	if (helper < 0) {
		close(sockets[0]);
		return refuse(result, -EAGAIN, "no process can be made");
	}
	result->fd = receive_report(sockets[0], &report);
	close(sockets[0]);
	while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
		;
	result->stopped_ns = report.stopped_ns;
	if (report.err)
		return refuse(result, report.err, "%s: %s", step_words[report.step],
			      strerror(-report.err));
	return result->fd < 0 ? refuse(result, -EMFILE, "no descriptor is left") : 0;
}

int inject__userfaultfd(const struct inject_options *options, struct inject_result *result)
{
	uint64_t instruction = 0;
	int err, pidfd;

	*result = (struct inject_result){.fd = -1};
	/* Held from here on: what follows is about this very process, not about its number. */
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)options->tgid, 0);
	if (pidfd < 0)
		return refuse(result, -errno, "%s",
			      errno == ESRCH ? "the process is gone" : strerror(errno));
	err = check_status(options, result);
	if (!err)
		err = find_instruction(options, &instruction, result);
	if (!err)
		err = run(options, instruction, pidfd, result);
	close(pidfd);
	return err;
}
