/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of records that are cut, damaged, foreign, at their limit, or hostile. */
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
#include "tests/cmocka_names.h"
#include "tests/unit/record_fixture.h"

static char *load(const char *path, size_t *length)
{
	FILE *file = fopen(path, "r");
	char *data = malloc(1 << 20);

	assert_non_null(file);
	*length = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

static void store(const char *path, const char *data, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, length, file), length);
	fclose(file);
}

/* Snapshots that it gives; message: "" where it ends as it should. */
static int count_snapshots(const char *path, struct reason *message, bool *truncated)
{
	struct reader *reader;
	struct snapshot *snapshot;
	const struct event *events;
	size_t event_count;
	int count = 0, err = reader__open(path, &reader, message);

	if (err)
		return err;
	*truncated = reader__facts(reader)->truncated;
	while (!(err = reader__next(reader, &snapshot, &events, &event_count, message))) {
		snapshot__put(snapshot);
		count++;
	}
	assert_int_equal(count, reader__facts(reader)->snapshots);
	reader__close(reader);
	return err == -ENODATA ? count : err;
}

/* Snapshots within so many bytes, by the lengths in the file; *whole: nothing is cut. */
static int whole_snapshots(const char *data, size_t length, bool *whole)
{
	size_t at = 12;
	int count = 0;

	while (at + 20 <= length) {
		uint32_t head[2];

		memcpy(head, data + at, sizeof(head));
		if (at + 20 + head[1] > length)
			break;
		count += head[0] == 2;
		at += 20 + head[1];
	}
	*whole = at == length;
	return count;
}

static void cut_anywhere(void **state)
{
	const struct place *place = *state;
	size_t length, cuts[SNAPSHOTS + 1] = {0};
	struct reason message;
	char *data;
	bool truncated, whole;
	int count, want;

	write_record(place->path);
	data = load(place->path, &length);
	for (size_t cut = length; cut > 0; cut -= cut > 19 ? 19 : 1) {
		assert_int_equal(truncate(place->path, (off_t)cut), 0);
		count = count_snapshots(place->path, &message, &truncated);
		want = whole_snapshots(data, cut, &whole);
		cuts[want]++;
		if (!want) {
			assert_int_equal(count, -EINVAL);
			assert_non_null(strstr(message.text, place->path));
			continue;
		}
		assert_int_equal(count, want);
		assert_int_equal(truncated, !whole);
	}
	/* Each number of them was left by some cut. */
	for (size_t i = 0; i <= SNAPSHOTS; i++)
		assert_true(cuts[i] > 0);
	free(data);
}

static void flip_anywhere(void **state)
{
	const struct place *place = *state;
	struct reason message;
	char *data, want[128];
	size_t length;
	bool truncated;

	write_record(place->path);
	data = load(place->path, &length);
	snprintf(want, sizeof(want), "%s is damaged at byte ", place->path);
	for (size_t at = 0; at < length; at += at < 64 ? 1 : 29) {
		int err;

		data[at] ^= 0x10;
		store(place->path, data, length);
		data[at] ^= 0x10;
		err = count_snapshots(place->path, &message, &truncated);
		if (at < 12) {
			assert_int_equal(err, -EINVAL);
			assert_non_null(strstr(message.text, place->path));
		} else if (err != -EBADMSG || strncmp(message.text, want, strlen(want)) != 0 ||
			   strtoul(message.text + strlen(want), NULL, 10) > at) {
			fail_msg("byte %zu: %d %s", at, err, message.text);
		}
	}
	free(data);
}

static void expect_refusal(const char *path, const char *part)
{
	struct reason message;
	bool truncated;

	assert_int_equal(count_snapshots(path, &message, &truncated), -EINVAL);
	if (!strstr(message.text, part) || !strstr(message.text, path))
		fail_msg("%s: no '%s'", message.text, part);
}

static void other_files(void **state)
{
	const struct place *place = *state;
	struct record_start start = start_of();
	struct snapshot *snapshot = sample_snapshot(1);
	struct writer *writer;
	struct stat file;
	struct reason message;

	store(place->path, "", 0);
	expect_refusal(place->path, "it is empty");
	store(place->path, "PK\3\4 something else", 19);
	expect_refusal(place->path, "is not a record");
	store(place->path, "DSRECORD\2\0\0\0", 12);
	expect_refusal(place->path, "has format 2; this dirtyscope reads 1");
	expect_refusal(place->directory, "is not a regular file");

	/* Of a dirtyscope whose snapshots are others. */
	unlink(place->path);
	start.fingerprint++;
	assert_int_equal(writer__new(place->path, 1 << 20, &start, &writer, &message), 0);
	expect_refusal(place->path, "holds no whole snapshot");
	assert_int_equal(writer__snapshot(writer, snapshot), 0);
	writer__free(writer);
	expect_refusal(place->path, "was recorded by dirtyscope 0.0.9 (abc)");

	/* A pipe holds nobody up. */
	unlink(place->path);
	assert_int_equal(mkfifo(place->path, 0600), 0);
	expect_refusal(place->path, "is not a regular file");
	assert_int_equal(writer__new(place->path, 1 << 20, &start, &writer, &message), -EINVAL);
	/* What is no record is left alone, one that is there is replaced. */
	unlink(place->path);
	store(place->path, "precious", 8);
	assert_int_equal(writer__new(place->path, 1 << 20, &start, &writer, &message), -EEXIST);
	assert_int_equal(stat(place->path, &file), 0);
	assert_int_equal(file.st_size, 8);
	store(place->path, "DSRECORD and what was there", 27);
	assert_int_equal(writer__new(place->path, 1 << 20, &start, &writer, &message), 0);
	writer__free(writer);
	snapshot__put(snapshot);
}

static void ends_at_its_limit(void **state)
{
	const struct place *place = *state;
	const struct record_start start = start_of();
	struct snapshot *snapshot;
	struct writer *writer;
	struct stat file;
	struct reason message;
	bool truncated = true;
	int err = 0, count = 0;

	assert_int_equal(writer__new(place->path, 4096, &start, &writer, &message), 0);
	while (!err && count < 10000) {
		snapshot = sample_snapshot((uint64_t)count + 1);
		err = writer__snapshot(writer, snapshot);
		snapshot__put(snapshot);
		count += !err;
	}
	assert_int_equal(err, -EOVERFLOW);
	snapshot = sample_snapshot(1);
	assert_int_equal(writer__snapshot(writer, snapshot), -EOVERFLOW);
	snapshot__put(snapshot);
	assert_int_equal(stat(place->path, &file), 0);
	assert_int_equal(file.st_size, writer__bytes(writer));
	assert_uint_in_range(file.st_size, 2048, 4096);
	writer__free(writer);
	assert_true(count > 2);
	assert_int_equal(count_snapshots(place->path, &message, &truncated), count);
	assert_false(truncated);
}

/* Bytes that nobody summed up: whatever they are, what comes of them can be shown. */
static int decode_hostile(const char *data, size_t length)
{
	static const struct api_counters counters;
	struct snapshot *snapshot = snapshot__new();
	struct identity_table *identities = identity_table__new();
	struct text out = {0};
	const char *where;
	int err = codec__decode(data, length, snapshot->arena, identities, &record_snapshot,
				snapshot, &where);

	assert_true(!err || err == -EBADMSG);
	assert_int_equal(err != 0, *where != '\0');
	if (!err)
		metrics__write(&out, METRICS_TEXT, snapshot, &counters);
	text__free(&out);
	snapshot__put(snapshot);
	identity_table__free(identities);
	return err;
}

static void hostile_bytes(void **state)
{
	static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct snapshot *snapshot = sample_snapshot(1);
	struct identity_table *identities = identity_table__new();
	struct text raw = {0};
	size_t refused = 0, taken = 0;

	assert_int_equal(codec__encode(&raw, identities, &record_snapshot, snapshot), 0);
	assert_int_equal(decode_hostile(raw.data, raw.length), 0);
	for (size_t at = 0; at < raw.length; at += 11) {
		const char before = raw.data[at];
		char *exact = malloc(at + 1);

		for (size_t i = 0; i < sizeof(values); i++) {
			raw.data[at] = (char)values[i];
			if (decode_hostile(raw.data, raw.length))
				refused++;
			else
				taken++;
		}
		raw.data[at] = before;
		/* A buffer of its own length, so that a byte too far is told. */
		memcpy(exact, raw.data, at);
		assert_int_equal(decode_hostile(exact, at), -EBADMSG);
		free(exact);
	}
	assert_true(refused > 100);
	assert_true(taken > 100);
	text__free(&raw);
	identity_table__free(identities);
	snapshot__put(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cut_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(flip_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_at_its_limit, set_up, tear_down),
		cmocka_unit_test(hostile_bytes),
	};

	return cmocka_run_group_tests_name("record_files", tests, NULL, NULL);
}
