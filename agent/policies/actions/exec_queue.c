/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/exec_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/policies/actions/exec_process.h"

#define DEFAULT_TIMEOUT 10.0
#define DEFAULT_CONCURRENCY 4
#define DEFAULT_QUEUE_MAX 64
#define LONGEST_TIMEOUT 86400.0
#define CONCURRENCY_MAX 64
#define LOOK_SECONDS 0.02
#define LONGEST_SLEEP 3600.0

static const char standard_path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

struct job {
	struct job *next;
	void *tag;
	char **argv, **envp; /* and all that they point to, in the same block */
};

struct slot {
	struct job *job; /* that runs in it */
	struct run run;
};

struct runner {
	struct runner_options options;
	bool change_user;
	int input, wake;
	struct slot *slots;
	pthread_mutex_t lock;
	pthread_t thread;
	bool started;
	/* Under the lock. */
	struct job *first, *last;
	uint32_t unfinished; /* that wait, and that run */
	bool stopping;
	double stop_at;
};

/* ---- a program ---- */

static void finish(struct runner *runner, struct job *job, const char *result, const char *reason)
{
	pthread_mutex_lock(&runner->lock);
	runner->unfinished--;
	pthread_mutex_unlock(&runner->lock);
	if (runner->options.done)
		runner->options.done(runner->options.context, job->tag, result, reason);
	free(job);
}

static struct job *take_job(struct runner *runner)
{
	struct job *job;

	pthread_mutex_lock(&runner->lock);
	job = runner->first;
	if (job)
		runner->first = job->next;
	pthread_mutex_unlock(&runner->lock);
	return job;
}

static void start_job(struct runner *runner, struct slot *slot, struct job *job)
{
	const struct child_plan plan = {
		.argv = job->argv,
		.envp = job->envp,
		.input = runner->input,
		.change_user = runner->change_user,
		.uid = runner->options.uid,
		.gid = runner->options.gid,
	};
	char reason[RUN_REASON_MAX];
	int err = run__start(&slot->run, &plan, runner->options.timeout);

	slot->job = job;
	if (!err)
		return;
	snprintf(reason, sizeof(reason), "it cannot be started: %s", strerror(-err));
	finish(runner, job, "failed", reason);
}

static void start_waiting(struct runner *runner)
{
	for (uint32_t i = 0; i < runner->options.concurrency; i++) {
		struct job *job;

		while (runner->slots[i].run.stage == RUN_FREE && (job = take_job(runner)))
			start_job(runner, &runner->slots[i], job);
	}
}

/* ---- the thread ---- */

/* Until something happens, or `until`. */
static void await(struct runner *runner, double until)
{
	struct pollfd polls[1 + 2 * CONCURRENCY_MAX] = {{runner->wake, POLLIN, 0}};
	nfds_t count = 1;
	uint64_t ignored;

	for (uint32_t i = 0; i < runner->options.concurrency; i++) {
		const struct run *run = &runner->slots[i].run;

		if (run->stage == RUN_FREE)
			continue;
		until = fmin(until, run->deadline);
		if (run->pidfd < 0)
			until = fmin(until, run__now() + LOOK_SECONDS);
		polls[count++] = (struct pollfd){run->pidfd, POLLIN, 0};
		polls[count++] = (struct pollfd){run->child.output, POLLIN, 0};
	}
	until = fmax(fmin(until - run__now(), LONGEST_SLEEP), 0);
	if (poll(polls, count, (int)ceil(until * 1000)) > 0 && polls[0].revents &&
	    read(runner->wake, &ignored, sizeof(ignored)) < 0)
		return; /* nothing was told, and nothing is lost */
}

/* The end of the grace: what waits is dropped, what runs is ended. */
static void end_all(struct runner *runner)
{
	struct job *job;

	while ((job = take_job(runner)))
		finish(runner, job, "dropped", run_stopped);
	for (uint32_t i = 0; i < runner->options.concurrency; i++)
		if (runner->slots[i].run.stage == RUN_RUNS)
			run__stop(&runner->slots[i].run, "dropped");
}

static void look_after(struct runner *runner, struct slot *slot, bool give_up)
{
	struct run_end end;

	if (slot->run.stage != RUN_FREE && run__look(&slot->run, give_up, &end))
		finish(runner, slot->job, end.result, end.reason);
}

/* When the grace ends; INFINITY while there is no end in sight. *over: nothing is left to be done.
 */
static double look_at_end(struct runner *runner, bool *stopping, bool *over)
{
	double stop_at;

	pthread_mutex_lock(&runner->lock);
	*stopping = runner->stopping;
	*over = runner->stopping && !runner->unfinished;
	stop_at = runner->stopping ? runner->stop_at : INFINITY;
	pthread_mutex_unlock(&runner->lock);
	return stop_at;
}

static void *work(void *context)
{
	struct runner *runner = context;
	bool stopping, over;

	for (;;) {
		double stop_at = look_at_end(runner, &stopping, &over);
		bool ended = run__now() >= stop_at;

		if (ended)
			end_all(runner);
		else
			start_waiting(runner);
		/* Again: what was dropped, or did not even start, may have been the last. */
		stop_at = look_at_end(runner, &stopping, &over);
		if (over)
			return NULL;
		await(runner, ended ? INFINITY : stop_at);
		for (uint32_t i = 0; i < runner->options.concurrency; i++)
			look_after(runner, &runner->slots[i], stopping);
	}
}

/* ---- set-up ---- */

static int check_user(const struct runner_options *options, char *error, size_t size)
{
	/* To the kernel these mean: stay who you are. */
	if (options->uid == (uid_t)-1 || options->gid == (gid_t)-1) {
		snprintf(error, size, "%u is no user and no group", UINT32_MAX);
		return -EINVAL;
	}
	if (!options->allow_root && (options->uid == 0 || options->gid == 0)) {
		snprintf(error, size,
			 "programs are not run as root, unless the configuration says so");
		return -EPERM;
	}
	return 0;
}

/* Whether this process is all that user and nothing else: an agent without root cannot change. */
static bool is_user(uid_t uid, gid_t gid)
{
	uid_t uids[3];
	gid_t gids[3], groups[2];
	int count = getgroups(2, groups);

	if (getresuid(&uids[0], &uids[1], &uids[2]) || getresgid(&gids[0], &gids[1], &gids[2]))
		return false;
	for (int i = 0; i < 3; i++)
		if (uids[i] != uid || gids[i] != gid)
			return false;
	return count == 0 || (count == 1 && groups[0] == gid);
}

static int check_options(struct runner_options *options, char *error, size_t size)
{
	if (!isfinite(options->timeout) || options->timeout < 0 ||
	    options->timeout > LONGEST_TIMEOUT) {
		snprintf(error, size, "the time-out must be 0 to %.0f seconds", LONGEST_TIMEOUT);
		return -EINVAL;
	}
	if (options->concurrency > CONCURRENCY_MAX) {
		snprintf(error, size, "at most %d programs run at once", CONCURRENCY_MAX);
		return -EINVAL;
	}
	if (options->timeout == 0)
		options->timeout = DEFAULT_TIMEOUT;
	if (!options->concurrency)
		options->concurrency = DEFAULT_CONCURRENCY;
	if (!options->queue_max)
		options->queue_max = DEFAULT_QUEUE_MAX;
	return check_user(options, error, size);
}

/* With all signals blocked: a child is born so, and has none of the agent's handlers run in it. */
static int start(struct runner *runner)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&runner->thread, NULL, work, runner);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	runner->started = !err;
	return err;
}

int runner__new(const struct runner_options *options, struct runner **out, char *error, size_t size)
{
	struct runner *runner = calloc(1, sizeof(*runner));
	int err;

	snprintf(error, size, "out of memory");
	if (!runner)
		return -ENOMEM;
	pthread_mutex_init(&runner->lock, NULL);
	runner->input = runner->wake = -1;
	runner->options = *options;
	err = check_options(&runner->options, error, size);
	if (err)
		goto cleanup;
	runner->change_user = !is_user(options->uid, options->gid);
	runner->slots = calloc(runner->options.concurrency, sizeof(*runner->slots));
	runner->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	runner->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = !runner->slots ? -ENOMEM : runner->input < 0 || runner->wake < 0 ? -errno : 0;
	if (!err)
		err = start(runner);
	if (err) {
		snprintf(error, size, "programs cannot be run: %s", strerror(-err));
		goto cleanup;
	}
	*error = '\0';
	*out = runner;
	return 0;
cleanup:
	runner__free(runner, 0);
	return err;
}

/* Copies `count` strings to *data, and where they are to places. */
static void copy_strings(const char *const *strings, size_t count, char **places, char **data)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(strings[i]) + 1;

		places[i] = memcpy(*data, strings[i], length);
		*data += length;
	}
}

static struct job *copy_job(const char *const *argv, const char *const *envp, void *tag)
{
	size_t args = 0, variables = 0, bytes = 0;
	bool has_path = false;
	struct job *job;
	char *data;

	for (; argv[args]; args++)
		bytes += strlen(argv[args]) + 1;
	for (; envp && envp[variables]; variables++) {
		bytes += strlen(envp[variables]) + 1;
		has_path = has_path || strncmp(envp[variables], "PATH=", 5) == 0;
	}
	job = calloc(1, sizeof(*job) + (args + variables + 3) * sizeof(char *) + bytes +
				sizeof(standard_path));
	if (!job)
		return NULL;
	job->tag = tag;
	job->argv = (char **)(job + 1);
	job->envp = job->argv + args + 1;
	data = (char *)(job->envp + variables + 2);
	copy_strings(argv, args, job->argv, &data);
	copy_strings(envp, variables, job->envp, &data);
	if (!has_path)
		job->envp[variables] = memcpy(data, standard_path, sizeof(standard_path));
	return job;
}

static void wake(struct runner *runner)
{
	const uint64_t one = 1;

	/* It only fails when the thread is to be awake already. */
	if (write(runner->wake, &one, sizeof(one)) < 0)
		return;
}

int runner__run(struct runner *runner, const char *const *argv, const char *const *envp, void *tag)
{
	struct job *job;
	int err = 0;

	if (!argv[0] || argv[0][0] != '/')
		return -EINVAL;
	job = copy_job(argv, envp, tag);
	if (!job)
		return -ENOMEM;
	pthread_mutex_lock(&runner->lock);
	if (runner->stopping)
		err = -ESHUTDOWN;
	else if (runner->unfinished >=
		 (uint64_t)runner->options.queue_max + runner->options.concurrency)
		err = -ENOSPC;
	if (!err) {
		if (runner->first)
			runner->last->next = job;
		else
			runner->first = job;
		runner->last = job;
		runner->unfinished++;
	}
	pthread_mutex_unlock(&runner->lock);
	if (err)
		free(job);
	else
		wake(runner);
	return err;
}

void runner__free(struct runner *runner, double grace)
{
	if (!runner)
		return;
	if (runner->started) {
		pthread_mutex_lock(&runner->lock);
		runner->stopping = true;
		runner->stop_at = run__now() + fmax(grace, 0);
		pthread_mutex_unlock(&runner->lock);
		wake(runner);
		pthread_join(runner->thread, NULL);
	}
	if (runner->wake >= 0)
		close(runner->wake);
	if (runner->input >= 0)
		close(runner->input);
	free(runner->slots);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
}
