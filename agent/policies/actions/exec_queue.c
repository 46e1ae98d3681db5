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
	struct exec_process run;
};

struct exec_queue {
	struct exec_queue_options options;
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

static void finish(struct exec_queue *execs, struct job *job, const char *result,
		   const char *reason)
{
	pthread_mutex_lock(&execs->lock);
	execs->unfinished--;
	pthread_mutex_unlock(&execs->lock);
	if (execs->options.done)
		execs->options.done(execs->options.context, job->tag, result, reason);
	free(job);
}

static struct job *take_job(struct exec_queue *execs)
{
	struct job *job;

	pthread_mutex_lock(&execs->lock);
	job = execs->first;
	if (job)
		execs->first = job->next;
	pthread_mutex_unlock(&execs->lock);
	return job;
}

static void start_job(struct exec_queue *execs, struct slot *slot, struct job *job)
{
	const struct child_plan plan = {
		.argv = job->argv,
		.envp = job->envp,
		.input = execs->input,
		.change_user = execs->change_user,
		.uid = execs->options.uid,
		.gid = execs->options.gid,
	};
	struct reason reason;
	int err = exec_process__start(&slot->run, &plan, execs->options.timeout);

	slot->job = job;
	if (!err)
		return;
	reason__set(&reason, "it cannot be started: %s", strerror(-err));
	finish(execs, job, "failed", reason.text);
}

static void start_waiting(struct exec_queue *execs)
{
	for (uint32_t i = 0; i < execs->options.concurrency; i++) {
		struct job *job;

		while (execs->slots[i].run.stage == EXEC_FREE && (job = take_job(execs)))
			start_job(execs, &execs->slots[i], job);
	}
}

/* ---- the thread ---- */

/* Until something happens, or `until`. */
static void await(struct exec_queue *execs, double until)
{
	struct pollfd polls[1 + 2 * CONCURRENCY_MAX] = {{execs->wake, POLLIN, 0}};
	nfds_t count = 1;
	uint64_t ignored;

	for (uint32_t i = 0; i < execs->options.concurrency; i++) {
		const struct exec_process *run = &execs->slots[i].run;

		if (run->stage == EXEC_FREE)
			continue;
		until = fmin(until, run->deadline);
		if (run->pidfd < 0)
			until = fmin(until, exec_process__now() + LOOK_SECONDS);
		polls[count++] = (struct pollfd){run->pidfd, POLLIN, 0};
		polls[count++] = (struct pollfd){run->child.output, POLLIN, 0};
	}
	until = fmax(fmin(until - exec_process__now(), LONGEST_SLEEP), 0);
	if (poll(polls, count, (int)ceil(until * 1000)) > 0 && polls[0].revents &&
	    read(execs->wake, &ignored, sizeof(ignored)) < 0)
		return; /* nothing was told, and nothing is lost */
}

/* The end of the grace: what waits is dropped, what runs is ended. */
static void end_all(struct exec_queue *execs)
{
	struct job *job;

	while ((job = take_job(execs)))
		finish(execs, job, "dropped", exec_process_stopped);
	for (uint32_t i = 0; i < execs->options.concurrency; i++)
		if (execs->slots[i].run.stage == EXEC_RUNS)
			exec_process__stop(&execs->slots[i].run, "dropped");
}

static void look_after(struct exec_queue *execs, struct slot *slot, bool give_up)
{
	struct exec_process_end end;

	if (slot->run.stage != EXEC_FREE && exec_process__look(&slot->run, give_up, &end))
		finish(execs, slot->job, end.result, end.reason.text);
}

/* When the grace ends; INFINITY while there is no end in sight. *over: nothing is left to be done.
 */
static double look_at_end(struct exec_queue *execs, bool *stopping, bool *over)
{
	double stop_at;

	pthread_mutex_lock(&execs->lock);
	*stopping = execs->stopping;
	*over = execs->stopping && !execs->unfinished;
	stop_at = execs->stopping ? execs->stop_at : INFINITY;
	pthread_mutex_unlock(&execs->lock);
	return stop_at;
}

static void *exec_queue_run(void *context)
{
	struct exec_queue *execs = context;
	bool stopping, over;

	for (;;) {
		double stop_at = look_at_end(execs, &stopping, &over);
		bool ended = exec_process__now() >= stop_at;

		if (ended)
			end_all(execs);
		else
			start_waiting(execs);
		/* Again: what was dropped, or did not even start, may have been the last. */
		stop_at = look_at_end(execs, &stopping, &over);
		if (over)
			return NULL;
		await(execs, ended ? INFINITY : stop_at);
		for (uint32_t i = 0; i < execs->options.concurrency; i++)
			look_after(execs, &execs->slots[i], stopping);
	}
}

/* ---- set-up ---- */

static int check_user(const struct exec_queue_options *options, struct reason *error)
{
	/* To the kernel these mean: stay who you are. */
	if (options->uid == (uid_t)-1 || options->gid == (gid_t)-1) {
		reason__set(error, "%u is no user and no group", UINT32_MAX);
		return -EINVAL;
	}
	if (!options->allow_root && (options->uid == 0 || options->gid == 0)) {
		reason__set(error,
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

static int check_options(struct exec_queue_options *options, struct reason *error)
{
	if (!isfinite(options->timeout) || options->timeout < 0 ||
	    options->timeout > LONGEST_TIMEOUT) {
		reason__set(error, "the time-out must be 0 to %.0f seconds", LONGEST_TIMEOUT);
		return -EINVAL;
	}
	if (options->concurrency > CONCURRENCY_MAX) {
		reason__set(error, "at most %d programs run at once", CONCURRENCY_MAX);
		return -EINVAL;
	}
	if (options->timeout == 0)
		options->timeout = DEFAULT_TIMEOUT;
	if (!options->concurrency)
		options->concurrency = DEFAULT_CONCURRENCY;
	if (!options->queue_max)
		options->queue_max = DEFAULT_QUEUE_MAX;
	return check_user(options, error);
}

/* With all signals blocked: a child is born so, and has none of the agent's handlers run in it. */
static int start(struct exec_queue *execs)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&execs->thread, NULL, exec_queue_run, execs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	execs->started = !err;
	return err;
}

int exec_queue__new(const struct exec_queue_options *options, struct exec_queue **out,
		    struct reason *error)
{
	struct exec_queue *execs = calloc(1, sizeof(*execs));
	int err;

	reason__set(error, "out of memory");
	if (!execs)
		return -ENOMEM;
	pthread_mutex_init(&execs->lock, NULL);
	execs->input = execs->wake = -1;
	execs->options = *options;
	err = check_options(&execs->options, error);
	if (err)
		goto cleanup;
	execs->change_user = !is_user(options->uid, options->gid);
	execs->slots = calloc(execs->options.concurrency, sizeof(*execs->slots));
	execs->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	execs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = !execs->slots ? -ENOMEM : execs->input < 0 || execs->wake < 0 ? -errno : 0;
	if (!err)
		err = start(execs);
	if (err) {
		reason__set(error, "programs cannot be run: %s", strerror(-err));
		goto cleanup;
	}
	error->text[0] = '\0';
	*out = execs;
	return 0;
cleanup:
	exec_queue__free(execs, 0);
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

static void wake(struct exec_queue *execs)
{
	const uint64_t one = 1;

	/* It only fails when the thread is to be awake already. */
	if (write(execs->wake, &one, sizeof(one)) < 0)
		return;
}

int exec_queue__run(struct exec_queue *execs, const char *const *argv, const char *const *envp,
		    void *tag)
{
	struct job *job;
	int err = 0;

	if (!argv[0] || argv[0][0] != '/')
		return -EINVAL;
	job = copy_job(argv, envp, tag);
	if (!job)
		return -ENOMEM;
	pthread_mutex_lock(&execs->lock);
	if (execs->stopping)
		err = -ESHUTDOWN;
	else if (execs->unfinished >=
		 (uint64_t)execs->options.queue_max + execs->options.concurrency)
		err = -ENOSPC;
	if (!err) {
		if (execs->first)
			execs->last->next = job;
		else
			execs->first = job;
		execs->last = job;
		execs->unfinished++;
	}
	pthread_mutex_unlock(&execs->lock);
	if (err)
		free(job);
	else
		wake(execs);
	return err;
}

void exec_queue__free(struct exec_queue *execs, double grace)
{
	if (!execs)
		return;
	if (execs->started) {
		pthread_mutex_lock(&execs->lock);
		execs->stopping = true;
		execs->stop_at = exec_process__now() + fmax(grace, 0);
		pthread_mutex_unlock(&execs->lock);
		wake(execs);
		pthread_join(execs->thread, NULL);
	}
	if (execs->wake >= 0)
		close(execs->wake);
	if (execs->input >= 0)
		close(execs->input);
	free(execs->slots);
	pthread_mutex_destroy(&execs->lock);
	free(execs);
}
