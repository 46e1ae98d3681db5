/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/close_range.h>

enum step { STEP_SESSION, STEP_STREAMS, STEP_DIRECTORY, STEP_PRIVILEGES, STEP_USER, STEP_EXECUTE };

static const char *const step_words[] = {
	[STEP_SESSION] = "no session for it",
	[STEP_STREAMS] = "no descriptors for it",
	[STEP_DIRECTORY] = "it cannot go to /",
	[STEP_PRIVILEGES] = "its privileges cannot be taken away",
	[STEP_USER] = "it cannot become the configured user",
	[STEP_EXECUTE] = "it cannot be executed",
};

struct report {
	enum step step;
	int err;
};

/* ---- in the child: only what is safe after the fork of a process with threads ---- */

static void default_signals(void)
{
	/* The kernel's own struct sigaction, all zero: SIG_DFL. The C library's call leaves out the
	 * signals that it keeps to itself, which may have been inherited as ignored. */
	const unsigned long action[4] = {0};

	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, action, NULL, sizeof(action[3]));
}

static int set_streams(const struct child_plan *plan, int output)
{
	if (dup2(plan->input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		return -1;
	/* An agent without a standard input has 0 as its own descriptor, and dup2 then does
	 * nothing. */
	if (fcntl(STDIN_FILENO, F_SETFD, 0) < 0)
		return -1;
	/* The report's own is still needed, and goes with the others when the program begins. */
	return close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

static int drop_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* The C library's own functions would look for the agent's other threads, to change those too. */
static int change_user(const struct child_plan *plan)
{
	const gid_t groups[] = {plan->gid};

	if (syscall(SYS_setgroups, 1, groups) ||
	    syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid))
		return -1;
	return (int)syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid);
}

/* Returns only on failure: the step that failed, with errno. */
static enum step become_program(const struct child_plan *plan, int output)
{
	sigset_t none;

	default_signals();
	if (setsid() < 0)
		return STEP_SESSION;
	if (set_streams(plan, output))
		return STEP_STREAMS;
	if (chdir("/"))
		return STEP_DIRECTORY;
	umask(022);
	if (drop_privileges())
		return STEP_PRIVILEGES;
	if (plan->change_user && change_user(plan))
		return STEP_USER;
	/* None outlives an agent that is killed. After the user, whose change clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return STEP_PRIVILEGES;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(plan->argv[0], plan->argv, plan->envp);
	return STEP_EXECUTE;
}

/* ---- in the agent ---- */

static void close_both(const int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
}

/* None of 0 to 2, which the child makes its own; pair[0] does not block. */
static int open_pipe(int pair[2])
{
	int err = pipe2(pair, O_CLOEXEC) ? -errno : 0;

	for (int i = 0; !err && i < 2; i++) {
		int low = pair[i];

		if (low > STDERR_FILENO)
			continue;
		pair[i] = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		err = pair[i] < 0 ? -errno : 0;
		close(low);
	}
	if (!err && fcntl(pair[0], F_SETFL, O_NONBLOCK))
		err = -errno;
	return err;
}

int child__start(const struct child_plan *plan, struct child *child)
{
	int output[2] = {-1, -1}, trouble[2] = {-1, -1}, err;
	struct report report;

	err = open_pipe(output);
	if (!err)
		err = open_pipe(trouble);
	if (err)
		goto fail;
	/*
	 * Not vfork: the thread would wait for an execve that a network file system can hold up for
	 * ever. Not fork: it takes locks that another thread may hold.
	 */
	child->pid = _Fork();
	if (child->pid == 0) {
		report.step = become_program(plan, output[1]);
		report.err = errno;
		if (write(trouble[1], &report, sizeof(report)) < 0)
			_exit(126);
		_exit(127);
	}
	if (child->pid < 0) {
		err = -errno;
		goto fail;
	}
	close(output[1]);
	close(trouble[1]);
	child->output = output[0];
	child->trouble = trouble[0];
	return 0;
fail:
	close_both(output);
	close_both(trouble);
	return err;
}

bool child__trouble(const struct child *child, struct reason *reason)
{
	struct report report;

	if (read(child->trouble, &report, sizeof(report)) != sizeof(report))
		return false;
	reason__set(reason, "%s: %s", step_words[report.step], strerror(report.err));
	return true;
}
