/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of a target that may have been written without a track's knowing it, and why. */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_NOT_COVERED_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_NOT_COVERED_H

#include <stdint.h>

enum not_covered_kind {
	NOT_COVERED_MAPPING, /* a mapping that cannot be followed */
	NOT_COVERED_PIN,     /* pinned for somebody who may write it; where it is, is not known */
	NOT_COVERED_MAPPER,  /* shared with, or a file of, somebody who cannot be followed */
	NOT_COVERED_LOST, /* what a sensor lost of devices' writes; how many pages is not known */
	NOT_COVERED_KINDS,
};
extern const char *const not_covered_kind_names[NOT_COVERED_KINDS];

struct not_covered {
	enum not_covered_kind kind;
	uint64_t start, pages; /* bytes, of whole pages; start 0 where the place is not known */
	uint64_t events;       /* of NOT_COVERED_LOST alone, which has no pages */
	char name[64];	       /* as in its maps, cut; "" for anonymous memory */
	const char *reason;    /* static */
};

#endif
