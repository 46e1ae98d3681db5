/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/sampler.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/inventory/devices.h"
#include "agent/base/errno_text.h"
#include "agent/base/log.h"
#include "agent/inventory/pin_inventory.h"
#include "agent/inventory/processes.h"
#include "agent/host/vmstat.h"

#define TRIM_SECONDS 5	    /* between two times that unused memory is given back */
#define DRAIN_SECONDS 0.1   /* between two looks at processes that ended */
#define BREATH_SECONDS 0.01 /* at least, between two looks at devices that came or went */

struct sampler {
	struct sampler_options options;
	struct processes *processes;
	struct devices *devices;
	struct pin_inventory *pins;
	struct utsname host;
	double started, last; /* seconds, monotonic; last: 0 before the first sample */
	uint64_t sequence;
	enum sensor_state states[DS_SENSOR_COUNT]; /* as of the last snapshot, to tell of changes */
	pthread_t thread;
	int stop; /* eventfd: readable once the thread shall end */
	int ask;  /* eventfd: somebody waits for a hand-over */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	uint64_t asked, handed; /* under the lock: hand-overs wanted, and done */
	int handed_err;
	bool over; /* under the lock: there will be none any more */
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void tell_of_sensors(struct sampler *sampler, const struct snapshot *snapshot)
{
	static const char *const names[] = {"active", "partial", "unavailable"};

	for (int id = 0; id < DS_SENSOR_COUNT; id++) {
		const struct snapshot_sensor *sensor = &snapshot->sensors[id];

		if (sensor->state == sampler->states[id])
			continue;
		sampler->states[id] = sensor->state;
		events__add(sampler->options.events, "sensor",
			    sensor->state == SENSOR_ACTIVE ? "info" : "warning",
			    ds_sensor_names[id], "sensor is %s%s%s", names[sensor->state],
			    *sensor->reason ? ": " : "", sensor->reason);
		if (sensor->state != SENSOR_ACTIVE)
			log_warn("sensor state", "sensor=%s state=%s reason=\"%s\"",
				 ds_sensor_names[id], names[sensor->state], sensor->reason);
	}
}

/* One interval: read, resolve, sum, publish. */
static int sample(struct sampler *sampler)
{
	const double now = seconds_now(), seconds = sampler->last ? now - sampler->last : 0;
	struct snapshot *snapshot = snapshot__new();
	int err;

	if (!snapshot)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &snapshot->time);
	snapshot->sequence = sampler->sequence + 1;
	snapshot->interval = seconds > 0 ? seconds : sampler->options.config->interval;
	snapshot->uptime = now - sampler->started;
	snapshot->hostname = sampler->host.nodename;
	snapshot->kernel = sampler->host.release;
	vmstat__read(sampler->options.config->procfs, &snapshot->writeback);

	err = processes__sample(sampler->processes, now);
	if (!err)
		err = devices__sample(sampler->devices, now, seconds);
	if (!err)
		err = devices__sample_flows(sampler->devices, sampler->processes, now, seconds);
	if (!err)
		err = kernel_side__sample(sampler->options.kernel, snapshot);
	if (!err)
		err = devices__publish(sampler->devices, snapshot);
	if (!err)
		err = pin_inventory__publish(sampler->pins, snapshot);
	for (size_t i = 0; !err && i < sampler->options.part_count; i++) {
		const struct sampler_part *part = &sampler->options.parts[i];

		err = part->publish(part->context, snapshot);
	}
	if (!err)
		err = processes__publish(sampler->processes, now, seconds,
					 devices__unknown_dma(sampler->devices),
					 devices__forget_process, sampler->devices, snapshot);
	if (err) {
		snapshot__put(snapshot);
		return err;
	}
	sampler->last = now;
	sampler->sequence++;
	snapshot->sample_duration = seconds_now() - now;
	tell_of_sensors(sampler, snapshot);
	history__add(sampler->options.history, snapshot);
	snapshot_store__publish(sampler->options.store, snapshot);
	return 0;
}

/* One hand-over serves all who asked before it began. */
static void hand_over(struct sampler *sampler)
{
	eventfd_t ignored;
	uint64_t asked;
	int err;

	eventfd_read(sampler->ask, &ignored);
	pthread_mutex_lock(&sampler->lock);
	asked = sampler->asked;
	pthread_mutex_unlock(&sampler->lock);
	err = devices__hand_over(sampler->devices);
	pthread_mutex_lock(&sampler->lock);
	sampler->handed = asked;
	sampler->handed_err = err;
	pthread_cond_broadcast(&sampler->answered);
	pthread_mutex_unlock(&sampler->lock);
}

bool sampler__is_idle(void *context)
{
	const struct sampler *sampler = context;

	return devices__are_idle(sampler->devices);
}

uint64_t sampler__ask(void *context)
{
	struct sampler *sampler = context;
	uint64_t mine;

	pthread_mutex_lock(&sampler->lock);
	mine = ++sampler->asked;
	eventfd_write(sampler->ask, 1);
	pthread_mutex_unlock(&sampler->lock);
	return mine;
}

int sampler__await(void *context, uint64_t mine)
{
	struct sampler *sampler = context;
	int err;

	pthread_mutex_lock(&sampler->lock);
	while (sampler->handed < mine && !sampler->over)
		pthread_cond_wait(&sampler->answered, &sampler->lock);
	err = sampler->handed < mine ? -ESHUTDOWN : sampler->handed_err;
	pthread_mutex_unlock(&sampler->lock);
	return err;
}

/* Sleeps until then, the stop, or news of devices, and hands over when asked; true: stop. */
static bool sleep_until(struct sampler *sampler, double until, int news)
{
	struct pollfd waits[] = {{.fd = sampler->stop, .events = POLLIN},
				 {.fd = sampler->ask, .events = POLLIN},
				 {.fd = news, .events = POLLIN}};
	double left = until - seconds_now();
	struct timespec time;

	if (left < 0)
		left = 0;
	time = (struct timespec){.tv_sec = (time_t)left,
				 .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
	if (ppoll(waits, 3, &time, NULL) <= 0)
		return false;
	if (waits[1].revents)
		hand_over(sampler);
	return waits[0].revents;
}

static void *sampler_run(void *argument)
{
	struct sampler *sampler = argument;
	const double interval = sampler->options.config->interval;
	const int news = devices__fd(sampler->devices);
	double next = seconds_now(), wake = next, breath = next, trim = next;

	for (;;) {
		double now;

		/* A storm of uevents must not keep this thread busy, so it waits a moment before it
		 * takes more of them. */
		if (sleep_until(sampler, breath < wake ? breath : wake, -1) ||
		    (breath < wake && sleep_until(sampler, wake, news)))
			break;
		now = seconds_now();
		if (now >= next) {
			int err = sample(sampler);

			if (err)
				log_error(
					"interval not sampled; what it counted comes with the next",
					"error=%s", errno_text(-err).name);
			/* Many processes that came and went leave holes in the heap, which malloc
			 * gives back only when asked. */
			if (now >= trim) {
				malloc_trim(0);
				trim = now + TRIM_SECONDS;
			}
			/* After a stall the missed intervals are not made up for. */
			next = next + interval > now ? next + interval : now + interval;
		} else {
			processes__drain(sampler->processes, now);
			devices__drain(sampler->devices, now);
		}
		breath = seconds_now() + BREATH_SECONDS;
		wake = now + DRAIN_SECONDS < next ? now + DRAIN_SECONDS : next;
	}
	pthread_mutex_lock(&sampler->lock);
	sampler->over = true;
	pthread_cond_broadcast(&sampler->answered);
	pthread_mutex_unlock(&sampler->lock);
	return NULL;
}

static void sampler__free(struct sampler *sampler)
{
	pin_inventory__stop(sampler->pins);
	devices__free(sampler->devices);
	processes__free(sampler->processes);
	if (sampler->stop >= 0)
		close(sampler->stop);
	if (sampler->ask >= 0)
		close(sampler->ask);
	pthread_cond_destroy(&sampler->answered);
	pthread_mutex_destroy(&sampler->lock);
	free(sampler);
}

int sampler__start(const struct sampler_options *options, struct sampler **out,
		   struct kernel_error *error)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	int err;

	*out = NULL;
	if (!sampler)
		return -ENOMEM;
	sampler->options = *options;
	uname(&sampler->host);
	pthread_mutex_init(&sampler->lock, NULL);
	pthread_cond_init(&sampler->answered, NULL);
	sampler->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sampler->ask = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = sampler->stop < 0 || sampler->ask < 0 ? -errno : 0;
	if (!err)
		err = processes__new(options->config, options->kernel, &sampler->processes);
	if (!err)
		err = devices__new(options->config, options->kernel, options->events,
				   &sampler->devices);
	if (err) {
		snprintf(error->message, sizeof(error->message), "cannot set up the inventory: %s",
			 strerror(-err));
		goto cleanup;
	}
	devices__listen(sampler->devices, options->listener);
	/* Page sets exist now, so that the first event finds them. */
	err = kernel_side__attach(options->kernel, error);
	if (err)
		goto cleanup;
	sampler->started = seconds_now();
	err = pin_inventory__start(options->kernel, options->config->procfs, &sampler->pins);
	if (!err)
		err = -pthread_create(&sampler->thread, NULL, sampler_run, sampler);
	if (err)
		snprintf(error->message, sizeof(error->message),
			 "cannot start the sampler's threads: %s", strerror(-err));
cleanup:
	if (err) {
		sampler__free(sampler);
		return err;
	}
	*out = sampler;
	return 0;
}

void sampler__stop(struct sampler *sampler)
{
	if (!sampler)
		return;
	eventfd_write(sampler->stop, 1);
	pthread_join(sampler->thread, NULL);
	sampler__free(sampler);
}
