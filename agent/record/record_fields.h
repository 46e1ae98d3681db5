/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a record holds of each struct: one row a member. Encoding, decoding and the format's
 * fingerprint follow from these tables; a test holds them against the structs themselves.
 */
#ifndef DIRTYSCOPE_AGENT_RECORD_RECORD_FIELDS_H
#define DIRTYSCOPE_AGENT_RECORD_RECORD_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"

enum field_kind {
	FIELD_SKIPPED, /* not recorded: of the running agent only */
	FIELD_BOOL,
	FIELD_U32,
	FIELD_U64,
	FIELD_S64,
	FIELD_DOUBLE,
	FIELD_ENUM,   /* below `most` */
	FIELD_TIME,   /* struct timespec, of the years 1970 to 9999 */
	FIELD_CHARS,  /* char[], NUL-terminated within it */
	FIELD_STRING, /* never NULL */
	FIELD_STRING_OR_NULL,
	FIELD_STRINGS,	/* const char *const *, never NULL, as many as the member at count_offset */
	FIELD_IDENTITY, /* struct process_identity *, never NULL */
	FIELD_IDENTITY_OR_NULL,
	FIELD_STRUCT, /* of another table, inside */
	/* A pointer to as many of them as the member at count_offset says, up to `most` unless 0.
	 */
	FIELD_ARRAY,
	FIELD_ROWS, /* the same inside; what is behind them is not recorded */
};

struct record_struct;

struct field {
	const char *name;
	enum field_kind kind;
	uint32_t offset, size; /* of the member; of an array of scalars or structs, all of it */
	const struct record_struct *of;
	uint32_t count_offset; /* of a size_t, which has no row of its own */
	uint32_t most;
};

struct record_struct {
	const char *name;
	size_t size;
	const struct field *fields;
	size_t count;
	/* Whether members that go together do; NULL: there are none. */
	bool (*is_sound)(const void *object);
};

/* What stood beside a snapshot until the next one came. */
struct record_beside {
	struct event *events; /* since the one before */
	size_t event_count;
	struct track_info *tracks;
	size_t track_count;
	const char *policies; /* JSON; "" when there is nothing to tell */
};

/* The beginning of each file, behind its magic. */
struct record_start {
	uint32_t fingerprint; /* of all tables */
	const char *version, *revision;
	struct timespec time; /* realtime */
	double interval;      /* as it was configured, seconds */
};

extern const struct record_struct record_snapshot, record_identity, record_beside, record_start;
/* All of them; ends in NULL. */
extern const struct record_struct *const record_structs[];
/* Changes with each name, kind and size in the tables. */
uint32_t record__fingerprint(void);

#endif
