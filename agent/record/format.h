/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file: 8 bytes of magic, the format's number (little-endian, as all of it), then frames. Each
 * has a head and its bytes, which go through one deflate stream over all frames but the start,
 * flushed at the end of each: so one costs little more than what has changed, and can be read at
 * once.
 */
#ifndef DIRTYSCOPE_AGENT_RECORD_FORMAT_H
#define DIRTYSCOPE_AGENT_RECORD_FORMAT_H

#include <stdint.h>

#define RECORD_MAGIC "DSRECORD"
#define RECORD_MAGIC_BYTES 8
#define RECORD_FORMAT 1
#define RECORD_OPENING_BYTES (RECORD_MAGIC_BYTES + 4)
#define RECORD_RAW_MOST (256u << 20) /* bytes of one frame, before compression */
#define RECORD_WINDOW (-15)	     /* raw deflate, 32 KiB */

enum frame_type {
	FRAME_START = 1, /* struct record_start, compressed by itself; the first one, and only it */
	FRAME_SNAPSHOT,	 /* struct snapshot */
	FRAME_BESIDE,	 /* struct record_beside, of the snapshot before it */
	FRAME_TYPES
};

struct frame_head {
	uint32_t type, length, raw_length; /* bytes that follow; and once they are inflated */
	uint32_t crc;			   /* CRC-32 of the bytes that follow */
	uint32_t head_crc;		   /* and of the four above: a wrong length is told */
};
#define FRAME_HEAD_BYTES 20

#endif
