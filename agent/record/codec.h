/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Structs to bytes and back, by their tables: integers as varints, doubles and bools as they are,
 * strings and arrays behind their length. The bytes say nothing of what they mean: both sides need
 * the same tables.
 */
#ifndef DIRTYSCOPE_AGENT_RECORD_CODEC_H
#define DIRTYSCOPE_AGENT_RECORD_CODEC_H

#include <stddef.h>

#include "agent/base/arena.h"
#include "agent/record/identity_table.h"
#include "agent/record/record_fields.h"
#include "agent/base/text.h"

#define YEAR_10000 253402300800 /* seconds since 1970; no RFC 3339 from then on */

/* Appends one. identities: NULL where the struct has no identities. 0, or -ENOMEM. */
int codec__encode(struct text *out, struct identity_table *identities,
		  const struct record_struct *type, const void *object);
/*
 * Fills in *object, which is zeroed, from all of the bytes, whatever they are; what it points to
 * comes from the arena, identities with a reference. 0, -ENOMEM, or -EBADMSG with the name of what
 * is wrong in *where (static); what was filled in then can be released as usual.
 */
int codec__decode(const char *data, size_t length, struct arena *arena,
		  struct identity_table *identities, const struct record_struct *type, void *object,
		  const char **where);

#endif
