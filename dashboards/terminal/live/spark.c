/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/spark.h"

#include <math.h>

void spark__add(struct spark *spark, double value)
{
	spark->values[spark->count++ % SPARK_KEPT] = value > 0 && isfinite(value) ? value : 0;
}

void spark__put(const struct spark *spark, unsigned width, struct text *out)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	size_t kept = spark->count < SPARK_KEPT ? spark->count : SPARK_KEPT;
	size_t shown = kept < width ? kept : width;
	double most = 0;

	for (size_t i = spark->count - shown; i < spark->count; i++)
		most = fmax(most, spark->values[i % SPARK_KEPT]);
	text__printf(out, "%*s", (int)(width - shown), "");
	for (size_t i = spark->count - shown; i < spark->count; i++) {
		double value = spark->values[i % SPARK_KEPT];
		unsigned eighth = value > 0 ? (unsigned)ceil(value / most * 8) : 0;

		text__puts(out, eighth ? blocks[(eighth < 8 ? eighth : 8) - 1] : " ");
	}
}
