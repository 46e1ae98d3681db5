/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages of a track, as JSON, or as bitmaps for who asks by Accept: application/octet-stream.
 *
 * The bitmaps, all numbers little-endian and 64 bits wide: the 8 bytes "DSPAGES1"; epoch; cursor;
 * the number of records. A record: the process (0: frames of the host's memory); the address of its
 * first page, in bytes; the number n of words; n words, whose bit i (of word i / 64, the lowest
 * first) stands for the page at address + i * 4096.
 */
#ifndef DIRTYSCOPE_API_VIEWS_PAGE_ANSWER_H
#define DIRTYSCOPE_API_VIEWS_PAGE_ANSWER_H

#include "agent/tracks/tracks.h"
#include "api/views/answer.h"
#include "api/views/json.h"

#define TYPE_BITMAPS "application/octet-stream"

struct page_answer;
/* NULL when memory is short. accept: of the request. */
struct page_answer *page_answer__new(const struct tracks *tracks, const char *accept);
void page_answer__free(struct page_answer *pages);
/* For tracks__collect: *context is the page answer. */
int page_answer__add(void *context, const struct track_run *run);
/* evidence: as the request named it. -ENOMEM, or 0 with the answer filled in. */
/* Memory that a member's track does not cover. pid: of the member; NULL: it stands there already.
 */
void page_answer__gap(struct json *json, const struct track_gap *gap, const uint32_t *pid);
int page_answer__finish(struct page_answer *pages, const struct track_info *info,
			const char *evidence, struct answer *answer);

void page_answer__counts(struct json *json, const char *key, const struct page_counts *counts);

#endif
