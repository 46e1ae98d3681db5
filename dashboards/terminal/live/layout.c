/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/layout.h"

#define ROWS_WANTED 5

size_t layout__columns(const unsigned *widths, size_t count, size_t skip, unsigned width,
		       struct layout_column *columns)
{
	unsigned x = 0;
	size_t placed = 0;

	for (size_t i = 0; i < count && x < width; i++) {
		unsigned room = width - x;

		if (i > 0 && i <= skip)
			continue;
		columns[placed++] = (struct layout_column){
			.index = i,
			.x = x,
			.width = i + 1 == count || widths[i] > room ? room : widths[i],
		};
		x += widths[i] + LAYOUT_GAP;
	}
	return placed;
}

struct layout_lines layout__lines(unsigned height, unsigned head)
{
	struct layout_lines lines = {
		.rows = height > 0,
		.titles = height > 1,
		.foot = height > 2,
		.tabs = height > 3,
	};
	unsigned left = height - lines.rows - lines.titles - lines.foot - lines.tabs;

	if (left >= head + ROWS_WANTED)
		lines.head = head;
	else if (left > ROWS_WANTED)
		lines.head = left - ROWS_WANTED;
	lines.rows += left - lines.head;
	return lines;
}
