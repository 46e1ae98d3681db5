/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/pager.h"

#include <string.h>

#include "dashboards/terminal/tables/cells.h"

size_t pager__fold(const char *line, unsigned width)
{
	size_t length = strcspn(line, "\n"), fits, blank;
	unsigned used;

	fits = cells__fit(line, length, width, &used);
	if (fits == length)
		return length;
	for (blank = fits; blank > 0 && line[blank] != ' '; blank--)
		;
	/* The line is not broken at the blanks that indent it. */
	if (strspn(line, " ") < blank)
		return blank;
	if (fits)
		return fits;
	return utf8__next(line, length, &(uint32_t){0});
}

static size_t count_lines(const char *line, unsigned width)
{
	size_t count = 0;

	while (*line) {
		line += pager__fold(line, width);
		line += strspn(line, " ");
		line += *line == '\n';
		count++;
	}
	return count;
}

void pager__draw(struct pager *pager, struct screen *screen, unsigned y, unsigned rows,
		 unsigned width)
{
	const char *line = pager->text.length ? pager->text.data : "";
	size_t count = count_lines(line, width);

	if (pager->top + rows > count)
		pager->top = count > rows ? count - rows : 0;
	for (size_t i = 0; *line && i < pager->top + rows; i++) {
		size_t length = pager__fold(line, width);
		struct text part = {0};

		if (i >= pager->top) {
			text__append(&part, line, length);
			if (part.length)
				screen__put(screen, y + (unsigned)(i - pager->top), 0, 0,
					    TONE_PLAIN, part.data);
			text__free(&part);
		}
		line += length;
		/* What was folded goes on without the blank; an indented line begins with it. */
		if (*line != '\n')
			line += strspn(line, " ");
		line += *line == '\n';
	}
}
