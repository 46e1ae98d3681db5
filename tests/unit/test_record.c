/* SPDX-License-Identifier: BSD-2-Clause */
/* Records: files there and back, and the events beside them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/record/codec.h"
#include "agent/record/reader.h"
#include "agent/record/writer.h"
#include "agent/tracks/tracks.h"
#include "api/metrics/metrics.h"
#include "tests/unit/record_fixture.h"

/* ---- there and back ---- */

static bool same(const struct record_struct *type, const char *a, const char *b);

static bool same_strings(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_structs(const struct record_struct *type, const char *a, const char *b,
			 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!same(type, a + i * type->size, b + i * type->size))
			return false;
	return true;
}

static bool same_counted(const struct field *field, const char *a, const char *b)
{
	const size_t count = *(const size_t *)(a + field->count_offset);
	const char *const *const *mine = (const char *const *const *)(a + field->offset);
	const char *const *const *other = (const char *const *const *)(b + field->offset);

	if (count != *(const size_t *)(b + field->count_offset))
		return false;
	if (field->kind == FIELD_ROWS)
		return same_structs(field->of, a + field->offset, b + field->offset, count);
	if (field->kind == FIELD_ARRAY)
		return same_structs(field->of, (const char *)*mine, (const char *)*other, count);
	for (size_t i = 0; i < count; i++)
		if (!same_strings((*mine)[i], (*other)[i]))
			return false;
	return true;
}

static bool same_field(const struct field *field, const char *a, const char *b)
{
	const char *mine = a + field->offset, *other = b + field->offset;

	switch (field->kind) {
	case FIELD_SKIPPED:
		return true;
	case FIELD_CHARS:
		return strncmp(mine, other, field->size) == 0;
	case FIELD_STRING:
	case FIELD_STRING_OR_NULL:
		return same_strings(*(const char *const *)mine, *(const char *const *)other);
	case FIELD_IDENTITY:
	case FIELD_IDENTITY_OR_NULL:
		mine = *(const char *const *)mine;
		other = *(const char *const *)other;
		return mine && other ? same(&record_identity, mine, other) : mine == other;
	case FIELD_STRUCT:
		return same_structs(field->of, mine, other, field->size / field->of->size);
	case FIELD_STRINGS:
	case FIELD_ARRAY:
	case FIELD_ROWS:
		return same_counted(field, a, b);
	default:
		return memcmp(mine, other, field->size) == 0;
	}
}

static bool same(const struct record_struct *type, const char *a, const char *b)
{
	for (size_t i = 0; i < type->count; i++)
		if (!same_field(&type->fields[i], a, b)) {
			print_error("%s.%s\n", type->name, type->fields[i].name);
			return false;
		}
	return true;
}

static void there_and_back(void **state)
{
	const struct place *place = *state;
	struct reader *reader;
	struct track_info tracks[2];
	struct event written[EVENTS];
	struct reason message;

	write_record(place->path);
	reader = open_record(place->path);
	assert_string_equal(reader__facts(reader)->version, "0.0.9");
	assert_true(reader__facts(reader)->interval == 0.5);
	assert_int_equal(reader__facts(reader)->snapshots, SNAPSHOTS);
	assert_false(reader__facts(reader)->truncated);
	for (unsigned round = 0; round < 2; round++) {
		struct snapshot *snapshot;
		const struct event *events;
		size_t count;

		for (uint64_t i = 0; i < SNAPSHOTS; i++) {
			struct snapshot *want = sample_snapshot(i + 1);
			struct record_beside beside =
				sample_beside(1 + i * EVENTS, tracks, written);

			snapshot = next(reader, &events, &count);
			assert_true(
				same(&record_snapshot, (const char *)want, (const char *)snapshot));
			beside.events = (struct event *)events;
			assert_int_equal(count, EVENTS);
			assert_memory_equal(events, written, sizeof(written));
			assert_int_equal(snapshot->replay->track_count, 2);
			for (size_t track = 0; track < 2; track++) {
				struct record_beside a = beside, b = beside;

				a.tracks = &tracks[track];
				b.tracks = (struct track_info *)&snapshot->replay->tracks[track];
				a.track_count = b.track_count = 1;
				assert_true(
					same(&record_beside, (const char *)&a, (const char *)&b));
			}
			assert_string_equal(snapshot->replay->policies, "{\"policies\":[]}");
			assert_int_equal(snapshot->replay->position, i + 1);
			assert_int_equal(snapshot->replay->rounds, round);
			assert_int_equal(snapshot->replay->ended, i + 1 == SNAPSHOTS);
			snapshot__put(want);
			snapshot__put(snapshot);
		}
		assert_int_equal(reader__next(reader, &snapshot, &events, &count, &message),
				 -ENODATA);
		assert_int_equal(reader__rewind(reader), 0);
	}
	reader__close(reader);
}

/* A process is written once, as long as it stays; one that comes again is another one. */
static void identities(void **state)
{
	const struct place *place = *state;
	const struct record_start start = start_of();
	struct snapshot *snapshots[SNAPSHOTS], *read[SNAPSHOTS];
	struct process_identity *first;
	const struct event *events;
	struct reader *reader;
	struct writer *writer;
	struct reason message;
	size_t count;

	for (uint64_t i = 0; i < SNAPSHOTS; i++)
		snapshots[i] = sample_snapshot(i + 1);
	/* The second one has the processes of the first but for one, the third has it again. */
	first = snapshots[0]->processes[3].identity;
	for (size_t i = 0; i < snapshots[0]->process_count; i++)
		for (uint64_t later = 1; later < SNAPSHOTS; later++) {
			struct snapshot_process *process = &snapshots[later]->processes[i];

			if (later == 1 && i == 3)
				continue;
			process_identity__put(process->identity);
			process->identity =
				process_identity__get(snapshots[0]->processes[i].identity);
		}
	assert_int_equal(writer__new(place->path, 1 << 20, &start, &writer, &message), 0);
	for (size_t i = 0; i < SNAPSHOTS; i++)
		assert_int_equal(writer__snapshot(writer, snapshots[i]), 0);
	writer__free(writer);
	reader = open_record(place->path);
	for (size_t i = 0; i < SNAPSHOTS; i++) {
		read[i] = next(reader, &events, &count);
		assert_true(
			same(&record_snapshot, (const char *)snapshots[i], (const char *)read[i]));
	}
	assert_ptr_equal(read[0]->processes[0].identity, read[1]->processes[0].identity);
	assert_ptr_equal(read[0]->processes[0].identity, read[2]->processes[0].identity);
	assert_ptr_equal(read[0]->processes[0].identity, read[0]->flows[2].identity);
	assert_ptr_not_equal(read[0]->processes[3].identity, read[1]->processes[3].identity);
	assert_int_equal(read[2]->processes[3].identity->tgid, first->tgid);
	reader__close(reader);
	for (size_t i = 0; i < SNAPSHOTS; i++) {
		snapshot__put(snapshots[i]);
		snapshot__put(read[i]);
	}
}

/* ---- events of a record ---- */

static void recorded_events(void **state)
{
	struct events *events = events__new();
	struct event event = {.id = 3, .message = "three"}, *copy = NULL;
	uint64_t oldest;

	events__put(events, &event);
	event.id = 4;
	events__put(events, &event);
	/* Neither again, nor one before. */
	events__put(events, &event);
	event.id = 1;
	events__put(events, &event);
	assert_int_equal(events__read(events, 0, 10, &copy, &oldest), 2);
	assert_int_equal(oldest, 3);
	assert_int_equal(copy[0].id, 3);
	assert_string_equal(copy[0].message, "three");
	free(copy);
	/* What was lost in between takes what is before along. */
	event.id = 4000;
	events__put(events, &event);
	assert_int_equal(events__read(events, 0, 10, &copy, &oldest), 1);
	assert_int_equal(oldest, 4000);
	free(copy);
	events__add(events, "agent", "info", "replay", "ended");
	assert_int_equal(events__last(events), 4001);
	for (event.id = 4002; event.id < 4002 + EVENTS_KEPT; event.id++)
		events__put(events, &event);
	assert_int_equal(events__read(events, 0, EVENTS_KEPT, &copy, &oldest), EVENTS_KEPT);
	assert_int_equal(oldest, 4002);
	free(copy);
	events__free(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(identities, set_up, tear_down),
		cmocka_unit_test(recorded_events),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
