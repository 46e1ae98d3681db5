/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings and buffers from all CPUs at once: exposure is exact, and ends. */
#include "tests/bpf/crew.h"

#include <bpf/bpf.h>

#include "twins.skel.h"

/* Each CPU maps addresses of its own, for the same devices. */
static void fill_and_empty_the_ledger(struct harness *h)
{
	const int from = DS_DMA_FROM_DEVICE;
	const uint64_t apart = 1ULL << 40;
	uint64_t offered = KEYS * online_cpus(), full;
	struct ds_device_stats nobody, all;
	struct ds_sensor_stats stats;
	size_t entries;

	storm__run(h->twins->progs.twin_storm_map, 0, apart, 8192, false);
	storm__identity(h, DS_SENSOR_DMA, offered);
	storm__all_slots_taken(h, TABLE_SOURCES);
	stats = harness__sensor(h, DS_SENSOR_DMA);
	nobody = harness__device(h, DS_SLOT_NONE);
	all = storm__all_devices(h);
	full = stats.lost[DS_LOST_MAPPINGS_FULL];
	assert_int_equal(all.maps[from], offered);
	assert_int_equal(all.mapped_bytes[from], offered * 8192);
	assert_int_equal(all.lost, offered - stats.counted);
	assert_int_equal(all.maps[from] - nobody.maps[from], stats.counted + full);
	assert_int_equal(stats.lost[DS_LOST_DEVICES_FULL], nobody.maps[from]);
	entries = storm__entries(h, TABLE_MAPPINGS);
	assert_int_equal(entries, LEDGER_ENTRIES);
	assert_int_equal(all.exposed_pages, 2 * entries);
	assert_int_equal(all.live_mappings, entries);

	/* All of them unmap what the first has mapped, then each its own: every mapping ends once.
	 */
	storm__run(h->twins->progs.twin_storm_unmap, 0, 0, 8192, false);
	all = storm__all_devices(h);
	assert_int_equal(all.exposed_pages, 2 * storm__entries(h, TABLE_MAPPINGS));
	assert_int_equal(all.unmatched_unmaps,
			 offered - (entries - storm__entries(h, TABLE_MAPPINGS)));
	storm__run(h->twins->progs.twin_storm_unmap, 0, apart, 8192, false);
	all = storm__all_devices(h);
	storm__identity(h, DS_SENSOR_DMA, 3 * offered);
	assert_int_equal(storm__entries(h, TABLE_MAPPINGS), 0);
	assert_int_equal(all.unmatched_unmaps, 2 * offered - entries);
	assert_int_equal(all.exposed_pages, 0);
	assert_int_equal(all.live_mappings, 0);
	assert_int_equal(all.unmaps[from], 2 * offered);
}

static void more_mappings_than_the_ledger_holds(void **state)
{
	for (int round = 0; round < 40; round++) {
		harness__reset(*state);
		fill_and_empty_the_ledger(*state);
	}
}

/* What the counters say is what the ledger says. */
static void exposure_is_the_ledger(struct harness *h)
{
	struct ds_device_stats all = storm__all_devices(h);
	struct ds_mapping_key key, *last = NULL;
	struct ds_mapping mapping;
	int64_t pages = 0, entries = 0;

	for (; !bpf_map_get_next_key(harness__table(h, TABLE_MAPPINGS), last, &key); last = &key) {
		assert_int_equal(
			bpf_map_lookup_elem(harness__table(h, TABLE_MAPPINGS), &key, &mapping), 0);
		pages += (int64_t)mapping.pages;
		entries++;
	}
	assert_int_equal(all.exposed_pages, pages);
	assert_int_equal(all.live_mappings, entries);
}

/* Each page that a CPU mapped is in a set: two slots may have been made for the device at once. */
static void all_pages_are_marked(struct harness *h, uint64_t first)
{
	for (uint64_t pfn = first + KEY_BASE; pfn < first + KEY_BASE + KEYS + 1; pfn++) {
		uint64_t word = 0;

		for (int slot = 0; slot < SETS; slot++)
			word |= h->sets[slot][pfn / 64];
		assert_true(word & 1ULL << pfn % 64);
	}
}

/* The same addresses of the same device from all CPUs: of the same memory, or of each its own. */
static void one_address_of_all_cpus(void **state)
{
	const uint64_t apart = 1 << 26; /* bytes */
	struct harness *h = *state;
	struct ds_device_stats all;
	uint64_t held;

	for (int round = 0; round < 100; round++) {
		uint64_t memory = round % 2 ? apart : 0;

		harness__reset(h);
		h->twins->bss->storm_device = fake__device(h, "d", NULL);
		storm__run(h->twins->progs.twin_storm_cycle, memory, memory, 8192, round / 2 % 2);
		storm__identity(h, DS_SENSOR_DMA, 2 * KEYS * online_cpus());
		exposure_is_the_ledger(h);
		all = storm__all_devices(h);
		held = harness__sensor(h, DS_SENSOR_DMA).lost[DS_LOST_CONTENDED];
		assert_int_equal(all.lost, held);
		assert_uint_in_range(all.live_mappings, 0, held); /* one CPU held on to an entry */
		if (held)
			continue;
		assert_int_equal(all.exposed_pages, 0);
		assert_int_equal(all.unmatched_unmaps, 0);
		for (int i = 0; i < online_cpus(); i++)
			all_pages_are_marked(h, (memory + i * memory) >> 12);
	}
}

/*
 * One request of many segments, which its driver maps with interrupts off: the table may not have
 * to wait for one to get memory. Run on a CPU that is named, a program runs in an interrupt.
 */
static void a_burst_with_interrupts_off(void **state)
{
	const uint64_t memory = 1ULL << 26;
	uint64_t keys[] = {KEY_BASE, 1, 1024, memory, 4096, 0, 0, 0, 0, 0, 0, 0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = keys, .ctx_size_in = sizeof(keys),
		    .flags = BPF_F_TEST_RUN_ON_CPU);
	struct harness *h = harness__new(true, keys[2]);

	(void)state;
	h->twins->bss->storm_device = fake__device(h, "d", NULL);
	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(h->twins->progs.twin_storm_burst), &options),
		0);
	assert_int_equal(harness__sensor(h, DS_SENSOR_DMA).counted, keys[2]);
	assert_int_equal(storm__entries(h, TABLE_MAPPINGS), keys[2]);
	exposure_is_the_ledger(h);
	harness__free(h);
}

/* Tokens of its own on each CPU, or all the same; more buffers than the table holds. */
static void more_buffers_than_the_table_holds(void **state)
{
	static const struct fake_segment segment = {100, 0, 8192};
	struct harness *h = *state;
	const uint64_t offered = KEYS * online_cpus(), apart = 1ULL << 40;
	struct ds_device_stats all;
	uint64_t full, entries;

	for (int round = 0; round < 20; round++) {
		harness__reset(h);
		h->twins->bss->storm_queue = fake__queue(h, "virtio0");
		h->twins->bss->storm_list = fake__list(h, &segment, 1, 1);
		storm__run(h->twins->progs.twin_storm_give, 0, apart, 0, false);
		storm__identity(h, DS_SENSOR_VIRTIO, offered);
		full = harness__sensor(h, DS_SENSOR_VIRTIO).lost[DS_LOST_MAPPINGS_FULL];
		all = storm__all_devices(h);
		entries = storm__entries(h, TABLE_BUFFERS);
		assert_int_equal(entries, LEDGER_ENTRIES);
		assert_int_equal(full, offered - entries);
		assert_int_equal(all.lost, full);
		assert_int_equal(all.virtio_buffers, offered);
		assert_int_equal(all.exposed_pages, 2 * entries);
		assert_int_equal(all.live_mappings, entries);

		storm__run(h->twins->progs.twin_storm_take, 0, apart, 8192, false);
		storm__identity(h, DS_SENSOR_VIRTIO, offered + entries);
		all = storm__all_devices(h);
		assert_int_equal(all.virtio_used, entries);
		assert_int_equal(all.virtio_pages, 2 * entries);
		assert_int_equal(all.exposed_pages, 0);
		assert_int_equal(all.live_mappings, 0);
		assert_int_equal(storm__entries(h, TABLE_BUFFERS), 0);

		storm__run(h->twins->progs.twin_storm_buffers, 0, apart, 8192, false);
		storm__identity(h, DS_SENSOR_VIRTIO, offered + entries + 2 * offered);
		all = storm__all_devices(h);
		assert_int_equal(all.virtio_used, entries + offered);
		assert_int_equal(all.exposed_pages, 0);
		assert_int_equal(all.live_mappings, 0);
	}
}

int ledger_storm_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(more_mappings_than_the_ledger_holds, harness__each),
		cmocka_unit_test_setup(one_address_of_all_cpus, harness__each),
		cmocka_unit_test(a_burst_with_interrupts_off),
		cmocka_unit_test_setup(more_buffers_than_the_table_holds, harness__each),
	};

	return cmocka_run_group_tests_name("ledger storms", tests, harness__group,
					   harness__group_end);
}
