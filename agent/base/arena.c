/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MINIMUM 1024
#define BLOCK_MAXIMUM                                                              \
	(4UL << 20) /* beyond this, growing only wastes the tail of the last block \
		     */

struct block {
	struct block *older;
	size_t size, used;
	alignas(max_align_t) char data[];
};

struct arena {
	struct block *newest;
	size_t next_size;
	size_t used;
};

static struct block *block__new(size_t size)
{
	struct block *block;

	if (size > SIZE_MAX - sizeof(*block))
		return NULL;
	block = calloc(1, sizeof(*block) + size);
	if (block)
		block->size = size;
	return block;
}

struct arena *arena__new(size_t first)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	if (first < BLOCK_MINIMUM)
		first = BLOCK_MINIMUM;
	arena->newest = block__new(first);
	if (!arena->newest) {
		free(arena);
		return NULL;
	}
	arena->next_size = first;
	return arena;
}

void arena__free(struct arena *arena)
{
	struct block *block, *older;

	if (!arena)
		return;
	for (block = arena->newest; block; block = older) {
		older = block->older;
		free(block);
	}
	free(arena);
}

void *arena__alloc(struct arena *arena, size_t size)
{
	const size_t alignment = alignof(max_align_t);
	struct block *block = arena->newest;
	void *data;

	/* Nothing asked for is still an address of its own. */
	if (!size)
		size = 1;
	if (size > SIZE_MAX - alignment)
		return NULL;
	size = (size + alignment - 1) & ~(alignment - 1);
	if (size > block->size - block->used) {
		size_t next = arena->next_size;

		if (next <= BLOCK_MAXIMUM / 2)
			next *= 2;
		block = block__new(size > next ? size : next);
		if (!block)
			return NULL;
		block->older = arena->newest;
		arena->newest = block;
		arena->next_size = next;
	}
	data = block->data + block->used;
	block->used += size;
	arena->used += size;
	return data;
}

char *arena__strdup(struct arena *arena, const char *string)
{
	size_t size = strlen(string) + 1;
	char *copy = arena__alloc(arena, size);

	if (copy)
		memcpy(copy, string, size);
	return copy;
}

size_t arena__used(const struct arena *arena)
{
	return arena->used;
}
