/* SPDX-License-Identifier: BSD-2-Clause */
/* Page maps against plain arrays, and what a consumer is owed against a model that keeps
 * everything. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tracks/base/page_map.h"
#include "agent/tracks/owed_pages.h"
#include "tests/unit/chance.h"

#define SPAN 3000 /* pages of the model; six chunks, the last one cut */
#define FIRST 0x7f1234567ULL
#define DEVICES 3

struct model {
	bool cpu[SPAN], completed[SPAN][DEVICES], exposed[SPAN][DEVICES];
};

static void write_some(struct page_map *map, struct model *model)
{
	for (int i = 0; i < 40; i++) {
		uint64_t page = chance(SPAN), pages = 1 + chance(200), device = chance(DEVICES);

		pages = pages < SPAN - page ? pages : SPAN - page;
		if (i % 2) {
			assert_int_equal(page_map__add_cpu(map, FIRST + page, pages), 0);
			memset(model->cpu + page, true, pages);
		} else {
			enum ds_evidence evidence =
				i % 4 ? DS_EVIDENCE_EXPOSED : DS_EVIDENCE_COMPLETED;

			assert_int_equal(
				page_map__add_device(map, FIRST + page, (unsigned)device, evidence),
				0);
			(i % 4 ? model->exposed : model->completed)[page][device] = true;
		}
	}
}

struct check {
	const struct model *model;
	enum ds_evidence evidence;
	bool told[SPAN];
	uint64_t last; /* page behind the last run */
};

static uint64_t devices_of(const struct model *model, uint64_t page, enum ds_evidence evidence)
{
	uint64_t devices = 0;

	for (unsigned device = 0; device < DEVICES; device++)
		if (model->completed[page][device] ||
		    (evidence == DS_EVIDENCE_EXPOSED && model->exposed[page][device]))
			devices |= 1ULL << device;
	return devices;
}

static int check_run(void *context, const struct page_run *run)
{
	struct check *check = context;

	assert_true(run->pages > 0 && run->page >= check->last);
	check->last = run->page + run->pages;
	for (uint64_t page = run->page - FIRST; page < run->page - FIRST + run->pages; page++) {
		assert_true(page < SPAN);
		assert_int_equal(run->cpu, check->model->cpu[page]);
		assert_int_equal(run->devices, devices_of(check->model, page, check->evidence));
		check->told[page] = true;
	}
	return 0;
}

static void compare(struct page_map *map, const struct model *model, enum ds_evidence evidence)
{
	struct check check = {.model = model, .evidence = evidence};
	struct page_counts counts, want = {0}, bare;

	assert_int_equal(page_map__walk(map, evidence, &counts, check_run, &check), 0);
	assert_int_equal(page_map__walk(map, evidence, &bare, NULL, NULL), 0);
	for (uint64_t page = 0; page < SPAN; page++) {
		bool cpu = model->cpu[page], dma = devices_of(model, page, evidence);

		assert_int_equal(check.told[page], cpu || dma);
		want.cpu += cpu;
		want.dma += dma;
		want.both += cpu && dma;
		want.all += cpu || dma;
		want.missed += !cpu && devices_of(model, page, DS_EVIDENCE_COMPLETED);
	}
	assert_memory_equal(&counts, &want, sizeof(want));
	assert_memory_equal(&bare, &want, sizeof(want));
}

static void test_walk(void **unused)
{
	for (int round = 0; round < 30; round++) {
		struct page_map *map = page_map__new(), *other = page_map__new();
		struct model model = {0};
		uint64_t bytes;

		write_some(map, &model);
		write_some(other, &model);
		assert_int_equal(page_map__merge(map, other), 0);
		compare(map, &model, DS_EVIDENCE_EXPOSED);
		compare(map, &model, DS_EVIDENCE_COMPLETED);
		page_map__clear(map);
		memset(&model, 0, sizeof(model));
		compare(map, &model, DS_EVIDENCE_EXPOSED);
		assert_true(page_map__is_empty(map));
		/* It has its memory still, and takes no more for the same pages. */
		bytes = page_map__bytes(map);
		assert_true(bytes > 0);
		assert_int_equal(page_map__add_cpu(map, FIRST, SPAN), 0);
		assert_int_equal(page_map__bytes(map), bytes);
		page_map__free(map);
		page_map__free(other);
	}
}

struct told_words {
	bool told[SPAN];
	uint64_t pages;
};

static int take_word(void *context, uint64_t page, uint64_t bits)
{
	struct told_words *words = context;

	assert_int_equal(page % 64, 0);
	for (; bits; bits &= bits - 1) {
		const uint64_t at = page + (uint64_t)__builtin_ctzll(bits) - FIRST;

		assert_true(at < SPAN);
		assert_false(words->told[at]);
		words->told[at] = true;
		words->pages++;
	}
	return 0;
}

/* Words are told of whatever anybody wrote; how many the CPU side has is counted as far as asked.
 */
static void test_words(void **unused)
{
	for (int round = 0; round < 30; round++) {
		struct page_map *map = page_map__new();
		struct told_words words = {0};
		struct model model = {0};
		uint64_t cpu = 0;

		write_some(map, &model);
		assert_int_equal(page_map__each_word(map, take_word, &words), 0);
		for (uint64_t page = 0; page < SPAN; page++) {
			assert_int_equal(words.told[page],
					 model.cpu[page] ||
						 devices_of(&model, page, DS_EVIDENCE_EXPOSED));
			cpu += model.cpu[page];
		}
		assert_true(page_map__has_more(map, cpu - 1));
		assert_false(page_map__has_more(map, cpu));
		page_map__free(map);
	}
}

/* By what another map has, in any order and at any place in a word. */
static void test_divide(void **unused)
{
	for (int round = 0; round < 100; round++) {
		struct page_map *by = page_map__new(), *in = page_map__new(),
				*out = page_map__new();
		struct model known = {0}, inside = {0}, outside = {0};

		write_some(by, &known);
		for (int i = 0; i < 20; i++) {
			uint64_t page = chance(SPAN), pages = 1 + chance(i % 2 ? 3 : 1500);

			pages = pages < SPAN - page ? pages : SPAN - page;
			assert_int_equal(page_map__divide(by, FIRST + page, pages, in, out), 0);
			for (uint64_t at = page; at < page + pages; at++)
				(known.cpu[at] ? &inside : &outside)->cpu[at] = true;
		}
		compare(in, &inside, DS_EVIDENCE_EXPOSED);
		compare(out, &outside, DS_EVIDENCE_EXPOSED);
		compare(by, &known, DS_EVIDENCE_EXPOSED);
		page_map__free(by);
		page_map__free(in);
		page_map__free(out);
	}
}

static void copy_model(struct model *into, uint64_t to, const struct model *from, uint64_t page,
		       uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++) {
		into->cpu[to + i] |= from->cpu[page + i];
		for (int device = 0; device < DEVICES; device++) {
			into->completed[to + i][device] |= from->completed[page + i][device];
			into->exposed[to + i][device] |= from->exposed[page + i][device];
		}
	}
}

/* Every distance between source and place, aligned or not. */
static void test_copy(void **unused)
{
	for (int round = 0; round < 100; round++) {
		struct page_map *from = page_map__new(), *into = page_map__new();
		struct model source = {0}, place = {0};
		uint64_t page = chance(SPAN), to = chance(SPAN), pages = 1 + chance(1500);

		pages = pages < SPAN - page ? pages : SPAN - page;
		pages = pages < SPAN - to ? pages : SPAN - to;
		write_some(from, &source);
		write_some(into, &place);
		copy_model(&place, to, &source, page, pages);
		assert_int_equal(page_map__copy(into, FIRST + to, from, FIRST + page, pages), 0);
		compare(into, &place, DS_EVIDENCE_EXPOSED);
		compare(from, &source, DS_EVIDENCE_EXPOSED);
		page_map__free(from);
		page_map__free(into);
	}
}

/* A file that is mapped twice: both views are the same afterwards. */
static void test_copy_within(void **unused)
{
	struct page_map *map = page_map__new(), *offsets = page_map__new();
	struct model model = {0};

	assert_int_equal(page_map__add_cpu(map, FIRST + 10, 3), 0);
	assert_int_equal(page_map__add_device(map, FIRST + 1005, 1, DS_EVIDENCE_COMPLETED), 0);
	for (uint64_t view = 0; view < 2; view++)
		assert_int_equal(page_map__copy(offsets, 0, map, FIRST + view * 1000, 100), 0);
	for (uint64_t view = 0; view < 2; view++) {
		assert_int_equal(page_map__copy(map, FIRST + view * 1000, offsets, 0, 100), 0);
		memset(model.cpu + view * 1000 + 10, true, 3);
		model.completed[view * 1000 + 5][1] = true;
	}
	compare(map, &model, DS_EVIDENCE_COMPLETED);
	assert_int_equal(page_map__copy(map, FIRST, map, FIRST, SPAN), 0);
	compare(map, &model, DS_EVIDENCE_COMPLETED);
	page_map__free(map);
	page_map__free(offsets);
}

/* ---- what is owed ---- */

#define EPOCHS 300
#define PAGES 1200

struct ledger {
	bool epoch[EPOCHS + 1][PAGES];
	uint64_t acknowledged;
};

static int mark(void *context, const struct page_run *run)
{
	bool *told = context;

	for (uint64_t page = run->page; page < run->page + run->pages; page++)
		told[page] = true;
	return 0;
}

/* All that is owed is told, and nothing that was acknowledged for good. */
static void check_owed(struct owed_pages *owed, const struct ledger *ledger, uint64_t cursor)
{
	struct page_counts counts;
	struct page_map *all;
	bool told[PAGES] = {0};

	assert_int_equal(owed_pages__all(owed, &all), 0);
	assert_int_equal(page_map__walk(all, DS_EVIDENCE_COMPLETED, &counts, mark, told), 0);
	for (uint64_t page = 0; page < PAGES; page++) {
		bool want = false;

		for (uint64_t epoch = ledger->acknowledged + 1; epoch <= cursor; epoch++)
			want |= ledger->epoch[epoch][page];
		/* What was put together is acknowledged only together. */
		if (want || cursor - ledger->acknowledged <= 4)
			assert_int_equal(told[page], want);
	}
}

static void check_working_set(const struct owed_pages *owed, const struct ledger *ledger,
			      uint64_t epoch, uint64_t first, uint64_t end)
{
	uint64_t sets[TRACK_EPOCHS];

	owed_pages__working_set(owed, first, end, sets);
	for (uint64_t length = 1; length <= TRACK_EPOCHS; length++) {
		uint64_t want = 0;

		for (uint64_t page = first; page < end && page < PAGES; page++) {
			bool written = false;

			for (uint64_t back = 0; back < length && back < epoch; back++)
				written |= ledger->epoch[epoch - back][page];
			want += written;
		}
		assert_int_equal(sets[length - 1], want);
	}
}

static void test_owed(void **unused)
{
	struct owed_pages *owed = owed_pages__new();
	static struct ledger ledger;

	for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
		struct page_counts counts;
		struct page_map *all;
		uint64_t written = 0;

		for (int i = 0; i < 60; i++)
			ledger.epoch[epoch][chance(PAGES)] = true;
		for (uint64_t page = 0; page < PAGES; page++)
			if (ledger.epoch[epoch][page]) {
				assert_int_equal(
					page_map__add_cpu(owed_pages__fresh(owed), page, 1), 0);
				written++;
			}
		assert_int_equal(
			owed_pages__deliver(owed, epoch, DS_EVIDENCE_COMPLETED, &counts, &all), 0);
		assert_int_equal(counts.all, written);
		assert_true(page_map__is_empty(owed_pages__fresh(owed)));
		check_owed(owed, &ledger, epoch);
		if (chance(3) == 0 && epoch > ledger.acknowledged) {
			uint64_t cursor =
				ledger.acknowledged + 1 + chance(epoch - ledger.acknowledged);

			owed_pages__acknowledge(owed, cursor);
			ledger.acknowledged = cursor;
			owed_pages__acknowledge(owed, cursor / 2); /* an old one changes nothing */
			check_owed(owed, &ledger, epoch);
		}
		check_working_set(owed, &ledger, epoch, 0, UINT64_MAX);
		check_working_set(owed, &ledger, epoch, 100, 700);
	}
	owed_pages__acknowledge(owed, EPOCHS);
	ledger.acknowledged = EPOCHS;
	check_owed(owed, &ledger, EPOCHS);
	owed_pages__free(owed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),	    cmocka_unit_test(test_words),
		cmocka_unit_test(test_divide),	    cmocka_unit_test(test_copy),
		cmocka_unit_test(test_copy_within), cmocka_unit_test(test_owed),
	};

	return cmocka_run_group_tests_name("page_map", tests, NULL, NULL);
}
