/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/write_feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/frame_set.h"

#define KINDS 2 /* completed, exposed */
#define OTHER (PAGE_MAP_DEVICES - 1)

struct write_log {
	struct write_feed *feed;
	struct write_log *next;
	uint64_t lost; /* atomic */
	struct frame_set sets[PAGE_MAP_DEVICES][KINDS];
};

struct write_feed {
	struct page_listener listener;
	pthread_mutex_t lock; /* the list, and the sets' coming into being */
	struct write_log *logs;
	unsigned device_count;
	char devices[PAGE_MAP_DEVICES][64];
	uint64_t lost[DS_LOST_REASONS]; /* atomic */
};

/* What another thread named meanwhile has its number already. */
unsigned write_feed__name(struct write_feed *feed, const char *id)
{
	unsigned device = write_feed__find(feed, id);

	if (device < PAGE_MAP_DEVICES)
		return device;
	pthread_mutex_lock(&feed->lock);
	device = write_feed__find(feed, id);
	if (device == PAGE_MAP_DEVICES && feed->device_count == OTHER)
		device = OTHER;
	if (device == PAGE_MAP_DEVICES) {
		device = feed->device_count;
		snprintf(feed->devices[device], sizeof(feed->devices[device]), "%s", id);
		__atomic_store_n(&feed->device_count, device + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&feed->lock);
	return device;
}

static unsigned name_device(void *context, const char *id)
{
	return write_feed__name(context, id);
}

static void add(struct write_log *log, unsigned device, int kind, uint64_t first_pfn, uint64_t bits)
{
	if (first_pfn >= FRAME_SET_FRAMES)
		return; /* no frame of this host's memory */
	if (frame_set__add(&log->sets[device][kind], first_pfn, bits))
		__atomic_fetch_add(&log->lost, (uint64_t)__builtin_popcountll(bits),
				   __ATOMIC_RELAXED);
}

static void write_feed_hear(void *context, unsigned device, enum ds_evidence evidence,
			    uint64_t first_pfn, uint64_t bits)
{
	struct write_feed *feed = context;

	pthread_mutex_lock(&feed->lock);
	for (struct write_log *log = feed->logs; log; log = log->next)
		add(log, device, evidence == DS_EVIDENCE_EXPOSED, first_pfn, bits);
	pthread_mutex_unlock(&feed->lock);
}

static void hear_lost(void *context, const uint64_t lost[DS_LOST_REASONS])
{
	struct write_feed *feed = context;

	for (int reason = 0; reason < DS_LOST_REASONS; reason++)
		__atomic_store_n(&feed->lost[reason], lost[reason], __ATOMIC_RELAXED);
}

void write_feed__lost(const struct write_feed *feed, uint64_t lost[DS_LOST_REASONS])
{
	for (int reason = 0; reason < DS_LOST_REASONS; reason++)
		lost[reason] = __atomic_load_n(&feed->lost[reason], __ATOMIC_RELAXED);
}

static bool listens(void *context)
{
	const struct write_feed *feed = context;

	return __atomic_load_n(&feed->logs, __ATOMIC_ACQUIRE);
}

struct write_feed *write_feed__new(void)
{
	struct write_feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return NULL;
	pthread_mutex_init(&feed->lock, NULL);
	snprintf(feed->devices[OTHER], sizeof(feed->devices[OTHER]), "other");
	feed->listener = (struct page_listener){.context = feed,
						.listens = listens,
						.device = name_device,
						.pages = write_feed_hear,
						.lost = hear_lost};
	return feed;
}

void write_feed__free(struct write_feed *feed)
{
	if (!feed)
		return;
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}

const struct page_listener *write_feed__listener(const struct write_feed *feed)
{
	return &feed->listener;
}

const char *write_feed__device(const struct write_feed *feed, unsigned device)
{
	return feed->devices[device];
}

unsigned write_feed__find(const struct write_feed *feed, const char *id)
{
	unsigned count = __atomic_load_n(&feed->device_count, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < count; i++)
		if (strcmp(feed->devices[i], id) == 0)
			return i;
	return PAGE_MAP_DEVICES;
}

int write_log__new(struct write_feed *feed, struct write_log **out)
{
	struct write_log *log = calloc(1, sizeof(*log));

	*out = log;
	if (!log)
		return -ENOMEM;
	log->feed = feed;
	pthread_mutex_lock(&feed->lock);
	log->next = feed->logs;
	__atomic_store_n(&feed->logs, log, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&feed->lock);
	return 0;
}

void write_log__free(struct write_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->feed->lock);
	for (struct write_log **at = &log->feed->logs; *at; at = &(*at)->next)
		if (*at == log) {
			__atomic_store_n(at, log->next, __ATOMIC_RELEASE);
			break;
		}
	pthread_mutex_unlock(&log->feed->lock);
	for (unsigned device = 0; device < PAGE_MAP_DEVICES; device++)
		for (int kind = 0; kind < KINDS; kind++)
			frame_set__free(&log->sets[device][kind]);
	free(log);
}

uint64_t write_log__bytes(const struct write_log *log)
{
	uint64_t bytes = 0;

	for (unsigned device = 0; device < PAGE_MAP_DEVICES; device++)
		for (int kind = 0; kind < KINDS; kind++)
			bytes += __atomic_load_n(&log->sets[device][kind].bytes, __ATOMIC_RELAXED);
	return bytes;
}

uint64_t write_log__lost(const struct write_log *log)
{
	return __atomic_load_n(&log->lost, __ATOMIC_RELAXED);
}

struct draining {
	int (*each)(void *context, unsigned device, enum ds_evidence evidence, uint64_t first_pfn,
		    uint64_t bits);
	void *context;
	unsigned device;
	enum ds_evidence evidence;
};

static int drain_words(void *context, uint64_t first_pfn, uint64_t bits)
{
	const struct draining *draining = context;

	return draining->each(draining->context, draining->device, draining->evidence, first_pfn,
			      bits);
}

int write_log__drain(struct write_log *log,
		     int (*each)(void *context, unsigned device, enum ds_evidence evidence,
				 uint64_t first_pfn, uint64_t bits),
		     void *context)
{
	for (unsigned device = 0; device < PAGE_MAP_DEVICES; device++)
		for (int kind = 0; kind < KINDS; kind++) {
			struct draining draining = {each, context, device,
						    kind ? DS_EVIDENCE_EXPOSED
							 : DS_EVIDENCE_COMPLETED};
			int err =
				frame_set__drain(&log->sets[device][kind], drain_words, &draining);

			if (err)
				return err;
		}
	return 0;
}

int write_log__discard(void *context, unsigned device, enum ds_evidence evidence,
		       uint64_t first_pfn, uint64_t bits)
{
	return 0;
}
