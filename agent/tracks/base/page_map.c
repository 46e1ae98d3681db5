/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/base/page_map_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_FIRST 2 /* chunks: most maps are small */
#define SLAB_MOST 64

struct page_map *page_map__new(void)
{
	return calloc(1, sizeof(struct page_map));
}

static void free_devices(struct page_map *map)
{
	struct page_map_chunk *chunk = map->has_devices ? map->chunks : NULL;

	for (; chunk; chunk = chunk->hh.next) {
		map->bytes -= chunk->device_count * sizeof(*chunk->devices);
		free(chunk->devices);
	}
	map->has_devices = false;
}

void page_map__clear(struct page_map *map)
{
	free_devices(map);
	HASH_CLEAR(hh, map->chunks);
	for (struct chunk_slab *slab = map->slabs; slab; slab = slab->next)
		slab->used = 0;
	map->filling = map->slabs;
	map->last = NULL;
	map->newest = 0;
	map->unsorted = false;
}

void page_map__free(struct page_map *map)
{
	struct chunk_slab *next;

	if (!map)
		return;
	free_devices(map);
	HASH_CLEAR(hh, map->chunks);
	for (struct chunk_slab *slab = map->slabs; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
	free(map);
}

uint64_t page_map__bytes(const struct page_map *map)
{
	return map->bytes;
}

/* Zeroed. NULL: memory is short. */
static struct page_map_chunk *new_chunk(struct page_map *map)
{
	struct chunk_slab *slab = map->filling;
	struct page_map_chunk *chunk;

	if (slab && slab->used == slab->room && slab->next)
		slab = map->filling = slab->next;
	if (!slab || slab->used == slab->room) {
		const size_t room = !slab		     ? SLAB_FIRST
				    : slab->room < SLAB_MOST ? 2 * slab->room
							     : SLAB_MOST;
		struct chunk_slab *more = malloc(sizeof(*more) + room * sizeof(*more->chunks));

		if (!more)
			return NULL;
		*more = (struct chunk_slab){.room = room};
		*(slab ? &slab->next : &map->slabs) = more;
		slab = map->filling = more;
		map->bytes += sizeof(*more) + room * sizeof(*more->chunks);
	}
	chunk = &slab->chunks[slab->used++];
	memset(chunk, 0, sizeof(*chunk));
	return chunk;
}

/* Whoever goes through pages in their order finds the next chunk behind the last one. */
static struct page_map_chunk *find_chunk(struct page_map *map, uint64_t number)
{
	struct page_map_chunk *chunk = map->last;

	if (chunk && chunk->number == number)
		return chunk;
	chunk = chunk ? chunk->hh.next : NULL;
	if (!chunk || chunk->number != number)
		HASH_FIND(hh, map->chunks, &number, sizeof(number), chunk);
	if (chunk)
		map->last = chunk;
	return chunk;
}

/* The same, made where there is none. NULL: memory is short. */
static struct page_map_chunk *get_chunk(struct page_map *map, uint64_t number)
{
	struct page_map_chunk *chunk = find_chunk(map, number);

	if (!chunk) {
		chunk = new_chunk(map);
		if (!chunk)
			return NULL;
		chunk->number = number;
		map->unsorted |= map->newest > number;
		map->newest = number;
		HASH_ADD(hh, map->chunks, number, sizeof(number), chunk);
	}
	map->last = chunk;
	return chunk;
}

static struct chunk_device *get_device(struct page_map *map, struct page_map_chunk *chunk,
				       uint32_t device)
{
	struct chunk_device *more;

	for (uint32_t i = 0; i < chunk->device_count; i++)
		if (chunk->devices[i].device == device)
			return &chunk->devices[i];
	more = reallocarray(chunk->devices, chunk->device_count + 1, sizeof(*more));
	if (!more)
		return NULL;
	chunk->devices = more;
	map->has_devices = true;
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
		struct page_map_chunk *chunk = get_chunk(map, page / CHUNK_PAGES);
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

static int add_word(struct page_map *map, uint64_t number, uint64_t word, uint64_t bits)
{
	struct page_map_chunk *chunk;

	if (!bits)
		return 0;
	chunk = get_chunk(map, number);
	if (!chunk)
		return -ENOMEM;
	chunk->cpu[word] |= bits;
	return 0;
}

int page_map__divide(struct page_map *by, uint64_t page, uint64_t pages, struct page_map *in,
		     struct page_map *out)
{
	int err = 0;

	while (pages && !err) {
		const uint64_t number = page / CHUNK_PAGES, word = page % CHUNK_PAGES / 64;
		const uint64_t room = 64 - page % 64, count = pages < room ? pages : room;
		const struct page_map_chunk *chunk = find_chunk(by, number);
		const uint64_t wanted = bits(page % 64, count), has = chunk ? chunk->cpu[word] : 0;

		err = add_word(in, number, word, wanted & has);
		if (!err)
			err = add_word(out, number, word, wanted & ~has);
		page += count;
		pages -= count;
	}
	return err;
}

int page_map__add_device_pages(struct page_map *map, uint64_t page, uint64_t pages, unsigned device,
			       enum ds_evidence evidence)
{
	while (pages) {
		struct page_map_chunk *chunk = get_chunk(map, page / CHUNK_PAGES);
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

static void remove_from(struct page_map_chunk *chunk, uint64_t page, uint64_t end)
{
	for (uint64_t w = 0; w < WORDS; w++) {
		const uint64_t first = chunk->number * CHUNK_PAGES + w * 64;
		const uint64_t low = first > page ? first : page;
		const uint64_t high = first + 64 < end ? first + 64 : end;

		if (low < high)
			chunk->cpu[w] &= ~bits((unsigned)(low - first), high - low);
	}
}

void page_map__remove_cpu(struct page_map *map, uint64_t page, uint64_t pages)
{
	const uint64_t first = page / CHUNK_PAGES, count = pages / CHUNK_PAGES + 2;
	struct page_map_chunk *chunk, *next;

	if (count < HASH_COUNT(map->chunks)) {
		for (uint64_t number = first; number < first + count; number++) {
			HASH_FIND(hh, map->chunks, &number, sizeof(number), chunk);
			if (chunk)
				remove_from(chunk, page, page + pages);
		}
		return;
	}
	HASH_ITER (hh, map->chunks, chunk, next)
		remove_from(chunk, page, page + pages);
}

int page_map__add_device(struct page_map *map, uint64_t page, unsigned device,
			 enum ds_evidence evidence)
{
	return page_map__add_device_pages(map, page, 1, device, evidence);
}

int page_map__merge(struct page_map *into, const struct page_map *from)
{
	struct page_map_chunk *chunk, *next;

	HASH_ITER (hh, from->chunks, chunk, next) {
		struct page_map_chunk *to = get_chunk(into, chunk->number);

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

bool page_map__has_more(const struct page_map *map, uint64_t pages)
{
	const struct page_map_chunk *chunk = map->chunks;
	uint64_t found = 0;

	for (; chunk && found <= pages; chunk = chunk->hh.next)
		for (int w = 0; w < WORDS; w++)
			found += (uint64_t)__builtin_popcountll(chunk->cpu[w]);
	return found > pages;
}

void page_map__count_devices(const struct page_map *map, enum ds_evidence evidence,
			     uint64_t pages[PAGE_MAP_DEVICES])
{
	for (const struct page_map_chunk *chunk = map->chunks; chunk; chunk = chunk->hh.next)
		for (uint32_t i = 0; i < chunk->device_count; i++) {
			const struct chunk_device *row = &chunk->devices[i];

			for (int w = 0; w < WORDS; w++)
				pages[row->device] += (uint64_t)__builtin_popcountll(
					row->completed[w] |
					(evidence == DS_EVIDENCE_EXPOSED ? row->exposed[w] : 0));
		}
}

void page_map__swap(struct page_map *one, struct page_map *other)
{
	const struct page_map kept = *one;

	*one = *other;
	*other = kept;
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
	struct page_map_chunk *chunk = get_chunk(map, page / CHUNK_PAGES);
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

static int copy_chunk(const struct copying *copying, const struct page_map_chunk *chunk)
{
	/* By value: it may be the chunk that is copied into. */
	struct chunk_device rows[PAGE_MAP_DEVICES];
	const struct page_map_chunk source = *chunk;
	int err;

	if (source.device_count)
		memcpy(rows, chunk->devices, source.device_count * sizeof(*rows));
	err = copy_words(copying, source.cpu, source.number, BITS_CPU, 0);
	for (uint32_t i = 0; i < source.device_count && !err; i++) {
		err = copy_words(copying, rows[i].completed, source.number, BITS_COMPLETED,
				 rows[i].device);
		if (!err)
			err = copy_words(copying, rows[i].exposed, source.number, BITS_EXPOSED,
					 rows[i].device);
	}
	return err;
}

int page_map__copy(struct page_map *into, uint64_t to, const struct page_map *from, uint64_t page,
		   uint64_t pages)
{
	const struct copying copying = {into, to, page, pages};
	const uint64_t first = page / CHUNK_PAGES, last = (page + pages - 1) / CHUNK_PAGES;
	struct page_map_chunk *chunk, *next;
	int err = 0;

	if (!pages)
		return 0;
	if (last - first < HASH_COUNT(from->chunks)) {
		for (uint64_t number = first; number <= last && !err; number++) {
			HASH_FIND(hh, from->chunks, &number, sizeof(number), chunk);
			err = chunk ? copy_chunk(&copying, chunk) : 0;
		}
		return err;
	}
	HASH_ITER (hh, from->chunks, chunk, next) {
		if (chunk->number >= first && chunk->number <= last)
			err = copy_chunk(&copying, chunk);
		if (err)
			return err;
	}
	return 0;
}
