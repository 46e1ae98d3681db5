/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/owed_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tracks/base/chunk_hash.h"

#define AGES 512     /* pages of a chunk of ages */
#define AGES_SLAB 32 /* chunks that are allocated at once */

/*
 * When each page was written last: a stamp of that epoch, 0: never, or too long ago. A byte a page
 * keeps them in the cache of a CPU. Stamps come again after STAMPS epochs; until then those that
 * are TRACK_EPOCHS old and older are forgotten.
 */
#define STAMPS 255
#define FORGET_EPOCHS 64 /* between two times that they are */
_Static_assert(TRACK_EPOCHS + FORGET_EPOCHS < STAMPS, "no stamp may come again");

struct ages {
	uint64_t number;
	uint8_t last[AGES];
	UT_hash_handle hh;
};

struct ages_slab {
	struct ages_slab *next;
	size_t used;
	struct ages chunks[AGES_SLAB];
};

struct debt {
	uint64_t cursor;
	struct page_map *pages;
};

struct owed_pages {
	struct page_map *fresh, *all; /* all: merged for a delivery of several */
	struct page_map *spare;	      /* empty, with the memory of one that is paid; or NULL */
	struct debt debts[TRACK_OWED_EPOCHS];
	size_t debt_count;
	struct ages *ages; /* uthash */
	struct ages_slab *slabs;
	struct ages *last; /* most pages lie where the one before did; NULL: none */
	uint32_t epoch;
	uint64_t stamped[STAMPS + 1]; /* pages that have each stamp; of 0: no matter */
	uint64_t age_bytes;
};

struct owed_pages *owed_pages__new(void)
{
	struct owed_pages *owed = calloc(1, sizeof(*owed));

	if (!owed)
		return NULL;
	owed->fresh = page_map__new();
	owed->all = page_map__new();
	if (!owed->fresh || !owed->all) {
		owed_pages__free(owed);
		return NULL;
	}
	return owed;
}

void owed_pages__free(struct owed_pages *owed)
{
	struct ages_slab *next;

	if (!owed)
		return;
	HASH_CLEAR(hh, owed->ages);
	for (struct ages_slab *slab = owed->slabs; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
	for (size_t i = 0; i < owed->debt_count; i++)
		page_map__free(owed->debts[i].pages);
	page_map__free(owed->fresh);
	page_map__free(owed->all);
	page_map__free(owed->spare);
	free(owed);
}

struct page_map *owed_pages__fresh(struct owed_pages *owed)
{
	return owed->fresh;
}

static uint8_t stamp(uint32_t epoch)
{
	return (uint8_t)(1 + epoch % STAMPS);
}

/* How many epochs ago that was; of a page that was written. */
static uint32_t age_of(const struct owed_pages *owed, uint8_t last)
{
	const uint8_t now = stamp(owed->epoch);

	return now >= last ? (uint32_t)(now - last) : (uint32_t)(now + STAMPS - last);
}

static void forget_old(struct owed_pages *owed)
{
	for (unsigned last = 1; last <= STAMPS; last++)
		if (age_of(owed, (uint8_t)last) >= TRACK_EPOCHS)
			owed->stamped[last] = 0;
	for (struct ages *ages = owed->ages; ages; ages = ages->hh.next)
		for (size_t i = 0; i < AGES; i++)
			if (ages->last[i] && age_of(owed, ages->last[i]) >= TRACK_EPOCHS)
				ages->last[i] = 0;
}

/* NULL: memory is short. */
static struct ages *get_ages(struct owed_pages *owed, uint64_t number)
{
	struct ages_slab *slab = owed->slabs;
	struct ages *ages = owed->last;

	if (ages && ages->number == number)
		return ages;
	/* Pages come in their order, mostly, and came so before. */
	ages = ages ? ages->hh.next : NULL;
	if (!ages || ages->number != number)
		HASH_FIND(hh, owed->ages, &number, sizeof(number), ages);
	if (!ages) {
		if (!slab || slab->used == AGES_SLAB) {
			slab = calloc(1, sizeof(*slab));
			if (!slab)
				return NULL;
			slab->next = owed->slabs;
			owed->slabs = slab;
			owed->age_bytes += sizeof(*slab);
		}
		ages = &slab->chunks[slab->used++];
		ages->number = number;
		HASH_ADD(hh, owed->ages, number, sizeof(number), ages);
	}
	owed->last = ages;
	return ages;
}

static int note_ages(void *context, uint64_t page, uint64_t bits)
{
	struct owed_pages *owed = context;
	struct ages *ages = get_ages(owed, page / AGES);
	const uint8_t now = stamp(owed->epoch);
	uint8_t *last;

	if (!ages)
		return -ENOMEM;
	last = ages->last + page % AGES;
	owed->stamped[now] += (uint64_t)__builtin_popcountll(bits);
	for (; bits; bits &= bits - 1) {
		const unsigned bit = (unsigned)__builtin_ctzll(bits);

		owed->stamped[last[bit]]--;
		last[bit] = now;
	}
	return 0;
}

/* The two oldest become one, under the later cursor: nothing is forgotten early. */
static int make_room(struct owed_pages *owed)
{
	int err;

	if (owed->debt_count < TRACK_OWED_EPOCHS)
		return 0;
	err = page_map__merge(owed->debts[1].pages, owed->debts[0].pages);
	if (err)
		return err;
	page_map__free(owed->debts[0].pages);
	memmove(&owed->debts[0], &owed->debts[1], (owed->debt_count - 1) * sizeof(*owed->debts));
	owed->debt_count--;
	return 0;
}

int owed_pages__deliver(struct owed_pages *owed, uint64_t cursor, enum ds_evidence evidence,
			struct page_counts *epoch, struct page_map **all)
{
	struct page_map *debt = owed->spare ? owed->spare : page_map__new();
	int err = debt ? make_room(owed) : -ENOMEM;
	bool swapped;

	owed->spare = NULL;
	owed->epoch++;
	if (owed->epoch % FORGET_EPOCHS == 0)
		forget_old(owed);
	if (!err)
		err = page_map__each_word(owed->fresh, note_ages, owed);
	if (!err)
		err = page_map__walk(owed->fresh, evidence, epoch, NULL, NULL);
	swapped = !err;
	if (swapped)
		page_map__swap(debt, owed->fresh);
	page_map__clear(owed->all);
	for (size_t i = 0; i < owed->debt_count && !err; i++)
		err = page_map__merge(owed->all, owed->debts[i].pages);
	if (!err && owed->debt_count)
		err = page_map__merge(owed->all, debt);
	if (err) {
		if (swapped)
			page_map__swap(debt, owed->fresh);
		page_map__free(debt);
		return err;
	}
	*all = owed->debt_count ? owed->all : debt;
	owed->debts[owed->debt_count++] = (struct debt){cursor, debt};
	return 0;
}

int owed_pages__all(struct owed_pages *owed, struct page_map **all)
{
	int err = 0;

	page_map__clear(owed->all);
	for (size_t i = 0; i < owed->debt_count && !err; i++)
		err = page_map__merge(owed->all, owed->debts[i].pages);
	*all = owed->all;
	return err;
}

void owed_pages__acknowledge(struct owed_pages *owed, uint64_t cursor)
{
	size_t kept = 0;

	for (size_t i = 0; i < owed->debt_count; i++) {
		if (owed->debts[i].cursor > cursor) {
			owed->debts[kept++] = owed->debts[i];
			continue;
		}
		page_map__free(owed->spare);
		owed->spare = owed->debts[i].pages;
		page_map__clear(owed->spare);
	}
	owed->debt_count = kept;
	page_map__clear(owed->all);
}

uint64_t owed_pages__bytes(const struct owed_pages *owed)
{
	uint64_t bytes = page_map__bytes(owed->fresh) + page_map__bytes(owed->all) +
			 owed->age_bytes + (owed->spare ? page_map__bytes(owed->spare) : 0);

	for (size_t i = 0; i < owed->debt_count; i++)
		bytes += page_map__bytes(owed->debts[i].pages);
	return bytes;
}

void owed_pages__working_set(const struct owed_pages *owed, uint64_t first, uint64_t end,
			     uint64_t sets[TRACK_EPOCHS])
{
	struct ages *ages, *next;
	uint64_t sum = 0;

	memset(sets, 0, TRACK_EPOCHS * sizeof(*sets));
	if (!first && end == UINT64_MAX) {
		for (uint32_t age = 0; age < TRACK_EPOCHS && age < owed->epoch; age++)
			sets[age] = owed->stamped[stamp(owed->epoch - age)];
		for (size_t i = 0; i < TRACK_EPOCHS; i++)
			sets[i] = sum += sets[i];
		return;
	}
	HASH_ITER (hh, owed->ages, ages, next)
		for (size_t i = 0; i < AGES; i++)
			if (ages->last[i] && age_of(owed, ages->last[i]) < TRACK_EPOCHS &&
			    ages->number * AGES + i >= first && ages->number * AGES + i < end)
				sets[age_of(owed, ages->last[i])]++;
	for (size_t i = 0; i < TRACK_EPOCHS; i++)
		sets[i] = sum += sets[i];
}

int owed_pages__unwritten(const struct owed_pages *owed, uint64_t first, uint64_t end, uint32_t n,
			  int (*each)(void *context, uint64_t page, uint64_t pages), void *context)
{
	const struct ages *ages = NULL;
	uint64_t begun = first, number;
	int err = 0;

	for (uint64_t page = first; page < end && !err; page++) {
		number = page / AGES;
		if (page == first || page % AGES == 0)
			HASH_FIND(hh, owed->ages, &number, sizeof(number), ages);
		if (!ages) { /* none of the whole chunk was ever written */
			page = number * AGES + AGES - 1;
			continue;
		}
		if (!ages->last[page % AGES] || age_of(owed, ages->last[page % AGES]) >= n)
			continue;
		if (page > begun)
			err = each(context, begun, page - begun);
		begun = page + 1;
	}
	if (!err && begun < end)
		err = each(context, begun, end - begun);
	return err;
}
