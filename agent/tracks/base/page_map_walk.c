/* SPDX-License-Identifier: BSD-2-Clause */
/* What is read of a page map, in the order of pages. */
#include "agent/tracks/base/page_map_private.h"

static int by_number(const struct page_map_chunk *a, const struct page_map_chunk *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

static void sort(struct page_map *map)
{
	if (map->unsorted)
		HASH_SORT(map->chunks, by_number);
	map->unsorted = false;
}

static bool has_any(const struct page_map_chunk *chunk)
{
	uint64_t any = 0;

	for (int w = 0; w < WORDS; w++)
		any |= chunk->cpu[w];
	return any;
}

/* The first chunk from that number on that has some. The cursor never moves beyond it. */
static const struct page_map_chunk *seek(const struct page_map *map,
					 const struct page_map_chunk **cursor, uint64_t number)
{
	if (!*cursor)
		*cursor = map->chunks;
	while (*cursor && ((*cursor)->number < number || !has_any(*cursor))) {
		if (!(*cursor)->hh.next)
			return NULL;
		*cursor = (*cursor)->hh.next;
	}
	return *cursor;
}

int page_map__by_chunk(struct page_map *map, const struct page_map_chunk **cursor, uint64_t page,
		       uint64_t pages,
		       int (*each)(void *context, uint64_t page, uint64_t pages, bool has),
		       void *context)
{
	const uint64_t end = page + pages;
	int err = 0;

	if (!*cursor)
		sort(map);
	while (page < end && !err) {
		const struct page_map_chunk *chunk = seek(map, cursor, page / CHUNK_PAGES);
		const bool has = chunk && chunk->number == page / CHUNK_PAGES;
		uint64_t next = end;

		if (has) {
			next = page;
			do {
				next = (next / CHUNK_PAGES + 1) * CHUNK_PAGES;
				chunk = next < end ? seek(map, cursor, next / CHUNK_PAGES) : NULL;
			} while (chunk && chunk->number == next / CHUNK_PAGES);
			next = next < end ? next : end;
		} else if (chunk && chunk->number * CHUNK_PAGES < end) {
			next = chunk->number * CHUNK_PAGES;
		}
		err = each(context, page, next - page, has);
		page = next;
	}
	return err;
}

static const struct page_map_chunk *find_chunk(const struct page_map *map, uint64_t number)
{
	const struct page_map_chunk *chunk;

	HASH_FIND(hh, map->chunks, &number, sizeof(number), chunk);
	return chunk;
}

int page_map__split(const struct page_map *map, uint64_t page, uint64_t pages,
		    int (*each)(void *context, uint64_t page, uint64_t pages, bool has),
		    void *context)
{
	const uint64_t end = page + pages;
	uint64_t begun = page;
	bool had = false;

	while (page < end) {
		const struct page_map_chunk *chunk = find_chunk(map, page / CHUNK_PAGES);
		const uint64_t next = (page / CHUNK_PAGES + 1) * CHUNK_PAGES;
		const uint64_t limit = next < end ? next : end;

		while (page < limit) {
			const unsigned at = page % CHUNK_PAGES;
			const uint64_t word = chunk ? chunk->cpu[at / 64] >> at % 64 : 0;
			const bool has = word & 1;
			const uint64_t other = has ? ~word : word;
			uint64_t run = other ? (uint64_t)__builtin_ctzll(other) : 64 - at % 64;

			run = run < 64 - at % 64 ? run : 64 - at % 64;
			run = run < limit - page ? run : limit - page;
			if (has != had && page > begun) {
				int err = each(context, begun, page - begun, had);

				if (err)
					return err;
			}
			if (has != had)
				begun = page;
			had = has;
			page += run;
		}
	}
	return page > begun ? each(context, begun, page - begun, had) : 0;
}

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

/* In most words no device wrote anything. */
static void count_word(struct page_counts *counts, uint64_t cpu, uint64_t dma, uint64_t completed)
{
	const uint64_t by_cpu = (uint64_t)__builtin_popcountll(cpu);

	counts->cpu += by_cpu;
	if (!(dma | completed)) {
		counts->all += by_cpu;
		return;
	}
	counts->dma += (uint64_t)__builtin_popcountll(dma);
	counts->both += (uint64_t)__builtin_popcountll(cpu & dma);
	counts->all += (uint64_t)__builtin_popcountll(cpu | dma);
	counts->missed += (uint64_t)__builtin_popcountll(completed & ~cpu);
}

/* Of a word that no device wrote anything of. */
static int walk_runs(struct walk *walk, uint64_t first, uint64_t cpu)
{
	int err = 0;

	while (cpu && !err) {
		const unsigned bit = (unsigned)__builtin_ctzll(cpu);
		const uint64_t behind = ~(cpu >> bit);
		const unsigned pages = behind ? (unsigned)__builtin_ctzll(behind) : 64;

		err = extend(walk, first + bit, pages, true, 0);
		cpu = bit + pages < 64 ? cpu & ~0ULL << (bit + pages) : 0;
	}
	return err;
}

static int walk_word(struct walk *walk, const struct page_map_chunk *chunk, int word)
{
	const uint64_t first = chunk->number * CHUNK_PAGES + (uint64_t)word * 64;
	uint64_t cpu = chunk->cpu[word], dma = 0, completed = 0, left;

	for (uint32_t i = 0; i < chunk->device_count; i++) {
		dma |= said(walk, &chunk->devices[i], word);
		completed |= chunk->devices[i].completed[word];
	}
	if (!(cpu | dma | completed))
		return 0;
	count_word(walk->counts, cpu, dma, completed);
	if (!walk->each)
		return 0;
	if (!dma)
		return walk_runs(walk, first, cpu);
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

static int walk_chunk(struct walk *walk, const struct page_map_chunk *chunk)
{
	int err = 0;

	for (int word = 0; word < WORDS && !err; word++) {
		if (chunk->device_count) {
			err = walk_word(walk, chunk, word);
		} else if (chunk->cpu[word]) {
			const uint64_t pages = (uint64_t)__builtin_popcountll(chunk->cpu[word]);

			walk->counts->cpu += pages;
			walk->counts->all += pages;
			if (walk->each)
				err = walk_runs(walk,
						chunk->number * CHUNK_PAGES + (uint64_t)word * 64,
						chunk->cpu[word]);
		}
	}
	return err;
}

int page_map__each_word(const struct page_map *map,
			int (*each)(void *context, uint64_t page, uint64_t bits), void *context)
{
	for (const struct page_map_chunk *chunk = map->chunks; chunk; chunk = chunk->hh.next)
		for (int word = 0; word < WORDS; word++) {
			uint64_t bits = chunk->cpu[word];
			int err;

			for (uint32_t i = 0; i < chunk->device_count; i++)
				bits |= chunk->devices[i].completed[word] |
					chunk->devices[i].exposed[word];
			err = bits ? each(context,
					  chunk->number * CHUNK_PAGES + (uint64_t)word * 64, bits)
				   : 0;
			if (err)
				return err;
		}
	return 0;
}

int page_map__walk(struct page_map *map, enum ds_evidence evidence, struct page_counts *counts,
		   int (*each)(void *context, const struct page_run *run), void *context)
{
	struct walk walk = {
		.evidence = evidence, .counts = counts, .each = each, .context = context};
	struct page_map_chunk *chunk, *next;
	int err = 0;

	*counts = (struct page_counts){0};
	if (each)
		sort(map);
	HASH_ITER (hh, map->chunks, chunk, next) {
		err = walk_chunk(&walk, chunk);
		if (err)
			return err;
	}
	return flush(&walk);
}
