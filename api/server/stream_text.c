/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/stream_text.h"

#include <inttypes.h>

#include "api/views/views.h"

#define RETRY_MS 2000

void stream_text__retry(struct text *out)
{
	text__printf(out, "retry: %d\n\n", RETRY_MS);
}

/* The JSON writer escapes line breaks, so that its output is one line of data. */
void stream_text__snapshot(const struct snapshot *snapshot, struct text *out)
{
	struct json json = {.out = out};

	text__puts(out, "event: snapshot\ndata: ");
	json__object(&json, NULL);
	json__time(&json, "time", &snapshot->time);
	json__u64(&json, "sequence", snapshot->sequence);
	json__object(&json, "summary");
	view__summary_fields(&json, snapshot);
	json__end_object(&json);
	json__end_object(&json);
	text__puts(out, "\n\n");
}

void stream_text__event(const struct event *event, struct text *out)
{
	struct json json = {.out = out};

	text__printf(out, "event: event\nid: %" PRIu64 "\ndata: ", event->id);
	view__event(&json, event);
	text__puts(out, "\n\n");
}

void stream_text__missed(uint64_t from, uint64_t to, struct text *out)
{
	struct json json = {.out = out};

	text__puts(out, "event: missed\ndata: ");
	json__object(&json, NULL);
	view__id(&json, "from", from);
	view__id(&json, "to", to);
	json__end_object(&json);
	text__puts(out, "\n\n");
}

void stream_text__beat(struct text *out)
{
	text__puts(out, ": beat\n\n");
}
