/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metrics: one table, from which /metrics, its reference and its tests follow. To add a metric,
 * add a row in metrics.c.
 */
#ifndef DIRTYSCOPE_API_METRICS_METRICS_H
#define DIRTYSCOPE_API_METRICS_METRICS_H

#include "agent/base/text.h"
#include "agent/snapshot/snapshot.h"
#include "api/metrics/counters.h"

enum metrics_format {
	METRICS_TEXT,	     /* Prometheus text 0.0.4 */
	METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
	METRICS_FORMATS,
};

enum metric_type {
	METRIC_COUNTER, /* the name ends in _total */
	METRIC_GAUGE,
};

struct metric_writer {
	struct text *out;
	struct text labels; /* of one process, written once */
	const struct snapshot *snapshot;
	const struct api_counters *counters;
};

struct metric_row {
	const char *name; /* as samples have it; NULL ends the table */
	enum metric_type type;
	const char *unit;   /* "pages", "bytes", "seconds"; NULL */
	const char *labels; /* "device, direction"; "" */
	const char *help;   /* one sentence, without a full stop */
	void (*emit)(struct metric_writer *writer, const struct metric_row *row);
	/* Where the value is, in what `emit` walks; `known`: of a bool that says whether it is (0:
	 * it always is). */
	size_t offset, known;
};
extern const struct metric_row metric_table[];

/* Appends all metrics. *snapshot and *counters are only read. */
void metrics__write(struct text *out, enum metrics_format format, const struct snapshot *snapshot,
		    const struct api_counters *counters);
/* Appends the reference: a Markdown table, one row a metric. */
void metrics__reference(struct text *out);

#endif
