/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest, with a head of gzip; zlib.h: deflateInit2 */
#define MEMORY_LEVEL 8

int text__gzip(const struct text *from, struct text *to)
{
	z_stream stream = {};
	char *shrunk;
	int err = -ENOMEM;

	/* Level 1: a scrape each second must cost little; the lines repeat so much that it does
	 * well. */
	if (deflateInit2(&stream, 1, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return -ENOMEM;
	to->capacity = deflateBound(&stream, from->length) + 1;
	to->data = malloc(to->capacity);
	if (!to->data)
		goto cleanup;
	stream.next_in = (Bytef *)from->data;
	stream.avail_in = (uInt)from->length;
	stream.next_out = (Bytef *)to->data;
	stream.avail_out = (uInt)to->capacity;
	if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
		goto cleanup;
	to->length = stream.total_out;
	shrunk = realloc(to->data, to->length + 1);
	if (shrunk) {
		to->data = shrunk;
		to->capacity = to->length + 1;
	}
	err = 0;
cleanup:
	if (err) {
		free(to->data);
		*to = (struct text){0};
	}
	deflateEnd(&stream);
	return err;
}
