/* SPDX-License-Identifier: BSD-2-Clause */
/* The last values of a number, drawn in one line. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_SPARK_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_SPARK_H

#include <stddef.h>

#include "agent/base/text.h"

#define SPARK_KEPT 256

/* Zero-initialise. */
struct spark {
	double values[SPARK_KEPT];
	size_t count; /* ever added */
};

void spark__add(struct spark *spark, double value);
/*
 * Appends `width` cells: the newest value to the right, a blank for nothing, and eighths of the
 * largest of those shown for what is more.
 */
void spark__put(const struct spark *spark, unsigned width, struct text *out);

#endif
