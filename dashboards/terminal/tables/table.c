/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/table.h"

#include <stdlib.h>
#include <string.h>

#include "dashboards/terminal/tables/cells.h"

#define GAP 2

struct cell {
	size_t offset, length; /* of its text, made safe */
	unsigned width;	       /* cells on the terminal */
};

struct table {
	const struct column *columns[TABLE_COLUMNS_MAX];
	size_t column_count;
	struct cell *cells; /* row after row, the head first */
	size_t cell_count, cell_capacity;
	struct text content;
	bool failed;
};

static const struct {
	const char *word, *sgr;
} state_colours[] = {
	{"partial", "\033[33m"}, {"unavailable", "\033[31m"}, {"exited", "\033[2m"},
	{"warning", "\033[33m"}, {"error", "\033[31m"},	      {"degraded", "\033[33m"},
};

unsigned table__put_safe(const char *string, unsigned width, struct text *out)
{
	struct text safe = {0};
	struct cells_locale locale;
	unsigned used = 0;

	cells__enter(&locale);
	text__terminal(&safe, string);
	if (safe.length) {
		unsigned full = cells__measure(safe.data, safe.length);

		used = cells__put(safe.data, safe.length, full, width ? width : full, out);
	}
	out->failed |= safe.failed;
	text__free(&safe);
	cells__leave(&locale);
	return used;
}

static void add_cell(struct table *table, const char *string)
{
	size_t offset = table->content.length;
	struct cell *cells;

	if (table->cell_count == table->cell_capacity) {
		size_t capacity = table->cell_capacity ? table->cell_capacity * 2 : 64;

		cells = reallocarray(table->cells, capacity, sizeof(*cells));
		if (!cells) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->cell_capacity = capacity;
	}
	text__terminal(&table->content, string);
	if (table->content.failed) {
		table->failed = true;
		return;
	}
	table->cells[table->cell_count++] = (struct cell){
		.offset = offset,
		.length = table->content.length - offset,
		.width = cells__measure(table->content.data + offset,
					table->content.length - offset),
	};
}

struct table *table__new(const struct column *const *columns, size_t count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->column_count = count < TABLE_COLUMNS_MAX ? count : TABLE_COLUMNS_MAX;
	for (size_t i = 0; i < table->column_count; i++) {
		table->columns[i] = columns[i];
		add_cell(table, columns[i]->title);
	}
	return table;
}

void table__free(struct table *table)
{
	if (!table)
		return;
	text__free(&table->content);
	free(table->cells);
	free(table);
}

void table__add(struct table *table, json_t *row)
{
	struct text value = {0};
	struct cells_locale locale;

	cells__enter(&locale);
	for (size_t i = 0; i < table->column_count && !table->failed; i++) {
		value.length = 0;
		column__format(table->columns[i], row, &value);
		if (value.failed)
			table->failed = true;
		else
			add_cell(table, value.data);
	}
	text__free(&value);
	cells__leave(&locale);
}

static void put_spaces(struct text *out, unsigned count)
{
	text__printf(out, "%*s", (int)count, "");
}

static const char *cell_colour(const struct table *table, size_t column, size_t row,
			       const char *data, size_t length)
{
	if (row == 0)
		return "\033[1m";
	if (table->columns[column]->format != COLUMN_STATE)
		return NULL;
	for (size_t i = 0; i < sizeof(state_colours) / sizeof(*state_colours); i++)
		if (strlen(state_colours[i].word) == length &&
		    memcmp(state_colours[i].word, data, length) == 0)
			return state_colours[i].sgr;
	return NULL;
}

/* One row; `left` counts down the cells of the line. */
static void put_row(const struct table *table, const struct table_style *style,
		    const unsigned *widths, size_t row, struct text *out)
{
	unsigned left = style->width ? style->width : (unsigned)-1;

	for (size_t i = 0; i < table->column_count && left > 0; i++) {
		const struct cell *cell = &table->cells[row * table->column_count + i];
		const char *data = table->content.data + cell->offset;
		const char *colour = NULL;
		bool last = i + 1 == table->column_count;
		unsigned room = widths[i] < left ? widths[i] : left;
		unsigned shown = cell->width < room ? cell->width : room;
		unsigned padding = room - shown;

		if (style->colour)
			colour = cell_colour(table, i, row, data, cell->length);
		if (column__is_number(table->columns[i])) {
			put_spaces(out, padding);
			padding = 0;
		}
		if (colour)
			text__puts(out, colour);
		shown = cells__put(data, cell->length, cell->width, room, out);
		if (colour)
			text__puts(out, "\033[0m");
		/* A wide character that does not fit leaves a cell empty. */
		if (cell->width > room && shown < room)
			padding += room - shown;
		left -= room;
		if (last)
			break;
		put_spaces(out, padding);
		padding = left < GAP ? left : GAP;
		put_spaces(out, padding);
		left -= padding;
	}
	while (out->length && out->data[out->length - 1] == ' ')
		out->data[--out->length] = '\0';
	text__putc(out, '\n');
}

void table__render(const struct table *table, const struct table_style *style, struct text *out)
{
	size_t rows = table->cell_count / (table->column_count ? table->column_count : 1);
	unsigned widths[TABLE_COLUMNS_MAX] = {0};
	struct cells_locale locale;

	cells__enter(&locale);
	out->failed |= table->failed;
	for (size_t i = 0; i < rows * table->column_count; i++) {
		size_t column = i % table->column_count;
		unsigned limit = style->width ? table->columns[column]->width : 0;
		unsigned width = table->cells[i].width;

		if (limit && width > limit)
			width = limit;
		if (width > widths[column])
			widths[column] = width;
	}
	for (size_t row = 0; row < rows && !out->failed; row++)
		put_row(table, style, widths, row, out);
	cells__leave(&locale);
}
