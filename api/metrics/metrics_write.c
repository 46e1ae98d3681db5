/* SPDX-License-Identifier: BSD-2-Clause */
/* /metrics and its reference, from the table. */
#include "api/metrics/metrics.h"

#include <string.h>

static const char *const type_names[] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge"};

/* How a format presents a row: the name of its family, and its type. */
struct family {
	int length; /* of the row's name that is the family's */
	const char *type;
	const char *unit;
};

/*
 * OpenMetrics names a family of counters without the _total of its samples. Where a gauge has that
 * name already, the counters can only be a family of their own of type "unknown".
 */
static struct family family_of(const struct metric_row *row, enum metrics_format format)
{
	int length = (int)strlen(row->name), stem = length - (int)strlen("_total");

	if (format == METRICS_TEXT)
		return (struct family){length, type_names[row->type], NULL};
	if (row->type != METRIC_COUNTER)
		return (struct family){length, type_names[row->type], row->unit};
	for (const struct metric_row *other = metric_table; other->name; other++) {
		if ((int)strlen(other->name) == stem &&
		    strncmp(other->name, row->name, (size_t)stem) == 0)
			return (struct family){length, "unknown", NULL};
	}
	return (struct family){stem, type_names[row->type], row->unit};
}

static void write_header(struct text *out, const struct metric_row *row, enum metrics_format format)
{
	struct family family = family_of(row, format);

	text__printf(out, "# HELP %.*s ", family.length, row->name);
	for (const char *c = row->help; *c; c++) {
		/* Only OpenMetrics escapes the quote. */
		if (*c == '\\' || (*c == '"' && format == METRICS_OPENMETRICS))
			text__putc(out, '\\');
		text__putc(out, *c);
	}
	text__printf(out, "\n# TYPE %.*s %s\n", family.length, row->name, family.type);
	if (family.unit)
		text__printf(out, "# UNIT %.*s %s\n", family.length, row->name, family.unit);
}

void metrics__write(struct text *out, enum metrics_format format, const struct snapshot *snapshot,
		    const struct api_counters *counters)
{
	struct metric_writer writer = {.out = out, .snapshot = snapshot, .counters = counters};

	for (const struct metric_row *row = metric_table; row->name; row++) {
		write_header(out, row, format);
		row->emit(&writer, row);
	}
	if (format == METRICS_OPENMETRICS)
		text__puts(out, "# EOF\n");
	text__free(&writer.labels);
}

void metrics__reference(struct text *out)
{
	text__puts(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
	for (const struct metric_row *row = metric_table; row->name; row++)
		text__printf(out, "| `%s` | %s | %s | %s |\n", row->name, type_names[row->type],
			     row->labels, row->help);
}
