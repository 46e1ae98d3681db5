/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/owed_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define AGES 512 /* pages of a chunk of ages */

/* When each page was written last, as the number of an epoch; 0: never. */
struct ages {
	uint64_t number;
	uint32_t last[AGES];
	UT_hash_handle hh;
};

struct debt {
	uint64_t cursor;
	struct page_map *pages;
};

struct owed_pages {
	struct page_map *fresh, *all; /* all: merged for a delivery of several */
	struct debt debts[TRACK_OWED_EPOCHS];
	size_t debt_count;
	struct ages *ages; /* uthash */
	struct ages *last; /* most pages lie where the one before did; NULL: none */
	uint32_t epoch;
	uint64_t
		written[TRACK_EPOCHS]; /* pages whose last epoch that is, by epoch % TRACK_EPOCHS */
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
	struct ages *ages, *next;

	if (!owed)
		return;
	HASH_ITER (hh, owed->ages, ages, next) {
		HASH_DEL(owed->ages, ages);
		free(ages);
	}
	for (size_t i = 0; i < owed->debt_count; i++)
		page_map__free(owed->debts[i].pages);
	page_map__free(owed->fresh);
	page_map__free(owed->all);
	free(owed);
}

struct page_map *owed_pages__fresh(struct owed_pages *owed)
{
	return owed->fresh;
}

/* How many of these were written last in which epoch, before this one writes them all. */
static void recount(struct owed_pages *owed, const uint32_t *last, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		if (last[i] && owed->epoch - last[i] < TRACK_EPOCHS)
			owed->written[last[i] % TRACK_EPOCHS]--;
	owed->written[owed->epoch % TRACK_EPOCHS] += pages;
}

static int note_age(void *context, const struct page_run *run)
{
	struct owed_pages *owed = context;
	struct ages *ages = NULL;

	for (uint64_t page = run->page, end = page + run->pages, pages; page < end; page += pages) {
		const uint64_t number = page / AGES, at = page % AGES;

		pages = AGES - at < end - page ? AGES - at : end - page;
		ages = owed->last;
		if (!ages || ages->number != number)
			HASH_FIND(hh, owed->ages, &number, sizeof(number), ages);
		if (!ages) {
			ages = calloc(1, sizeof(*ages));
			if (!ages)
				return -ENOMEM;
			ages->number = number;
			HASH_ADD(hh, owed->ages, number, sizeof(number), ages);
			owed->age_bytes += sizeof(*ages);
		}
		owed->last = ages;
		recount(owed, ages->last + at, pages);
		for (uint64_t i = 0; i < pages; i++)
			ages->last[at + i] = owed->epoch;
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
	struct page_map *debt = page_map__new();
	int err = debt ? make_room(owed) : -ENOMEM;
	bool swapped;

	owed->epoch++;
	owed->written[owed->epoch % TRACK_EPOCHS] = 0; /* those are older than that now */
	if (!err)
		err = page_map__walk(owed->fresh, DS_EVIDENCE_EXPOSED, epoch, note_age, owed);
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
		if (owed->debts[i].cursor <= cursor)
			page_map__free(owed->debts[i].pages);
		else
			owed->debts[kept++] = owed->debts[i];
	}
	owed->debt_count = kept;
	page_map__clear(owed->all);
}

uint64_t owed_pages__bytes(const struct owed_pages *owed)
{
	uint64_t bytes =
		page_map__bytes(owed->fresh) + page_map__bytes(owed->all) + owed->age_bytes;

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
			sets[age] = owed->written[(owed->epoch - age) % TRACK_EPOCHS];
		for (size_t i = 0; i < TRACK_EPOCHS; i++)
			sets[i] = sum += sets[i];
		return;
	}
	HASH_ITER (hh, owed->ages, ages, next)
		for (size_t i = 0; i < AGES; i++)
			if (ages->last[i] && owed->epoch - ages->last[i] < TRACK_EPOCHS &&
			    ages->number * AGES + i >= first && ages->number * AGES + i < end)
				sets[owed->epoch - ages->last[i]]++;
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
		if (!ages->last[page % AGES] || owed->epoch - ages->last[page % AGES] >= n)
			continue;
		if (page > begun)
			err = each(context, begun, page - begun);
		begun = page + 1;
	}
	if (!err && begun < end)
		err = each(context, begun, end - begun);
	return err;
}
