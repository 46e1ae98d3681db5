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

enum policy_track_state { POLICY_TRACK_WANTED, POLICY_TRACK_ACTIVE, POLICY_TRACK_OVER };

struct policy_track {
	uint64_t id;
	struct policy_track_request request; /* key.name and tag are its own */
	struct action_tag tag;
	char name[128];
	bool ending; /* under the lock, as are the facts */
	struct policy_track_facts facts;
	struct policy_track *next;
	/* What follows is used by the thread alone, without the lock. */
	enum policy_track_state state;
	double due;
	bool told; /* that it cannot be started yet */
	struct reclaim *reclaim;
};

struct policy_tracks {
	const struct agent_config *config;
	struct tracks *tracks;
	struct report *report;
	pthread_mutex_t lock;
	struct policy_track *list;
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

static void tell(const struct policy_tracks *policy_tracks, const struct policy_track *policy_track,
		 const char *result, const char *reason)
{
	report__add(policy_tracks->report, &policy_track->tag, result,
		    strcmp(result, "failed") == 0 ? "warning" : "info", reason);
}

static bool is_by_pid(const struct policy_track_request *request)
{
	return request->kind == TARGET_PROCESS || request->kind == TARGET_VM;
}

/* ---- the thread's work on one of them ---- */

static void start(struct policy_tracks *policy_tracks, struct policy_track *policy_track)
{
	const struct track_request request = {
		.kind = is_by_pid(&policy_track->request)	      ? TRACK_PID
			: policy_track->request.kind == TARGET_CGROUP ? TRACK_CGROUP
								      : TRACK_DEVICE,
		.pid = policy_track->request.pid,
		.path = policy_track->name,
	};
	struct track_info *info = calloc(1, sizeof(*info));
	struct track_error error = {""};
	char reason[64];
	int err =
		info ? tracks__start(policy_tracks->tracks, &request, NULL, info, &error) : -ENOMEM;

	if (err == -EAGAIN || err == -EBUSY || err == -ENOSPC || err == -ENOMEM) {
		if (!policy_track->told)
			tell(policy_tracks, policy_track, "delayed", error.message);
		policy_track->told = true;
		policy_track->due = now() + POLICY_TRACK_RETRY;
	} else if (err) {
		tell(policy_tracks, policy_track, "failed",
		     *error.message ? error.message : strerror(-err));
		policy_track->state = POLICY_TRACK_OVER;
	} else {
		snprintf(reason, sizeof(reason), "track %" PRIu64, info->id);
		tell(policy_tracks, policy_track, "started", reason);
		policy_track->state = POLICY_TRACK_ACTIVE;
		policy_track->due = now() + policy_track->request.every;
		pthread_mutex_lock(&policy_tracks->lock);
		policy_track->facts.track = info->id;
		pthread_mutex_unlock(&policy_tracks->lock);
	}
	free(info);
}

static void add_forecast(const struct policy_tracks *policy_tracks,
			 const struct policy_track *policy_track, struct policy_track_facts *facts)
{
	const struct forecast_options options = {
		.bandwidth = policy_track->request.bandwidth,
		.downtime = policy_track->request.downtime,
	};
	struct forecast forecast;
	struct track_error error;

	if (options.bandwidth <= 0 || tracks__forecast(policy_tracks->tracks, facts->track,
						       &options, NULL, &forecast, &error))
		return;
	/* A forecast that is not known must fulfil no condition. */
	facts->forecast = forecast.verdict != FORECAST_UNKNOWN;
	facts->converges = forecast.verdict == FORECAST_CONVERGES;
	facts->seconds = forecast.seconds;
	facts->downtime = forecast.downtime;
	facts->bytes = forecast.bytes;
	facts->cpu_share = forecast.cpu_share;
	if (forecast.device_count) {
		facts->device_share = forecast.devices[0].share;
		snprintf(facts->device, sizeof(facts->device), "%s", forecast.devices[0].id);
	}
}

static void collect(struct policy_tracks *policy_tracks, struct policy_track *policy_track)
{
	struct policy_track_facts facts = {.track = policy_track->facts.track};
	struct track_info *info = calloc(1, sizeof(*info));
	struct track_error error = {""};
	int err;

	if (!info)
		return;
	err = tracks__collect(policy_tracks->tracks, facts.track, DS_EVIDENCE_EXPOSED, NULL, NULL,
			      NULL, info, &error);
	if (err) {
		/* Its process ended, or somebody stopped it. */
		tell(policy_tracks, policy_track, "ended", error.message);
		policy_track->state = POLICY_TRACK_OVER;
		facts.track = 0;
	} else {
		facts.epoch = info->epoch;
		facts.rate = info->rate;
		facts.cpu = info->last.cpu;
		facts.dma = info->last.dma;
		facts.all = info->last.all;
		facts.missed = info->last.missed;
		add_forecast(policy_tracks, policy_track, &facts);
		if (policy_track->reclaim)
			reclaim__run(policy_track->reclaim, info->id, info->epoch);
	}
	pthread_mutex_lock(&policy_tracks->lock);
	policy_track->facts = facts;
	pthread_mutex_unlock(&policy_tracks->lock);
	free(info);
}

static void work_on(struct policy_tracks *policy_tracks, struct policy_track *policy_track)
{
	const double due = now() + policy_track->request.every;

	if (policy_track->state == POLICY_TRACK_WANTED) {
		start(policy_tracks, policy_track);
	} else {
		collect(policy_tracks, policy_track);
		policy_track->due = due;
	}
}

static void finish(struct policy_tracks *policy_tracks, struct policy_track *policy_track)
{
	char reason[64];

	if (policy_track->state == POLICY_TRACK_ACTIVE) {
		tracks__stop(policy_tracks->tracks, policy_track->facts.track);
		snprintf(reason, sizeof(reason), "track %" PRIu64, policy_track->facts.track);
		tell(policy_tracks, policy_track, "ended", reason);
	}
	reclaim__free(policy_track->reclaim);
	free(policy_track);
}

/* ---- the thread ---- */

/* Takes those that are to end off the list. */
static struct policy_track *take_ended(struct policy_tracks *policy_tracks)
{
	struct policy_track *ended = NULL, **at = &policy_tracks->list;

	pthread_mutex_lock(&policy_tracks->lock);
	while (*at) {
		struct policy_track *policy_track = *at;

		if (!policy_track->ending && !policy_tracks->stop) {
			at = &policy_track->next;
			continue;
		}
		*at = policy_track->next;
		policy_track->next = ended;
		ended = policy_track;
		policy_tracks->count--;
	}
	pthread_mutex_unlock(&policy_tracks->lock);
	return ended;
}

/* Only this thread takes any off the list, so one that was found stays. */
static struct policy_track *first_due(struct policy_tracks *policy_tracks, double until)
{
	struct policy_track *found = NULL;

	pthread_mutex_lock(&policy_tracks->lock);
	for (struct policy_track *one = policy_tracks->list; one; one = one->next)
		if (one->state != POLICY_TRACK_OVER && (!found || one->due < found->due))
			found = one;
	pthread_mutex_unlock(&policy_tracks->lock);
	return found && found->due <= until ? found : NULL;
}

static double next_due(struct policy_tracks *policy_tracks)
{
	const struct policy_track *next = first_due(policy_tracks, 1e300);

	return next ? next->due : 1e300;
}

static void finish_ended(struct policy_tracks *policy_tracks)
{
	struct policy_track *next;

	for (struct policy_track *ended = take_ended(policy_tracks); ended; ended = next) {
		next = ended->next;
		finish(policy_tracks, ended);
	}
}

/* Where it is not yet told to stop, being told wakes it from the poll that comes next. */
static bool is_over(struct policy_tracks *policy_tracks)
{
	bool over;

	pthread_mutex_lock(&policy_tracks->lock);
	over = policy_tracks->stop && !policy_tracks->list;
	pthread_mutex_unlock(&policy_tracks->lock);
	return over;
}

static void *policy_tracks_run(void *argument)
{
	struct policy_tracks *policy_tracks = argument;
	struct pollfd wake = {.fd = policy_tracks->wake, .events = POLLIN};

	for (;;) {
		struct policy_track *policy_track;
		eventfd_t ignored;
		double left;

		finish_ended(policy_tracks);
		if (is_over(policy_tracks))
			return NULL;
		policy_track = first_due(policy_tracks, now());
		if (policy_track)
			work_on(policy_tracks, policy_track);
		left = next_due(policy_tracks) - now();
		if (left > 3600)
			left = 3600;
		if (poll(&wake, 1, left > 0 ? (int)(left * 1000) + 1 : 0) > 0)
			eventfd_read(policy_tracks->wake, &ignored);
	}
}

/* ---- for everybody ---- */

int policy_tracks__new(const struct agent_config *config, struct tracks *tracks,
		       struct report *report, struct policy_tracks **out)
{
	struct policy_tracks *policy_tracks = calloc(1, sizeof(*policy_tracks));
	int err = -ENOMEM;

	*out = NULL;
	if (!policy_tracks)
		return err;
	policy_tracks->config = config;
	policy_tracks->tracks = tracks;
	policy_tracks->report = report;
	policy_tracks->next_id = 1;
	pthread_mutex_init(&policy_tracks->lock, NULL);
	policy_tracks->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = policy_tracks->wake < 0 ? -errno : 0;
	if (!err)
		err = -pthread_create(&policy_tracks->thread, NULL, policy_tracks_run,
				      policy_tracks);
	policy_tracks->running = !err;
	if (err) {
		policy_tracks__free(policy_tracks);
		return err;
	}
	*out = policy_tracks;
	return 0;
}

void policy_tracks__free(struct policy_tracks *policy_tracks)
{
	if (!policy_tracks)
		return;
	if (policy_tracks->running) {
		pthread_mutex_lock(&policy_tracks->lock);
		policy_tracks->stop = true;
		pthread_mutex_unlock(&policy_tracks->lock);
		eventfd_write(policy_tracks->wake, 1);
		pthread_join(policy_tracks->thread, NULL);
	}
	if (policy_tracks->wake >= 0)
		close(policy_tracks->wake);
	pthread_mutex_destroy(&policy_tracks->lock);
	free(policy_tracks);
}

uint64_t policy_tracks__begin(struct policy_tracks *policy_tracks,
			      const struct policy_track_request *request)
{
	struct policy_track *policy_track = calloc(1, sizeof(*policy_track));
	uint64_t id;

	if (!policy_track)
		return 0;
	policy_track->request = *request;
	policy_track->tag = *request->tag;
	snprintf(policy_track->name, sizeof(policy_track->name), "%s", request->key.name);
	policy_track->request.key.name = policy_track->name;
	policy_track->request.tag = &policy_track->tag;
	if (request->reclaim.epochs) {
		policy_track->reclaim = reclaim__new(policy_tracks->config, policy_tracks->tracks,
						     policy_tracks->report, &policy_track->request);
		if (!policy_track->reclaim) {
			free(policy_track);
			return 0;
		}
	}
	pthread_mutex_lock(&policy_tracks->lock);
	id = policy_track->id = policy_tracks->next_id++;
	policy_track->next = policy_tracks->list;
	policy_tracks->list = policy_track;
	policy_tracks->count++;
	pthread_mutex_unlock(&policy_tracks->lock);
	eventfd_write(policy_tracks->wake, 1);
	return id;
}

void policy_tracks__end(struct policy_tracks *policy_tracks, uint64_t id)
{
	pthread_mutex_lock(&policy_tracks->lock);
	for (struct policy_track *one = policy_tracks->list; one; one = one->next)
		if (one->id == id)
			one->ending = true;
	pthread_mutex_unlock(&policy_tracks->lock);
	eventfd_write(policy_tracks->wake, 1);
}

bool policy_tracks__facts(struct policy_tracks *policy_tracks, enum target_kind kind,
			  const struct target_key *key, struct policy_track_facts *facts)
{
	const struct policy_track *found = NULL;

	pthread_mutex_lock(&policy_tracks->lock);
	for (const struct policy_track *one = policy_tracks->list; one; one = one->next)
		/* Of several tracks on the target, one with a forecast is preferred. */
		if (one->request.kind == kind && one->facts.track &&
		    target_key__equals(&one->request.key, key) && (!found || one->facts.forecast))
			found = one;
	if (found)
		*facts = found->facts;
	pthread_mutex_unlock(&policy_tracks->lock);
	return found;
}

size_t policy_tracks__count(struct policy_tracks *policy_tracks)
{
	size_t count;

	pthread_mutex_lock(&policy_tracks->lock);
	count = policy_tracks->count;
	pthread_mutex_unlock(&policy_tracks->lock);
	return count;
}
