/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/page_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define CHUNK_PAGES 512
#define WORDS (CHUNK_PAGES / 64)

struct chunk_device {
	uint32_t device;
	uint64_t completed[WORDS], exposed[WORDS];
};

struct chunk {
	uint64_t number; /* of its first page / CHUNK_PAGES */
	uint64_t cpu[WORDS];
	struct chunk_device *devices;
	uint32_t device_count;
	UT_hash_handle hh;
};

struct page_map {
	struct chunk *chunks; /* uthash */
	struct chunk *last;   /* most pages lie where the one before did */
	uint64_t bytes;
};

struct page_map *page_map__new(void)
{
	return calloc(1, sizeof(struct page_map));
}

void page_map__clear(struct page_map *map)
{
	struct chunk *chunk, *next;

	HASH_ITER (hh, map->chunks, chunk, next) {
		HASH_DEL(map->chunks, chunk);
		free(chunk->devices);
		free(chunk);
	}
	map->last = NULL;
	map->bytes = 0;
}

void page_map__free(struct page_map *map)
{
	if (!map)
		return;
	page_map__clear(map);
	free(map);
}

uint64_t page_map__bytes(const struct page_map *map)
{
	return map->bytes;
}

static struct chunk *get_chunk(struct page_map *map, uint64_t number)
{
	struct chunk *chunk = map->last;

	if (chunk && chunk->number == number)
		return chunk;
	HASH_FIND(hh, map->chunks, &number, sizeof(number), chunk);
	if (!chunk) {
		chunk = calloc(1, sizeof(*chunk));
		if (!chunk)
			return NULL;
		chunk->number = number;
		HASH_ADD(hh, map->chunks, number, sizeof(number), chunk);
		map->bytes += sizeof(*chunk);
	}
	map->last = chunk;
	return chunk;
}

static struct chunk_device *get_device(struct page_map *map, struct chunk *chunk, uint32_t device)
{
	struct chunk_device *more;

	for (uint32_t i = 0; i < chunk->device_count; i++)
		if (chunk->devices[i].device == device)
			return &chunk->devices[i];
	more = reallocarray(chunk->devices, chunk->device_count + 1, sizeof(*more));
	if (!more)
		return NULL;
	chunk->devices = more;
	map->bytes += sizeof(*more);
	more = &chunk->devices[chunk->device_count++];
	*more = (struct chunk_device){.device = device};
	return more;
}

/* Bits from..from+count-1 of a word. */
static uint64_t bits(unsigned from, uint64_t count)
{
	return (count >= 64 ? ~0ULL : (1ULL << count) - 1) << from;
}

int page_map__add_cpu(struct page_map *map, uint64_t page, uint64_t pages)
{
	while (pages) {
		struct chunk *chunk = get_chunk(map, page / CHUNK_PAGES);
		unsigned at = page % CHUNK_PAGES;

		if (!chunk)
			return -ENOMEM;
		while (pages && at < CHUNK_PAGES) {
			uint64_t room = 64 - at % 64, count = pages < room ? pages : room;

			chunk->cpu[at / 64] |= bits(at % 64, count);
			at += count;
			page += count;
			pages -= count;
		}
	}
	return 0;
}

int page_map__add_device_pages(struct page_map *map, uint64_t page, uint64_t pages, unsigned device,
			       enum ds_evidence evidence)
{
	while (pages) {
		struct chunk *chunk = get_chunk(map, page / CHUNK_PAGES);
		struct chunk_device *row = chunk ? get_device(map, chunk, device) : NULL;
		unsigned at = page % CHUNK_PAGES;
		uint64_t *words;

		if (!row)
			return -ENOMEM;
		words = evidence == DS_EVIDENCE_EXPOSED ? row->exposed : row->completed;
		while (pages && at < CHUNK_PAGES) {
			uint64_t room = 64 - at % 64, count = pages < room ? pages : room;

			words[at / 64] |= bits(at % 64, count);
			at += count;
			page += count;
			pages -= count;
		}
	}
	return 0;
}

int page_map__add_device(struct page_map *map, uint64_t page, unsigned device,
			 enum ds_evidence evidence)
{
	return page_map__add_device_pages(map, page, 1, device, evidence);
}

int page_map__merge(struct page_map *into, const struct page_map *from)
{
	struct chunk *chunk, *next;

	HASH_ITER (hh, from->chunks, chunk, next) {
		struct chunk *to = get_chunk(into, chunk->number);

		if (!to)
			return -ENOMEM;
		for (int w = 0; w < WORDS; w++)
			to->cpu[w] |= chunk->cpu[w];
		for (uint32_t i = 0; i < chunk->device_count; i++) {
			const struct chunk_device *source = &chunk->devices[i];
			struct chunk_device *row = get_device(into, to, source->device);

			if (!row)
				return -ENOMEM;
			for (int w = 0; w < WORDS; w++) {
				row->completed[w] |= source->completed[w];
				row->exposed[w] |= source->exposed[w];
			}
		}
	}
	return 0;
}

bool page_map__is_empty(const struct page_map *map)
{
	return !map->chunks;
}

/* ---- copies, to another place ---- */

enum bits_of { BITS_CPU, BITS_COMPLETED, BITS_EXPOSED };

struct copying {
	struct page_map *into;
	uint64_t to, page, pages;
};

/* Bits of 64 pages from a page on, which need not be the first of a word. */
static int add_bits(struct page_map *map, uint64_t page, uint64_t word, enum bits_of of,
		    uint32_t device)
{
	struct chunk *chunk = get_chunk(map, page / CHUNK_PAGES);
	struct chunk_device *row;
	unsigned at = page % CHUNK_PAGES / 64;

	if (!chunk)
		return -ENOMEM;
	if (of == BITS_CPU) {
		chunk->cpu[at] |= word;
		return 0;
	}
	row = get_device(map, chunk, device);
	if (!row)
		return -ENOMEM;
	(of == BITS_EXPOSED ? row->exposed : row->completed)[at] |= word;
	return 0;
}

static int copy_words(const struct copying *copying, const uint64_t words[WORDS], uint64_t number,
		      enum bits_of of, uint32_t device)
{
	for (uint64_t w = 0; w < WORDS; w++) {
		const uint64_t first = number * CHUNK_PAGES + w * 64,
			       end = copying->page + copying->pages;
		const uint64_t low = first > copying->page ? first : copying->page;
		const uint64_t high = first + 64 < end ? first + 64 : end;
		uint64_t word, to;
		unsigned shift;

		if (!words[w] || low >= high)
			continue;
		word = (words[w] & bits((unsigned)(low - first), high - low)) >> (low - first);
		to = copying->to + (low - copying->page);
		shift = to % 64;
		if (word << shift && add_bits(copying->into, to, word << shift, of, device))
			return -ENOMEM;
		if (shift && word >> (64 - shift) &&
		    add_bits(copying->into, to + 64, word >> (64 - shift), of, device))
			return -ENOMEM;
	}
	return 0;
}

int page_map__copy(struct page_map *into, uint64_t to, const struct page_map *from, uint64_t page,
		   uint64_t pages)
{
	const struct copying copying = {into, to, page, pages};
	const uint64_t first = page / CHUNK_PAGES, last = (page + pages - 1) / CHUNK_PAGES;
	struct chunk *chunk, *next;
	int err = 0;

	HASH_ITER (hh, from->chunks, chunk, next) {
		/* By value: it may be the chunk that is copied into. */
		struct chunk_device rows[PAGE_MAP_DEVICES];
		struct chunk source = *chunk;

		if (!pages || chunk->number < first || chunk->number > last)
			continue;
		if (source.device_count)
			memcpy(rows, chunk->devices, source.device_count * sizeof(*rows));
		err = copy_words(&copying, source.cpu, source.number, BITS_CPU, 0);
		for (uint32_t i = 0; i < source.device_count && !err; i++) {
			err = copy_words(&copying, rows[i].completed, source.number, BITS_COMPLETED,
					 rows[i].device);
			if (!err)
				err = copy_words(&copying, rows[i].exposed, source.number,
						 BITS_EXPOSED, rows[i].device);
		}
		if (err)
			return err;
	}
	return 0;
}

/* ---- the walk ---- */

struct walk {
	enum ds_evidence evidence;
	struct page_counts *counts;
	int (*each)(void *context, const struct page_run *run);
	void *context;
	struct page_run run; /* not yet told; pages 0: none */
};

static int flush(struct walk *walk)
{
	int err = 0;

	if (walk->run.pages && walk->each)
		err = walk->each(walk->context, &walk->run);
	walk->run.pages = 0;
	return err;
}

static int extend(struct walk *walk, uint64_t page, uint64_t pages, bool cpu, uint64_t devices)
{
	struct page_run *run = &walk->run;
	int err = 0;

	if (run->pages && run->page + run->pages == page && run->cpu == cpu &&
	    run->devices == devices) {
		run->pages += pages;
		return 0;
	}
	err = flush(walk);
	*run = (struct page_run){page, pages, cpu, devices};
	return err;
}

static uint64_t said(const struct walk *walk, const struct chunk_device *row, int word)
{
	return row->completed[word] |
	       (walk->evidence == DS_EVIDENCE_EXPOSED ? row->exposed[word] : 0);
}

static int walk_word(struct walk *walk, const struct chunk *chunk, int word)
{
	const uint64_t first = chunk->number * CHUNK_PAGES + (uint64_t)word * 64;
	uint64_t cpu = chunk->cpu[word], dma = 0, completed = 0, left;

	for (uint32_t i = 0; i < chunk->device_count; i++) {
		dma |= said(walk, &chunk->devices[i], word);
		completed |= chunk->devices[i].completed[word];
	}
	walk->counts->cpu += (uint64_t)__builtin_popcountll(cpu);
	walk->counts->dma += (uint64_t)__builtin_popcountll(dma);
	walk->counts->both += (uint64_t)__builtin_popcountll(cpu & dma);
	walk->counts->all += (uint64_t)__builtin_popcountll(cpu | dma);
	walk->counts->missed += (uint64_t)__builtin_popcountll(completed & ~cpu);
	if (!walk->each)
		return 0;
	if (!dma && cpu == ~0ULL)
		return extend(walk, first, 64, true, 0);
	for (left = cpu | dma; left; left &= left - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(left);
		uint64_t devices = 0;
		int err;

		if (dma >> bit & 1)
			for (uint32_t i = 0; i < chunk->device_count; i++)
				if (said(walk, &chunk->devices[i], word) >> bit & 1)
					devices |= 1ULL << chunk->devices[i].device;
		err = extend(walk, first + bit, 1, cpu >> bit & 1, devices);
		if (err)
			return err;
	}
	return 0;
}

static int by_number(const struct chunk *a, const struct chunk *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

int page_map__walk(struct page_map *map, enum ds_evidence evidence, struct page_counts *counts,
		   int (*each)(void *context, const struct page_run *run), void *context)
{
	struct walk walk = {
		.evidence = evidence, .counts = counts, .each = each, .context = context};
	struct chunk *chunk, *next;
	int err = 0;

	*counts = (struct page_counts){0};
	if (each)
		HASH_SORT(map->chunks, by_number);
	HASH_ITER (hh, map->chunks, chunk, next) {
		for (int word = 0; word < WORDS && !err; word++)
			err = walk_word(&walk, chunk, word);
		if (err)
			return err;
	}
	return flush(&walk);
}
