/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/frame_set.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define REGION_WORDS (1ULL << (FRAME_SET_REGION_SHIFT - 6))
#define REGION_BYTES (REGION_WORDS * 8)
#define GROUP_WORDS 64ULL /* words that one bit of a summary stands for */
#define GROUPS (REGION_WORDS / GROUP_WORDS)
#define PAGE_WORDS 512 /* of the bitmap's own memory */

struct frame_region {
	uint64_t *words;
	uint64_t summary[GROUPS / 64]; /* groups of words that may have bits */
	uint64_t touched[REGION_WORDS / PAGE_WORDS / 64];
};

void frame_set__free(struct frame_set *set)
{
	for (size_t i = 0; set->regions && i < FRAME_SET_REGIONS; i++)
		if (set->regions[i]) {
			munmap(set->regions[i]->words, REGION_BYTES);
			free(set->regions[i]);
		}
	free(set->regions);
	*set = (struct frame_set){0};
}

static void count_bytes(struct frame_set *set, uint64_t bytes)
{
	__atomic_fetch_add(&set->bytes, bytes, __ATOMIC_RELAXED);
}

static struct frame_region *make_region(struct frame_set *set, uint64_t at)
{
	struct frame_region *region = calloc(1, sizeof(*region));

	if (!region)
		return NULL;
	region->words = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region->words == MAP_FAILED) {
		free(region);
		return NULL;
	}
	/* It is used here and there: a huge page would be a waste. */
	madvise(region->words, REGION_BYTES, MADV_NOHUGEPAGE);
	count_bytes(set, sizeof(*region));
	__atomic_store_n(&set->regions[at], region, __ATOMIC_RELEASE);
	return region;
}

static struct frame_region *region_at(const struct frame_set *set, uint64_t at)
{
	struct frame_region **regions = __atomic_load_n(&set->regions, __ATOMIC_ACQUIRE);

	return regions && at < FRAME_SET_REGIONS ? __atomic_load_n(&regions[at], __ATOMIC_ACQUIRE)
						 : NULL;
}

int frame_set__add(struct frame_set *set, uint64_t first_pfn, uint64_t bits)
{
	const uint64_t at = first_pfn >> FRAME_SET_REGION_SHIFT;
	const uint64_t word = first_pfn / 64 % REGION_WORDS, group = word / GROUP_WORDS;
	const uint64_t page = word / PAGE_WORDS;
	struct frame_region *region;

	if (!set->regions) {
		struct frame_region **regions =
			calloc(FRAME_SET_REGIONS, sizeof(struct frame_region *));

		if (!regions)
			return -ENOMEM;
		count_bytes(set, FRAME_SET_REGIONS * sizeof(*regions));
		__atomic_store_n(&set->regions, regions, __ATOMIC_RELEASE);
	}
	region = region_at(set, at);
	if (!region)
		region = make_region(set, at);
	if (!region)
		return -ENOMEM;
	if (!(region->touched[page / 64] >> page % 64 & 1)) {
		region->touched[page / 64] |= 1ULL << page % 64;
		count_bytes(set, PAGE_WORDS * sizeof(uint64_t));
	}
	__atomic_fetch_or(&region->words[word], bits, __ATOMIC_RELEASE);
	__atomic_fetch_or(&region->summary[group / 64], 1ULL << group % 64, __ATOMIC_ACQ_REL);
	return 0;
}

uint64_t frame_set__bits(const struct frame_set *set, uint64_t first_pfn)
{
	const struct frame_region *region = region_at(set, first_pfn >> FRAME_SET_REGION_SHIFT);

	return region ? __atomic_load_n(&region->words[first_pfn / 64 % REGION_WORDS],
					__ATOMIC_RELAXED)
		      : 0;
}

bool frame_set__has(const struct frame_set *set, uint64_t pfn)
{
	return frame_set__bits(set, pfn / 64 * 64) >> pfn % 64 & 1;
}

static int drain_group(struct frame_region *region, uint64_t base, uint64_t group,
		       frame_set__each each, void *context)
{
	for (uint64_t word = group * GROUP_WORDS; word < (group + 1) * GROUP_WORDS; word++) {
		uint64_t bits;
		int err;

		if (!__atomic_load_n(&region->words[word], __ATOMIC_RELAXED))
			continue;
		bits = __atomic_exchange_n(&region->words[word], 0, __ATOMIC_ACQ_REL);
		err = each(context, base + word * 64, bits);
		if (err) {
			__atomic_fetch_or(&region->words[word], bits, __ATOMIC_RELEASE);
			return err;
		}
	}
	return 0;
}

static int drain_region(struct frame_region *region, uint64_t base, frame_set__each each,
			void *context)
{
	for (uint64_t i = 0; i < GROUPS / 64; i++) {
		uint64_t groups;

		if (!__atomic_load_n(&region->summary[i], __ATOMIC_RELAXED))
			continue;
		/* First the mark, then the words: whoever adds does it the other way around. */
		groups = __atomic_exchange_n(&region->summary[i], 0, __ATOMIC_ACQ_REL);
		for (; groups; groups &= groups - 1) {
			int err = drain_group(region, base,
					      i * 64 + (uint64_t)__builtin_ctzll(groups), each,
					      context);

			if (err) {
				__atomic_fetch_or(&region->summary[i], groups, __ATOMIC_RELEASE);
				return err;
			}
		}
	}
	return 0;
}

int frame_set__drain(struct frame_set *set, frame_set__each each, void *context)
{
	int err = 0;

	if (!__atomic_load_n(&set->regions, __ATOMIC_ACQUIRE))
		return 0;
	for (uint64_t at = 0; at < FRAME_SET_REGIONS && !err; at++) {
		struct frame_region *region = region_at(set, at);

		if (region)
			err = drain_region(region, at << FRAME_SET_REGION_SHIFT, each, context);
	}
	return err;
}
