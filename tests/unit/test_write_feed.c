/* SPDX-License-Identifier: BSD-2-Clause */
/* What devices write, on its way to the tracks: nothing is lost between adding and draining. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "agent/base/frame_set.h"
#include "agent/tracks/device/write_feed.h"

#define FRAMES (1ULL << 20)
#define WORDS (FRAMES / 64)
#define ADDED 400000

struct seen {
	uint64_t completed[WORDS], exposed[WORDS];
	uint64_t calls;
};

static int note(void *context, unsigned device, enum ds_evidence evidence, uint64_t first_pfn,
		uint64_t bits)
{
	struct seen *seen = context;

	assert_int_equal(first_pfn % 64, 0);
	(evidence == DS_EVIDENCE_EXPOSED ? seen->exposed : seen->completed)[first_pfn / 64] |= bits;
	seen->calls++;
	return 0;
}

static void test_drain(void **unused)
{
	struct write_feed *feed = write_feed__new();
	const struct page_listener *listener = write_feed__listener(feed);
	struct seen *seen = calloc(1, sizeof(*seen));
	struct write_log *one, *other;
	unsigned device;

	assert_false(listener->listens(listener->context));
	assert_int_equal(write_log__new(feed, &one), 0);
	assert_int_equal(write_log__new(feed, &other), 0);
	assert_true(listener->listens(listener->context));
	device = listener->device(listener->context, "pci/0000:00:04.0");
	assert_int_equal(listener->device(listener->context, "pci/0000:00:04.0"), device);
	assert_string_equal(write_feed__device(feed, device), "pci/0000:00:04.0");
	assert_int_equal(write_feed__find(feed, "none"), PAGE_MAP_DEVICES);
	listener->pages(listener->context, device, DS_EVIDENCE_COMPLETED, 128, 5);
	listener->pages(listener->context, device, DS_EVIDENCE_EXPOSED, FRAMES - 64, 1ULL << 63);
	listener->pages(listener->context, device, DS_EVIDENCE_COMPLETED, FRAME_SET_FRAMES,
			1); /* no memory's */
	assert_int_equal(write_log__drain(one, note, seen), 0);
	assert_int_equal(seen->completed[2], 5);
	assert_true(seen->exposed[WORDS - 1] == 1ULL << 63);
	assert_int_equal(seen->calls, 2);
	assert_int_equal(write_log__drain(one, note, seen), 0);
	assert_int_equal(seen->calls, 2);
	assert_int_equal(write_log__drain(other, note, seen), 0);
	assert_int_equal(seen->calls, 4);
	assert_int_equal(write_log__lost(one), 0);
	write_log__free(one);
	write_log__free(other);
	assert_false(listener->listens(listener->context));
	write_feed__free(feed);
	free(seen);
}

/* More devices than there are numbers share the last one. */
static void test_many_devices(void **unused)
{
	struct write_feed *feed = write_feed__new();
	const struct page_listener *listener = write_feed__listener(feed);
	char id[32];

	for (unsigned i = 0; i < PAGE_MAP_DEVICES * 2; i++) {
		snprintf(id, sizeof(id), "pci/%u", i);
		assert_int_equal(listener->device(listener->context, id),
				 i < PAGE_MAP_DEVICES - 1 ? i : PAGE_MAP_DEVICES - 1);
	}
	assert_string_equal(write_feed__device(feed, PAGE_MAP_DEVICES - 1), "other");
	write_feed__free(feed);
}

static int refuse_third(void *context, unsigned device, enum ds_evidence evidence,
			uint64_t first_pfn, uint64_t bits)
{
	return ++*(int *)context == 3 ? -ENOMEM : 0;
}

/* A drain that is broken off keeps the rest. */
static void test_broken_off(void **unused)
{
	struct write_feed *feed = write_feed__new();
	const struct page_listener *listener = write_feed__listener(feed);
	struct seen *seen = calloc(1, sizeof(*seen));
	struct write_log *log;
	int calls = 0;

	assert_int_equal(write_log__new(feed, &log), 0);
	for (uint64_t i = 0; i < 10; i++)
		listener->pages(listener->context, 0, DS_EVIDENCE_COMPLETED, i * 64 * 100, 1);
	assert_int_equal(write_log__drain(log, refuse_third, &calls), -ENOMEM);
	assert_int_equal(write_log__drain(log, note, seen), 0);
	assert_int_equal(seen->calls, 8);
	write_log__free(log);
	write_feed__free(feed);
	free(seen);
}

struct race {
	const struct page_listener *listener;
	uint64_t truth[WORDS];
	bool done;
};

static void *add(void *argument)
{
	struct race *race = argument;
	uint64_t value = 1;

	for (int i = 0; i < ADDED; i++) {
		value = value * 6364136223846793005ULL + 1442695040888963407ULL;
		race->truth[(value >> 40) % WORDS] |= 1ULL << (value >> 58);
		race->listener->pages(race->listener->context, value >> 20 & 3,
				      DS_EVIDENCE_COMPLETED, (value >> 40) % WORDS * 64,
				      1ULL << (value >> 58));
	}
	__atomic_store_n(&race->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void test_race(void **unused)
{
	struct write_feed *feed = write_feed__new();
	struct race *race = calloc(1, sizeof(*race));
	struct seen *seen = calloc(1, sizeof(*seen));
	struct write_log *log;
	pthread_t thread;
	bool done = false;

	race->listener = write_feed__listener(feed);
	assert_int_equal(write_log__new(feed, &log), 0);
	assert_int_equal(pthread_create(&thread, NULL, add, race), 0);
	while (!done) {
		done = __atomic_load_n(&race->done, __ATOMIC_ACQUIRE);
		assert_int_equal(write_log__drain(log, note, seen), 0);
	}
	pthread_join(thread, NULL);
	assert_memory_equal(seen->completed, race->truth, sizeof(race->truth));
	write_log__free(log);
	write_feed__free(feed);
	free(race);
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_many_devices),
		cmocka_unit_test(test_broken_off),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests_name("write_feed", tests, NULL, NULL);
}
