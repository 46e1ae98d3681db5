/* SPDX-License-Identifier: BSD-2-Clause */
/* Records: the tables against the structs' BTF, files there and back, damaged and hostile ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/btf.h>

#include "agent/record/codec.h"
#include "agent/record/reader.h"
#include "agent/record/writer.h"
#include "agent/tracks/tracks.h"
#include "api/metrics/metrics.h"
#include "tests/unit/sample_snapshot.h"

/* ---- the tables ---- */

static struct btf *load_layouts(void)
{
	char path[4096 + 32];
	ssize_t length = readlink("/proc/self/exe", path, 4096);
	struct btf *btf;

	assert_true(length > 0);
	path[length] = '\0';
	/* build/tests/unit/test_record and build/tests/plain/test_record have it beside them. */
	snprintf(strrchr(path, '/'), 32, "/../unit/layouts.o");
	btf = btf__parse_elf(path, NULL);
	if (!btf)
		fail_msg("%s: no BTF", path);
	return btf;
}

static const struct field *row_of(const struct record_struct *type, const char *name)
{
	for (size_t i = 0; i < type->count; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return &type->fields[i];
	return NULL;
}

static bool is_counter(const struct record_struct *type, uint32_t offset)
{
	for (size_t i = 0; i < type->count; i++)
		if ((type->fields[i].kind == FIELD_STRINGS || type->fields[i].kind == FIELD_ARRAY ||
		     type->fields[i].kind == FIELD_ROWS) &&
		    type->fields[i].count_offset == offset)
			return true;
	return false;
}

static bool is_named(const struct btf *btf, const struct btf_type *type, const char *name)
{
	return btf_is_struct(type) && strcmp(btf__name_by_offset(btf, type->name_off), name) == 0;
}

/* Of what the member is, through arrays and typedefs. */
static const struct btf_type *base_type(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (btf_is_typedef(type) || btf_is_mod(type) || btf_is_array(type))
		type = btf__type_by_id(btf,
				       btf_is_array(type) ? btf_array(type)->type : type->type);
	return type;
}

static bool fits(const struct btf *btf, const struct btf_type *type, const struct field *field)
{
	const bool is_int = btf_is_int(type);

	switch (field->kind) {
	case FIELD_SKIPPED:
		return strcmp(field->name, "references") == 0 ||
		       strcmp(field->name, "arena") == 0 || strcmp(field->name, "replay") == 0 ||
		       strcmp(field->name, "pad") == 0;
	case FIELD_BOOL:
		return is_int && btf_int_encoding(type) & BTF_INT_BOOL && field->size == 1;
	case FIELD_U32:
		return is_int && type->size == 4 && !(btf_int_encoding(type) & BTF_INT_SIGNED);
	case FIELD_U64:
		return is_int && type->size == 8 && !(btf_int_encoding(type) & BTF_INT_SIGNED);
	case FIELD_S64:
		return is_int && type->size == 8 && btf_int_encoding(type) & BTF_INT_SIGNED;
	case FIELD_DOUBLE:
		return btf_is_float(type) && type->size == 8;
	case FIELD_CHARS:
		return is_int && type->size == 1;
	case FIELD_ENUM:
		/* Its values count from 0; the last one may be their number. */
		return btf_is_enum(type) && field->most <= btf_vlen(type) &&
		       field->most + 1 >= btf_vlen(type);
	case FIELD_TIME:
		return is_named(btf, type, "timespec");
	case FIELD_STRUCT:
	case FIELD_ROWS:
		return is_named(btf, type, field->of->name + strlen("struct "));
	case FIELD_ARRAY:
		return btf_is_ptr(type) && is_named(btf, base_type(btf, type->type),
						    field->of->name + strlen("struct "));
	case FIELD_STRINGS:
		return btf_is_ptr(type) && btf_is_ptr(base_type(btf, type->type));
	case FIELD_STRING:
	case FIELD_STRING_OR_NULL:
		return btf_is_ptr(type) && base_type(btf, type->type)->size == 1;
	case FIELD_IDENTITY:
	case FIELD_IDENTITY_OR_NULL:
		return btf_is_ptr(type) &&
		       is_named(btf, base_type(btf, type->type), "process_identity");
	}
	return false;
}

static void tables_cover_structs(void **state)
{
	struct btf *btf = load_layouts();
	size_t members = 0;

	for (const struct record_struct *const *each = record_structs; *each; each++) {
		const struct record_struct *type = *each;
		int id = btf__find_by_name_kind(btf, type->name + strlen("struct "),
						BTF_KIND_STRUCT);
		const struct btf_type *layout = btf__type_by_id(btf, (uint32_t)id);

		if (id <= 0 || layout->size != type->size)
			fail_msg("%s: BTF %d", type->name, id);
		for (unsigned i = 0; i < btf_vlen(layout); i++, members++) {
			const struct btf_member *member = &btf_members(layout)[i];
			const char *name = btf__name_by_offset(btf, member->name_off);
			const uint32_t offset = btf_member_bit_offset(layout, i) / 8;
			const struct field *row = row_of(type, name);

			if (!row && !is_counter(type, offset))
				fail_msg("%s.%s has no row", type->name, name);
			if (row && (row->offset != offset ||
				    row->size != btf__resolve_size(btf, member->type) ||
				    !fits(btf, base_type(btf, member->type), row)))
				fail_msg("%s.%s is not what its row says", type->name, name);
		}
	}
	assert_true(members > 200);
	btf__free(btf);
}

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

struct place {
	char directory[64], path[96];
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->directory, sizeof(place->directory), "/tmp/dirtyscope-test-XXXXXX");
	*state = place;
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/record", place->directory);
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	rmdir(place->directory);
	free(place);
	return 0;
}

static struct record_start start_of(void)
{
	return (struct record_start){
		.fingerprint = record__fingerprint(),
		.version = "0.0.9",
		.revision = "abc",
		.time = {.tv_sec = SAMPLE_TIME - 1},
		.interval = 0.5,
	};
}

static struct track_info sample_track(uint64_t id)
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
		info.members[i].not_covered[0] = (struct track_gap){
			NOT_COVERED_MAPPER, 4096, 3, "/memfd:" SAMPLE_HOSTILE, "written by others"};
	}
	return info;
}

#define EVENTS 3

static struct record_beside sample_beside(uint64_t first, struct track_info *tracks,
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

static void write_record(const char *path)
{
	const struct record_start start = start_of();
	struct track_info tracks[2];
	struct event events[EVENTS];
	struct writer *writer;
	char message[256];

	assert_int_equal(writer__new(path, 1 << 20, &start, &writer, message, sizeof(message)), 0);
	for (uint64_t i = 0; i < SNAPSHOTS; i++) {
		struct snapshot *snapshot = sample_snapshot(i + 1);
		struct record_beside beside = sample_beside(1 + i * EVENTS, tracks, events);

		assert_int_equal(writer__snapshot(writer, snapshot), 0);
		assert_int_equal(writer__beside(writer, &beside), 0);
		snapshot__put(snapshot);
	}
	writer__free(writer);
}

static struct reader *open_record(const char *path)
{
	struct reader *reader;
	char message[512];

	if (reader__open(path, &reader, message, sizeof(message)))
		fail_msg("%s", message);
	return reader;
}

static struct snapshot *next(struct reader *reader, const struct event **events, size_t *count)
{
	struct snapshot *snapshot;
	char message[512];

	if (reader__next(reader, &snapshot, events, count, message, sizeof(message)))
		fail_msg("%s", message);
	return snapshot;
}

static void there_and_back(void **state)
{
	const struct place *place = *state;
	struct reader *reader;
	struct track_info tracks[2];
	struct event written[EVENTS];
	char message[512];

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
		assert_int_equal(
			reader__next(reader, &snapshot, &events, &count, message, sizeof(message)),
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
	char message[256];
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
	assert_int_equal(
		writer__new(place->path, 1 << 20, &start, &writer, message, sizeof(message)), 0);
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

/* ---- files that are not right ---- */

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
static int count_snapshots(const char *path, char *message, size_t size, bool *truncated)
{
	struct reader *reader;
	struct snapshot *snapshot;
	const struct event *events;
	size_t event_count;
	int count = 0, err = reader__open(path, &reader, message, size);

	if (err)
		return err;
	*truncated = reader__facts(reader)->truncated;
	while (!(err = reader__next(reader, &snapshot, &events, &event_count, message, size))) {
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
	char *data, message[512];
	bool truncated, whole;
	int count, want;

	write_record(place->path);
	data = load(place->path, &length);
	for (size_t cut = length; cut > 0; cut -= cut > 19 ? 19 : 1) {
		assert_int_equal(truncate(place->path, (off_t)cut), 0);
		count = count_snapshots(place->path, message, sizeof(message), &truncated);
		want = whole_snapshots(data, cut, &whole);
		cuts[want]++;
		if (!want) {
			assert_int_equal(count, -EINVAL);
			assert_non_null(strstr(message, place->path));
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
	char *data, message[512], want[128];
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
		err = count_snapshots(place->path, message, sizeof(message), &truncated);
		if (at < 12) {
			assert_int_equal(err, -EINVAL);
			assert_non_null(strstr(message, place->path));
		} else if (err != -EBADMSG || strncmp(message, want, strlen(want)) != 0 ||
			   strtoul(message + strlen(want), NULL, 10) > at) {
			fail_msg("byte %zu: %d %s", at, err, message);
		}
	}
	free(data);
}

static void expect_refusal(const char *path, const char *part)
{
	char message[512];
	bool truncated;

	assert_int_equal(count_snapshots(path, message, sizeof(message), &truncated), -EINVAL);
	if (!strstr(message, part) || !strstr(message, path))
		fail_msg("%s: no '%s'", message, part);
}

static void other_files(void **state)
{
	const struct place *place = *state;
	struct record_start start = start_of();
	struct snapshot *snapshot = sample_snapshot(1);
	struct writer *writer;
	struct stat file;
	char message[256];

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
	assert_int_equal(
		writer__new(place->path, 1 << 20, &start, &writer, message, sizeof(message)), 0);
	expect_refusal(place->path, "holds no whole snapshot");
	assert_int_equal(writer__snapshot(writer, snapshot), 0);
	writer__free(writer);
	expect_refusal(place->path, "was recorded by dirtyscope 0.0.9 (abc)");

	/* A pipe holds nobody up. */
	unlink(place->path);
	assert_int_equal(mkfifo(place->path, 0600), 0);
	expect_refusal(place->path, "is not a regular file");
	assert_int_equal(
		writer__new(place->path, 1 << 20, &start, &writer, message, sizeof(message)),
		-EINVAL);
	/* What is no record is left alone, one that is there is replaced. */
	unlink(place->path);
	store(place->path, "precious", 8);
	assert_int_equal(
		writer__new(place->path, 1 << 20, &start, &writer, message, sizeof(message)),
		-EEXIST);
	assert_int_equal(stat(place->path, &file), 0);
	assert_int_equal(file.st_size, 8);
	store(place->path, "DSRECORD and what was there", 27);
	assert_int_equal(
		writer__new(place->path, 1 << 20, &start, &writer, message, sizeof(message)), 0);
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
	char message[256];
	bool truncated = true;
	int err = 0, count = 0;

	assert_int_equal(writer__new(place->path, 4096, &start, &writer, message, sizeof(message)),
			 0);
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
	assert_in_range(file.st_size, 2048, 4096);
	writer__free(writer);
	assert_true(count > 2);
	assert_int_equal(count_snapshots(place->path, message, sizeof(message), &truncated), count);
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
		cmocka_unit_test(tables_cover_structs),
		cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(identities, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cut_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(flip_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_at_its_limit, set_up, tear_down),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(recorded_events),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
