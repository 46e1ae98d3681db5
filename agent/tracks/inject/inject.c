/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/host/proc_status.h"
#include "agent/tracks/inject/helper.h"
#include "agent/tracks/inject/refusal.h"
#include "agent/tracks/inject/thread.h"
#include "agent/tracks/inject/tracee.h"

#define TIMEOUT_MS 1000
#define GRACE_NS 250000000ULL /* for a helper that does not get to a CPU itself */
#define NS_PER_MS 1000000ULL
#define SLICE_NS 100000000ULL
#define PAUSE_NS 1000000    /* between two attempts */
#define USER_MODE_ONLY 1    /* UFFD_USER_MODE_ONLY: any process may have one of these */
#define PIDFD_THREAD O_EXCL /* include/uapi/linux/pidfd.h, Linux 6.9 */

struct report {
	enum refusal refusal;
	int detail;
	uint64_t stopped_ns;
	bool outside;
};

/* ---- the helper ---- */

struct work {
	const struct inject_options *options;
	int process; /* its directory */
	int pidfd, thread_pidfd;
	uint64_t until;
	int socket;
	bool told;
	bool again; /* this attempt failed in a way that the next one need not */
	struct thread thread;
	struct tracee tracee;
	int fd;
	struct report report;
};

static void reached(const struct work *work, enum inject_phase phase)
{
	if (work->options->reached)
		work->options->reached(work->options->context, phase);
}

static void tell(struct work *work, int fd)
{
	if (!work->told)
		helper__send(work->socket, &work->report, sizeof(work->report), fd);
	work->told = true;
}

static void refuse(struct work *work, enum refusal refusal, int detail)
{
	if (work->report.refusal == REFUSAL_NONE) {
		work->report.refusal = refusal;
		work->report.detail = detail;
	}
}

/* The agent's time is up; ours is not. */
static void late(struct work *work)
{
	if (thread__is_frozen(&work->thread))
		refuse(work, REFUSAL_FROZEN, 0);
	else if (thread__state(&work->thread) != 'D')
		refuse(work, REFUSAL_STARVED, 0);
	else
		refuse(work, thread__is_in_vfork(&work->thread) ? REFUSAL_VFORK : REFUSAL_STUCK, 0);
	tell(work, -1);
	work->until = HELPER_FOREVER;
}

/* Before anything is touched. */
static int look(struct work *work)
{
	unsigned tracer = 0;

	if (work->options->tgid == 1) {
		refuse(work, REFUSAL_INIT, 0);
	} else if (work->options->start_ticks &&
		   thread__start_ticks(work->process) != work->options->start_ticks) {
		refuse(work, REFUSAL_OTHER, 0);
	} else if (thread__choose(work->process, &work->thread) ||
		   thread__status(&work->thread, "TracerPid", &tracer) == -ESRCH) {
		refuse(work, REFUSAL_GONE, 0);
	} else if (tracer) {
		refuse(work, REFUSAL_TRACED, (int)tracer);
	} else if (thread__is_frozen(&work->thread)) {
		refuse(work, REFUSAL_FROZEN, 0);
	} else if (thread__is_narrow(&work->thread)) {
		refuse(work, REFUSAL_NARROW, 0);
	} else {
		/* Of the thread, since the first one may have ended; that takes Linux 6.9. */
		work->thread_pidfd = (int)syscall(SYS_pidfd_open, work->thread.tid, PIDFD_THREAD);
	}
	return work->report.refusal ? -EPERM : 0;
}

/*
 * Its call may be broken off already, and is put right at the stop. In state D nothing reached it,
 * and nothing will before we let it go.
 */
static void stop_late(struct work *work)
{
	struct tracee *tracee = &work->tracee;

	late(work);
	while (tracee->state == TRACEE_SEIZED && thread__state(&work->thread) != 'D')
		tracee__stop(tracee, helper__now_ns() + SLICE_NS);
	tracee__release(tracee, HELPER_FOREVER);
}

static int stop(struct work *work, uint64_t instruction)
{
	struct tracee *tracee = &work->tracee;
	int err = tracee__seize(tracee, (pid_t)work->options->tgid, work->thread.tid);

	if (err) {
		/* -EPERM is also said of a thread that has ended. */
		work->again = err == -ESRCH || thread__has_ended(&work->thread);
		refuse(work, REFUSAL_TRACE, -err);
		return err;
	}
	reached(work, INJECT_SEIZED);
	/* Its directory is of the thread that we chose: as long as that lives, it is this one. */
	if (thread__has_ended(&work->thread)) {
		work->again = true;
		refuse(work, REFUSAL_GONE, 0);
		return -ESRCH;
	}
	err = tracee__stop(tracee, work->until);
	if (err == -ETIMEDOUT)
		stop_late(work);
	if (err == -ESRCH) {
		/* Another thread may have executed another program, which ends this one. */
		work->again = true;
		refuse(work, REFUSAL_GONE, 0);
	}
	if (err)
		return err;
	tracee->instruction = instruction;
	reached(work, INJECT_STOPPED);
	return 0;
}

/* Once it stands still. What is refused here goes on at once. */
static int look_again(struct work *work)
{
	struct tracee *tracee = &work->tracee;
	unsigned filters = 0;
	int dispatches;

	if (!tracee__is_64_bit(tracee)) {
		refuse(work, REFUSAL_NARROW, 0);
		return -EOPNOTSUPP;
	}
	/* It executed another program meanwhile, or moved its vDSO. */
	if (!tracee__is_instruction(tracee, tracee->instruction))
		tracee->instruction = thread__find_instruction(&work->thread);
	if (!tracee__is_instruction(tracee, tracee->instruction))
		tracee->instruction = tracee__own_instruction(tracee);
	if (!tracee__is_instruction(tracee, tracee->instruction)) {
		refuse(work, REFUSAL_INSTRUCTION, 0);
		return -EOPNOTSUPP;
	}
	dispatches = tracee__dispatches(tracee);
	if (dispatches) {
		refuse(work, dispatches > 0 ? REFUSAL_DISPATCH : REFUSAL_DISPATCH_UNKNOWN, 0);
		return -EOPNOTSUPP;
	}
	/* In any case: another thread may give it a filter yet (SECCOMP_FILTER_FLAG_TSYNC). */
	if (tracee__suspend_seccomp(tracee) &&
	    (thread__status(&work->thread, "Seccomp", &filters) || filters)) {
		refuse(work, REFUSAL_SECCOMP, 0);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* The first call. The thread is behind it, or is let go. */
static int make(struct work *work, long *made)
{
	int err = tracee__call(&work->tracee, SYS_userfaultfd,
			       O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY, false, work->until, made);

	if (err == -ETIMEDOUT) {
		late(work);
		err = tracee__finish(&work->tracee, true, made);
	}
	if (err == -EINTR) {
		refuse(work, REFUSAL_SIGNAL, work->tracee.signal);
		work->again = true;
	} else if (err == -EFAULT) {
		refuse(work, work->tracee.signal == SIGSYS ? REFUSAL_DISPATCH : REFUSAL_INSTRUCTION,
		       0);
	} else if (err) {
		refuse(work, REFUSAL_GONE, 0);
	}
	return err;
}

/* The second one. Its own threads may have closed ours, and have something else there now. */
static void take_and_close(struct work *work, int made)
{
	long result;

	work->fd =
		(int)syscall(SYS_pidfd_getfd,
			     work->thread_pidfd >= 0 ? work->thread_pidfd : work->pidfd, made, 0);
	if (work->fd < 0) {
		refuse(work, REFUSAL_TAKE, errno);
	} else if (syscall(SYS_kcmp, getpid(), work->thread.tid, KCMP_FILE, work->fd, made) > 0) {
		refuse(work, REFUSAL_TAKE, EBADF);
		return;
	}
	reached(work, INJECT_TAKEN);
	if (tracee__call(&work->tracee, SYS_close, made, true, work->until, &result) ==
	    -ETIMEDOUT) {
		late(work);
		tracee__finish(&work->tracee, false, &result);
	}
	reached(work, INJECT_CLOSED);
}

/* Whatever happens, the thread is then FREE; or SEIZED and in state D, and our end lets it go. */
static void attempt(struct work *work)
{
	const uint64_t instruction = thread__find_instruction(&work->thread);
	struct tracee *tracee = &work->tracee;
	long made = -1;

	/* Nothing is begun that nobody waits for any more. */
	if (helper__now_ns() >= work->until) {
		refuse(work, REFUSAL_SILENT, 0);
		return;
	}
	if (stop(work, instruction))
		return;
	if (!look_again(work) && !make(work, &made)) {
		reached(work, INJECT_MADE);
		if (made >= 0)
			take_and_close(work, (int)made);
		else
			refuse(work, REFUSAL_CALL, (int)-made);
	}
	if (tracee__release(tracee, work->until) == -ETIMEDOUT) {
		late(work);
		tracee__release(tracee, HELPER_FOREVER);
	}
	work->report.stopped_ns = tracee->released_at - tracee->stopped_at;
	reached(work, INJECT_RELEASED);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void inject_help(const struct helper *helper, void *context)
{
	struct work *work = context;

	work->socket = helper->socket;
	work->report.outside = helper->outside;
	reached(work, INJECT_BEGUN);
	for (;;) {
		work->again = false;
		work->report.refusal = REFUSAL_NONE;
		work->fd = work->thread.directory = work->thread_pidfd = -1;
		if (!look(work))
			attempt(work);
		if (!work->again || work->told || helper__now_ns() + PAUSE_NS > work->until)
			break;
		close_if_open(work->thread.directory);
		close_if_open(work->thread_pidfd);
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	tell(work, work->report.refusal ? -1 : work->fd);
}

/* ---- the agent ---- */

struct inject {
	int socket;
	uint64_t until;	      /* then it is given up */
	enum refusal refusal; /* before there was a helper */
	int detail;
};

/* Whether the numbers of that procfs are ours: one number for one process. */
static bool is_our_namespace(const char *procfs)
{
	char path[64], numbers[128];
	int err;

	snprintf(path, sizeof(path), "%.48s/self/status", procfs);
	err = proc_status__text(AT_FDCWD, path, "NSpid", numbers, sizeof(numbers));
	if (err)
		return err == -ENODATA; /* a kernel without namespaces */
	return !strchr(numbers, '\t');
}

static void start(struct inject *inject, const struct inject_options *options)
{
	struct work work = {.options = options, .until = inject->until - GRACE_NS, .pidfd = -1};
	struct helper_options helper = {
		.run = inject_help, .context = &work, .keep = {-1, -1, -1, -1}};
	char path[64];
	int err = 0;

	if (!is_our_namespace(options->procfs)) {
		inject->refusal = REFUSAL_NAMESPACE;
		return;
	}
	/* Held from here on: what follows is about this very process, not about its number. */
	snprintf(path, sizeof(path), "%.48s/%u", options->procfs, options->tgid);
	work.process = files__open_directory(AT_FDCWD, path);
	if (work.process >= 0)
		work.pidfd = (int)syscall(SYS_pidfd_open, (pid_t)options->tgid, 0);
	if (work.pidfd < 0) {
		inject->refusal = REFUSAL_GONE;
	} else {
		helper.keep[0] = work.process;
		helper.keep[1] = work.pidfd;
		err = helper__start(&helper, &inject->socket);
	}
	if (err) {
		inject->refusal = REFUSAL_PROCESSES;
		inject->detail = -err;
	}
	close_if_open(work.pidfd);
	close_if_open(work.process);
}

int inject__begin(const struct inject_options *options, struct inject **out)
{
	struct inject *inject = calloc(1, sizeof(*inject));
	const uint64_t limit = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;

	if (!inject)
		return -ENOMEM;
	inject->socket = -1;
	inject->until = helper__now_ns() + limit * NS_PER_MS + GRACE_NS;
	start(inject, options);
	*out = inject;
	return 0;
}

int inject__fd(const struct inject *inject)
{
	return inject->socket;
}

int inject__milliseconds_left(const struct inject *inject)
{
	const uint64_t now = helper__now_ns();

	if (inject->refusal || now >= inject->until)
		return 0;
	return (int)((inject->until - now + NS_PER_MS - 1) / NS_PER_MS);
}

int inject__finish(struct inject *inject, struct inject_result *result)
{
	struct report report = {.refusal = inject->refusal, .detail = inject->detail};
	int err = 0;

	*result = (struct inject_result){.fd = -1};
	if (!report.refusal)
		err = helper__receive(inject->socket, &report, sizeof(report), &result->fd);
	if (err == -EAGAIN && inject__milliseconds_left(inject))
		return -EAGAIN;
	if (err)
		report.refusal = err == -EAGAIN ? REFUSAL_SILENT : REFUSAL_DIED;
	else if (!report.refusal && result->fd < 0)
		report = (struct report){.refusal = REFUSAL_TAKE, .detail = EMFILE};
	result->stopped_ns = report.stopped_ns;
	result->outside = report.outside;
	refusal__text(report.refusal, report.detail, &result->reason);
	inject__abandon(inject);
	err = refusal__errno(report.refusal, report.detail);
	return err == -EAGAIN ? -EBUSY : err;
}

void inject__abandon(struct inject *inject)
{
	if (!inject)
		return;
	if (inject->socket >= 0)
		close(inject->socket);
	free(inject);
}

int inject__userfaultfd(const struct inject_options *options, struct inject_result *result)
{
	struct inject *inject;
	int err = inject__begin(options, &inject);

	if (err) {
		*result = (struct inject_result){.fd = -1};
		reason__set(&result->reason, "%s", strerror(-err));
		return err;
	}
	while ((err = inject__finish(inject, result)) == -EAGAIN) {
		struct pollfd there = {.fd = inject__fd(inject), .events = POLLIN};

		poll(&there, 1, inject__milliseconds_left(inject));
	}
	return err;
}
