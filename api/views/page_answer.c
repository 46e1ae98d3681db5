/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/page_answer.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/cpu/page_table.h"

#define GAP_WORDS 8 /* of zeros; a longer gap begins a new record, which is shorter */

struct page_answer {
	const struct tracks *tracks;
	bool bitmaps, with_pid;
	struct text ranges; /* JSON, or records */
	struct json json;
	/* of the open record */
	uint64_t records, pid, start, words, room; /* room: words of zeros that are there already */
	size_t words_at;			   /* where its number of words is */
};

struct page_answer *page_answer__new(const struct tracks *tracks, const char *accept)
{
	struct page_answer *pages = calloc(1, sizeof(*pages));

	if (!pages)
		return NULL;
	pages->tracks = tracks;
	pages->bitmaps = strstr(accept, TYPE_BITMAPS);
	pages->json.out = &pages->ranges;
	return pages;
}

void page_answer__free(struct page_answer *pages)
{
	if (pages)
		text__free(&pages->ranges);
	free(pages);
}

static void put_word(struct text *out, uint64_t value)
{
	const uint64_t little = htole64(value);

	text__append(out, (const char *)&little, sizeof(little));
}

/* ---- bitmaps ---- */

static void end_record(struct page_answer *pages)
{
	const uint64_t words = htole64(pages->words);

	if (pages->words && !pages->ranges.failed) {
		memcpy(pages->ranges.data + pages->words_at, &words, sizeof(words));
		pages->ranges.length = pages->words_at + (1 + pages->words) * sizeof(words);
	}
	pages->words = pages->room = 0;
}

static void begin_record(struct page_answer *pages, const struct track_run *run)
{
	end_record(pages);
	pages->records++;
	pages->pid = run->pid;
	/* Words lie where they would in a bitmap of the whole address space. */
	pages->start = run->start & ~(64 * PAGE_BYTES - 1);
	put_word(&pages->ranges, pages->pid);
	put_word(&pages->ranges, pages->start);
	pages->words_at = pages->ranges.length;
	put_word(&pages->ranges, 0);
}

/* The open record has so many words then, those that are new without a bit. */
static void extend_record(struct page_answer *pages, uint64_t words)
{
	static const uint64_t zeros[64];

	while (pages->room < words && !pages->ranges.failed) {
		text__append(&pages->ranges, (const char *)zeros, sizeof(zeros));
		pages->room += sizeof(zeros) / sizeof(*zeros);
	}
	if (pages->words < words)
		pages->words = words;
}

static int add_bits(struct page_answer *pages, const struct track_run *run)
{
	uint64_t page, end;

	if (!pages->words || pages->pid != run->pid || run->start < pages->start ||
	    run->start - pages->start > (pages->words + GAP_WORDS) * 64 * PAGE_BYTES)
		begin_record(pages, run);
	page = (run->start - pages->start) / PAGE_BYTES;
	end = page + run->pages;
	extend_record(pages, (end + 63) / 64);
	if (pages->ranges.failed)
		return -ENOMEM;
	while (page < end) {
		uint64_t word = page / 64, from = page % 64;
		uint64_t count = end - page < 64 - from ? end - page : 64 - from, bits;
		char *at;

		at = pages->ranges.data + pages->words_at + (word + 1) * sizeof(bits);
		memcpy(&bits, at, sizeof(bits));
		bits |= htole64((count == 64 ? ~0ULL : (1ULL << count) - 1) << from);
		memcpy(at, &bits, sizeof(bits));
		page += count;
	}
	return 0;
}

/* ---- JSON ---- */

/* Of a device's frames. */
static void put_owner(struct json *json, const struct track_run *run)
{
	char address[24];

	if (!run->owner) {
		json__null(json, "owner");
		return;
	}
	snprintf(address, sizeof(address), "0x%" PRIx64, run->owner_address);
	json__object(json, "owner");
	json__u64(json, "pid", run->owner);
	json__string(json, "address", address);
	json__end_object(json);
}

static int add_range(struct page_answer *pages, const struct track_run *run)
{
	struct json *json = &pages->json;
	char start[24];

	snprintf(start, sizeof(start), "0x%" PRIx64, run->start);
	json__object(json, NULL);
	if (run->pid)
		json__u64(json, "pid", run->pid);
	json__string(json, "start", start);
	json__u64(json, "pages", run->pages);
	json__array(json, "writers");
	if (run->cpu)
		json__string(json, NULL, "cpu");
	if (run->devices)
		json__string(json, NULL, "dma");
	json__end_array(json);
	json__array(json, "devices");
	for (uint64_t left = run->devices; left; left &= left - 1)
		json__string(json, NULL,
			     tracks__device(pages->tracks, (unsigned)__builtin_ctzll(left)));
	json__end_array(json);
	if (!run->pid)
		put_owner(json, run);
	json__end_object(json);
	return pages->ranges.failed ? -ENOMEM : 0;
}

int page_answer__add(void *context, const struct track_run *run)
{
	struct page_answer *pages = context;

	return pages->bitmaps ? add_bits(pages, run) : add_range(pages, run);
}

void page_answer__counts(struct json *json, const char *key, const struct page_counts *counts)
{
	json__object(json, key);
	json__u64(json, "cpu", counts->cpu);
	json__u64(json, "dma", counts->dma);
	json__u64(json, "both", counts->both);
	json__u64(json, "union", counts->all);
	json__u64(json, "missed_by_cpu_tracking", counts->missed);
	json__end_object(json);
}

void page_answer__gap(struct json *json, const struct track_gap *gap, const uint32_t *pid)
{
	char start[24];

	snprintf(start, sizeof(start), "0x%" PRIx64, gap->start);
	json__object(json, NULL);
	if (pid)
		json__u64(json, "pid", *pid);
	json__string(json, "kind", not_covered_kind_names[gap->kind]);
	if (gap->start)
		json__string(json, "start", start);
	else
		json__null(json, "start");
	if (gap->kind == NOT_COVERED_LOST) {
		json__null(json, "pages");
		json__null(json, "bytes");
		json__u64(json, "events", gap->events);
	} else {
		json__u64(json, "pages", gap->pages);
		json__u64(json, "bytes", gap->pages * DS_PAGE_SIZE);
		json__null(json, "events");
	}
	json__string(json, "name", gap->name);
	json__string(json, "reason", gap->reason);
	json__end_object(json);
}

/* Of the first listed member that is one; NULL: it is one that is not listed. */
static const char *lower_bound_reason(const struct track_info *info)
{
	for (size_t i = 0; i < info->member_count; i++) {
		const struct track_member *member = &info->members[i];

		if (member->lower_bound)
			return *member->backend_reason ? member->backend_reason
						       : "its faults are counted, and no page told";
		if (!member->device_side)
			return "page frames may not be read (CAP_SYS_ADMIN), so no device's write "
			       "is told";
		if (member->lost_pages)
			return "pages that devices wrote were lost for want of memory";
		if (!member->device_side_complete)
			return "sensors lost events of devices' writes, which not_covered lists";
	}
	return NULL;
}

/* What of the target may have been written without being told. */
static void put_gaps(struct json *json, const struct track_info *info)
{
	json__bool(json, "lower_bound", info->lower_bound);
	json__string(json, "lower_bound_reason",
		     info->lower_bound ? lower_bound_reason(info) : NULL);
	json__u64(json, "not_covered_bytes", info->not_covered_bytes);
	json__array(json, "not_covered");
	for (size_t i = 0; i < info->member_count; i++)
		for (size_t k = 0; k < info->members[i].not_covered_count; k++)
			page_answer__gap(json, &info->members[i].not_covered[k],
					 info->members[i].pid ? &info->members[i].pid : NULL);
	json__end_array(json);
}

int page_answer__finish(struct page_answer *pages, const struct track_info *info,
			const char *evidence, struct answer *answer)
{
	struct text *out = &answer->text;
	struct json json = {.out = out};
	char id[24];

	answer->status = 200;
	if (pages->bitmaps) {
		end_record(pages);
		answer->type = TYPE_BITMAPS;
		text__puts(out, "DSPAGES1");
		put_word(out, info->epoch);
		put_word(out, info->cursor);
		put_word(out, pages->records);
		text__append(out, pages->ranges.length ? pages->ranges.data : "",
			     pages->ranges.length);
		return out->failed || pages->ranges.failed ? -ENOMEM : 0;
	}
	answer->type = TYPE_JSON;
	snprintf(id, sizeof(id), "%" PRIu64, info->id);
	json__object(&json, NULL);
	json__string(&json, "track", id);
	json__u64(&json, "cursor", info->cursor);
	json__u64(&json, "epoch", info->epoch);
	json__string(&json, "evidence", evidence);
	page_answer__counts(&json, "pages", &info->delivered);
	page_answer__counts(&json, "epoch_pages", &info->last);
	json__double(&json, "epoch_seconds", info->epoch_seconds);
	json__double(&json, "collect_seconds", info->collect_seconds);
	put_gaps(&json, info);
	json__array(&json, "ranges");
	text__append(out, pages->ranges.length ? pages->ranges.data : "", pages->ranges.length);
	json__end_array(&json);
	json__end_object(&json);
	text__putc(out, '\n');
	return out->failed || pages->ranges.failed ? -ENOMEM : 0;
}
