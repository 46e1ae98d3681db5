/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/base/address_ranges.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MASK 4095ULL
#define HIGHEST (1ULL << 57) /* of five levels of page tables */

/* Digits alone: strtoull() also takes blanks and signs. */
static bool take_number(const char **at, uint64_t *value)
{
	char *stop;

	if (!isxdigit((unsigned char)**at))
		return false;
	errno = 0;
	*value = strtoull(*at, &stop, 16);
	*at = stop;
	return !errno;
}

int address_range__parse(const char *text, struct address_range *range, struct reason *why)
{
	const char *at = text;

	if (!take_number(&at, &range->start) || *at++ != '-' || !take_number(&at, &range->end) ||
	    *at) {
		reason__set(why, "is no range; write 0x7f0000000000-0x7f0001000000");
		return -EINVAL;
	}
	if (range->start >= range->end) {
		reason__set(why, "ends before it begins, or is empty");
		return -EINVAL;
	}
	if ((range->start | range->end) & PAGE_MASK) {
		reason__set(why, "must begin and end at a page's address, which ends in 000");
		return -EINVAL;
	}
	if (range->end > HIGHEST) {
		reason__set(why, "lies beyond what a process may have");
		return -EINVAL;
	}
	return 0;
}

void address_ranges__free(struct address_ranges *ranges)
{
	free(ranges->list);
	*ranges = (struct address_ranges){0};
}

int address_ranges__add(struct address_ranges *ranges, uint64_t start, uint64_t end)
{
	size_t first = 0, behind;

	if (ranges->count == ranges->room) {
		const size_t room = ranges->room ? ranges->room * 2 : 8;
		struct address_range *more = reallocarray(ranges->list, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		ranges->list = more;
		ranges->room = room;
	}
	while (first < ranges->count && ranges->list[first].end < start)
		first++;
	for (behind = first; behind < ranges->count && ranges->list[behind].start <= end;
	     behind++) {
		start = ranges->list[behind].start < start ? ranges->list[behind].start : start;
		end = ranges->list[behind].end > end ? ranges->list[behind].end : end;
	}
	memmove(ranges->list + first + 1, ranges->list + behind,
		(ranges->count - behind) * sizeof(*ranges->list));
	ranges->count = ranges->count - (behind - first) + 1;
	ranges->list[first] = (struct address_range){start, end};
	return 0;
}

int address_ranges__copy(struct address_ranges *into, const struct address_ranges *from)
{
	int err = 0;

	into->count = 0;
	for (size_t i = 0; i < from->count && !err; i++)
		err = address_ranges__add(into, from->list[i].start, from->list[i].end);
	return err;
}

static int add_bytes(void *context, uint64_t start, uint64_t end, bool inside)
{
	uint64_t *bytes = context;

	*bytes += inside ? end - start : 0;
	return 0;
}

uint64_t address_ranges__bytes(const struct address_ranges *ranges, uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;

	address_ranges__cut(ranges, start, end, add_bytes, &bytes);
	return bytes;
}

/* The first that ends behind an address. */
static size_t find(const struct address_ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (ranges->list[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int address_ranges__cut(const struct address_ranges *ranges, uint64_t start, uint64_t end,
			int (*each)(void *context, uint64_t start, uint64_t end, bool inside),
			void *context)
{
	size_t at = find(ranges, start);
	int err = 0;

	while (start < end && !err) {
		const bool some = at < ranges->count;
		const bool inside = some && ranges->list[at].start <= start;
		uint64_t stop = inside ? ranges->list[at].end : some ? ranges->list[at].start : end;

		stop = stop < end ? stop : end;
		err = each(context, start, stop, inside);
		at += inside;
		start = stop;
	}
	return err;
}
