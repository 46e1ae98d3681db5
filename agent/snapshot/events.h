/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened: agent, sensor and device events; a ring of the last EVENTS_KEPT. Thread-safe. */
#ifndef DIRTYSCOPE_AGENT_SNAPSHOT_EVENTS_H
#define DIRTYSCOPE_AGENT_SNAPSHOT_EVENTS_H

#include <stdint.h>
#include <time.h>

#include "agent/base/listener.h"

#define EVENTS_KEPT 1024

struct event {
	uint64_t id;	      /* 1, 2, ... since the agent's start */
	struct timespec time; /* realtime */
	char type[16];	      /* "agent", "sensor", "device" */
	char severity[8];     /* "info", "warning", "error" */
	char subject[64];     /* what it is about: a sensor's name, a device's id */
	char message[256];    /* one sentence; may hold any bytes of the host's names */
};

struct events;
struct events *events__new(void);
void events__free(struct events *events);
void events__add(struct events *events, const char *type, const char *severity, const char *subject,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
/*
 * One of a record, with its own id and time. An id that is not above all before is left out; ids
 * that were left out before it take the older ones with them, as where a ring has overflowed.
 */
void events__put(struct events *events, const struct event *event);
/*
 * Copies up to `limit` events with an id above `after`, oldest first, into a newly allocated array
 * that the caller frees. Returns their number or -ENOMEM; `oldest` (may be NULL) is the
 * lowest id still kept, so that a reader sees whether it missed some.
 */
int events__read(struct events *events, uint64_t after, size_t limit, struct event **copy,
		 uint64_t *oldest);
/* The id of the newest; 0: none yet. */
uint64_t events__last(struct events *events);
/* The listener is called with every event; once it is taken off, no more. */
void events__listen(struct events *events, struct listener *listener);
void events__unlisten(struct events *events, struct listener *listener);

#endif
