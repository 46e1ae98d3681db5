/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of JSON as an aligned text table; nothing in a row can move the cursor or break a line. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TABLE_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/text.h"
#include "dashboards/terminal/tables/columns.h"

#define TABLE_COLUMNS_MAX 32

/* How it will be shown. */
struct table_style {
	unsigned width; /* cells of a line; 0: no limit, nothing is cut */
	bool colour;
};

struct table;
/* columns: `count` of them, 1 to TABLE_COLUMNS_MAX; they must outlive the table. NULL: no memory.
 */
struct table *table__new(const struct column *const *columns, size_t count);
void table__free(struct table *table);
/* Takes what it needs out of the row at once. */
void table__add(struct table *table, json_t *row);
/* Appends the head and all rows. out->failed says that memory was short. */
void table__render(const struct table *table, const struct table_style *style, struct text *out);

/* Appends a string as a terminal may show it, cut to `width` cells (0: whole). Returns its cells.
 */
unsigned table__put_safe(const char *string, unsigned width, struct text *out);

#endif
