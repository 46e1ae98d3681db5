/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a record, whatever its bytes are, snapshot by snapshot. */
#ifndef DIRTYSCOPE_AGENT_RECORD_READER_H
#define DIRTYSCOPE_AGENT_RECORD_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reason.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"

struct reader;

struct reader_facts {
	const char *version, *revision; /* of the dirtyscope that wrote it */
	struct timespec recorded;	/* realtime, when it began */
	double interval;		/* that its agent was told, seconds, 0.1 to 3600 */
	uint64_t snapshots;		/* in it, at least 1 */
	bool truncated; /* it ends within a frame, at this byte; all before is whole */
	uint64_t end;
};

/*
 * Looks through all of the file: sums are right, frames are whole but for the last one. path is
 * borrowed. 0, -EBADMSG (damaged), -EINVAL (not a record, or of another format), or another
 * negative errno, with one sentence that names the file, and the byte where it is damaged.
 */
int reader__open(const char *path, struct reader **out, struct reason *message);
void reader__close(struct reader *reader);
/* Alive until reader__close. */
const struct reader_facts *reader__facts(const struct reader *reader);
/*
 * The next snapshot, with a reference for the caller and its `replay` filled in; *events:
 * those beside it, alive as long as it, as the reader is. -ENODATA: there is no other; -EBADMSG,
 * with one sentence as above; -ENOMEM, or another negative errno.
 */
int reader__next(struct reader *reader, struct snapshot **snapshot, const struct event **events,
		 size_t *event_count, struct reason *message);
/* reader__next reads the first snapshot again after this. */
int reader__rewind(struct reader *reader);

#endif
