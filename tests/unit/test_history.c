/* SPDX-License-Identifier: BSD-2-Clause */
/* What is kept of the past: history and events. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/snapshot/events.h"
#include "agent/snapshot/history.h"

/* ---- history ---- */

static void add_point(struct history *history, time_t second, const double *rates, size_t count)
{
	struct process_identity identity = {.comm = "p"};
	struct snapshot_process processes[20] = {};
	struct snapshot_device devices[20] = {};
	struct snapshot snapshot = {.time = {.tv_sec = second},
				    .interval = 2,
				    .dirty_pages = 10,
				    .exposed_pages = 3,
				    .processes = processes,
				    .process_count = count,
				    .devices = devices,
				    .device_count = count};

	for (size_t i = 0; i < count; i++) {
		processes[i].identity = &identity;
		processes[i].rates[DS_WRITER_CPU] = rates[i] / 2;
		processes[i].rates[DS_WRITER_DMA] = rates[i] / 2;
		devices[i].id =
			"pci/0000:00:04.0-with-a-name-that-is-much-longer-than-the-sixty-three";
		devices[i].rate = rates[i];
	}
	snapshot.rates[DS_WRITER_CPU] = (double)second;
	history__add(history, &snapshot);
}

static void test_history_window(void **state)
{
	struct history *history = history__new(10);
	struct history_point *points;

	assert_null(history__new(0));
	assert_null(history__new(SIZE_MAX));
	assert_int_equal(history__read(history, 900, &points), 0);
	assert_null(points);
	for (time_t second = 1; second <= 25; second++)
		add_point(history, second, NULL, 0);
	assert_int_equal(history__read(history, 900, &points), 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(points[i].time.tv_sec, 16 + i);
	assert_true(points[9].rates[DS_WRITER_CPU] == 25.0);
	assert_true(points[9].dirty_pages == 5.0);
	assert_int_equal(points[9].exposed_pages, 3);
	free(points);
	assert_int_equal(history__read(history, 3, &points), 4);
	assert_int_equal(points[0].time.tv_sec, 22);
	free(points);
	assert_int_equal(history__read(history, 0, &points), 1);
	free(points);
	assert_int_equal(history__read(history, -1, &points), 0);
	assert_int_equal(history__read(history, NAN, &points), 0);
	/* The clock is set back: only what came after. */
	add_point(history, 7, NULL, 0);
	add_point(history, 8, NULL, 0);
	assert_int_equal(history__read(history, 900, &points), 2);
	assert_int_equal(points[0].time.tv_sec, 7);
	free(points);
	history__free(history);
	history__free(NULL);
}

static void test_history_busiest(void **state)
{
	static const double rates[] = {1, 0, 9, 3, NAN, 7, 7, 2, 8, 4, 6, 5, -1, 10};
	static const double expected[HISTORY_BUSIEST] = {10, 9, 8, 7, 7, 6, 5, 4};
	struct history *history = history__new(2);
	struct history_point *points;

	add_point(history, 1, rates, sizeof(rates) / sizeof(rates[0]));
	add_point(history, 2, rates, 2);
	assert_int_equal(history__read(history, 900, &points), 2);
	assert_int_equal(points[0].process_count, HISTORY_BUSIEST);
	assert_int_equal(points[0].device_count, HISTORY_BUSIEST);
	for (int i = 0; i < HISTORY_BUSIEST; i++) {
		assert_true(points[0].processes[i].rate == expected[i]);
		assert_true(points[0].devices[i].rate == expected[i]);
		assert_int_equal(strlen(points[0].devices[i].id), 63);
	}
	assert_int_equal(points[1].process_count, 1);
	free(points);
	history__free(history);
}

/* ---- events ---- */

static void test_events_ring(void **state)
{
	struct events *events = events__new();
	char longest[1000];
	struct event *copy;
	uint64_t oldest = 9;

	assert_int_equal(events__read(events, 0, 10, &copy, &oldest), 0);
	assert_null(copy);
	assert_int_equal(oldest, 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	events__add(events, longest, longest, longest, "%s", longest);
	assert_int_equal(events__read(events, 0, 10, &copy, &oldest), 1);
	assert_int_equal(strlen(copy->type), sizeof(copy->type) - 1);
	assert_int_equal(strlen(copy->severity), sizeof(copy->severity) - 1);
	assert_int_equal(strlen(copy->subject), sizeof(copy->subject) - 1);
	assert_int_equal(strlen(copy->message), sizeof(copy->message) - 1);
	free(copy);
	for (int i = 2; i <= EVENTS_KEPT + 100; i++)
		events__add(events, "agent", "info", "s", "number %d", i);
	assert_int_equal(events__read(events, 0, SIZE_MAX, &copy, &oldest), EVENTS_KEPT);
	assert_int_equal(oldest, 101);
	for (int i = 0; i < EVENTS_KEPT; i++)
		assert_int_equal(copy[i].id, 101 + i);
	assert_string_equal(copy[0].message, "number 101");
	free(copy);
	assert_int_equal(events__read(events, 1000, 3, &copy, NULL), 3);
	assert_int_equal(copy[0].id, 1001);
	assert_string_equal(copy[2].message, "number 1003");
	free(copy);
	assert_int_equal(events__read(events, EVENTS_KEPT + 99, 10, &copy, NULL), 1);
	free(copy);
	assert_int_equal(events__read(events, EVENTS_KEPT + 100, 10, &copy, NULL), 0);
	assert_int_equal(events__read(events, UINT64_MAX, 10, &copy, NULL), 0);
	assert_int_equal(events__read(events, 0, 0, &copy, NULL), 0);
	events__free(events);
	events__free(NULL);
}

static void *add_events(void *context)
{
	for (int i = 0; i < 300; i++)
		events__add(context, "agent", "info", "thread", "%d", i);
	return NULL;
}

static void test_events_threads(void **state)
{
	struct events *events = events__new();
	pthread_t threads[3];
	struct event *copy;

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_events, events), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(events__read(events, 0, 2000, &copy, NULL), 900);
	for (int i = 1; i < 900; i++) {
		assert_int_equal(copy[i].id, i + 1);
		assert_true(copy[i].time.tv_sec > copy[i - 1].time.tv_sec ||
			    (copy[i].time.tv_sec == copy[i - 1].time.tv_sec &&
			     copy[i].time.tv_nsec >= copy[i - 1].time.tv_nsec));
	}
	free(copy);
	events__free(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history_window),
		cmocka_unit_test(test_history_busiest),
		cmocka_unit_test(test_events_ring),
		cmocka_unit_test(test_events_threads),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
