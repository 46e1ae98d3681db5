/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands above the panes: the host's rates, how well is watched, and what is not seen. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_HEADER_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_LIVE_HEADER_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/text.h"
#include "dashboards/terminal/live/spark.h"

#define HEADER_RATES 6
#define HEADER_LINES_MAX 10

struct header {
	json_t *summary; /* of the API; NULL before the first */
	json_t *sensors; /* likewise */
	struct spark sparks[HEADER_RATES];
};

struct header_line {
	struct text text;
	bool warns;
};

/* Both take a new reference over. */
void header__take_summary(struct header *header, json_t *summary);
void header__take_sensors(struct header *header, json_t *sensors);
void header__free(struct header *header);
/* Lines that it fills at this width. */
unsigned header__height(unsigned width);
/* Line `index` in at most `width` cells; the caller frees its text. */
struct header_line header__line(const struct header *header, unsigned index, unsigned width);
/* All that is not seen here, a sensor a paragraph, in whole sentences. */
void header__not_seen(const struct header *header, struct text *out);

#endif
