/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What /api/v1/stream sends, as server-sent events: each one a few lines and an empty line. Appends
 * to *out, whose `failed` says that memory was short.
 */
#ifndef DIRTYSCOPE_API_SERVER_STREAM_TEXT_H
#define DIRTYSCOPE_API_SERVER_STREAM_TEXT_H

#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"
#include "agent/base/text.h"

/* How long a browser waits before it connects again. */
void stream_text__retry(struct text *out);
/* "snapshot": time, sequence, and the summary as /api/v1/summary has it. */
void stream_text__snapshot(const struct snapshot *snapshot, struct text *out);
/* "event", with its id: one as in /api/v1/events. */
void stream_text__event(const struct event *event, struct text *out);
/* "missed": ids that are not kept any more, both included. */
void stream_text__missed(uint64_t from, uint64_t to, struct text *out);
/* A comment, so that whatever is between us and the client does not take it for dead. */
void stream_text__beat(struct text *out);

#endif
