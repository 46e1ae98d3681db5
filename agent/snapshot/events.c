/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/snapshot/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct events {
	pthread_mutex_t lock;
	struct listener *listeners;
	uint64_t first;			/* none below this one is kept; 0: none yet */
	uint64_t last;			/* id of the newest; 0: none yet */
	struct event ring[EVENTS_KEPT]; /* id n is at n % EVENTS_KEPT */
};

struct events *events__new(void)
{
	struct events *events = calloc(1, sizeof(*events));

	if (events && pthread_mutex_init(&events->lock, NULL)) {
		free(events);
		return NULL;
	}
	return events;
}

void events__free(struct events *events)
{
	if (!events)
		return;
	pthread_mutex_destroy(&events->lock);
	free(events);
}

/* Under the lock. */
static void put(struct events *events, const struct event *event)
{
	if (!events->first || event->id != events->last + 1)
		events->first = event->id;
	events->last = event->id;
	if (events->last - events->first >= EVENTS_KEPT)
		events->first = events->last - EVENTS_KEPT + 1;
	events->ring[event->id % EVENTS_KEPT] = *event;
	listeners__notify(events->listeners);
}

void events__add(struct events *events, const char *type, const char *severity, const char *subject,
		 const char *format, ...)
{
	struct event event = {};
	va_list list;

	snprintf(event.type, sizeof(event.type), "%s", type);
	snprintf(event.severity, sizeof(event.severity), "%s", severity);
	snprintf(event.subject, sizeof(event.subject), "%s", subject);
	va_start(list, format);
	vsnprintf(event.message, sizeof(event.message), format, list);
	va_end(list);

	pthread_mutex_lock(&events->lock);
	/* Read under the lock, so that times rise with ids. */
	clock_gettime(CLOCK_REALTIME, &event.time);
	event.id = events->last + 1;
	put(events, &event);
	pthread_mutex_unlock(&events->lock);
}

void events__put(struct events *events, const struct event *event)
{
	pthread_mutex_lock(&events->lock);
	if (event->id > events->last && event->id <= INT64_MAX)
		put(events, event);
	pthread_mutex_unlock(&events->lock);
}

int events__read(struct events *events, uint64_t after, size_t limit, struct event **copy,
		 uint64_t *oldest)
{
	uint64_t first;
	size_t count = 0;
	int err = 0;

	*copy = NULL;
	pthread_mutex_lock(&events->lock);
	first = events->first;
	if (oldest)
		*oldest = first;
	if (after >= first)
		first = after < events->last ? after + 1 : events->last + 1;
	count = (size_t)(events->last - first + 1);
	if (count > limit)
		count = limit;
	if (count) {
		*copy = calloc(count, sizeof(**copy));
		if (!*copy)
			err = -ENOMEM;
		for (size_t i = 0; *copy && i < count; i++)
			(*copy)[i] = events->ring[(first + i) % EVENTS_KEPT];
	}
	pthread_mutex_unlock(&events->lock);
	return err ? err : (int)count;
}

uint64_t events__last(struct events *events)
{
	uint64_t last;

	pthread_mutex_lock(&events->lock);
	last = events->last;
	pthread_mutex_unlock(&events->lock);
	return last;
}

void events__listen(struct events *events, struct listener *listener)
{
	pthread_mutex_lock(&events->lock);
	listeners__add(&events->listeners, listener);
	pthread_mutex_unlock(&events->lock);
}

void events__unlisten(struct events *events, struct listener *listener)
{
	pthread_mutex_lock(&events->lock);
	listeners__remove(&events->listeners, listener);
	pthread_mutex_unlock(&events->lock);
}
