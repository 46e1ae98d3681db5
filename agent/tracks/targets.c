/* SPDX-License-Identifier: BSD-2-Clause */
/* The processes that tracks follow, one target for each, however many tracks ask for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "agent/host/procfs.h"
#include "agent/tracks/tracks_private.h"

int track__refuse(struct track_error *error, int err, uint32_t pid, const char *why)
{
	return pid ? track_error__set(error, err, "process %u: %s", pid, why)
		   : track_error__set(error, err, "%s", why);
}

static int check_process(const struct tracks *tracks, uint32_t pid, uint64_t *start_ticks,
			 struct track_error *error)
{
	struct procfs_stat stat;
	int err = procfs__stat(tracks->config->procfs, pid, &stat);

	if (err == -ENOENT || err == -ESRCH)
		return track__refuse(error, -ESRCH, pid, "there is none with this pid");
	if (err)
		return track__refuse(error, err, pid, strerror(-err));
	if (stat.kernel_thread)
		return track__refuse(error, -EINVAL, pid,
				     "it is a kernel thread and has no memory of its own");
	/* Its first thread may have ended alone. */
	if ((stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1)
		return track__refuse(error, -ESRCH, pid, "it has ended");
	if (pid == (uint32_t)getpid())
		return track__refuse(error, -EINVAL, pid,
				     "it is this agent, which cannot stop itself");
	*start_ticks = stat.start_ticks;
	return 0;
}

/* Between two measurements: what else the host does changes what it costs. */
#define COSTS_SECONDS 60

void track__measure(struct tracks *tracks, struct track *track)
{
	const double now = tracks__now();

	pthread_mutex_lock(&tracks->costs_lock);
	if (!tracks->costs_at || now - tracks->costs_at > COSTS_SECONDS) {
		track_work__step(&track->work, "measuring what its backends cost", 0);
		backend_costs__measure(&tracks->costs);
		tracks->costs_at = now;
	}
	track->costs = tracks->costs;
	track->has_costs = true;
	pthread_mutex_unlock(&tracks->costs_lock);
}

/* Whether a fault sensor runs; else why not. Before there are numbers that is not known: it may. */
static bool faults_are_counted(const struct tracks *tracks, struct reason *why)
{
	struct snapshot *snapshot = snapshot_store__latest(tracks->store);
	const struct snapshot_sensor *sensor;
	bool counted = true;

	if (snapshot) {
		sensor = &snapshot->sensors[DS_SENSOR_FAULT];
		counted = sensor->state != SENSOR_UNAVAILABLE;
		reason__set(why, "%s", sensor->reason);
		snapshot__put(snapshot);
	}
	return counted;
}

static int make_target(struct tracks *tracks, struct track *track, uint32_t pid,
		       uint64_t start_ticks, const struct scope_want *want, struct target **target,
		       struct track_error *error)
{
	struct reason no_faults, why;
	const struct target_options options = {
		.procfs = tracks->config->procfs,
		.tgid = pid,
		.start_ticks = start_ticks,
		.backend = *track->backend ? track->backend : NULL,
		.no_faults = faults_are_counted(tracks, &no_faults) ? NULL : no_faults.text,
		.costs = track->has_costs ? &track->costs : NULL,
		.want = want,
		.feed = tracks->feed,
		.tables = tracks->tables,
		.sweeps = tracks->sweeps,
		.work = &track->work,
	};
	int err = target__new(&options, target, &why);

	return err ? track__refuse(error, err, pid, *why.text ? why.text : strerror(-err)) : 0;
}

/* Two descriptors on the same memory cannot be had (-EBUSY): whoever wants more of it widens it. */
static int widen(struct shared_target *shared, struct track *track, const struct scope_want *want)
{
	int err = target__widen(shared->target, want);

	if (err || want->object || (!shared->partial && !want->guest))
		return err;
	/* What was not followed until now would come as written to the one who joins. */
	err = target__epoch(shared->target, &track->work);
	if (scope_want__is_all(want))
		shared->partial = err;
	return err;
}

/* With a use more, and nothing made yet where it is new. NULL: memory is short. */
static struct shared_target *find_or_add(struct tracks *tracks, uint32_t pid, uint64_t start_ticks)
{
	struct shared_target *shared;

	pthread_mutex_lock(&tracks->targets_lock);
	for (shared = tracks->targets; shared; shared = shared->next)
		if (shared->pid == pid && shared->start_ticks == start_ticks)
			break;
	if (!shared) {
		shared = calloc(1, sizeof(*shared));
		if (shared) {
			pthread_mutex_init(&shared->lock, NULL);
			shared->pid = pid;
			shared->start_ticks = start_ticks;
			shared->next = tracks->targets;
			tracks->targets = shared;
		}
	}
	if (shared)
		shared->users++;
	pthread_mutex_unlock(&tracks->targets_lock);
	return shared;
}

int track__get_target(struct tracks *tracks, struct track *track, uint32_t pid,
		      const struct scope_want *want, struct shared_target **out,
		      struct track_error *error)
{
	struct shared_target *shared;
	uint64_t start_ticks = 0;
	int err = check_process(tracks, pid, &start_ticks, error);

	if (err)
		return err;
	shared = find_or_add(tracks, pid, start_ticks);
	if (!shared)
		return track__refuse(error, -ENOMEM, 0, "out of memory");
	/* Whoever wants the same process waits for it; nobody else does. */
	pthread_mutex_lock(&shared->lock);
	if (!shared->target) {
		err = make_target(tracks, track, pid, start_ticks, want, &shared->target, error);
		shared->partial = !scope_want__is_all(want);
	} else {
		err = widen(shared, track, want);
		if (err)
			track__refuse(error, err, pid, strerror(-err));
	}
	pthread_mutex_unlock(&shared->lock);
	if (err)
		track__put_target(tracks, shared);
	else
		*out = shared;
	return err;
}

/* Under its lock: nobody uses it. */
static bool is_unused(struct tracks *tracks, const struct shared_target *shared)
{
	bool unused;

	pthread_mutex_lock(&tracks->targets_lock);
	unused = shared->users == 0;
	pthread_mutex_unlock(&tracks->targets_lock);
	return unused;
}

/*
 * It leaves the list only once its userfaultfd is closed: until then a new one would find the
 * memory taken. Whoever comes meanwhile waits for its lock, and makes the target anew.
 */
void track__put_target(struct tracks *tracks, struct shared_target *shared)
{
	bool last;

	pthread_mutex_lock(&shared->lock);
	pthread_mutex_lock(&tracks->targets_lock);
	shared->users--;
	pthread_mutex_unlock(&tracks->targets_lock);
	if (is_unused(tracks, shared)) {
		target__free(shared->target);
		shared->target = NULL;
	}
	pthread_mutex_lock(&tracks->targets_lock);
	last = shared->users == 0;
	if (last)
		for (struct shared_target **at = &tracks->targets; *at; at = &(*at)->next)
			if (*at == shared) {
				*at = shared->next;
				break;
			}
	pthread_mutex_unlock(&tracks->targets_lock);
	pthread_mutex_unlock(&shared->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&shared->lock);
	free(shared);
}
