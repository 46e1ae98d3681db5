/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's side of page sets over the programs' tables: it grows, sweeps, and takes back. */
#include "tests/bpf/harness.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/kernel_side.h"
#include "agent/kernel/page_sets.h"
#include "twins.skel.h"

#define GIB (1ULL << DS_PIECE_SHIFT) /* pages */
#define LIMIT                                                                              \
	(2 * DS_BANK_PIECES * DS_PIECE_BYTES) /* as many banks as the harness has room for \
					       */

struct pool {
	struct harness *h;
	struct kernel_tables tables;
	struct page_sets *sets;
};

static uint32_t mark(struct harness *h, uint32_t slot, uint64_t pfn, uint64_t pages)
{
	run(h, mark, slot, pfn, pages);
	return h->twins->bss->marked;
}

/* Nothing is there but what the agent makes. */
static void open_pool(struct pool *pool, struct harness *h, uint64_t limit)
{
	uint32_t region;

	*pool = (struct pool){.h = h};
	while (!bpf_map_lookup_and_delete_elem(bpf_map__fd(h->twins->maps.free_regions), NULL,
					       &region))
		;
	memset(h->entries, 0, sizeof(*h->entries) * SETS * REGIONS * DS_REGION_PIECES);
	memset(h->twins->bss->ds_region_of, 0, sizeof(h->twins->bss->ds_region_of));
	memset(h->twins->bss->ds_set_of, 0, sizeof(h->twins->bss->ds_set_of));
	h->twins->bss->ds_pieces_taken = 0;
	pool->tables = (struct kernel_tables){
		.source_slots = SETS - 1,
		.memory_pages = 4 * GIB,
		.page_regions = REGIONS,
		.set_of = h->twins->bss->ds_set_of,
		.region_of = h->twins->bss->ds_region_of,
		.page_entries = h->entries,
		.pieces_taken = &h->twins->bss->ds_pieces_taken,
		.page_banks_fd = bpf_map__fd(h->twins->maps.page_banks),
		.free_pieces_fd = bpf_map__fd(h->twins->maps.free_pieces),
		.free_regions_fd = bpf_map__fd(h->twins->maps.free_regions),
	};
	assert_int_equal(page_sets__new(&pool->tables, limit, &pool->sets), 0);
}

static void close_pool(struct pool *pool)
{
	page_sets__free(pool->sets);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(pool->h->twins->maps.page_banks),
						     &i, &pool->h->bank_fds[i], BPF_ANY),
				 0);
}

struct found {
	uint64_t pages, first, last;
};

static void note(void *context, uint64_t first_pfn, uint64_t bits)
{
	struct found *found = context;

	if (!found->pages)
		found->first = first_pfn + (uint64_t)__builtin_ctzll(bits);
	found->last = first_pfn + 63 - (uint64_t)__builtin_clzll(bits);
	found->pages += (uint64_t)__builtin_popcountll(bits);
}

static struct found sweep(struct pool *pool, uint32_t set)
{
	struct found found = {0};

	const uint64_t pages = page_sets__sweep(pool->sets, set, note, &found);

	assert_int_equal(pages, found.pages);
	return found;
}

static void swept_where_written(void **state)
{
	static const uint64_t pages[] = {
		0, 63, 8191, 8192, 3 * GIB + 77, GIB << 8, (GIB << 8) + 12345};
	struct found found;
	struct pool pool;
	uint32_t set;

	open_pool(&pool, *state, LIMIT);
	set = page_sets__take(pool.sets);
	assert_int_equal(set, 1);
	page_sets__bind(pool.sets, 5, set);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		assert_int_equal(mark(pool.h, 5, pages[i], 1), DS_LOST_NOT);
		assert_int_equal(sweep(&pool, PAGE_SET_SHARED).pages, 0);
		found = sweep(&pool, set);
		assert_int_equal(found.pages, 1);
		assert_true(found.first == pages[i]);
		assert_int_equal(sweep(&pool, set).pages, 0);
	}
	assert_int_equal(mark(pool.h, 5, GIB - 300, 700), DS_LOST_NOT);
	found = sweep(&pool, set);
	assert_int_equal(found.pages, 700);
	assert_true(found.first == GIB - 300 && found.last == GIB + 399);
	page_sets__unbind(pool.sets, 5);
	assert_int_equal(mark(pool.h, 5, 9, 1), DS_LOST_NOT);
	assert_int_equal(sweep(&pool, PAGE_SET_SHARED).pages, 1);
	close_pool(&pool);
}

/* What programs took is made up for; at the limit there is no more, and it is said. */
static void grows_up_to_the_limit(void **state)
{
	const uint64_t bank = DS_BANK_PIECES * DS_PIECE_BYTES;
	struct pool pool;
	uint64_t gib = 0;

	open_pool(&pool, *state, LIMIT + DS_PIECE_BYTES);
	assert_int_equal(page_sets__bytes(pool.sets), bank);
	for (; gib < DS_BANK_PIECES / 2; gib++)
		assert_int_equal(mark(pool.h, 1, gib * GIB, 1), DS_LOST_NOT);
	assert_false(page_sets__grow(pool.sets));
	assert_int_equal(page_sets__bytes(pool.sets), bank);
	assert_int_equal(mark(pool.h, 1, gib++ * GIB, 1), DS_LOST_NOT);
	assert_false(page_sets__grow(pool.sets));
	assert_int_equal(page_sets__bytes(pool.sets), 2 * bank);
	for (; gib < 2 * DS_BANK_PIECES; gib++)
		assert_int_equal(mark(pool.h, 1, gib * GIB, 1), DS_LOST_NOT);
	assert_true(page_sets__grow(pool.sets));
	assert_int_equal(page_sets__bytes(pool.sets), 2 * bank);
	assert_int_equal(sweep(&pool, PAGE_SET_SHARED).pages, 2 * DS_BANK_PIECES);
	page_sets__bind(pool.sets, 2, page_sets__take(pool.sets));
	assert_int_equal(mark(pool.h, 2, 7, 1), DS_LOST_PAGE_SETS_FULL);
	assert_int_equal(sweep(&pool, PAGE_SET_SHARED).pages, 1);
	close_pool(&pool);
}

/* A device that goes gives its pieces back, empty, for the next one. */
static void pieces_come_back(void **state)
{
	struct pool pool;
	uint32_t set;

	open_pool(&pool, *state, DS_BANK_PIECES * DS_PIECE_BYTES);
	for (int round = 0; round < 5; round++) {
		set = page_sets__take(pool.sets);
		assert_int_equal(set, 1);
		page_sets__bind(pool.sets, 3, set);
		for (uint64_t gib = 0; gib < DS_BANK_PIECES; gib++)
			assert_int_equal(mark(pool.h, 3, gib * GIB + 5, 3), DS_LOST_NOT);
		assert_true(page_sets__grow(pool.sets));
		if (round % 2)
			assert_int_equal(sweep(&pool, set).pages, 3 * DS_BANK_PIECES);
		page_sets__unbind(pool.sets, 3);
		page_sets__give_back(pool.sets, set);
		assert_false(page_sets__grow(pool.sets));
		assert_int_equal(sweep(&pool, set).pages, 0);
	}
	for (uint32_t i = 1; i < SETS; i++)
		assert_int_equal(page_sets__take(pool.sets), i);
	assert_int_equal(page_sets__take(pool.sets), PAGE_SET_SHARED);
	close_pool(&pool);
}

int page_pool_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(swept_where_written, harness__each),
		cmocka_unit_test_setup(grows_up_to_the_limit, harness__each),
		cmocka_unit_test_setup(pieces_come_back, harness__each),
	};

	return cmocka_run_group_tests_name("page pool", tests, harness__group, harness__group_end);
}
