/* SPDX-License-Identifier: BSD-2-Clause */
/* A record of a few snapshots and what stands beside them, in a directory of its own. After
 * cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_RECORD_FIXTURE_H
#define DIRTYSCOPE_TESTS_UNIT_RECORD_FIXTURE_H

#include <stdlib.h>
#include <unistd.h>

#include "agent/record/reader.h"
#include "agent/record/writer.h"
#include "agent/tracks/tracks.h"
#include "tests/unit/sample_snapshot.h"

struct place {
	char directory[64], path[96];
};

static inline int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->directory, sizeof(place->directory), "/tmp/dirtyscope-test-XXXXXX");
	*state = place;
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/record", place->directory);
	return 0;
}

static inline int tear_down(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	rmdir(place->directory);
	free(place);
	return 0;
}

static inline struct record_start start_of(void)
{
	return (struct record_start){
		.fingerprint = record__fingerprint(),
		.version = "0.0.9",
		.revision = "abc",
		.time = {.tv_sec = SAMPLE_TIME - 1},
		.interval = 0.5,
	};
}

static inline struct track_info sample_track(uint64_t id)
{
	struct track_info info = {
		.id = id,
		.kind = TRACK_CGROUP,
		.target = "/a/b",
		.started = {.tv_sec = SAMPLE_TIME},
		.epoch = 5,
		.last = {.cpu = 7, .missed = 3},
		.rate = 1.5,
		.member_count = 2,
		.sharer_count = 1,
		.sharers = {{.pid = 9, .followed = true}},
	};

	for (size_t i = 0; i < info.member_count; i++) {
		info.members[i].pid = (uint32_t)(12 + i);
		info.members[i].backend = "pagemap-scan";
		info.members[i].not_covered_count = i;
		info.members[i].not_covered[0] =
			(struct track_gap){NOT_COVERED_MAPPER, 4096, 3, 0, "/memfd:" SAMPLE_HOSTILE,
					   "written by others"};
	}
	return info;
}

#define EVENTS 3

static inline struct record_beside sample_beside(uint64_t first, struct track_info *tracks,
						 struct event *events)
{
	for (size_t i = 0; i < EVENTS; i++) {
		events[i] = (struct event){
			.id = first + i,
			.time = {.tv_sec = SAMPLE_TIME, .tv_nsec = 5},
			.type = "device",
			.severity = "info",
			.message = "found " SAMPLE_HOSTILE,
		};
	}
	for (size_t i = 0; i < 2; i++)
		tracks[i] = sample_track(i + 1);
	return (struct record_beside){
		.events = events,
		.event_count = EVENTS,
		.tracks = tracks,
		.track_count = 2,
		.policies = "{\"policies\":[]}",
	};
}

#define SNAPSHOTS 3

static inline void write_record(const char *path)
{
	const struct record_start start = start_of();
	struct track_info tracks[2];
	struct event events[EVENTS];
	struct writer *writer;
	struct reason message;

	assert_int_equal(writer__new(path, 1 << 20, &start, &writer, &message), 0);
	for (uint64_t i = 0; i < SNAPSHOTS; i++) {
		struct snapshot *snapshot = sample_snapshot(i + 1);
		struct record_beside beside = sample_beside(1 + i * EVENTS, tracks, events);

		assert_int_equal(writer__snapshot(writer, snapshot), 0);
		assert_int_equal(writer__beside(writer, &beside), 0);
		snapshot__put(snapshot);
	}
	writer__free(writer);
}

static inline struct reader *open_record(const char *path)
{
	struct reader *reader;
	struct reason message;

	if (reader__open(path, &reader, &message))
		fail_msg("%s", message.text);
	return reader;
}

static inline struct snapshot *next(struct reader *reader, const struct event **events,
				    size_t *count)
{
	struct snapshot *snapshot;
	struct reason message;

	if (reader__next(reader, &snapshot, events, count, &message))
		fail_msg("%s", message.text);
	return snapshot;
}

#endif
