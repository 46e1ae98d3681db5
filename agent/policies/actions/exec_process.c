/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/exec_process.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"

#define LINE_BYTES 200
#define TERM_SECONDS 2.0
#define KILL_SECONDS 1.0
/* A pipe's 64 KiB and more: who still writes into it must not hold up the thread. */
#define DRAIN_READS 32

const char exec_process_stopped[] = "the agent stops";

double exec_process__now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The first line that is not empty, as valid UTF-8 without control characters. */
static void first_line(const struct exec_process *run, char line[LINE_BYTES + 1])
{
	struct text text = {0};
	size_t at = 0, end;

	while (at < run->length && (unsigned char)run->output[at] <= ' ')
		at++;
	for (end = at; end < run->length && run->output[end] != '\n';)
		end++;
	while (at < end && text.length + 4 <= LINE_BYTES) {
		uint32_t code;

		at += utf8__next(run->output + at, end - at, &code);
		if (code >= ' ' && (code < 0x7f || code > 0x9f))
			text__put_code(&text, code);
	}
	snprintf(line, LINE_BYTES + 1, "%s", text.length ? text.data : "");
	text__free(&text);
}

/* info: how it ended; NULL when nobody knows. */
static void judge(const struct exec_process *run, const siginfo_t *info,
		  struct exec_process_end *end)
{
	char line[LINE_BYTES + 1];
	const char *colon;

	first_line(run, line);
	colon = *line ? ": " : "";
	end->result = run->result ? run->result : "failed";
	if (run->result && strcmp(run->result, "timeout") == 0) {
		reason__set(&end->reason, "still running after %g s%s%s", run->timeout, colon,
			    line);
	} else if (run->result) {
		reason__set(&end->reason, "%s%s%s", exec_process_stopped, colon, line);
	} else if (child__trouble(&run->child, &end->reason)) {
		return;
	} else if (!info) {
		reason__set(&end->reason, "its exit status is not known%s%s", colon, line);
	} else if (info->si_code != CLD_EXITED) {
		reason__set(&end->reason, "signal %d (%s)%s%s", info->si_status,
			    strsignal(info->si_status), colon, line);
	} else if (info->si_status) {
		reason__set(&end->reason, "exit status %d%s%s", info->si_status, colon, line);
	} else {
		end->result = "ok";
		reason__set(&end->reason, "%s", line);
	}
}

static void read_output(struct exec_process *run)
{
	char rest[16384];

	for (int i = 0; i < DRAIN_READS && run->child.output >= 0; i++) {
		size_t room = EXEC_OUTPUT_KEPT - run->length;
		ssize_t got = read(run->child.output, room ? run->output + run->length : rest,
				   room ? room : sizeof(rest));

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			close(run->child.output);
			run->child.output = -1;
		} else if (room) {
			run->length += (size_t)got;
		}
	}
}

static void close_run(struct exec_process *run, const siginfo_t *info, struct exec_process_end *end)
{
	read_output(run);
	judge(run, info, end);
	if (run->child.output >= 0)
		close(run->child.output);
	close(run->child.trouble);
	if (run->pidfd >= 0)
		close(run->pidfd);
	run->stage = EXEC_FREE;
}

/* Only while it is not reaped: its number, and so its group's, is nobody else's until then. */
static void signal_group(const struct exec_process *run, int number)
{
	/* It has no group of its own yet in its first moment. */
	if (kill(-run->child.pid, number) && errno == ESRCH)
		kill(run->child.pid, number);
}

int exec_process__start(struct exec_process *run, const struct child_plan *plan, double timeout)
{
	int err;

	*run = (struct exec_process){.timeout = timeout, .deadline = exec_process__now() + timeout};
	err = child__start(plan, &run->child);
	if (err)
		return err;
	run->pidfd = pidfd_open(run->child.pid, 0);
	run->stage = EXEC_RUNS;
	return 0;
}

void exec_process__stop(struct exec_process *run, const char *result)
{
	run->result = result;
	run->stage = EXEC_TERMINATED;
	run->deadline = exec_process__now() + TERM_SECONDS;
	signal_group(run, SIGTERM);
}

bool exec_process__look(struct exec_process *run, bool give_up, struct exec_process_end *end)
{
	siginfo_t info = {0};

	read_output(run);
	/* Somebody may reap all children of this process, or have the kernel do it. */
	if (waitid(P_PID, (id_t)run->child.pid, &info, WEXITED | WNOHANG | WNOWAIT)) {
		close_run(run, NULL, end);
		return true;
	}
	if (info.si_pid) {
		signal_group(run, SIGKILL);
		waitid(P_PID, (id_t)run->child.pid, &info, WEXITED);
		close_run(run, &info, end);
		return true;
	}
	if (exec_process__now() < run->deadline)
		return false;
	if (run->stage == EXEC_RUNS) {
		exec_process__stop(run, "timeout");
		return false;
	}
	if (run->stage == EXEC_KILLED && give_up) {
		close_run(run, NULL, end);
		return true;
	}
	run->stage = EXEC_KILLED;
	run->deadline = exec_process__now() + KILL_SECONDS;
	signal_group(run, SIGKILL);
	return false;
}
