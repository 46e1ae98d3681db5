/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a record, frame by frame; the file always ends in a whole one. */
#ifndef DIRTYSCOPE_AGENT_RECORD_WRITER_H
#define DIRTYSCOPE_AGENT_RECORD_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "agent/record/record_fields.h"

struct writer;
/*
 * Creates the file, or replaces a record that is there; what is no record is left alone. limit: the
 * most bytes that it may become. 0, or a negative errno with one sentence.
 */
int writer__new(const char *path, uint64_t limit, const struct record_start *start,
		struct writer **out, struct reason *message);
void writer__free(struct writer *writer);
/*
 * Appends one. -EOVERFLOW: beyond the limit; -ENOSPC: the disk has less than a twentieth of its
 * space left, or none; or another negative errno. The file is then as it was, and takes no more.
 */
int writer__snapshot(struct writer *writer, const struct snapshot *snapshot);
int writer__beside(struct writer *writer, const struct record_beside *beside);
uint64_t writer__bytes(const struct writer *writer);

#endif
