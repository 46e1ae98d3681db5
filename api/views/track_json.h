/* SPDX-License-Identifier: BSD-2-Clause */
/* A track as JSON. */
#ifndef DIRTYSCOPE_API_VIEWS_TRACK_JSON_H
#define DIRTYSCOPE_API_VIEWS_TRACK_JSON_H

#include "agent/tracks/tracks.h"
#include "api/views/answer.h"
#include "api/views/json.h"

/* Ids are strings. */
void track_json__id(struct json *json, const char *key, uint64_t id);
/* The members of a track's object; it is open. */
void track_json__put(struct json *json, const struct track_info *info);
/* An answer that is one track. -ENOMEM, or 0. */
int track_json__answer(const struct track_info *info, unsigned status, struct answer *answer);

#endif
