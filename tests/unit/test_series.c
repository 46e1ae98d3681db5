/* SPDX-License-Identifier: BSD-2-Clause */
/* Series, groups and page sets: sums that must never fall, bits that must never get lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/arena.h"
#include "agent/inventory/groups.h"
#include "agent/kernel/page_set.h"
#include "agent/inventory/series.h"

#define OWNERS 50

/* The sum that a scrape sees: own series, "other" and "exited". */
static uint64_t visible_sum(const struct series *owners, const struct series_pool *pool,
			    uint64_t dropped, uint64_t *other, uint64_t *exited)
{
	uint64_t totals[DS_WRITERS] = {dropped}, promoted[DS_WRITERS] = {0};
	struct snapshot_rest rest;

	for (int i = 0; i < OWNERS; i++) {
		totals[0] += owners[i].written[0];
		if (owners[i].promoted)
			promoted[0] += owners[i].written[0] - owners[i].base[0];
	}
	series_pool__rest(pool, totals, promoted, &rest);
	*other = rest.other[0];
	*exited = rest.exited[0];
	return promoted[0] + rest.other[0] + rest.exited[0];
}

static void series_never_fall(void **state)
{
	struct series owners[OWNERS] = {0}, *candidates[OWNERS];
	struct series_pool pool = {.limit = 7};
	uint64_t truth = 0, dropped = 0, last_other = 0, last_exited = 0, other, exited;
	unsigned seed = 1;

	for (int round = 0; round < 2000; round++) {
		size_t count = 0;

		for (int i = 0; i < OWNERS; i++) {
			uint64_t more = rand_r(&seed) % 3 ? 0 : rand_r(&seed) % 1000;

			owners[i].written[0] += more;
			owners[i].rate = more;
			truth += more;
			if (more && !owners[i].promoted)
				candidates[count++] = &owners[i];
		}
		series_pool__promote(&pool, candidates, count);
		assert_true(pool.used <= pool.limit);
		if (rand_r(&seed) % 5 == 0) { /* one ends; another takes its place */
			struct series *gone = &owners[rand_r(&seed) % OWNERS];

			dropped += gone->written[0];
			series_pool__end(&pool, gone);
			memset(gone, 0, sizeof(*gone));
		}
		assert_int_equal(visible_sum(owners, &pool, dropped, &other, &exited), truth);
		assert_true(other >= last_other && exited >= last_exited);
		for (int i = 0; i < OWNERS; i++)
			owners[i].published[0] = owners[i].written[0];
		last_other = other;
		last_exited = exited;
	}
	assert_int_equal(pool.used, pool.limit);
	assert_true(exited > 0);
}

static void the_busiest_are_promoted(void **state)
{
	struct series owners[10] = {0}, *candidates[10];
	struct series_pool pool = {.limit = 3};

	for (int i = 0; i < 10; i++) {
		owners[i].rate = i == 4 ? 0 : i;
		owners[i].published[1] = 100 + i;
		owners[i].written[1] = 200 + i;
		candidates[i] = &owners[i];
	}
	series_pool__promote(&pool, candidates, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(owners[i].promoted, i >= 7);
	assert_int_equal(owners[9].base[1], 109);
	/* For life: busier ones that come later get none. */
	owners[1].rate = 1000;
	candidates[0] = &owners[1];
	series_pool__promote(&pool, candidates, 1);
	assert_false(owners[1].promoted);
}

static void groups_keep_what_their_members_wrote(void **state)
{
	struct groups *groups = groups__new(1);
	struct snapshot_group *rows;
	struct snapshot_rest rest;
	struct arena *arena;
	struct group *a, *b;
	size_t count;

	a = groups__find(groups, "/b");
	b = groups__find(groups, "/a");
	assert_ptr_equal(groups__find(groups, "/b"), a);
	for (int round = 1; round <= 3; round++) {
		groups__begin(groups);
		group__add(a, DS_WRITER_CPU, 10);
		group__add(b, DS_WRITER_CPU, 1);
		group__add_process(a);
		arena = arena__new(256);
		assert_int_equal(groups__publish(groups, 2.0, arena, &rows, &count, &rest), 0);
		assert_int_equal(count, 2);
		assert_string_equal(rows[0].name, "/a");
		assert_int_equal(rows[1].written[DS_WRITER_CPU], 10 * round);
		assert_true(rows[1].rates[DS_WRITER_CPU] == 5.0);
		assert_int_equal(rows[1].processes, 1);
		assert_true(rows[1].promoted && !rows[0].promoted);
		/* Sum of series: the promoted since then, all else in other. */
		assert_int_equal(rows[1].written[0] - rows[1].base[0] + rest.other[0] +
					 rest.exited[0],
				 11 * round);
		arena__free(arena);
	}
	groups__free(groups);
}

static void groups_are_bounded(void **state)
{
	struct groups *groups = groups__new(10);
	struct snapshot_group *rows;
	struct snapshot_rest rest;
	struct arena *arena = arena__new(256);
	char name[32];
	uint64_t visible = 0;
	size_t count;

	for (int i = 0; i < GROUPS_MAX + 100; i++) {
		(void)snprintf(name, sizeof(name), "/group-%d", i);
		group__add(groups__find(groups, name), DS_WRITER_DMA, 1);
	}
	assert_int_equal(groups__publish(groups, 1, arena, &rows, &count, &rest), 0);
	assert_int_equal(count, GROUPS_MAX);
	for (size_t i = 0; i < count; i++)
		visible += rows[i].promoted
				   ? rows[i].written[DS_WRITER_DMA] - rows[i].base[DS_WRITER_DMA]
				   : 0;
	assert_int_equal(visible, 10); /* series */
	assert_int_equal(visible + rest.other[DS_WRITER_DMA], GROUPS_MAX + 100);
	arena__free(arena);
	groups__free(groups);
}

#define WORDS 1024
struct marks {
	uint64_t words[WORDS];
	uint64_t seen[WORDS];
	int stop;
};

static void note(void *context, uint64_t first_pfn, uint64_t bits)
{
	((struct marks *)context)->seen[first_pfn / 64] |= bits;
}

static void *mark_all(void *context)
{
	struct marks *marks = context;

	for (size_t i = 0; i < WORDS; i++)
		for (int bit = 0; bit < 64; bit++)
			__atomic_fetch_or(&marks->words[i], 1ULL << bit, __ATOMIC_RELAXED);
	__atomic_store_n(&marks->stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void a_sweep_loses_no_bit(void **state)
{
	struct marks *marks = calloc(1, sizeof(*marks));
	uint64_t found = 0;
	pthread_t marker;

	assert_int_equal(pthread_create(&marker, NULL, mark_all, marks), 0);
	while (!__atomic_load_n(&marks->stop, __ATOMIC_ACQUIRE))
		found += page_words__sweep(marks->words, WORDS, note, marks);
	pthread_join(marker, NULL);
	found += page_words__sweep(marks->words, WORDS, note, marks);
	assert_int_equal(found, WORDS * 64);
	for (size_t i = 0; i < WORDS; i++) {
		assert_true(marks->seen[i] == ~0ULL);
		assert_int_equal(marks->words[i], 0);
	}
	free(marks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(series_never_fall),
		cmocka_unit_test(the_busiest_are_promoted),
		cmocka_unit_test(groups_keep_what_their_members_wrote),
		cmocka_unit_test(groups_are_bounded),
		cmocka_unit_test(a_sweep_loses_no_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
