/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/snapshot/history.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct history {
	pthread_mutex_t lock;
	size_t capacity, count;
	size_t next; /* where the next point goes */
	struct history_point points[];
};

/* The few busiest of many, in falling order: an insertion sort of at most HISTORY_BUSIEST. */
struct busiest {
	size_t index[HISTORY_BUSIEST];
	double rate[HISTORY_BUSIEST];
	uint32_t count;
};

static void busiest__offer(struct busiest *busiest, size_t index, double rate)
{
	uint32_t place = busiest->count;

	/* What did nothing is not busy; this also keeps NaN out. */
	if (!(rate > 0))
		return;
	if (place == HISTORY_BUSIEST) {
		if (rate <= busiest->rate[place - 1])
			return;
		place--;
	} else {
		busiest->count++;
	}
	for (; place && busiest->rate[place - 1] < rate; place--) {
		busiest->index[place] = busiest->index[place - 1];
		busiest->rate[place] = busiest->rate[place - 1];
	}
	busiest->index[place] = index;
	busiest->rate[place] = rate;
}

static void add_processes(struct history_point *point, const struct snapshot *snapshot)
{
	struct busiest busiest = {};

	for (size_t i = 0; i < snapshot->process_count; i++) {
		double rate = 0;

		for (int writer = 0; writer < DS_WRITERS; writer++)
			rate += snapshot->processes[i].rates[writer];
		busiest__offer(&busiest, i, rate);
	}
	for (uint32_t i = 0; i < busiest.count; i++) {
		const struct process_identity *identity =
			snapshot->processes[busiest.index[i]].identity;
		struct history_process *process = &point->processes[i];

		process->tgid = identity->tgid;
		process->start_boottime_ns = identity->start_boottime_ns;
		memcpy(process->comm, identity->comm, sizeof(process->comm));
		process->comm[sizeof(process->comm) - 1] = '\0';
		process->rate = busiest.rate[i];
	}
	point->process_count = busiest.count;
}

static void add_devices(struct history_point *point, const struct snapshot *snapshot)
{
	struct busiest busiest = {};

	for (size_t i = 0; i < snapshot->device_count; i++)
		busiest__offer(&busiest, i, snapshot->devices[i].rate);
	for (uint32_t i = 0; i < busiest.count; i++) {
		struct history_device *device = &point->devices[i];

		snprintf(device->id, sizeof(device->id), "%s",
			 snapshot->devices[busiest.index[i]].id);
		device->rate = busiest.rate[i];
	}
	point->device_count = busiest.count;
}

struct history *history__new(size_t capacity)
{
	struct history *history;

	if (!capacity || capacity > INT_MAX ||
	    capacity > (SIZE_MAX - sizeof(*history)) / sizeof(history->points[0]))
		return NULL;
	/* calloc: points not reached yet cost no memory. */
	history = calloc(1, sizeof(*history) + capacity * sizeof(history->points[0]));
	if (!history)
		return NULL;
	if (pthread_mutex_init(&history->lock, NULL)) {
		free(history);
		return NULL;
	}
	history->capacity = capacity;
	return history;
}

void history__free(struct history *history)
{
	if (!history)
		return;
	pthread_mutex_destroy(&history->lock);
	free(history);
}

void history__add(struct history *history, const struct snapshot *snapshot)
{
	struct history_point point = {.time = snapshot->time};

	memcpy(point.rates, snapshot->rates, sizeof(point.rates));
	if (snapshot->interval > 0)
		point.dirty_pages = (double)snapshot->dirty_pages / snapshot->interval;
	point.exposed_pages = snapshot->exposed_pages;
	add_processes(&point, snapshot);
	add_devices(&point, snapshot);

	pthread_mutex_lock(&history->lock);
	history->points[history->next] = point;
	history->next = (history->next + 1) % history->capacity;
	if (history->count < history->capacity)
		history->count++;
	pthread_mutex_unlock(&history->lock);
}

static double seconds_between(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) * 1e-9;
}

/* The point `back` steps before the newest. */
static const struct history_point *point_at(const struct history *history, size_t back)
{
	size_t index = history->next + history->capacity - 1 - back;

	return &history->points[index % history->capacity];
}

int history__read(struct history *history, double window, struct history_point **points)
{
	size_t count = 0;
	int err = 0;

	*points = NULL;
	pthread_mutex_lock(&history->lock);
	for (; count < history->count; count++) {
		const struct history_point *point = point_at(history, count);

		if (!(seconds_between(&point->time, &point_at(history, 0)->time) <= window))
			break;
		/* A clock that was set back cuts the window: the times of a chart must rise. */
		if (count && seconds_between(&point->time, &point_at(history, count - 1)->time) < 0)
			break;
	}
	if (count) {
		*points = calloc(count, sizeof(**points));
		if (!*points)
			err = -ENOMEM;
		for (size_t i = 0; *points && i < count; i++)
			(*points)[i] = *point_at(history, count - 1 - i);
	}
	pthread_mutex_unlock(&history->lock);
	return err ? err : (int)count;
}
