/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/actions/policy_tracks.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/policies/actions/reclaim.h"
#include "agent/tracks/forecast.h"

enum follow_state { FOLLOW_WANTED, FOLLOW_ACTIVE, FOLLOW_OVER };

struct follow {
	uint64_t id;
	struct follow_request request; /* key.name and tag are its own */
	struct action_tag tag;
	char name[128];
	bool ending; /* under the lock, as are the facts */
	struct follow_facts facts;
	struct follow *next;
	/* Of the thread alone. */
	enum follow_state state;
	double due;
	bool told; /* that it cannot be started yet */
	struct reclaim *reclaim;
};

struct follows {
	const struct agent_config *config;
	struct tracks *tracks;
	struct report *report;
	pthread_mutex_t lock;
	struct follow *list;
	size_t count;
	uint64_t next_id;
	pthread_t thread;
	bool running, stop;
	int wake; /* eventfd */
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void tell(const struct follows *follows, const struct follow *follow, const char *result,
		 const char *reason)
{
	report__add(follows->report, &follow->tag, result,
		    strcmp(result, "failed") == 0 ? "warning" : "info", reason);
}

static bool is_by_pid(const struct follow_request *request)
{
	return request->kind == TARGET_PROCESS || request->kind == TARGET_VM;
}

/* ---- the thread's work on one of them ---- */

static void start(struct follows *follows, struct follow *follow)
{
	const struct track_request request = {
		.kind = is_by_pid(&follow->request)		? TRACK_PID
			: follow->request.kind == TARGET_CGROUP ? TRACK_CGROUP
								: TRACK_DEVICE,
		.pid = follow->request.pid,
		.path = follow->name,
	};
	struct track_info *info = calloc(1, sizeof(*info));
	struct track_error error = {""};
	char reason[64];
	int err = info ? tracks__start(follows->tracks, &request, info, &error) : -ENOMEM;

	if (err == -EAGAIN || err == -EBUSY || err == -ENOSPC || err == -ENOMEM) {
		if (!follow->told)
			tell(follows, follow, "delayed", error.message);
		follow->told = true;
		follow->due = now() + FOLLOW_RETRY;
	} else if (err) {
		tell(follows, follow, "failed", *error.message ? error.message : strerror(-err));
		follow->state = FOLLOW_OVER;
	} else {
		snprintf(reason, sizeof(reason), "track %" PRIu64, info->id);
		tell(follows, follow, "started", reason);
		follow->state = FOLLOW_ACTIVE;
		follow->due = now() + follow->request.every;
		pthread_mutex_lock(&follows->lock);
		follow->facts.track = info->id;
		pthread_mutex_unlock(&follows->lock);
	}
	free(info);
}

static void add_forecast(const struct follows *follows, const struct follow *follow,
			 struct follow_facts *facts)
{
	const struct forecast_options options = {
		.bandwidth = follow->request.bandwidth,
		.downtime = follow->request.downtime,
	};
	struct forecast forecast;
	struct track_error error;

	if (options.bandwidth <= 0 ||
	    tracks__forecast(follows->tracks, facts->track, &options, &forecast, &error))
		return;
	facts->forecast = true;
	facts->converges = forecast.converges;
	facts->seconds = forecast.seconds;
	facts->downtime = forecast.downtime;
	facts->bytes = forecast.bytes;
	facts->cpu_share = forecast.cpu_share;
	if (forecast.device_count) {
		facts->device_share = forecast.devices[0].share;
		snprintf(facts->device, sizeof(facts->device), "%s", forecast.devices[0].id);
	}
}

static void collect(struct follows *follows, struct follow *follow)
{
	struct follow_facts facts = {.track = follow->facts.track};
	struct track_info *info = calloc(1, sizeof(*info));
	struct track_error error = {""};
	int err;

	if (!info)
		return;
	err = tracks__collect(follows->tracks, facts.track, DS_EVIDENCE_EXPOSED, NULL, NULL, info,
			      &error);
	if (err) {
		/* Its process ended, or somebody stopped it. */
		tell(follows, follow, "ended", error.message);
		follow->state = FOLLOW_OVER;
		facts.track = 0;
	} else {
		facts.epoch = info->epoch;
		facts.rate = info->rate;
		facts.cpu = info->last.cpu;
		facts.dma = info->last.dma;
		facts.all = info->last.all;
		facts.missed = info->last.missed;
		add_forecast(follows, follow, &facts);
		if (follow->reclaim)
			reclaim__run(follow->reclaim, info->id, info->epoch);
	}
	pthread_mutex_lock(&follows->lock);
	follow->facts = facts;
	pthread_mutex_unlock(&follows->lock);
	free(info);
}

static void work_on(struct follows *follows, struct follow *follow)
{
	const double due = now() + follow->request.every;

	if (follow->state == FOLLOW_WANTED) {
		start(follows, follow);
	} else {
		collect(follows, follow);
		follow->due = due;
	}
}

static void finish(struct follows *follows, struct follow *follow)
{
	char reason[64];

	if (follow->state == FOLLOW_ACTIVE) {
		tracks__stop(follows->tracks, follow->facts.track);
		snprintf(reason, sizeof(reason), "track %" PRIu64, follow->facts.track);
		tell(follows, follow, "ended", reason);
	}
	reclaim__free(follow->reclaim);
	free(follow);
}

/* ---- the thread ---- */

/* Takes those that are to end off the list. */
static struct follow *take_ended(struct follows *follows)
{
	struct follow *ended = NULL, **at = &follows->list;

	pthread_mutex_lock(&follows->lock);
	while (*at) {
		struct follow *follow = *at;

		if (!follow->ending && !follows->stop) {
			at = &follow->next;
			continue;
		}
		*at = follow->next;
		follow->next = ended;
		ended = follow;
		follows->count--;
	}
	pthread_mutex_unlock(&follows->lock);
	return ended;
}

/* Only this thread takes any off the list, so one that was found stays. */
static struct follow *first_due(struct follows *follows, double until)
{
	struct follow *found = NULL;

	pthread_mutex_lock(&follows->lock);
	for (struct follow *one = follows->list; one; one = one->next)
		if (one->state != FOLLOW_OVER && (!found || one->due < found->due))
			found = one;
	pthread_mutex_unlock(&follows->lock);
	return found && found->due <= until ? found : NULL;
}

static double next_due(struct follows *follows)
{
	const struct follow *next = first_due(follows, 1e300);

	return next ? next->due : 1e300;
}

static void finish_ended(struct follows *follows)
{
	struct follow *next;

	for (struct follow *ended = take_ended(follows); ended; ended = next) {
		next = ended->next;
		finish(follows, ended);
	}
}

/* Where it is not yet told to stop, being told wakes it from the poll that comes next. */
static bool is_over(struct follows *follows)
{
	bool over;

	pthread_mutex_lock(&follows->lock);
	over = follows->stop && !follows->list;
	pthread_mutex_unlock(&follows->lock);
	return over;
}

static void *run(void *argument)
{
	struct follows *follows = argument;
	struct pollfd wake = {.fd = follows->wake, .events = POLLIN};

	for (;;) {
		struct follow *follow;
		eventfd_t ignored;
		double left;

		finish_ended(follows);
		if (is_over(follows))
			return NULL;
		follow = first_due(follows, now());
		if (follow)
			work_on(follows, follow);
		left = next_due(follows) - now();
		if (left > 3600)
			left = 3600;
		if (poll(&wake, 1, left > 0 ? (int)(left * 1000) + 1 : 0) > 0)
			eventfd_read(follows->wake, &ignored);
	}
}

/* ---- for everybody ---- */

int follows__new(const struct agent_config *config, struct tracks *tracks, struct report *report,
		 struct follows **out)
{
	struct follows *follows = calloc(1, sizeof(*follows));
	int err = -ENOMEM;

	*out = NULL;
	if (!follows)
		return err;
	follows->config = config;
	follows->tracks = tracks;
	follows->report = report;
	follows->next_id = 1;
	pthread_mutex_init(&follows->lock, NULL);
	follows->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = follows->wake < 0 ? -errno : 0;
	if (!err)
		err = -pthread_create(&follows->thread, NULL, run, follows);
	follows->running = !err;
	if (err) {
		follows__free(follows);
		return err;
	}
	*out = follows;
	return 0;
}

void follows__free(struct follows *follows)
{
	if (!follows)
		return;
	if (follows->running) {
		pthread_mutex_lock(&follows->lock);
		follows->stop = true;
		pthread_mutex_unlock(&follows->lock);
		eventfd_write(follows->wake, 1);
		pthread_join(follows->thread, NULL);
	}
	if (follows->wake >= 0)
		close(follows->wake);
	pthread_mutex_destroy(&follows->lock);
	free(follows);
}

uint64_t follows__begin(struct follows *follows, const struct follow_request *request)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	uint64_t id;

	if (!follow)
		return 0;
	follow->request = *request;
	follow->tag = *request->tag;
	snprintf(follow->name, sizeof(follow->name), "%s", request->key.name);
	follow->request.key.name = follow->name;
	follow->request.tag = &follow->tag;
	if (request->reclaim.epochs) {
		follow->reclaim = reclaim__new(follows->config, follows->tracks, follows->report,
					       &follow->request);
		if (!follow->reclaim) {
			free(follow);
			return 0;
		}
	}
	pthread_mutex_lock(&follows->lock);
	id = follow->id = follows->next_id++;
	follow->next = follows->list;
	follows->list = follow;
	follows->count++;
	pthread_mutex_unlock(&follows->lock);
	eventfd_write(follows->wake, 1);
	return id;
}

void follows__end(struct follows *follows, uint64_t id)
{
	pthread_mutex_lock(&follows->lock);
	for (struct follow *one = follows->list; one; one = one->next)
		if (one->id == id)
			one->ending = true;
	pthread_mutex_unlock(&follows->lock);
	eventfd_write(follows->wake, 1);
}

bool follows__facts(struct follows *follows, enum target_kind kind, const struct target_key *key,
		    struct follow_facts *facts)
{
	const struct follow *found = NULL;

	pthread_mutex_lock(&follows->lock);
	for (const struct follow *one = follows->list; one; one = one->next)
		/* One with a forecast says more than one without. */
		if (one->request.kind == kind && one->facts.track &&
		    target_key__equals(&one->request.key, key) && (!found || one->facts.forecast))
			found = one;
	if (found)
		*facts = found->facts;
	pthread_mutex_unlock(&follows->lock);
	return found;
}

size_t follows__count(struct follows *follows)
{
	size_t count;

	pthread_mutex_lock(&follows->lock);
	count = follows->count;
	pthread_mutex_unlock(&follows->lock);
	return count;
}
