/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is freed all at once: what a snapshot is made of. */
#ifndef DIRTYSCOPE_AGENT_BASE_ARENA_H
#define DIRTYSCOPE_AGENT_BASE_ARENA_H

#include <stddef.h>

struct arena;
/* first: bytes of the first block; later blocks grow. NULL when memory is short. */
struct arena *arena__new(size_t first);
void arena__free(struct arena *arena);
/* Zeroed, aligned for any type, alive until arena__free; NULL when memory is short. */
void *arena__alloc(struct arena *arena, size_t size);
char *arena__strdup(struct arena *arena, const char *string);
size_t arena__used(const struct arena *arena);

#endif
