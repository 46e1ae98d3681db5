/* SPDX-License-Identifier: BSD-2-Clause */
/* What `dirtyscope devices -v` says of a device below its numbers. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_DEVICE_TEXT_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_DEVICE_TEXT_H

#include <jansson.h>

#include "agent/base/text.h"

/*
 * row: a device of the API. One line for each thing: why its exposure is not known, who exposed
 * memory to it, which sensors see its writes, and what none sees. indent: width of the names.
 */
void devices__details(json_t *row, unsigned indent, struct text *out);

#endif
