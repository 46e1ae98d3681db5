/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/record/codec.h"

static void put_varint(struct text *out, uint64_t value)
{
	char bytes[10];
	size_t length = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[length++] = (char)(value | 0x80);
	bytes[length++] = (char)value;
	text__append(out, bytes, length);
}

/* Small negative numbers are short, too. */
static void put_signed(struct text *out, int64_t value)
{
	put_varint(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_string(struct text *out, const char *string, bool may_be_null)
{
	const size_t length = string ? strlen(string) : 0;

	put_varint(out, may_be_null ? string ? length + 1 : 0 : length);
	if (length)
		text__append(out, string, length);
}

static int put_struct(struct text *out, struct identity_table *identities,
		      const struct record_struct *type, const void *object);

static int put_identity(struct text *out, struct identity_table *identities,
			struct process_identity *identity)
{
	uint64_t number = identity ? identity_table__number(identities, identity) : 0;
	int err;

	if (number || !identity) {
		put_varint(out, number);
		return 0;
	}
	put_varint(out, identity_table__next(identities));
	err = put_struct(out, identities, &record_identity, identity);
	return err ? err : identity_table__add(identities, identity);
}

static int put_structs(struct text *out, struct identity_table *identities,
		       const struct record_struct *type, const char *first, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = put_struct(out, identities, type, first + i * type->size);
	return err;
}

static void put_scalars(struct text *out, const struct field *field, const char *member)
{
	const bool is_wide = field->kind != FIELD_U32 && field->kind != FIELD_ENUM;

	for (size_t at = 0; at < field->size; at += is_wide ? 8 : 4) {
		uint64_t wide = 0;
		uint32_t narrow;

		if (is_wide) {
			memcpy(&wide, member + at, sizeof(wide));
		} else {
			memcpy(&narrow, member + at, sizeof(narrow));
			wide = narrow;
		}
		if (field->kind == FIELD_DOUBLE)
			text__append(out, member + at, sizeof(double));
		else if (field->kind == FIELD_S64)
			put_signed(out, (int64_t)wide);
		else
			put_varint(out, wide);
	}
}

static int put_counted(struct text *out, struct identity_table *identities,
		       const struct field *field, const char *object)
{
	const char *member = object + field->offset;
	const void *array;
	size_t count;

	memcpy(&count, object + field->count_offset, sizeof(count));
	memcpy(&array, member, sizeof(array));
	put_varint(out, count);
	if (field->kind == FIELD_ARRAY)
		return put_structs(out, identities, field->of, array, count);
	if (field->kind == FIELD_ROWS)
		return put_structs(out, identities, field->of, member, count);
	for (size_t i = 0; i < count; i++)
		put_string(out, ((const char *const *)array)[i], false);
	return 0;
}

static int put_field(struct text *out, struct identity_table *identities, const struct field *field,
		     const char *object)
{
	const char *member = object + field->offset;
	struct timespec time;
	const void *pointer;

	switch (field->kind) {
	case FIELD_SKIPPED:
		break;
	case FIELD_BOOL:
		text__putc(out, *(const bool *)member ? 1 : 0);
		break;
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_S64:
	case FIELD_DOUBLE:
	case FIELD_ENUM:
		put_scalars(out, field, member);
		break;
	case FIELD_TIME:
		memcpy(&time, member, sizeof(time));
		/* A time outside of the years 1970 to 9999 is that of a wrong clock; it is recorded
		 * as unknown. */
		if (time.tv_sec < 0 || time.tv_sec >= YEAR_10000)
			time = (struct timespec){0};
		put_varint(out, (uint64_t)time.tv_sec);
		put_varint(out, (uint64_t)time.tv_nsec);
		break;
	case FIELD_CHARS:
		put_varint(out, strnlen(member, field->size - 1));
		text__append(out, member, strnlen(member, field->size - 1));
		break;
	case FIELD_STRING:
	case FIELD_STRING_OR_NULL:
		memcpy(&pointer, member, sizeof(pointer));
		put_string(out, pointer, field->kind == FIELD_STRING_OR_NULL);
		break;
	case FIELD_IDENTITY:
	case FIELD_IDENTITY_OR_NULL:
		memcpy(&pointer, member, sizeof(pointer));
		return put_identity(out, identities, (struct process_identity *)pointer);
	case FIELD_STRUCT:
		return put_structs(out, identities, field->of, member,
				   field->size / field->of->size);
	case FIELD_STRINGS:
	case FIELD_ARRAY:
	case FIELD_ROWS:
		return put_counted(out, identities, field, object);
	}
	return 0;
}

static int put_struct(struct text *out, struct identity_table *identities,
		      const struct record_struct *type, const void *object)
{
	int err = 0;

	for (size_t i = 0; i < type->count && !err; i++)
		err = put_field(out, identities, &type->fields[i], object);
	return err;
}

int codec__encode(struct text *out, struct identity_table *identities,
		  const struct record_struct *type, const void *object)
{
	int err = put_struct(out, identities, type, object);

	return err ? err : out->failed ? -ENOMEM : 0;
}
