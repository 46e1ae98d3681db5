/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes a userfaultfd out of another process, and kills who does it at a given step.
 *
 *   inject_phases PID PHASE [agent|helper|terminate|stop|freeze:CGROUP|CGROUP]
 *   inject_phases PID times NUMBER [TIMEOUT_MS]
 *   inject_phases PID freeze MILLISECONDS     its threads stand still; says so, and when they do
 * not
 *
 * PHASE: of enum inject_phase; INJECT_PHASES: nobody is killed. A child stands for the agent; the
 * helper that it starts kills it at that step: by SIGKILL, or by cgroup.kill of the CGROUP that the
 * child is in. Or it kills itself by SIGKILL, or sends itself SIGTERM or SIGSTOP; or freezes a
 * CGROUP, in which the process may be. Once all of them are gone, a JSON line says what became of
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/tracks/inject/freeze.h"
#include "agent/tracks/inject/inject.h"

struct plan {
	enum inject_phase phase;
	const char *how;
	pid_t agent;
};

struct outcome {
	bool ended;
	int err;
	struct inject_result result;
};

static bool write_text(const char *directory, const char *file, const char *text)
{
	char path[512];
	int fd;
	bool done;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return done;
}

/* In the helper. */
static void reached(void *context, enum inject_phase phase)
{
	const struct plan *plan = context;

	if (phase != plan->phase)
		return;
	if (!strcmp(plan->how, "helper"))
		kill(getpid(), SIGKILL);
	else if (!strcmp(plan->how, "terminate"))
		kill(getpid(), SIGTERM);
	else if (!strcmp(plan->how, "stop"))
		kill(getpid(), SIGSTOP);
	else if (!strcmp(plan->how, "agent"))
		kill(plan->agent, SIGKILL);
	else if (!strncmp(plan->how, "freeze:", 7))
		write_text(plan->how + 7, "cgroup.freeze", "1");
	else
		write_text(plan->how, "cgroup.kill", "1");
}

static _Noreturn void be_agent(uint32_t pid, enum inject_phase phase, const char *how,
			       struct outcome *outcome)
{
	struct plan plan = {.phase = phase, .how = how, .agent = getpid()};
	const struct inject_options options = {
		.procfs = "/proc", .tgid = pid, .reached = reached, .context = &plan};

	if (*how == '/' && !write_text(how, "cgroup.procs", "0"))
		_exit(2);
	outcome->err = inject__userfaultfd(&options, &outcome->result);
	outcome->ended = true;
	_exit(0);
}

static int at_phase(uint32_t pid, enum inject_phase phase, const char *how)
{
	struct outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, agent_status = 0, others = 0;
	pid_t agent, gone;

	/* The helper comes to us when its parent is gone: so we know when it has ended. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	agent = fork();
	if (agent == 0)
		be_agent(pid, phase, how, outcome);
	while ((gone = waitpid(-1, &status, 0)) > 0 || errno == EINTR) {
		if (gone == agent)
			agent_status = status;
		else if (gone > 0)
			others++;
	}
	printf("{\"killed\": %s, \"helpers\": %d, \"ended\": %s, \"err\": %d, \"reason\": \"%s\", "
	       "\"outside\": %s, \"status\": %d}\n",
	       WIFSIGNALED(agent_status) ? "true" : "false", others,
	       outcome->ended ? "true" : "false", outcome->err, outcome->result.reason.text,
	       outcome->result.outside ? "true" : "false",
	       WIFEXITED(agent_status) ? WEXITSTATUS(agent_status) : -1);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static double microseconds(const uint64_t *sorted, size_t at)
{
	return (double)sorted[at] / 1e3;
}

static int by_value(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* Again and again, by one agent. Stops only count where there was a result. */
static int many_times(uint32_t pid, size_t number, unsigned timeout_ms)
{
	const struct inject_options options = {
		.procfs = "/proc", .tgid = pid, .timeout_ms = timeout_ms};
	uint64_t *stopped = calloc(number + 1, sizeof(*stopped));
	struct reason reason = {""};
	size_t done = 0, refused = 0, inside = 0;
	uint64_t longest = 0;

	if (!stopped)
		return 1;
	for (size_t i = 0; i < number; i++) {
		struct inject_result result;
		uint64_t begin = now_ns(), took;
		int err = inject__userfaultfd(&options, &result);

		took = now_ns() - begin;
		longest = took > longest ? took : longest;
		if (err) {
			refused++;
			reason = result.reason;
			if (err == -ESRCH)
				break;
			continue;
		}
		inside += !result.outside;
		stopped[done++] = result.stopped_ns;
		close(result.fd);
	}
	qsort(stopped, done, sizeof(*stopped), by_value);
	printf("{\"done\": %zu, \"refused\": %zu, \"reason\": \"%s\", \"inside\": %zu, "
	       "\"longest_ms\": %.1f, \"stopped_us\": {\"median\": %.1f, \"p99\": %.1f, \"max\": "
	       "%.1f}}\n",
	       done, refused, reason.text, inside, (double)longest / 1e6,
	       microseconds(stopped, done / 2), microseconds(stopped, done * 99 / 100),
	       microseconds(stopped, done ? done - 1 : 0));
	free(stopped);
	return 0;
}

static int freeze(uint32_t pid)
{
	struct freeze freeze;
	uint64_t stopped_ns = 0;
	int err = freeze__begin(&freeze, "/proc", pid), end = 0;

	printf("%d\n", err);
	fflush(stdout);
	if (err)
		return 0;
	(void)getchar();
	end = freeze__end(&freeze, &stopped_ns);
	printf("%d %.1f\n", end, (double)stopped_ns / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t pid;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: inject_phases PID PHASE "
				      "[agent|helper|terminate|stop|freeze:CGROUP|CGROUP]\n"
				      "       inject_phases PID times NUMBER [TIMEOUT_MS]\n");
		return 2;
	}
	pid = (uint32_t)strtoul(argv[1], NULL, 10);
	if (!strcmp(argv[2], "times"))
		return many_times(pid, argc > 3 ? strtoul(argv[3], NULL, 10) : 1,
				  argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0);
	if (!strcmp(argv[2], "freeze"))
		return freeze(pid);
	return at_phase(pid, (enum inject_phase)strtoul(argv[2], NULL, 10),
			argc > 3 ? argv[3] : "agent");
}
