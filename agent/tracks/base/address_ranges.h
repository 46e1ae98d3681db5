/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of addresses, in ascending order, of which no two touch. In bytes, of whole pages. Not for
 * several threads at once.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_BASE_ADDRESS_RANGES_H
#define DIRTYSCOPE_AGENT_TRACKS_BASE_ADDRESS_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/reason.h"

struct address_range {
	uint64_t start, end; /* the first byte, and the one behind the last */
};

/* All zero: none. */
struct address_ranges {
	struct address_range *list;
	size_t count, room;
};

/*
 * "0xSTART-0xEND", hexadecimal as in /proc/PID/maps, with or without 0x. 0, or -EINVAL with what is
 * wrong, to follow the name of a field: "is no range; write ...".
 */
int address_range__parse(const char *text, struct address_range *range, struct reason *why);

void address_ranges__free(struct address_ranges *ranges);
/* What it has already, or touches, becomes one. -ENOMEM, or 0. */
int address_ranges__add(struct address_ranges *ranges, uint64_t start, uint64_t end);
/* Instead of what *into has. -ENOMEM, or 0. */
int address_ranges__copy(struct address_ranges *into, const struct address_ranges *from);
/* How many bytes from start to end - 1 are in one of them. */
uint64_t address_ranges__bytes(const struct address_ranges *ranges, uint64_t start, uint64_t end);
/*
 * Cuts start to end - 1 where a range begins or ends, and calls `each` for the parts in their
 * order. Nonzero ends it and is returned.
 */
int address_ranges__cut(const struct address_ranges *ranges, uint64_t start, uint64_t end,
			int (*each)(void *context, uint64_t start, uint64_t end, bool inside),
			void *context);

#endif
