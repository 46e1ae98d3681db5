/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/table.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define GAP 2
#define CUT_MARK "…" /* one cell */

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

/* A code point's cells; needs a UTF-8 locale in the thread. */
static unsigned code_width(uint32_t code)
{
	int width;

	if (code < 0x7f)
		return 1;
	width = wcwidth((wchar_t)code);
	return width < 0 ? 1 : (unsigned)width;
}

/*
 * wcwidth follows the locale; this one is set for the thread only while widths are asked for, so
 * that the rest of the program stays in the C locale. Without it every code point is one cell.
 */
static locale_t enter_utf8(locale_t *before)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

	*before = utf8 ? uselocale(utf8) : (locale_t)0;
	return utf8;
}

static void leave_utf8(locale_t utf8, locale_t before)
{
	if (!utf8)
		return;
	uselocale(before);
	freelocale(utf8);
}

static unsigned measure(const char *data, size_t length)
{
	unsigned width = 0;
	uint32_t code;

	for (size_t at = 0; at < length;) {
		at += utf8__next(data + at, length - at, &code);
		width += code_width(code);
	}
	return width;
}

/* Bytes of the text that fit into `width` cells; *used is what they take. */
static size_t fit(const char *data, size_t length, unsigned width, unsigned *used)
{
	size_t at = 0, taken;
	uint32_t code;

	*used = 0;
	while (at < length) {
		unsigned cells;

		taken = utf8__next(data + at, length - at, &code);
		cells = code_width(code);
		if (*used + cells > width)
			break;
		*used += cells;
		at += taken;
	}
	return at;
}

/* Appends at most `width` cells; a mark stands in the last one when something is missing. */
static unsigned put_cut(const char *data, size_t length, unsigned full, unsigned width,
			struct text *out)
{
	unsigned used = full;

	if (full <= width) {
		text__append(out, data, length);
		return full;
	}
	if (width == 0)
		return 0;
	length = fit(data, length, width - 1, &used);
	text__append(out, data, length);
	text__puts(out, CUT_MARK);
	return used + 1;
}

unsigned table__put_safe(const char *string, unsigned width, struct text *out)
{
	struct text safe = {0};
	locale_t before, utf8 = enter_utf8(&before);
	unsigned used = 0;

	text__terminal(&safe, string);
	if (safe.length) {
		unsigned full = measure(safe.data, safe.length);

		used = put_cut(safe.data, safe.length, full, width ? width : full, out);
	}
	out->failed |= safe.failed;
	text__free(&safe);
	leave_utf8(utf8, before);
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
		.width = measure(table->content.data + offset, table->content.length - offset),
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
	locale_t before, utf8 = enter_utf8(&before);

	for (size_t i = 0; i < table->column_count && !table->failed; i++) {
		value.length = 0;
		column__format(table->columns[i], row, &value);
		if (value.failed)
			table->failed = true;
		else
			add_cell(table, value.data);
	}
	text__free(&value);
	leave_utf8(utf8, before);
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
		shown = put_cut(data, cell->length, cell->width, room, out);
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
	locale_t before, utf8 = enter_utf8(&before);

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
	leave_utf8(utf8, before);
}
