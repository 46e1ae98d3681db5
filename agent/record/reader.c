/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/record/reader.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "agent/record/identity_table.h"
#include "agent/record/codec.h"
#include "agent/record/format.h"

#define BLOCK_BYTES 65536
#define START_RAW_MOST 4096

struct reader {
	const char *path;
	int fd;
	struct reader_facts facts;
	uint64_t first;	   /* where the frames behind the start are */
	uint64_t next;	   /* where the next frame is */
	uint64_t position; /* snapshots read since the first */
	uint64_t rounds;
	struct identity_table *identities;
	z_stream stream;
	bool has_stream;
	struct text raw;
	struct arena *arena; /* of the facts' strings */
	unsigned char block[BLOCK_BYTES];
};

static int damaged(const struct reader *reader, uint64_t offset, const char *what,
		   struct reason *message)
{
	reason__set(message, "%s is damaged at byte %" PRIu64 ": %s", reader->path, offset, what);
	return -EBADMSG;
}

/* Bytes read, fewer than wanted at the end of the file; or a negative errno. */
static ssize_t read_at(int fd, void *buffer, size_t length, uint64_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got =
			pread(fd, (char *)buffer + done, length - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* 1, 0 where the file ends before or within it, -EBADMSG, or another negative errno. */
static int read_head(const struct reader *reader, uint64_t offset, struct frame_head *head)
{
	ssize_t got = read_at(reader->fd, head, sizeof(*head), offset);
	uint32_t sum;

	if (got < 0)
		return (int)got;
	if (got < (ssize_t)sizeof(*head))
		return 0;
	sum = (uint32_t)crc32(0, (const Bytef *)head, offsetof(struct frame_head, head_crc));
	if (sum != le32toh(head->head_crc))
		return -EBADMSG;
	head->type = le32toh(head->type);
	head->length = le32toh(head->length);
	head->raw_length = le32toh(head->raw_length);
	head->crc = le32toh(head->crc);
	return 1;
}

/* Of so many bytes left from there, those that fit into reader->block; 0: the file ends before. */
static ssize_t next_block(struct reader *reader, uint64_t offset, uint64_t left)
{
	size_t part = left < BLOCK_BYTES ? left : BLOCK_BYTES;
	ssize_t got = read_at(reader->fd, reader->block, part, offset);

	return got < 0 || got == (ssize_t)part ? got : 0;
}

/* ---- the first look ---- */

/* Its sum, over its bytes as far as they are there; *whole: they all are. */
static int sum_frame(struct reader *reader, uint64_t offset, const struct frame_head *head,
		     bool *whole, uint32_t *sum)
{
	uLong running = crc32(0, NULL, 0);
	uint64_t left = head->length;

	offset += FRAME_HEAD_BYTES;
	while (left) {
		ssize_t part = next_block(reader, offset, left);

		if (part < 0)
			return (int)part;
		if (!part)
			break;
		running = crc32(running, reader->block, (uInt)part);
		offset += part;
		left -= part;
	}
	*whole = !left;
	*sum = (uint32_t)running;
	return 0;
}

/* Up to the end of the file, or of what is whole of it. */
static int look_through(struct reader *reader, uint64_t bytes, struct reason *message)
{
	struct reader_facts *facts = &reader->facts;
	uint64_t offset = RECORD_OPENING_BYTES;
	bool whole = true;

	while (offset < bytes) {
		struct frame_head head;
		uint32_t sum = 0;
		int got = read_head(reader, offset, &head);

		if (got == -EBADMSG)
			return damaged(reader, offset, "the sum of its head is wrong", message);
		if (got < 0)
			return got;
		whole = got;
		if (!whole)
			break;
		if (!head.type || head.type >= FRAME_TYPES ||
		    (head.type == FRAME_START) != (offset == RECORD_OPENING_BYTES))
			return damaged(reader, offset, "no record begins here", message);
		if (head.raw_length > RECORD_RAW_MOST)
			return damaged(reader, offset, "longer than any record", message);
		got = sum_frame(reader, offset, &head, &whole, &sum);
		if (got)
			return got;
		if (!whole)
			break;
		if (sum != head.crc)
			return damaged(reader, offset, "its sum is wrong", message);
		facts->snapshots += head.type == FRAME_SNAPSHOT;
		offset += FRAME_HEAD_BYTES + head.length;
	}
	facts->truncated = !whole;
	facts->end = offset;
	if (facts->snapshots)
		return 0;
	reason__set(message, "%s holds no whole snapshot", reader->path);
	return -EINVAL;
}

/* ---- frames ---- */

/* The bytes of the next frame into reader->raw, inflated as far as they are told to be. */
static int inflate_frame(struct reader *reader, uint64_t offset, const struct frame_head *head,
			 struct reason *message)
{
	z_stream *stream = &reader->stream;
	uint64_t left = head->length;
	char room[BLOCK_BYTES / 4];

	reader->raw.length = 0;
	offset += FRAME_HEAD_BYTES;
	while (left) {
		ssize_t part = next_block(reader, offset, left);

		if (part < 0)
			return (int)part;
		if (!part)
			return damaged(reader, offset, "the file was cut meanwhile", message);
		stream->next_in = reader->block;
		stream->avail_in = (uInt)part;
		do {
			int result;
			size_t length;

			stream->next_out = (Bytef *)room;
			stream->avail_out = sizeof(room);
			result = inflate(stream, Z_SYNC_FLUSH);
			if (result == Z_MEM_ERROR)
				return -ENOMEM;
			length = sizeof(room) - stream->avail_out;
			if ((result != Z_OK && result != Z_BUF_ERROR) ||
			    length > head->raw_length - reader->raw.length)
				return damaged(reader, offset, "it cannot be inflated", message);
			text__append(&reader->raw, room, length);
			if (reader->raw.failed)
				return -ENOMEM;
		} while (!stream->avail_out);
		if (stream->avail_in)
			return damaged(reader, offset, "it cannot be inflated", message);
		offset += part;
		left -= part;
	}
	if (reader->raw.length != head->raw_length)
		return damaged(reader, offset, "it is shorter than it says", message);
	return 0;
}

/* The next frame into *object. *head: its own. */
static int take_frame(struct reader *reader, const struct frame_head *head, struct arena *arena,
		      const struct record_struct *type, void *object, struct reason *message)
{
	const uint64_t offset = reader->next;
	const char *where;
	char what[128];
	int err = inflate_frame(reader, offset, head, message);

	if (err)
		return err;
	reader->next = offset + FRAME_HEAD_BYTES + head->length;
	err = codec__decode(reader->raw.data, reader->raw.length, arena, reader->identities, type,
			    object, &where);
	if (err == -EBADMSG) {
		snprintf(what, sizeof(what), "its %s is not right", where);
		return damaged(reader, offset, what, message);
	}
	return err;
}

/* The head of the next frame that is whole; type 0: there is none. */
static int next_head(const struct reader *reader, struct frame_head *head)
{
	int got;

	*head = (struct frame_head){0};
	if (reader->next >= reader->facts.end)
		return 0;
	got = read_head(reader, reader->next, head);
	if (got <= 0 || head->type >= FRAME_TYPES || head->raw_length > RECORD_RAW_MOST) {
		head->type = 0;
		return got < 0 ? got : -EIO; /* it was whole when it was opened */
	}
	return 0;
}

/* ---- opening ---- */

static int check_opening(struct reader *reader, struct reason *message)
{
	char opening[RECORD_OPENING_BYTES];
	ssize_t got = read_at(reader->fd, opening, sizeof(opening), 0);
	uint32_t format;

	if (got < 0)
		return (int)got;
	if (got < (ssize_t)sizeof(opening) ||
	    memcmp(opening, RECORD_MAGIC, RECORD_MAGIC_BYTES) != 0) {
		reason__set(message, "%s is not a record%s", reader->path,
			    got ? "" : ": it is empty");
		return -EINVAL;
	}
	memcpy(&format, opening + RECORD_MAGIC_BYTES, sizeof(format));
	format = le32toh(format);
	if (format != RECORD_FORMAT) {
		reason__set(message, "%s has format %" PRIu32 "; this dirtyscope reads %d",
			    reader->path, format, RECORD_FORMAT);
		return -EINVAL;
	}
	return 0;
}

static int take_start(struct reader *reader, struct reason *message)
{
	struct record_start start = {0};
	struct reader_facts *facts = &reader->facts;
	struct frame_head head;
	int err;

	reader->next = RECORD_OPENING_BYTES;
	err = next_head(reader, &head);
	if (err)
		return err;
	if (head.raw_length > START_RAW_MOST)
		return damaged(reader, reader->next, "longer than any start", message);
	err = take_frame(reader, &head, reader->arena, &record_start, &start, message);
	if (err)
		return err;
	if (start.fingerprint != record__fingerprint()) {
		reason__set(
			message,
			"%s was recorded by dirtyscope %s (%s), whose snapshots hold other members "
			"than this one's",
			reader->path, start.version, start.revision);
		return -EINVAL;
	}
	if (!(start.interval >= 0.1 && start.interval <= 3600))
		return damaged(reader, RECORD_OPENING_BYTES, "its interval is not right", message);
	facts->version = start.version;
	facts->revision = start.revision;
	facts->recorded = start.time;
	facts->interval = start.interval;
	reader->first = reader->next;
	return inflateReset(&reader->stream) == Z_OK ? 0 : -EINVAL;
}

static int open_file(struct reader *reader, struct reason *message)
{
	struct stat file;
	int err;

	/* Without O_NONBLOCK, opening a pipe would wait for its writer. */
	reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (reader->fd < 0 || fstat(reader->fd, &file)) {
		err = -errno;
		reason__set(message, "cannot read %s: %s", reader->path, strerror(-err));
		return err;
	}
	if (!S_ISREG(file.st_mode)) {
		reason__set(message, "%s is not a regular file", reader->path);
		return -EINVAL;
	}
	err = check_opening(reader, message);
	if (!err)
		err = look_through(reader, (uint64_t)file.st_size, message);
	if (!err)
		err = take_start(reader, message);
	return err;
}

int reader__open(const char *path, struct reader **out, struct reason *message)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int err = -ENOMEM;

	*out = NULL;
	message->text[0] = '\0';
	if (!reader)
		return err;
	reader->path = path;
	reader->fd = -1;
	reader->identities = identity_table__new();
	reader->arena = arena__new(START_RAW_MOST);
	reader->has_stream = inflateInit2(&reader->stream, RECORD_WINDOW) == Z_OK;
	if (reader->identities && reader->arena && reader->has_stream)
		err = open_file(reader, message);
	if (err) {
		if (!message->text[0])
			reason__set(message, "cannot read %s: %s", path, strerror(-err));
		reader__close(reader);
		return err;
	}
	*out = reader;
	return 0;
}

void reader__close(struct reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	if (reader->has_stream)
		inflateEnd(&reader->stream);
	text__free(&reader->raw);
	identity_table__free(reader->identities);
	arena__free(reader->arena);
	free(reader);
}

const struct reader_facts *reader__facts(const struct reader *reader)
{
	return &reader->facts;
}

/* ---- reading on ---- */

static int take_snapshot(struct reader *reader, const struct frame_head *head,
			 struct snapshot *snapshot, struct reason *message)
{
	int err = take_frame(reader, head, snapshot->arena, &record_snapshot, snapshot, message);

	if (err)
		return err;
	identity_table__turn(reader->identities);
	reader->position++;
	return 0;
}

/* All that stood beside it; more than one is the same, said later. */
static int take_beside(struct reader *reader, struct snapshot *snapshot,
		       struct record_beside *beside, bool *ended, struct reason *message)
{
	struct frame_head head;
	int err;

	*beside = (struct record_beside){.policies = ""};
	for (;;) {
		err = next_head(reader, &head);
		if (err || head.type != FRAME_BESIDE)
			break;
		*beside = (struct record_beside){0};
		err = take_frame(reader, &head, snapshot->arena, &record_beside, beside, message);
		if (err)
			break;
	}
	*ended = !head.type;
	return err;
}

static int complete(struct reader *reader, struct snapshot *snapshot, const struct event **events,
		    size_t *event_count, struct reason *message)
{
	struct snapshot_replay *replay = arena__alloc(snapshot->arena, sizeof(*replay));
	struct record_beside beside;
	bool ended = false;
	int err;

	if (!replay)
		return -ENOMEM;
	err = take_beside(reader, snapshot, &beside, &ended, message);
	if (err)
		return err;
	*replay = (struct snapshot_replay){
		.file = reader->path,
		.version = reader->facts.version,
		.revision = reader->facts.revision,
		.recorded = reader->facts.recorded,
		.position = reader->position,
		.snapshots = reader->facts.snapshots,
		.rounds = reader->rounds,
		.truncated = reader->facts.truncated,
		.ended = ended,
		.tracks = beside.tracks,
		.track_count = beside.track_count,
		.policies = beside.policies,
	};
	snapshot->replay = replay;
	*events = beside.events;
	*event_count = beside.event_count;
	return 0;
}

int reader__next(struct reader *reader, struct snapshot **out, const struct event **events,
		 size_t *event_count, struct reason *message)
{
	struct snapshot *snapshot;
	struct frame_head head;
	int err;

	*out = NULL;
	message->text[0] = '\0';
	err = next_head(reader, &head);
	if (err)
		goto cleanup;
	if (!head.type)
		return -ENODATA;
	if (head.type != FRAME_SNAPSHOT) {
		err = damaged(reader, reader->next, "no snapshot begins here", message);
		goto cleanup;
	}
	snapshot = snapshot__new();
	if (!snapshot) {
		err = -ENOMEM;
		goto cleanup;
	}
	err = take_snapshot(reader, &head, snapshot, message);
	if (!err)
		err = complete(reader, snapshot, events, event_count, message);
	if (err)
		snapshot__put(snapshot);
	else
		*out = snapshot;
cleanup:
	if (err && !message->text[0])
		reason__set(message, "cannot read %s: %s", reader->path, strerror(-err));
	return err;
}

int reader__rewind(struct reader *reader)
{
	if (inflateReset(&reader->stream) != Z_OK)
		return -EINVAL;
	identity_table__clear(reader->identities);
	reader->position = 0;
	reader->next = reader->first;
	reader->rounds++;
	return 0;
}
