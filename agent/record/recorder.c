/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/record/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/record/writer.h"
#include "agent/base/version.h"

#define WAIT_SECONDS 1.0 /* for a snapshot, before a look at whether to stop */

struct recorder {
	struct recorder_options options;
	struct writer *writer;
	pthread_t thread;
	bool running, stop; /* stop: atomic */
	pthread_mutex_t lock;
	struct snapshot_record state; /* under the lock */
	uint64_t event;		      /* the last one written */
};

int recorder__new(const struct recorder_options *options, struct recorder **out,
		  struct reason *message)
{
	struct record_start start = {
		.fingerprint = record__fingerprint(),
		.version = dirtyscope_version(),
		.revision = dirtyscope_revision(),
		.interval = options->interval,
	};
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	int err;

	*out = NULL;
	message->text[0] = '\0';
	if (!recorder)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &start.time);
	recorder->options = *options;
	pthread_mutex_init(&recorder->lock, NULL);
	err = writer__new(options->path, options->limit, &start, &recorder->writer, message);
	if (err) {
		recorder__free(recorder);
		return err;
	}
	recorder->state = (struct snapshot_record){
		.state = RECORD_WRITING,
		.bytes = writer__bytes(recorder->writer),
		.limit = options->limit,
	};
	*out = recorder;
	return 0;
}

static const char *reason_of(int err)
{
	switch (err) {
	case -EOVERFLOW:
		return "the file is as long as --record-limit lets it be";
	case -ENOSPC:
		return "the disk is nearly full";
	case -EMSGSIZE:
		return "a snapshot is longer than a record may be";
	default:
		return strerror(-err);
	}
}

static void end(struct recorder *recorder, int err)
{
	const char *reason = reason_of(err);

	pthread_mutex_lock(&recorder->lock);
	recorder->state.state = RECORD_STOPPED;
	snprintf(recorder->state.reason, sizeof(recorder->state.reason), "%s", reason);
	pthread_mutex_unlock(&recorder->lock);
	log_warn("recording stopped",
		 "file=\"%s\" reason=\"%s\" bytes=%" PRIu64 " snapshots=%" PRIu64,
		 recorder->options.path, reason, recorder->state.bytes, recorder->state.snapshots);
	events__add(recorder->options.events, "agent", "warning", "record",
		    "recording stopped after %" PRIu64 " snapshots: %s", recorder->state.snapshots,
		    reason);
}

static int write_snapshot(struct recorder *recorder, const struct snapshot *snapshot,
			  uint64_t before)
{
	int err = writer__snapshot(recorder->writer, snapshot);

	pthread_mutex_lock(&recorder->lock);
	recorder->state.snapshots += !err;
	recorder->state.missed += before ? snapshot->sequence - before - 1 : 0;
	recorder->state.bytes = writer__bytes(recorder->writer);
	pthread_mutex_unlock(&recorder->lock);
	return err;
}

static int write_beside(struct recorder *recorder)
{
	const struct recorder_options *options = &recorder->options;
	struct record_beside beside = {0};
	json_t *policies = NULL;
	char *text = NULL;
	int count, err;

	count = events__read(options->events, recorder->event, EVENTS_KEPT, &beside.events, NULL);
	err = count < 0 ? count
			: tracks__list(options->tracks, &beside.tracks, &beside.track_count);
	if (err)
		goto cleanup;
	beside.event_count = (size_t)count;
	policies = policies__describe(options->policies);
	text = policies ? json_dumps(policies, JSON_COMPACT) : NULL;
	err = text ? 0 : -ENOMEM;
	if (err)
		goto cleanup;
	beside.policies = text;
	err = writer__beside(recorder->writer, &beside);
	if (!err && count)
		recorder->event = beside.events[count - 1].id;
	pthread_mutex_lock(&recorder->lock);
	recorder->state.bytes = writer__bytes(recorder->writer);
	pthread_mutex_unlock(&recorder->lock);
cleanup:
	json_decref(policies);
	free(text);
	free(beside.events);
	free(beside.tracks);
	return err;
}

static void *recorder_run(void *argument)
{
	struct recorder *recorder = argument;
	struct snapshot_store *store = recorder->options.store;
	uint64_t sequence = 0;
	int err = 0;

	while (!err && !__atomic_load_n(&recorder->stop, __ATOMIC_ACQUIRE)) {
		struct snapshot *snapshot = snapshot_store__wait(store, sequence, WAIT_SECONDS);

		if (!snapshot)
			continue;
		err = write_snapshot(recorder, snapshot, sequence);
		sequence = snapshot->sequence;
		snapshot__put(snapshot);
		/* What it lets happen, policies above all, takes a moment. */
		snapshot__put(
			snapshot_store__wait(store, sequence, recorder->options.interval / 2));
		if (!err)
			err = write_beside(recorder);
	}
	if (err)
		end(recorder, err);
	return NULL;
}

int recorder__start(struct recorder *recorder)
{
	int err = -pthread_create(&recorder->thread, NULL, recorder_run, recorder);

	recorder->running = !err;
	return err;
}

void recorder__stop(struct recorder *recorder)
{
	if (!recorder || !recorder->running)
		return;
	__atomic_store_n(&recorder->stop, true, __ATOMIC_RELEASE);
	snapshot_store__wake(recorder->options.store);
	pthread_join(recorder->thread, NULL);
	recorder->running = false;
	if (recorder->state.state == RECORD_WRITING)
		log_info("recorded",
			 "file=\"%s\" bytes=%" PRIu64 " snapshots=%" PRIu64 " missed=%" PRIu64,
			 recorder->options.path, recorder->state.bytes, recorder->state.snapshots,
			 recorder->state.missed);
}

void recorder__free(struct recorder *recorder)
{
	if (!recorder)
		return;
	recorder__stop(recorder);
	writer__free(recorder->writer);
	pthread_mutex_destroy(&recorder->lock);
	free(recorder);
}

void recorder__publish(struct recorder *recorder, struct snapshot *snapshot)
{
	if (!recorder)
		return;
	pthread_mutex_lock(&recorder->lock);
	snapshot->record = recorder->state;
	pthread_mutex_unlock(&recorder->lock);
}
