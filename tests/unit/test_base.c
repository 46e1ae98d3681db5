/* SPDX-License-Identifier: BSD-2-Clause */
/* log, arena, snapshot and its store. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/arena.h"
#include "agent/base/log.h"
#include "agent/snapshot/snapshot.h"

/* ---- log ---- */

/* What one log line is on standard error, from " level=" on. */
static void capture(char *line, size_t size, const char *message, const char *pairs)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	const char *level;
	char text[4096];
	ssize_t length;

	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_warn(message, "%s", pairs);
	dup2(saved, STDERR_FILENO);
	close(pipes[1]);
	close(saved);
	length = read(pipes[0], text, sizeof(text) - 1);
	close(pipes[0]);
	assert_true(length >= 0);
	text[length] = '\0';
	level = strstr(text, " level=");
	snprintf(line, size, "%s", level ? level : text);
}

static void test_log_quoting(void **state)
{
	static const struct {
		const char *message, *pairs, *line;
	} cases[] = {
		{"plain", "", " level=warn msg=\"plain\"\n"},
		{"with", "a=1 b=two", " level=warn msg=\"with\" a=1 b=two\n"},
		{"say \"hi\" \\", "", " level=warn msg=\"say \\\"hi\\\" \\\\\"\n"},
		{"two\nlines\t", "k=a\nlevel=error",
		 " level=warn msg=\"two\\nlines\\t\" k=a\\nlevel=error\n"},
		{"esc \033[2J", "c1=\302\233x", " level=warn msg=\"esc \\u001b[2J\" c1=\\u009bx\n"},
		{"cut \303", "ok=\303\244", " level=warn msg=\"cut \357\277\275\" ok=\303\244\n"},
	};
	char line[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		capture(line, sizeof(line), cases[i].message, cases[i].pairs);
		assert_string_equal(line, cases[i].line);
	}
}

static void test_log_levels(void **state)
{
	enum log_level level = LOG_INFO;
	char line[256];

	assert_int_equal(log__parse_level("debug", &level), 0);
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(log__parse_level("error", &level), 0);
	assert_int_equal(level, LOG_ERROR);
	assert_int_equal(log__parse_level("WARN", &level), -EINVAL);
	assert_int_equal(log__parse_level("", &level), -EINVAL);
	assert_int_equal(level, LOG_ERROR);
	log__set_level(LOG_ERROR);
	capture(line, sizeof(line), "below", "");
	assert_string_equal(line, "");
	log__set_level(LOG_INFO);
	capture(line, sizeof(line), "long", "x=1");
	assert_string_equal(line, " level=warn msg=\"long\" x=1\n");
}

/* ---- arena ---- */

static void test_arena(void **state)
{
	struct arena *arena = arena__new(0);
	size_t used = 0;
	char *large;

	assert_non_null(arena);
	for (size_t size = 0; size < 3000; size += 7) {
		unsigned char *data = arena__alloc(arena, size);

		assert_non_null(data);
		assert_int_equal((uintptr_t)data % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(data[i], 0);
		memset(data, 0xff, size);
		used += size;
	}
	assert_true(arena__used(arena) >= used);
	large = arena__alloc(arena, 20 << 20);
	assert_non_null(large);
	large[(20 << 20) - 1] = 1;
	assert_string_equal(arena__strdup(arena, "a name"), "a name");
	assert_string_equal(arena__strdup(arena, ""), "");
	assert_ptr_not_equal(arena__alloc(arena, 0), arena__alloc(arena, 0));
	assert_null(arena__alloc(arena, SIZE_MAX));
	assert_null(arena__alloc(arena, SIZE_MAX - 20));
	assert_string_equal(arena__strdup(arena, "still works"), "still works");
	arena__free(arena);
	arena__free(NULL);
}

/* ---- snapshot, identity, store ---- */

static void test_names(void **state)
{
	assert_string_equal(ds_writer_names[DS_WRITER_DMA], "dma");
	assert_string_equal(ds_sensor_names[DS_SENSOR_PROCESS], "process");
	assert_string_equal(ds_lost_names[DS_LOST_PFN_RANGE], "pfn_range");
	assert_string_equal(ds_lost_names[DS_LOST_RECURSION], "recursion");
	for (int i = 0; i < DS_WRITERS; i++)
		assert_non_null(ds_writer_names[i]);
	for (int i = 0; i < DS_SENSOR_COUNT; i++)
		assert_non_null(ds_sensor_names[i]);
	for (int i = 0; i < DS_LOST_REASONS; i++)
		assert_non_null(ds_lost_names[i]);
}

static void test_identity(void **state)
{
	char user[] = "root", container[] = "0123";
	struct process_identity from = {.references = 7,
					.tgid = 42,
					.start_boottime_ns = 5,
					.comm = "worker",
					.uid = 3,
					.user = user,
					.cgroup = "/a",
					.container = container};
	struct process_identity *identity = process_identity__new(&from);

	assert_non_null(identity);
	memset(user, 'x', 4);
	memset(container, 'x', 4);
	assert_int_equal(identity->references, 1);
	assert_int_equal(identity->tgid, 42);
	assert_string_equal(identity->comm, "worker");
	assert_string_equal(identity->user, "root");
	assert_string_equal(identity->cmdline, "");
	assert_string_equal(identity->cgroup, "/a");
	assert_string_equal(identity->container, "0123");
	assert_null(identity->vm_name);
	assert_null(identity->hypervisor);
	assert_ptr_equal(process_identity__get(identity), identity);
	process_identity__put(identity);
	assert_string_equal(identity->user, "root");
	process_identity__put(identity);
	process_identity__put(NULL);
	assert_null(process_identity__get(NULL));
}

#define PUBLISHED 2000
#define READERS 3

/* A snapshot with some processes and flows of a shared identity; `flows` of them have none. */
static struct snapshot *make_snapshot(uint64_t sequence, struct process_identity *identity)
{
	struct snapshot *snapshot = snapshot__new();

	assert_non_null(snapshot);
	snapshot->sequence = sequence;
	snapshot->time.tv_sec = (time_t)sequence;
	snapshot->process_count = 5;
	snapshot->processes = arena__alloc(snapshot->arena, 5 * sizeof(*snapshot->processes));
	snapshot->flow_count = 2;
	snapshot->flows = arena__alloc(snapshot->arena, 2 * sizeof(*snapshot->flows));
	for (size_t i = 0; i < 5; i++) {
		snapshot->processes[i].identity = process_identity__get(identity);
		snapshot->processes[i].written[DS_WRITER_CPU] = sequence;
	}
	snapshot->flows[0].identity = process_identity__get(identity);
	return snapshot;
}

static void *read_store(void *context)
{
	struct snapshot_store *store = context;
	uint64_t last = 0;

	while (last < PUBLISHED) {
		struct snapshot *snapshot = snapshot_store__latest(store);

		if (!snapshot)
			continue;
		/* Immutable and whole, and never older than one seen before. */
		if (snapshot->sequence < last ||
		    snapshot->processes[4].written[DS_WRITER_CPU] != snapshot->sequence)
			abort();
		last = snapshot->sequence;
		snapshot__put(snapshot);
	}
	return NULL;
}

static void test_store(void **state)
{
	struct process_identity from = {.tgid = 1}, *identity = process_identity__new(&from);
	struct snapshot_store *store = snapshot_store__new();
	pthread_t readers[READERS];

	assert_non_null(store);
	assert_null(snapshot_store__latest(store));
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_store, store), 0);
	for (uint64_t sequence = 1; sequence <= PUBLISHED; sequence++)
		snapshot_store__publish(store, make_snapshot(sequence, identity));
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	/* Held by the newest alone: five processes, one flow, and ours. */
	assert_int_equal(identity->references, 7);
	snapshot_store__free(store);
	assert_int_equal(identity->references, 1);
	process_identity__put(identity);
	snapshot__put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_quoting), cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_arena),	    cmocka_unit_test(test_names),
		cmocka_unit_test(test_identity),    cmocka_unit_test(test_store),

	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
