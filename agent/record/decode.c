/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/record/codec.h"

struct decoder {
	const unsigned char *next, *end;
	struct arena *arena;
	struct identity_table *identities;
	int err; /* the first one; nothing is read after it */
	const char *where;
};

static size_t left(const struct decoder *decoder)
{
	return (size_t)(decoder->end - decoder->next);
}

static void fail(struct decoder *decoder, int err)
{
	if (!decoder->err)
		decoder->err = err;
	decoder->next = decoder->end;
}

static uint64_t take_varint(struct decoder *decoder)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		unsigned char byte;

		if (!left(decoder))
			break;
		byte = *decoder->next++;
		/* The tenth byte has room for one bit. */
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	fail(decoder, -EBADMSG);
	return 0;
}

static uint64_t take_below(struct decoder *decoder, uint64_t most)
{
	uint64_t value = take_varint(decoder);

	if (value < most)
		return value;
	fail(decoder, -EBADMSG);
	return 0;
}

static const char *take_bytes(struct decoder *decoder, size_t length)
{
	const unsigned char *bytes = decoder->next;

	if (length > left(decoder)) {
		fail(decoder, -EBADMSG);
		return NULL;
	}
	decoder->next += length;
	return (const char *)bytes;
}

static void *allocate(struct decoder *decoder, size_t count, size_t size)
{
	void *memory = arena__alloc(decoder->arena, count * size);

	if (!memory)
		fail(decoder, -ENOMEM);
	return memory;
}

/* NULL after a failure, and where it may be NULL. */
static const char *take_string(struct decoder *decoder, bool may_be_null)
{
	uint64_t length = take_varint(decoder);
	const char *bytes;
	char *string;

	if (decoder->err || (may_be_null && !length--))
		return NULL;
	bytes = take_bytes(decoder, length);
	if (!bytes || memchr(bytes, '\0', length)) {
		fail(decoder, -EBADMSG);
		return NULL;
	}
	string = allocate(decoder, length + 1, 1);
	if (string)
		memcpy(string, bytes, length);
	return string;
}

static void take_chars(struct decoder *decoder, char *member, size_t size)
{
	const size_t length = take_below(decoder, size);
	const char *bytes = take_bytes(decoder, length);

	if (!bytes || memchr(bytes, '\0', length))
		fail(decoder, -EBADMSG);
	else
		memcpy(member, bytes, length);
}

/* Bytes that one takes at least: bounds what a count makes us allocate. */
static size_t least_bytes(const struct record_struct *type)
{
	size_t least = 0;

	for (size_t i = 0; i < type->count; i++) {
		const struct field *field = &type->fields[i];

		switch (field->kind) {
		case FIELD_SKIPPED:
			break;
		case FIELD_U64:
		case FIELD_S64:
			least += field->size / 8;
			break;
		case FIELD_U32:
		case FIELD_ENUM:
			least += field->size / 4;
			break;
		case FIELD_DOUBLE:
			least += field->size;
			break;
		case FIELD_TIME:
			least += 2;
			break;
		case FIELD_STRUCT:
			least += least_bytes(field->of) * (field->size / field->of->size);
			break;
		default:
			least++;
		}
	}
	return least;
}

static void take_struct(struct decoder *decoder, const struct record_struct *type, void *object);

static struct process_identity *take_identity(struct decoder *decoder, bool may_be_null)
{
	const uint64_t number = take_varint(decoder);
	struct process_identity read = {0}, *identity;
	int err;

	if (decoder->err || (!number && may_be_null))
		return NULL;
	if (!decoder->identities) {
		fail(decoder, -EBADMSG);
		return NULL;
	}
	identity = identity_table__find(decoder->identities, number);
	if (identity)
		return process_identity__get(identity);
	if (number != identity_table__next(decoder->identities)) {
		fail(decoder, -EBADMSG);
		return NULL;
	}
	take_struct(decoder, &record_identity, &read);
	if (decoder->err)
		return NULL;
	identity = process_identity__new(&read);
	err = identity ? identity_table__add(decoder->identities, identity) : -ENOMEM;
	if (err)
		fail(decoder, err);
	return identity;
}

static void take_structs(struct decoder *decoder, const struct record_struct *type, char *first,
			 size_t count)
{
	for (size_t i = 0; i < count && !decoder->err; i++)
		take_struct(decoder, type, first + i * type->size);
}

static void take_scalars(struct decoder *decoder, const struct field *field, char *member)
{
	const bool is_narrow = field->kind == FIELD_U32 || field->kind == FIELD_ENUM;
	const uint64_t most = field->kind == FIELD_ENUM ? field->most : 1ULL << 32;
	const char *bytes;

	for (size_t at = 0; at < field->size && !decoder->err; at += is_narrow ? 4 : 8) {
		uint64_t value;
		uint32_t narrow;

		if (is_narrow) {
			narrow = (uint32_t)take_below(decoder, most);
			memcpy(member + at, &narrow, sizeof(narrow));
			continue;
		}
		if (field->kind == FIELD_DOUBLE) {
			bytes = take_bytes(decoder, sizeof(double));
			if (bytes)
				memcpy(member + at, bytes, sizeof(double));
			continue;
		}
		value = take_varint(decoder);
		if (field->kind == FIELD_S64)
			value = value >> 1 ^ (0 - (value & 1));
		memcpy(member + at, &value, sizeof(value));
	}
}

static size_t take_count(struct decoder *decoder, size_t least)
{
	return take_below(decoder, left(decoder) / (least ? least : 1) + 1);
}

static void set_array(const struct field *field, char *object, const void *array, size_t count)
{
	memcpy(object + field->offset, &array, sizeof(array));
	memcpy(object + field->count_offset, &count, sizeof(count));
}

static void take_strings(struct decoder *decoder, const struct field *field, char *object)
{
	const size_t count = take_count(decoder, 1);
	const char **strings;

	/* No array is no address: nobody looks. */
	if (decoder->err || !count)
		return;
	strings = allocate(decoder, count, sizeof(*strings));
	for (size_t i = 0; i < count && !decoder->err; i++)
		strings[i] = take_string(decoder, false);
	if (!decoder->err)
		set_array(field, object, strings, count);
}

static void take_array(struct decoder *decoder, const struct field *field,
		       const struct record_struct *type, char *object)
{
	const size_t count = take_count(decoder, least_bytes(type));
	void *array;

	if (field->most && count > field->most)
		fail(decoder, -EBADMSG);
	if (decoder->err || !count)
		return;
	array = allocate(decoder, count, type->size);
	if (!array)
		return;
	/* At once: what its rows refer to can be released then. */
	set_array(field, object, array, count);
	take_structs(decoder, type, array, count);
}

static void take_rows(struct decoder *decoder, const struct field *field,
		      const struct record_struct *type, char *object)
{
	const size_t count = take_below(decoder, field->size / type->size + 1);

	if (decoder->err)
		return;
	memcpy(object + field->count_offset, &count, sizeof(count));
	take_structs(decoder, type, object + field->offset, count);
}

static void take_field(struct decoder *decoder, const struct field *field, char *object)
{
	char *member = object + field->offset;
	struct timespec time;
	const void *pointer;
	bool flag;

	switch (field->kind) {
	case FIELD_SKIPPED:
		break;
	case FIELD_BOOL:
		flag = take_below(decoder, 2);
		memcpy(member, &flag, sizeof(flag));
		break;
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_S64:
	case FIELD_DOUBLE:
	case FIELD_ENUM:
		take_scalars(decoder, field, member);
		break;
	case FIELD_TIME:
		time.tv_sec = (time_t)take_below(decoder, YEAR_10000);
		time.tv_nsec = (long)take_below(decoder, 1000000000);
		memcpy(member, &time, sizeof(time));
		break;
	case FIELD_CHARS:
		take_chars(decoder, member, field->size);
		break;
	case FIELD_STRING:
	case FIELD_STRING_OR_NULL:
		pointer = take_string(decoder, field->kind == FIELD_STRING_OR_NULL);
		memcpy(member, &pointer, sizeof(pointer));
		break;
	case FIELD_IDENTITY:
	case FIELD_IDENTITY_OR_NULL:
		pointer = take_identity(decoder, field->kind == FIELD_IDENTITY_OR_NULL);
		memcpy(member, &pointer, sizeof(pointer));
		break;
	case FIELD_STRUCT:
		take_structs(decoder, field->of, member, field->size / field->of->size);
		break;
	case FIELD_STRINGS:
		take_strings(decoder, field, object);
		break;
	case FIELD_ARRAY:
		take_array(decoder, field, field->of, object);
		break;
	case FIELD_ROWS:
		take_rows(decoder, field, field->of, object);
		break;
	}
}

static void take_struct(struct decoder *decoder, const struct record_struct *type, void *object)
{
	for (size_t i = 0; i < type->count; i++) {
		take_field(decoder, &type->fields[i], object);
		if (decoder->err) {
			/* The first one to fail is the innermost field; it stays. */
			if (!decoder->where)
				decoder->where = type->fields[i].name;
			return;
		}
	}
	if (type->is_sound && !type->is_sound(object)) {
		fail(decoder, -EBADMSG);
		decoder->where = type->name;
	}
}

int codec__decode(const char *data, size_t length, struct arena *arena,
		  struct identity_table *identities, const struct record_struct *type, void *object,
		  const char **where)
{
	struct decoder decoder = {
		.next = (const unsigned char *)data,
		.end = (const unsigned char *)data + length,
		.arena = arena,
		.identities = identities,
	};

	take_struct(&decoder, type, object);
	if (!decoder.err && left(&decoder)) {
		decoder.err = -EBADMSG;
		decoder.where = "its end";
	}
	*where = decoder.where ? decoder.where : "";
	return decoder.err;
}
