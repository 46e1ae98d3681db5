/* SPDX-License-Identifier: BSD-2-Clause */
/* What a track is asked to follow: the member "target" of a request's body. */
#ifndef DIRTYSCOPE_API_VIEWS_TRACK_TARGET_H
#define DIRTYSCOPE_API_VIEWS_TRACK_TARGET_H

#include "agent/tracks/tracks.h"
#include "api/views/posted.h"

struct track_target {
	struct track_request request; /* points into this, and into the body */
	struct address_ranges ranges;
	char device[64];
};

/* 0; -EINVAL with the answer filled in, -ENOMEM. In any case track_target__free. */
int track_target__read(json_t *target, const struct request *request, struct track_target *out,
		       struct answer *answer);
void track_target__free(struct track_target *target);

#endif
