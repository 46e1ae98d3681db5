/* SPDX-License-Identifier: BSD-2-Clause */
/* Snapshots of any bytes at all: refused, or fit to be shown and recorded again. For libFuzzer. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/record/codec.h"
#include "api/metrics/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_snapshot(const char *data, size_t length)
{
	static const struct api_counters counters;
	struct snapshot *snapshot = snapshot__new();
	struct identity_table *read = identity_table__new(), *written = identity_table__new();
	struct text shown = {0}, again = {0};
	const char *where;

	if (codec__decode(data, length, snapshot->arena, read, &record_snapshot, snapshot,
			  &where) == 0) {
		metrics__write(&shown, METRICS_OPENMETRICS, snapshot, &counters);
		if (codec__encode(&again, written, &record_snapshot, snapshot))
			abort();
	}
	text__free(&shown);
	text__free(&again);
	snapshot__put(snapshot);
	identity_table__free(read);
	identity_table__free(written);
}

static void fuzz_beside(const char *data, size_t length)
{
	struct arena *arena = arena__new(1);
	struct record_beside beside = {0};
	struct text again = {0};
	const char *where;

	if (codec__decode(data, length, arena, NULL, &record_beside, &beside, &where) == 0 &&
	    codec__encode(&again, NULL, &record_beside, &beside))
		abort();
	text__free(&again);
	arena__free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && *data == 'b')
		fuzz_beside((const char *)data + 1, size - 1);
	else if (size)
		fuzz_snapshot((const char *)data + 1, size - 1);
	return 0;
}
