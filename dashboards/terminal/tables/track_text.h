/* SPDX-License-Identifier: BSD-2-Clause */
/* The API's answers about a track, as text for people. */
#ifndef DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TRACK_TEXT_H
#define DIRTYSCOPE_DASHBOARDS_TERMINAL_TABLES_TRACK_TEXT_H

#include <jansson.h>

#include "agent/base/text.h"

/* A track; the answer to collect or pages; a line of watch; a forecast. */
void track_text__track(json_t *track, struct text *out);
void track_text__pages(json_t *answer, struct text *out);
void track_text__watch(json_t *answer, struct text *out);
void track_text__forecast(json_t *answer, struct text *out);

#endif
