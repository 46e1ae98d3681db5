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
#include "agent/kernel/page_sets.h"
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

/* One interval of a second: what each wrote in it counts, and those that qualify get series. */
static void look(struct series_pool *pool, struct series *owners, int count, double *now)
{
	struct series **candidates = calloc((size_t)count, sizeof(*candidates));
	size_t living = 0;

	for (int i = 0; i < count; i++) {
		series__feed(&owners[i], 1);
		if (!owners[i].promoted)
			candidates[living++] = &owners[i];
	}
	series_pool__promote(pool, *now, candidates, living);
	*now += 1;
	free(candidates);
}

static void publish(struct series *owners, int count)
{
	for (int i = 0; i < count; i++)
		memcpy(owners[i].published, owners[i].written, sizeof(owners[i].published));
}

static void series_never_fall(void **state)
{
	struct series owners[OWNERS] = {0};
	struct series_pool pool = {.limit = 7, .most_per_hour = 1000000};
	uint64_t truth = 0, dropped = 0, last_other = 0, last_exited = 0, other, exited;
	unsigned seed = 1;
	double now = 1;

	for (int round = 0; round < 2000; round++) {
		for (int i = 0; i < OWNERS; i++) {
			uint64_t more = rand_r(&seed) % 3 ? 0 : rand_r(&seed) % 1000;

			owners[i].written[0] += more;
			truth += more;
		}
		look(&pool, owners, OWNERS, &now);
		assert_true(pool.used <= pool.limit);
		if (rand_r(&seed) % 5 == 0) { /* one ends; another takes its place */
			struct series *gone = &owners[rand_r(&seed) % OWNERS];

			dropped += gone->written[0];
			series_pool__end(&pool, gone);
			memset(gone, 0, sizeof(*gone));
		}
		assert_int_equal(visible_sum(owners, &pool, dropped, &other, &exited), truth);
		assert_true(other >= last_other && exited >= last_exited);
		publish(owners, OWNERS);
		last_other = other;
		last_exited = exited;
	}
	assert_int_equal(pool.used, pool.limit);
	assert_true(exited > 0);
}

static void the_busiest_are_promoted(void **state)
{
	struct series owners[10] = {0};
	struct series_pool pool = {.limit = 3, .most_per_hour = 1000000};
	double now = 1;

	for (int i = 0; i < 10; i++) {
		owners[i].published[1] = 1000;
		owners[i].written[1] = 1000 + (i == 4 ? 0 : (uint64_t)i * 100);
	}
	look(&pool, owners, 10, &now);
	for (int i = 0; i < 10; i++)
		assert_int_equal(owners[i].promoted, i >= 7);
	assert_int_equal(owners[9].base[1], 1000);
	publish(owners, 10);
	/* For life: busier ones that come later get none. */
	owners[1].written[1] += 100000;
	look(&pool, owners, 10, &now);
	assert_false(owners[1].promoted);
}

static int promoted_of(const struct series *owners, int count)
{
	int promoted = 0;

	for (int i = 0; i < count; i++)
		promoted += owners[i].promoted;
	return promoted;
}

/* A thousand processes a second that live for three: only the one that stays gets a series. */
static void short_lives_get_no_series(void **state)
{
	enum { LIVING = 3001, SECONDS = 90 };
	struct series *owners = calloc(LIVING, sizeof(*owners));
	struct series_pool pool = {.limit = 1000, .hold = 60, .most_per_hour = 500};
	double now = 1;

	for (int second = 0; second < SECONDS; second++) {
		memset(&owners[second % 3 * 1000], 0, 1000 * sizeof(*owners));
		for (int i = 0; i < LIVING; i++)
			owners[i].written[0] += i == LIVING - 1 ? 100 : 20;
		look(&pool, owners, LIVING, &now);
		publish(owners, LIVING);
		assert_int_equal(promoted_of(owners, LIVING - 1), 0);
		/* It has been among the busiest from its first second on. */
		assert_int_equal(owners[LIVING - 1].promoted, second >= 60);
	}
	assert_int_equal(pool.used, 1);
	free(owners);
}

static void idle_ones_begin_anew(void **state)
{
	struct series owners[2] = {0};
	struct series_pool pool = {.limit = 10, .hold = 60, .most_per_hour = 500};
	double now = 1;

	for (int second = 0; second < 600; second++) {
		owners[0].written[0] += second % 30 ? 0 : 100; /* seldom, but again and again */
		owners[1].written[0] += second % 300 ? 0 : 2;  /* too little */
		look(&pool, owners, 2, &now);
		publish(owners, 2);
	}
	assert_true(owners[0].promoted && !owners[1].promoted);
}

/* Lives of two minutes, ten new ones a second: no hour has more new series than allowed. */
static void an_hour_has_a_limit(void **state)
{
	enum { LIVING = 1200, SECONDS = 3 * 3600, ALLOWED = 500 };
	struct series *owners = calloc(LIVING, sizeof(*owners));
	struct series_pool pool = {.limit = 1000, .hold = 60, .most_per_hour = ALLOWED};
	int *made = calloc(SECONDS, sizeof(*made)), hour = 0, all = 0;
	double now = 1;

	for (int second = 0; second < SECONDS; second++) {
		for (int i = second % 120 * 10; i < second % 120 * 10 + 10; i++) {
			series_pool__end(&pool, &owners[i]);
			memset(&owners[i], 0, sizeof(owners[i]));
		}
		for (int i = 0; i < LIVING; i++)
			owners[i].written[0] += 20;
		made[second] = -promoted_of(owners, LIVING);
		look(&pool, owners, LIVING, &now);
		made[second] += promoted_of(owners, LIVING);
		publish(owners, LIVING);
		hour += made[second] - (second >= 3600 ? made[second - 3600] : 0);
		all += made[second];
		assert_true(hour <= ALLOWED);
	}
	assert_true(all > ALLOWED); /* they are spread, not used up for good */
	free(made);
	free(owners);
}

/* One snapshot of them, in a host where all that is written is in groups or told beside. */
struct rows {
	struct groups *groups;
	struct arena *arena;
	struct snapshot_group *list;
	size_t count;
	struct snapshot_rest rest;
	uint64_t total; /* of the host, by the CPU */
	double now;
};

static void rows__new(struct rows *rows, uint32_t max_rows, uint32_t max_series)
{
	const struct series_pool limits = {.limit = max_series, .most_per_hour = 1000000};

	memset(rows, 0, sizeof(*rows));
	rows->groups = groups__new(max_rows, &limits);
	rows->arena = arena__new(256);
	rows->now = 1000;
}

static void rows__free(struct rows *rows)
{
	arena__free(rows->arena);
	groups__free(rows->groups);
}

static void rows__add(struct rows *rows, struct group *group, uint64_t pages)
{
	groups__add(rows->groups, group, DS_WRITER_CPU, pages);
	rows->total += pages;
}

/* Publishes, and holds both sums against the host's. */
static void rows__take(struct rows *rows, double seconds)
{
	const uint64_t totals[DS_WRITERS] = {[DS_WRITER_CPU] = rows->total};
	uint64_t listed = 0, scraped;

	rows->now += seconds;
	assert_int_equal(groups__publish(rows->groups, rows->now, seconds, totals, rows->arena,
					 &rows->list, &rows->count, &rows->rest),
			 0);
	scraped = rows->rest.other[DS_WRITER_CPU] + rows->rest.exited[DS_WRITER_CPU];
	for (size_t i = 0; i < rows->count; i++) {
		const struct snapshot_group *row = &rows->list[i];

		listed += row->written[DS_WRITER_CPU];
		if (row->promoted)
			scraped += row->written[DS_WRITER_CPU] - row->base[DS_WRITER_CPU];
	}
	assert_int_equal(listed, rows->total);
	assert_int_equal(scraped, rows->total);
	groups__begin(rows->groups);
}

static const struct snapshot_group *rows__find(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++)
		if (strcmp(rows->list[i].name, name) == 0)
			return &rows->list[i];
	return NULL;
}

static uint64_t rows__cpu(const struct rows *rows, const char *name)
{
	const struct snapshot_group *row = rows__find(rows, name);

	assert_non_null(row);
	return row->written[DS_WRITER_CPU];
}

static void groups_keep_what_their_members_wrote(void **state)
{
	struct group *a, *b;
	struct rows rows;

	rows__new(&rows, 10, 1);
	a = groups__get(rows.groups, "/b");
	b = groups__get(rows.groups, "/a");
	assert_ptr_equal(groups__get(rows.groups, "/b"), a);
	for (uint64_t round = 1; round <= 3; round++) {
		rows__add(&rows, a, 10);
		rows__add(&rows, b, 1);
		rows.total += 100; /* of nobody */
		group__add_process(a);
		rows__take(&rows, 2);
		assert_int_equal(rows.count, 4);
		assert_string_equal(rows.list[0].name, SNAPSHOT_EXITED);
		assert_string_equal(rows.list[1].name, SNAPSHOT_OTHER);
		assert_string_equal(rows.list[2].name, "/a");
		assert_int_equal(rows.list[1].written[DS_WRITER_CPU], 100 * round);
		assert_true(rows.list[1].rates[DS_WRITER_CPU] == 50.0);
		assert_int_equal(rows.list[3].written[DS_WRITER_CPU], 10 * round);
		assert_true(rows.list[3].rates[DS_WRITER_CPU] == 5.0);
		assert_int_equal(rows.list[3].processes, 1);
		assert_true(rows.list[3].promoted && !rows.list[2].promoted);
	}
	rows__free(&rows);
}

static void groups_that_have_gone_leave(void **state)
{
	struct group *kept, *gone;
	struct rows rows;

	rows__new(&rows, 10, 10);
	kept = groups__get(rows.groups, "/kept");
	gone = groups__get(rows.groups, "/gone");
	group__add_member(kept, 1);
	group__add_member(gone, 1);
	rows__add(&rows, kept, 5);
	rows__add(&rows, gone, 7);
	rows__take(&rows, 1);
	group__add_member(gone, -1);
	groups__put(rows.groups, gone);
	rows__take(&rows, 1);
	rows__take(&rows, GROUPS_GONE_SECONDS - 1);
	assert_int_equal(rows__cpu(&rows, "/gone"), 7);
	rows__take(&rows, 1);
	assert_null(rows__find(&rows, "/gone"));
	assert_int_equal(rows__cpu(&rows, SNAPSHOT_EXITED), 7);
	assert_int_equal(rows__cpu(&rows, SNAPSHOT_OTHER), 0);
	assert_int_equal(rows__cpu(&rows, "/kept"), 5);
	/* One of its name is another. */
	gone = groups__get(rows.groups, "/gone");
	rows__add(&rows, gone, 1);
	rows__take(&rows, 1);
	assert_int_equal(rows__cpu(&rows, "/gone"), 1);
	rows__free(&rows);
}

static void groups_make_room_for_who_writes(void **state)
{
	enum { ROOM = 8, MANY = 100 };
	struct group *groups[MANY];
	struct rows rows;
	char name[32];

	rows__new(&rows, ROOM, 3);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "/group-%d", i);
		groups[i] = groups__get(rows.groups, name);
		group__add_member(groups[i], 1);
	}
	for (int i = 0; i < MANY; i++) { /* one writes, all others are idle */
		rows__add(&rows, groups[i], i + 1);
		rows__take(&rows, 1);
		(void)snprintf(name, sizeof(name), "/group-%d", i);
		assert_int_equal(rows__cpu(&rows, name), i + 1);
		assert_true(rows.count <= ROOM + 2);
	}
	rows__add(&rows, groups[0], 3); /* back again, from nothing */
	rows__take(&rows, 1);
	assert_int_equal(rows__cpu(&rows, "/group-0"), 3);
	for (int i = 0; i < MANY; i++) /* more at once than there is room for */
		rows__add(&rows, groups[i], 1);
	rows__take(&rows, 1);
	assert_int_equal(rows.count, ROOM + 2);
	rows__free(&rows);
}

/* As by a program that gives each of its short processes another name. */
static void names_without_end(void **state)
{
	enum { ROOM = 4096, A_ROUND = 1000, ROUNDS = 40 };
	struct group *stays;
	struct rows rows;
	char name[32];

	rows__new(&rows, ROOM, 3);
	stays = groups__get(rows.groups, "stays");
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < A_ROUND; i++) {
			(void)snprintf(name, sizeof(name), "name-%d-%d", round, i);
			struct group *group = groups__get(rows.groups, name);

			rows__add(&rows, group, 1);
			groups__put(rows.groups, group);
		}
		rows__add(&rows, stays, 1);
		rows__take(&rows, 1);
		assert_true(rows.count <= ROOM + 2);
		assert_int_equal(rows__cpu(&rows, "stays"), round + 1);
	}
	/* Most of the room is in use all the time. */
	assert_true(rows.count > ROOM - ROOM / 8);
	groups__put(rows.groups, stays);
	rows__free(&rows);
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
		cmocka_unit_test(short_lives_get_no_series),
		cmocka_unit_test(idle_ones_begin_anew),
		cmocka_unit_test(an_hour_has_a_limit),
		cmocka_unit_test(groups_keep_what_their_members_wrote),
		cmocka_unit_test(groups_that_have_gone_leave),
		cmocka_unit_test(groups_make_room_for_who_writes),
		cmocka_unit_test(names_without_end),
		cmocka_unit_test(a_sweep_loses_no_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
