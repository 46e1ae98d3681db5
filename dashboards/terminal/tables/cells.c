/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/cells.h"

#include <wchar.h>

#define CUT_MARK "…" /* one cell */

/* A code point's cells; needs a UTF-8 locale in the thread. */
static unsigned code_width(uint32_t code)
{
	int width;

	if (code < 0x7f)
		return 1;
	width = wcwidth((wchar_t)code);
	return width < 0 ? 1 : (unsigned)width;
}

void cells__enter(struct cells_locale *locale)
{
	locale->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale->before = locale->utf8 ? uselocale(locale->utf8) : (locale_t)0;
}

void cells__leave(struct cells_locale *locale)
{
	if (!locale->utf8)
		return;
	uselocale(locale->before);
	freelocale(locale->utf8);
}

unsigned cells__measure(const char *data, size_t length)
{
	unsigned width = 0;
	uint32_t code;

	for (size_t at = 0; at < length;) {
		at += utf8__next(data + at, length - at, &code);
		width += code_width(code);
	}
	return width;
}

size_t cells__fit(const char *data, size_t length, unsigned width, unsigned *used)
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

unsigned cells__put(const char *data, size_t length, unsigned full, unsigned width,
		    struct text *out)
{
	unsigned used = full;

	if (full <= width) {
		text__append(out, data, length);
		return full;
	}
	if (width == 0)
		return 0;
	length = cells__fit(data, length, width - 1, &used);
	text__append(out, data, length);
	text__puts(out, CUT_MARK);
	return used + 1;
}

void cells__put_field(const char *string, unsigned width, bool right, struct text *out)
{
	struct text safe = {0};
	unsigned full, used;

	text__terminal(&safe, string);
	full = safe.length ? cells__measure(safe.data, safe.length) : 0;
	used = full < width ? full : width;
	if (right)
		text__printf(out, "%*s", (int)(width - used), "");
	if (safe.length)
		used = cells__put(safe.data, safe.length, full, width, out);
	/* A wide character that does not fit leaves a cell empty. */
	if (!right || full > width)
		text__printf(out, "%*s", (int)(width - used), "");
	out->failed |= safe.failed;
	text__free(&safe);
}
