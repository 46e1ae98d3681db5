/* SPDX-License-Identifier: BSD-2-Clause */
/* What `dirtyscope sensors` shows below its table. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_SENSOR_TEXT_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_SENSOR_TEXT_H

#include <jansson.h>

#include "agent/base/text.h"
#include "dashboards/terminal/tables/table.h"

/*
 * The ways to attach programs; verbose: also what was lost and why, every program, what each sensor
 * cannot see, and the limits in use. answer: of /api/v1/sensors; it may lack any part.
 */
void sensors__details(json_t *answer, bool verbose, const struct table_style *style,
		      struct text *out);

/* "sensors: N active, N partial, N unavailable". summary: of /api/v1/summary. */
void sensors__put_counts(json_t *summary, struct text *out);

#endif
