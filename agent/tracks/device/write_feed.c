/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/write_feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KINDS 2	       /* completed, exposed */
#define GROUP_WORDS 64 /* words that one bit of a summary stands for */
#define OTHER (PAGE_MAP_DEVICES - 1)

/* A bitmap over all PFNs that takes memory only where it is used. */
struct frame_set {
	uint64_t *words;   /* NULL: nothing yet */
	uint64_t *summary; /* groups of words that may be set */
};

struct write_log {
	struct write_feed *feed;
	struct write_log *next;
	uint64_t frames, bytes, lost; /* bytes, lost: atomic */
	struct frame_set sets[PAGE_MAP_DEVICES][KINDS];
};

struct write_feed {
	struct page_listener listener;
	pthread_mutex_t lock; /* the list, and the sets' coming into being */
	struct write_log *logs;
	unsigned device_count;
	char devices[PAGE_MAP_DEVICES][64];
};

static uint64_t word_count(const struct write_log *log)
{
	return (log->frames + 63) / 64;
}

static uint64_t summary_words(const struct write_log *log)
{
	return word_count(log) / (GROUP_WORDS * 64ULL) + 1;
}

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

static bool make_set(struct write_log *log, struct frame_set *set)
{
	uint64_t *summary = calloc(summary_words(log), sizeof(*summary));
	uint64_t *words = mmap(NULL, word_count(log) * 8, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!summary || words == MAP_FAILED) {
		free(summary);
		if (words != MAP_FAILED)
			munmap(words, word_count(log) * 8);
		return false;
	}
	madvise(words, word_count(log) * 8, MADV_NOHUGEPAGE);
	set->summary = summary;
	__atomic_fetch_add(&log->bytes, (word_count(log) + summary_words(log)) * 8,
			   __ATOMIC_RELAXED);
	__atomic_store_n(&set->words, words, __ATOMIC_RELEASE);
	return true;
}

static void add(struct write_log *log, unsigned device, int kind, uint64_t first_pfn, uint64_t bits)
{
	struct frame_set *set = &log->sets[device][kind];
	uint64_t word = first_pfn / 64, group = word / GROUP_WORDS;

	if (word >= word_count(log))
		return; /* no frame of this host's memory */
	if (!set->words && !make_set(log, set)) {
		__atomic_fetch_add(&log->lost, (uint64_t)__builtin_popcountll(bits),
				   __ATOMIC_RELAXED);
		return;
	}
	__atomic_fetch_or(&set->words[word], bits, __ATOMIC_RELEASE);
	__atomic_fetch_or(&set->summary[group / 64], 1ULL << group % 64, __ATOMIC_ACQ_REL);
}

static void hear(void *context, unsigned device, enum ds_evidence evidence, uint64_t first_pfn,
		 uint64_t bits)
{
	struct write_feed *feed = context;

	pthread_mutex_lock(&feed->lock);
	for (struct write_log *log = feed->logs; log; log = log->next)
		add(log, device, evidence == DS_EVIDENCE_EXPOSED, first_pfn, bits);
	pthread_mutex_unlock(&feed->lock);
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
	feed->listener = (struct page_listener){
		.context = feed, .listens = listens, .device = name_device, .pages = hear};
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

int write_log__new(struct write_feed *feed, uint64_t frames, struct write_log **out)
{
	struct write_log *log = calloc(1, sizeof(*log));

	*out = log;
	if (!log)
		return -ENOMEM;
	log->feed = feed;
	log->frames = frames;
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
		for (int kind = 0; kind < KINDS; kind++) {
			struct frame_set *set = &log->sets[device][kind];

			if (set->words)
				munmap(set->words, word_count(log) * 8);
			free(set->summary);
		}
	free(log);
}

uint64_t write_log__bytes(const struct write_log *log)
{
	return __atomic_load_n(&log->bytes, __ATOMIC_RELAXED);
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

static int drain_group(struct frame_set *set, uint64_t group, uint64_t words,
		       const struct draining *draining)
{
	for (uint64_t word = group * GROUP_WORDS; word < words && word < (group + 1) * GROUP_WORDS;
	     word++) {
		uint64_t bits;
		int err;

		if (!__atomic_load_n(&set->words[word], __ATOMIC_RELAXED))
			continue;
		bits = __atomic_exchange_n(&set->words[word], 0, __ATOMIC_ACQ_REL);
		err = draining->each(draining->context, draining->device, draining->evidence,
				     word * 64, bits);
		if (err) {
			__atomic_fetch_or(&set->words[word], bits, __ATOMIC_RELEASE);
			return err;
		}
	}
	return 0;
}

static int drain_set(struct write_log *log, struct frame_set *set, const struct draining *draining)
{
	for (uint64_t i = 0; i < summary_words(log); i++) {
		uint64_t groups;

		if (!__atomic_load_n(&set->summary[i], __ATOMIC_RELAXED))
			continue;
		/* First the mark, then the words: whoever adds does it the other way around. */
		groups = __atomic_exchange_n(&set->summary[i], 0, __ATOMIC_ACQ_REL);
		for (; groups; groups &= groups - 1) {
			int err = drain_group(set, i * 64 + (uint64_t)__builtin_ctzll(groups),
					      word_count(log), draining);

			if (err) {
				__atomic_fetch_or(&set->summary[i], groups, __ATOMIC_RELEASE);
				return err;
			}
		}
	}
	return 0;
}

int write_log__drain(struct write_log *log,
		     int (*each)(void *context, unsigned device, enum ds_evidence evidence,
				 uint64_t first_pfn, uint64_t bits),
		     void *context)
{
	for (unsigned device = 0; device < PAGE_MAP_DEVICES; device++)
		for (int kind = 0; kind < KINDS; kind++) {
			const struct draining draining = {each, context, device,
							  kind ? DS_EVIDENCE_EXPOSED
							       : DS_EVIDENCE_COMPLETED};
			struct frame_set *set = &log->sets[device][kind];
			int err = 0;

			if (__atomic_load_n(&set->words, __ATOMIC_ACQUIRE))
				err = drain_set(log, set, &draining);
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
