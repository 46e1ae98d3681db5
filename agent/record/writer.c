/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/record/writer.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#include "agent/record/identity_table.h"
#include "agent/record/codec.h"
#include "agent/record/format.h"

#define LEVEL 6
#define MEMORY_LEVEL 8
#define SPARE 20 /* the part of a disk that is left free: one in so many */

struct writer {
	int fd;
	uint64_t bytes, limit;
	struct identity_table *identities;
	z_stream stream;
	bool has_stream;
	struct text raw, packed;
	int err; /* it takes no more */
};

static int write_all(int fd, const char *data, size_t length, uint64_t offset)
{
	while (length) {
		ssize_t written = pwrite(fd, data, length, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written ? -errno : -EIO;
		data += written;
		offset += (uint64_t)written;
		length -= (size_t)written;
	}
	return 0;
}

/* Deflates the frame behind the room that is kept for its head. */
static int pack(struct writer *writer)
{
	struct text *packed = &writer->packed;
	z_stream *stream = &writer->stream;
	char room[16384];

	packed->length = 0;
	memset(room, 0, FRAME_HEAD_BYTES);
	text__append(packed, room, FRAME_HEAD_BYTES);
	stream->next_in = (Bytef *)writer->raw.data;
	stream->avail_in = (uInt)writer->raw.length;
	do {
		stream->next_out = (Bytef *)room;
		stream->avail_out = sizeof(room);
		if (deflate(stream, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			return -EINVAL;
		text__append(packed, room, sizeof(room) - stream->avail_out);
	} while (!stream->avail_out);
	return packed->failed ? -ENOMEM : 0;
}

static int check_space(const struct writer *writer, size_t length)
{
	struct statvfs disk;

	if (length > writer->limit || writer->bytes > writer->limit - length)
		return -EOVERFLOW;
	if (fstatvfs(writer->fd, &disk) == 0 && disk.f_blocks &&
	    disk.f_bavail < disk.f_blocks / SPARE + 1 + length / disk.f_frsize + 1)
		return -ENOSPC;
	return 0;
}

static int append(struct writer *writer, enum frame_type type)
{
	struct frame_head head = {.type = htole32(type)};
	size_t length;
	int err;

	if (writer->raw.length > RECORD_RAW_MOST)
		return -EMSGSIZE;
	err = pack(writer);
	if (err)
		return err;
	length = writer->packed.length;
	head.length = htole32((uint32_t)(length - FRAME_HEAD_BYTES));
	head.raw_length = htole32((uint32_t)writer->raw.length);
	head.crc = htole32((uint32_t)crc32(0, (const Bytef *)writer->packed.data + FRAME_HEAD_BYTES,
					   (uInt)(length - FRAME_HEAD_BYTES)));
	head.head_crc = htole32(
		(uint32_t)crc32(0, (const Bytef *)&head, offsetof(struct frame_head, head_crc)));
	memcpy(writer->packed.data, &head, sizeof(head));
	err = check_space(writer, length);
	if (err)
		return err;
	err = write_all(writer->fd, writer->packed.data, length, writer->bytes);
	if (!err)
		writer->bytes += length;
	else if (ftruncate(writer->fd, (off_t)writer->bytes))
		return err; /* a reader takes the part of a frame for a killed agent */
	return err;
}

static int put(struct writer *writer, enum frame_type type, const struct record_struct *layout,
	       const void *object)
{
	if (writer->err)
		return writer->err;
	writer->raw.length = 0;
	writer->err = codec__encode(&writer->raw, writer->identities, layout, object);
	if (!writer->err)
		writer->err = append(writer, type);
	return writer->err;
}

int writer__snapshot(struct writer *writer, const struct snapshot *snapshot)
{
	int err = put(writer, FRAME_SNAPSHOT, &record_snapshot, snapshot);

	identity_table__turn(writer->identities);
	return err;
}

int writer__beside(struct writer *writer, const struct record_beside *beside)
{
	return put(writer, FRAME_BESIDE, &record_beside, beside);
}

uint64_t writer__bytes(const struct writer *writer)
{
	return writer->bytes;
}

/* Whoever mistypes a name shall lose no other file. */
static int open_file(struct writer *writer, const char *path, struct reason *message)
{
	char magic[RECORD_MAGIC_BYTES];
	struct stat file;

	writer->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
	if (writer->fd < 0 || fstat(writer->fd, &file)) {
		int err = -errno;

		reason__set(message, "cannot record to %s: %s", path, strerror(-err));
		return err;
	}
	if (!S_ISREG(file.st_mode)) {
		reason__set(message, "cannot record to %s: it is not a regular file", path);
		return -EINVAL;
	}
	if (file.st_size && (pread(writer->fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
			     memcmp(magic, RECORD_MAGIC, sizeof(magic)) != 0)) {
		reason__set(message, "will not record over %s: it has content, and is not a record",
			    path);
		return -EEXIST;
	}
	return 0;
}

static int begin(struct writer *writer, const struct record_start *start)
{
	const uint32_t format = htole32(RECORD_FORMAT);
	char opening[RECORD_OPENING_BYTES] = RECORD_MAGIC;
	int err;

	memcpy(opening + RECORD_MAGIC_BYTES, &format, sizeof(format));
	err = check_space(writer, sizeof(opening));
	if (!err && ftruncate(writer->fd, 0))
		err = -errno;
	if (!err)
		err = write_all(writer->fd, opening, sizeof(opening), 0);
	writer->bytes = sizeof(opening);
	if (!err)
		err = put(writer, FRAME_START, &record_start, start);
	/* A reader goes back to here to begin again, so what follows refers to nothing before. */
	return err ? err : deflateReset(&writer->stream) == Z_OK ? 0 : -EINVAL;
}

int writer__new(const char *path, uint64_t limit, const struct record_start *start,
		struct writer **out, struct reason *message)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int err = -ENOMEM;

	*out = NULL;
	message->text[0] = '\0';
	if (!writer)
		return err;
	writer->fd = -1;
	writer->limit = limit;
	writer->identities = identity_table__new();
	writer->has_stream = deflateInit2(&writer->stream, LEVEL, Z_DEFLATED, RECORD_WINDOW,
					  MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
	if (writer->identities && writer->has_stream)
		err = open_file(writer, path, message);
	if (!err) {
		err = begin(writer, start);
		if (err)
			reason__set(message, "cannot record to %s: %s", path, strerror(-err));
	}
	if (err) {
		writer__free(writer);
		return err;
	}
	*out = writer;
	return 0;
}

void writer__free(struct writer *writer)
{
	if (!writer)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->has_stream)
		deflateEnd(&writer->stream);
	text__free(&writer->raw);
	text__free(&writer->packed);
	identity_table__free(writer->identities);
	free(writer);
}
