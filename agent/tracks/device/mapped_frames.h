/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether page frames are in any process's page table: /proc/kpagecount, fs/proc/page.c. A frame of
 * the kernel, or of the page cache alone, is in none.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_DEVICE_MAPPED_FRAMES_H
#define DIRTYSCOPE_AGENT_TRACKS_DEVICE_MAPPED_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

struct mapped_frames {
	int fd; /* -1: it cannot be read */
};

void mapped_frames__init(struct mapped_frames *frames);
void mapped_frames__free(struct mapped_frames *frames);
/* Of 64 frames, those with a bit: may one be mapped? True where there is no telling. */
bool mapped_frames__any(const struct mapped_frames *frames, uint64_t first_pfn, uint64_t bits);

#endif
