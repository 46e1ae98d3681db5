/* SPDX-License-Identifier: BSD-2-Clause */
/* Far more keys than the tables hold, from all CPUs at once: no event is lost unseen. */
#include "tests/bpf/crew.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "twins.skel.h"

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
		cmocka_unit_test_setup(more_writers_than_slots, harness__each),
		cmocka_unit_test_setup(more_disks_than_slots, harness__each),
		cmocka_unit_test_setup(more_flows_than_entries, harness__each),
	};

	return cmocka_run_group_tests_name("storms", tests, harness__group, harness__group_end);
}
