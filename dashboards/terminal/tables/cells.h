/* SPDX-License-Identifier: BSD-2-Clause */
/* How many cells of a terminal a text takes, and cutting it to some. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_CELLS_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_CELLS_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/text.h"

/*
 * Widths follow the thread's locale. This one is set while they are asked for, so that the rest of
 * the program stays in the C locale; where there is none, every code point is one cell.
 */
struct cells_locale {
	locale_t utf8, before;
};
void cells__enter(struct cells_locale *locale);
void cells__leave(struct cells_locale *locale);

/* The others: between enter and leave, and with text that text__terminal has made safe. */
unsigned cells__measure(const char *data, size_t length);
/* Bytes of the text that fit into `width` cells; *used is what they take. */
size_t cells__fit(const char *data, size_t length, unsigned width, unsigned *used);
/*
 * Appends a text of `full` cells, at most `width` of them; a mark stands in the last one when
 * something is missing. Returns the cells used.
 */
unsigned cells__put(const char *data, size_t length, unsigned full, unsigned width,
		    struct text *out);
/* Any string, made safe, in exactly `width` cells: cut, or filled with blanks. */
void cells__put_field(const char *string, unsigned width, bool right, struct text *out);

#endif
