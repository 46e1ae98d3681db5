/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/deferred.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/server/mhd_info.h"

#define MOST_THREADS 40 /* above --max-tracks as shipped: a stuck target keeps one of them */
#define MOST_JOBS 96
#define STACK_BYTES (1UL << 20)
#define LOOK_MS 100 /* between two looks at the clients */

TAILQ_HEAD(job_list, job);

struct deferred {
	struct deferred_options options;
	pthread_mutex_t lock;
	pthread_cond_t wake;  /* a job may have become ready, or stop was set */
	struct job_list jobs; /* waiting or running, the oldest first */
	unsigned count, idle;
	bool stop;
	pthread_t threads[MOST_THREADS];
	unsigned thread_count;
	pthread_t watcher;
	int watch; /* eventfd: there are jobs to watch, or stop was set */
};

/* ---- the work ---- */

static bool is_busy(const struct deferred *deferred, uint64_t key)
{
	const struct job *job;

	TAILQ_FOREACH(job, &deferred->jobs, entry)
	{
		if (job->state == JOB_RUNNING && key && job->key == key)
			return true;
	}
	return false;
}

static struct job *find_ready(const struct deferred *deferred)
{
	struct job *job;

	TAILQ_FOREACH(job, &deferred->jobs, entry)
	{
		if (job->state == JOB_WAITING && !is_busy(deferred, job->key))
			return job;
	}
	return NULL;
}

/* Under the lock. The job is no longer ours once its connection is resumed. */
static void finish(struct deferred *deferred, struct job *job)
{
	TAILQ_REMOVE(&deferred->jobs, job, entry);
	deferred->count--;
	job->state = JOB_DONE;
	MHD_resume_connection(job->connection);
	/* Another of the same key may run now. */
	pthread_cond_broadcast(&deferred->wake);
}

static void run(const struct deferred *deferred, struct job *job)
{
	if (__atomic_load_n(&job->cancelled, __ATOMIC_ACQUIRE))
		answer__error(&job->answer, 503, "cancelled",
			      "its client is gone, or the agent stops");
	else
		routes__answer(deferred->options.context, &job->call, &job->answer);
}

static void *deferred_work(void *argument)
{
	struct deferred *deferred = argument;

	pthread_mutex_lock(&deferred->lock);
	for (;;) {
		struct job *job = find_ready(deferred);

		if (!job && deferred->stop)
			break;
		if (!job) {
			deferred->idle++;
			pthread_cond_wait(&deferred->wake, &deferred->lock);
			deferred->idle--;
			continue;
		}
		job->state = JOB_RUNNING;
		pthread_mutex_unlock(&deferred->lock);
		run(deferred, job);
		pthread_mutex_lock(&deferred->lock);
		finish(deferred, job);
	}
	pthread_mutex_unlock(&deferred->lock);
	return NULL;
}

/* Signals are for the agent's main thread. */
static int start_thread(pthread_t *thread, void *(*work)(void *), void *argument)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	err = -pthread_create(thread, &attributes, work, argument);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* ---- the clients ---- */

/*
 * Its client hung up, or the connection was cut. Being worked on is no client's slowness. Over TCP
 * one that will send nothing more, and still reads, looks the same as one that is gone.
 */
static bool is_gone(const struct deferred *deferred, const struct job *job, short revents)
{
	const short half = connection__is_local(job->peer) ? 0 : POLLRDHUP;

	return revents & (half | POLLHUP | POLLERR | POLLNVAL) ||
	       !connections__stays(deferred->options.connections, job->peer, true);
}

/* Under the lock: a job leaves the list under it, and its connection is open until then. */
static void look_at_clients(struct deferred *deferred)
{
	struct pollfd fds[MOST_JOBS];
	struct job *job;
	nfds_t count = 0;

	TAILQ_FOREACH(job, &deferred->jobs, entry)
	{
		fds[count++] = (struct pollfd){.fd = job->fd, .events = POLLRDHUP};
	}
	if (poll(fds, count, 0) < 0)
		return;
	count = 0;
	TAILQ_FOREACH(job, &deferred->jobs, entry)
	{
		if (is_gone(deferred, job, fds[count++].revents))
			__atomic_store_n(&job->cancelled, true, __ATOMIC_RELEASE);
	}
}

static void *deferred_watch(void *argument)
{
	struct deferred *deferred = argument;
	struct pollfd watch = {.fd = deferred->watch, .events = POLLIN};
	eventfd_t ignored;
	bool stop = false;

	while (!stop) {
		int timeout;

		pthread_mutex_lock(&deferred->lock);
		look_at_clients(deferred);
		timeout = deferred->count ? LOOK_MS : -1;
		stop = deferred->stop;
		pthread_mutex_unlock(&deferred->lock);
		if (!stop && poll(&watch, 1, timeout) > 0)
			eventfd_read(deferred->watch, &ignored);
	}
	return NULL;
}

/* ---- for the server ---- */

bool deferred__submit(struct deferred *deferred, struct job *job)
{
	bool room;

	job->fd = mhd_info__descriptor(job->connection);
	job->call.cancelled = &job->cancelled;
	pthread_mutex_lock(&deferred->lock);
	if (!deferred->idle && deferred->thread_count < MOST_THREADS && !deferred->stop &&
	    !start_thread(&deferred->threads[deferred->thread_count], deferred_work, deferred))
		deferred->thread_count++;
	room = deferred->count < MOST_JOBS && deferred->thread_count && !deferred->stop;
	if (room) {
		job->state = JOB_WAITING;
		MHD_suspend_connection(job->connection);
		TAILQ_INSERT_TAIL(&deferred->jobs, job, entry);
		if (!deferred->count++)
			eventfd_write(deferred->watch, 1);
		pthread_cond_signal(&deferred->wake);
	}
	pthread_mutex_unlock(&deferred->lock);
	return room;
}

int deferred__new(const struct deferred_options *options, struct deferred **out)
{
	struct deferred *deferred = calloc(1, sizeof(*deferred));
	int err;

	*out = NULL;
	if (!deferred)
		return -ENOMEM;
	deferred->options = *options;
	TAILQ_INIT(&deferred->jobs);
	pthread_mutex_init(&deferred->lock, NULL);
	pthread_cond_init(&deferred->wake, NULL);
	deferred->watch = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = deferred->watch < 0 ? -errno : 0;
	if (!err)
		err = start_thread(&deferred->watcher, deferred_watch, deferred);
	if (err) {
		if (deferred->watch >= 0)
			close(deferred->watch);
		deferred->watch = -1;
		deferred__free(deferred);
		return err;
	}
	*out = deferred;
	return 0;
}

void deferred__end(struct deferred *deferred)
{
	struct job *job;

	if (!deferred || deferred->watch < 0)
		return;
	pthread_mutex_lock(&deferred->lock);
	deferred->stop = true;
	TAILQ_FOREACH(job, &deferred->jobs, entry)
	{
		__atomic_store_n(&job->cancelled, true, __ATOMIC_RELEASE);
	}
	pthread_cond_broadcast(&deferred->wake);
	pthread_mutex_unlock(&deferred->lock);
	eventfd_write(deferred->watch, 1);
	for (unsigned i = 0; i < deferred->thread_count; i++)
		pthread_join(deferred->threads[i], NULL);
	pthread_join(deferred->watcher, NULL);
	close(deferred->watch);
	deferred->watch = -1;
}

void deferred__free(struct deferred *deferred)
{
	if (!deferred)
		return;
	deferred__end(deferred);
	pthread_cond_destroy(&deferred->wake);
	pthread_mutex_destroy(&deferred->lock);
	free(deferred);
}
