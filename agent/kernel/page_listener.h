/* SPDX-License-Identifier: BSD-2-Clause */
/* From the devices, which sweep their page sets, to the tracks; neither includes the other. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_PAGE_LISTENER_H
#define DIRTYSCOPE_AGENT_KERNEL_PAGE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/snapshot/snapshot.h"

/* Who wants to know which pages, and not only how many. Called by the sampler's thread. */
struct page_listener {
	void *context;
	bool (*listens)(void *context);			   /* false: nobody does now */
	unsigned (*device)(void *context, const char *id); /* its number, for `pages` */
	/* evidence: exposed, or completed. bits: of 64 frames. */
	void (*pages)(void *context, unsigned device, enum ds_evidence evidence, uint64_t first_pfn,
		      uint64_t bits);
	/* After all pages of a sweep: what the sensors of devices' writes lost, in all. */
	void (*lost)(void *context, const uint64_t lost[DS_LOST_REASONS]);
};

#endif
