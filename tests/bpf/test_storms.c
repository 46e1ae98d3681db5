/* SPDX-License-Identifier: BSD-2-Clause */
/* Far more keys than the tables hold, from all CPUs at once: no event is lost unseen. */
#include "tests/bpf/crew.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "twins.skel.h"

#define TURNS 20000ULL /* of each process on each CPU */

/* Many rounds, because the race for a new key's slot is over within microseconds. */
static void more_processes_than_slots(void **state)
{
	struct harness *h = *state;
	uint64_t offered = KEYS * online_cpus();
	struct ds_sensor_stats stats;

	for (int round = 0; round < 200; round++) {
		uint64_t counted = 0;

		harness__reset(h);
		storm__run(h->twins->progs.twin_storm_fault, 0, 0, 0, round % 2);
		storm__identity(h, DS_SENSOR_FAULT, offered);
		storm__all_slots_taken(h, TABLE_PROCESSES);
		stats = harness__sensor(h, DS_SENSOR_FAULT);
		for (uint32_t slot = 1; slot < SLOTS; slot++)
			counted += harness__process(h, slot).first_touch;
		assert_int_equal(stats.counted, counted);
		assert_uint_in_range(counted, SLOTS - 1, (SLOTS - 1) * online_cpus());
		assert_int_equal(stats.lost[DS_LOST_PROCESSES_FULL], offered - counted);
		assert_int_equal(harness__process(h, DS_SLOT_NONE).first_touch, offered - counted);
	}
}

/* Reads every slot once; counters that fell, or more than was offered, fail. */
static void read_turns(struct harness *h, uint64_t seen[SLOTS], uint64_t *handed_over)
{
	uint64_t sum = 0;

	process_counts__look(h->counts);
	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		struct ds_process_stats fresh = {0};

		if (process_counts__read(h->counts, slot, &fresh)) {
			assert_true(fresh.first_touch >= seen[slot]);
			seen[slot] = fresh.first_touch;
		} else {
			(*handed_over)++;
		}
		sum += fresh.first_touch;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	assert_true(sum <= harness__sensor(h, DS_SENSOR_FAULT).offered);
}

/* Processes that take turns on all CPUs, each of which keeps something for one at a time. */
static void read_while_cpus_switch(void **state)
{
	struct harness *h = *state;
	const uint64_t turns = TURNS * (SLOTS - 1);
	const int program = bpf_program__fd(h->twins->progs.twin_storm_turns);
	uint64_t reads = 0, handed_over = 0;

	for (int round = 0; round < 20; round++) {
		uint64_t seen[SLOTS] = {0};
		struct crew crew = {0};

		harness__reset(h);
		/* Each is met once, before two CPUs want the last slot for the same one. */
		harness__run(program, (uint64_t[12]){0, 1, SLOTS - 1, 0, SLOTS - 1});
		for (int i = 0; i < online_cpus(); i++) {
			uint64_t *arguments = crew.workers[i].arguments;

			arguments[0] = i;
			arguments[1] = 1 + round % 2; /* 15 slots: all of them are met either way */
			arguments[2] = turns;
			arguments[4] = SLOTS - 1;
		}
		crew__start(&crew, h->twins->progs.twin_storm_turns);
		for (; atomic_load(&crew.running); reads += SLOTS - 1)
			read_turns(h, seen, &handed_over);
		crew__join(&crew);
		read_turns(h, seen, &handed_over);
		storm__identity(h, DS_SENSOR_FAULT, turns * online_cpus() + SLOTS - 1);
		for (uint32_t slot = 1; slot < SLOTS; slot++)
			assert_int_equal(seen[slot], TURNS * online_cpus() + 1);
	}
	print_message("%llu reads, %llu of them while a CPU was handing over\n",
		      (unsigned long long)reads, (unsigned long long)handed_over);
	assert_true(reads > 0);
}

static void more_writers_than_slots(void **state)
{
	struct harness *h = *state;
	uint64_t mapping = fake__new(h, "address_space", 1), pages = 0, known = 0;
	uint64_t offered = KEYS * online_cpus();
	struct ds_pagecache_stats device;
	struct ds_sensor_stats stats;
	uint32_t dev = 0;

	storm__run(h->twins->progs.twin_storm_pagecache, mapping, 0, 3, true);
	storm__identity(h, DS_SENSOR_PAGECACHE, offered);
	storm__all_slots_taken(h, TABLE_PROCESSES);
	stats = harness__sensor(h, DS_SENSOR_PAGECACHE);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		pages += harness__process(h, slot).pagecache;
		known += slot ? harness__process(h, slot).pagecache : 0;
	}
	assert_int_equal(pages, offered * 3);
	assert_int_equal(known, stats.counted * 3);
	assert_int_equal(bpf_map_lookup_elem(harness__table(h, TABLE_PAGECACHE), &dev, &device), 0);
	assert_int_equal(device.pagecache, offered * 3);
}

/* One page per CPU, 4096 bytes. Returns the first CPU's bio; the next is step further on. */
static uint64_t fake_bios(struct harness *h, uint64_t *step)
{
	uint64_t size = (fake__sizeof(h, "bio") + 63) & ~63ULL, first = 0;

	*step = size + 64;
	for (int i = 0; i < online_cpus(); i++) {
		uint64_t bio = fake__new(h, "bio", 1), array = fake__new(h, "bio_vec", 1);

		fake__segments(h, array, &(struct fake_segment){100 + 2 * i, 0, 4096}, 1);
		fake__set(h, bio, "bio.bi_io_vec", array);
		fake__set(h, bio, "bio.bi_iter.bi_size", 4096);
		first = first ? first : bio;
		assert_int_equal(bio, first + i * *step);
	}
	h->twins->bss->storm_disk = fake__disk(h, "sd", 1);
	return first;
}

static void more_disks_than_slots(void **state)
{
	struct harness *h = *state;
	uint64_t offered = KEYS * online_cpus(), step, bio = fake_bios(h, &step);
	struct ds_device_stats all, nobody;
	struct ds_sensor_stats stats;

	storm__run(h->twins->progs.twin_storm_complete, bio, step, 4096, true);
	storm__identity(h, DS_SENSOR_BLOCK, offered);
	storm__all_slots_taken(h, TABLE_SOURCES);
	stats = harness__sensor(h, DS_SENSOR_BLOCK);
	nobody = harness__device(h, DS_SLOT_NONE);
	all = storm__all_devices(h);
	assert_int_equal(all.block_requests, offered);
	assert_int_equal(all.block_pages, offered);
	assert_int_equal(all.block_bytes, offered * 4096);
	assert_int_equal(stats.counted, 0); /* nobody has submitted them */
	assert_int_equal(stats.lost[DS_LOST_DEVICES_FULL], nobody.block_requests);
	assert_int_equal(stats.lost[DS_LOST_UNKNOWN_SUBMITTER], offered - nobody.block_requests);
	assert_int_equal(all.lost, offered);
}

static void more_flows_than_entries(void **state)
{
	struct harness *h = *state;
	uint64_t offered = KEYS * online_cpus(), step, bio = fake_bios(h, &step);
	struct ds_flow_stats flow, sum = {0};
	struct ds_flow_key key, *last = NULL;
	struct ds_sensor_stats stats;
	int flows = harness__table(h, TABLE_FLOWS);

	storm__run(h->twins->progs.twin_storm_read, bio, step, 4096, true);
	storm__identity(h, DS_SENSOR_BLOCK, offered);
	stats = harness__sensor(h, DS_SENSOR_BLOCK);
	for (; !bpf_map_get_next_key(flows, last, &key); last = &key) {
		assert_int_equal(bpf_map_lookup_elem(flows, &key, &flow), 0);
		assert_int_equal(key.slot, 1);
		sum.pages += flow.pages;
		sum.bytes += flow.bytes;
		sum.requests += flow.requests;
	}
	assert_int_equal(harness__device(h, 1).block_pages, offered);
	assert_int_equal(sum.requests, stats.counted);
	assert_int_equal(sum.pages, stats.counted);
	assert_int_equal(sum.bytes, stats.counted * 4096);
	assert_int_equal(stats.lost[DS_LOST_FLOWS_FULL], offered - stats.counted);
	assert_true(stats.counted >= TABLE_ENTRIES);
}

int storm_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(more_processes_than_slots, harness__each),
		cmocka_unit_test_setup(read_while_cpus_switch, harness__each),
		cmocka_unit_test_setup(more_writers_than_slots, harness__each),
		cmocka_unit_test_setup(more_disks_than_slots, harness__each),
		cmocka_unit_test_setup(more_flows_than_entries, harness__each),
	};

	return cmocka_run_group_tests_name("storms", tests, harness__group, harness__group_end);
}
