/* SPDX-License-Identifier: BSD-2-Clause */
/* Quantities as people write them. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_UNITS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_UNITS_H

#include "agent/base/text.h"

/*
 * Bytes per second: a number, and bit or B with k, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti
 * (of 1024) before it, "/s" behind it or not. -EINVAL for anything else, and below 1.
 */
int units__rate(const char *text, double *bytes);

/* Seconds as "3d 04:05:06"; 0 for what is no time. */
void units__put_uptime(double seconds, struct text *out);

#endif
