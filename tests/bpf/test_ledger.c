/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses that are mapped again, unmaps told late, or never, or of what nobody knows. */
#include "tests/bpf/mappings.h"

#include "twins.skel.h"

#define NO_UNMAP_REMAPPINGS 64
#define NO_UNMAP_MAPS 16384

static uint32_t flags(struct harness *h)
{
	return h->source_infos[1].flags;
}

static uint64_t one_device(struct harness *h)
{
	uint64_t device = fake__device(h, "0000:00:04.0", "pci");

	want__device(h, device, 1);
	return device;
}

/* Two buffers share an address where nothing translates: each mapping is exposure of its own. */
static void the_same_memory_again(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h), size = (4 << 12) + 1;
	struct ds_mapping entry = entry_of(1, PHYS, size, FROM);

	map_one(h, device, 1, PHYS, PHYS, size, FROM);
	for (entry.live = 2, entry.pages = 10; entry.live <= 7; entry.live++, entry.pages += 5) {
		map_event(h, device, 1, PHYS, PHYS, size, FROM);
		want__exposed(h, 1, 5, 0);
		want__entry(h, DS_MAPPING_SINGLE, device, PHYS, &entry);
		harness__check(h);
	}
	assert_int_equal(h->source_infos[1].open_maps, 7);
	assert_int_equal(h->source_infos[1].remappings, 6);
	assert_int_equal(flags(h), DS_SOURCE_DIRECT);
	sync_event(h, device, 1, PHYS + 4096, 4096,
		   FROM); /* of one of them; which does not matter */
	want__completed(h, 1, PHYS + 4096, 4096);
	for (entry.live = 6, entry.pages = 30; entry.live; entry.live--, entry.pages -= 5) {
		unmap_event(h, device, 1, PHYS, size, FROM);
		want__exposed(h, 1, -5, 0);
		want__completed(h, 1, PHYS, size);
		want__entry(h, DS_MAPPING_SINGLE, device, PHYS, &entry);
		harness__check(h);
	}
	unmap_one(h, device, 1, PHYS, PHYS, size, FROM);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
	unmap_event(h, device, 1, PHYS, size, FROM); /* once too often: by its address */
	h->want.devices[1].unmatched_unmaps = 1;
	want__completed(h, 1, PHYS, size);
	harness__check(h);
}

/* The longer of two is what the entry says, whichever came or went first. */
static void the_same_address_in_two_sizes(void **state)
{
	static const struct {
		uint64_t first, second, unmapped, left;
	} cases[] = {
		{5, 3, 5, 3},
		{5, 3, 3, 5},
		{3, 5, 5, 3},
		{3, 5, 3, 5},
	};
	struct harness *h = *state;
	uint64_t device = one_device(h);

	for (size_t i = 0; i < 4; i++) {
		uint64_t at = PHYS + (i << 20);
		struct ds_mapping entry = entry_of(1, at, 5 << 12, FROM);

		map_one(h, device, 1, at, at, cases[i].first << 12, FROM);
		map_event(h, device, 1, at, at, cases[i].second << 12, FROM);
		entry.live = 2;
		entry.pages = 8;
		want__exposed(h, 1, (int64_t)cases[i].second, 0);
		want__entry(h, DS_MAPPING_SINGLE, device, at, &entry);
		harness__check(h);
		unmap_event(h, device, 1, at, cases[i].unmapped << 12, FROM);
		entry.live = 1;
		entry.pages = cases[i].left;
		want__exposed(h, 1, -(int64_t)cases[i].unmapped, 0);
		want__completed(h, 1, at, cases[i].unmapped << 12);
		want__entry(h, DS_MAPPING_SINGLE, device, at, &entry);
		harness__check(h);
		unmap_event(h, device, 1, at, cases[i].left << 12, FROM);
		want__exposed(h, 1, -(int64_t)cases[i].left, -1);
		want__completed(h, 1, at, 5 << 12); /* rather a page too many */
		want__entry(h, DS_MAPPING_SINGLE, device, at, NULL);
		harness__check(h);
		assert_int_equal(h->want.devices[1].exposed_pages, 0);
	}
}

/* An unmap of more than all of its duplicates ends them all: its driver is out of step. */
static void one_unmap_for_two_mappings(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h);

	map_one(h, device, 1, PHYS, PHYS, 2 << 12, FROM);
	map_event(h, device, 1, PHYS, PHYS, 2 << 12, FROM);
	unmap_event(h, device, 1, PHYS, 4 << 12, FROM);
	want__exposed(h, 1, -2, -1);
	want__completed(h, 1, PHYS, 4 << 12);
	want__entry(h, DS_MAPPING_SINGLE, device, PHYS, NULL);
	harness__check(h);
}

/*
 * A translated address that another CPU was given before the unmap of its last user is told. The
 * old pages are written, and what is told late does not take out the new mapping.
 */
static void unmap_told_late(void **state)
{
	struct harness *h = *state;
	const uint64_t second = PHYS + (100 << 12), third = PHYS + (200 << 12);
	uint64_t device = one_device(h);
	struct ds_mapping entry = entry_of(1, second, 3 << 12, BOTH);

	map_one(h, device, 1, PHYS, IOVA, 5 << 12, FROM);
	map_event(h, device, 1, second, IOVA, 3 << 12, BOTH);
	want__completed(h, 1, PHYS, 5 << 12);
	want__exposed(h, 1, 3 - 5, 0);
	entry.late = 1;
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, &entry);
	harness__check(h);

	map_event(h, device, 1, third, IOVA, 9 << 12,
		  FROM); /* and again, before the first is told */
	want__completed(h, 1, second, 3 << 12);
	want__exposed(h, 1, 9 - 3, 0);
	entry = entry_of(1, third, 9 << 12, FROM);
	entry.late = 2;
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, &entry);
	harness__check(h);

	for (entry.late = 1;; entry.late--) {
		unmap_event(h, device, 1, IOVA, 5 << 12, FROM);
		want__entry(h, DS_MAPPING_SINGLE, device, IOVA, &entry);
		harness__check(h);
		if (!entry.late)
			break;
	}
	unmap_one(h, device, 1, third, IOVA, 9 << 12, FROM);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
	unmap_event(h, device, 1, IOVA, 5 << 12, FROM);
	h->want.devices[1].unmatched_unmaps = 1;
	harness__check(h);
	assert_int_equal(flags(h), DS_SOURCE_TRANSLATED);
}

/* The same memory was mapped twice when the address went to other memory: two unmaps are late. */
static void two_unmaps_told_late(void **state)
{
	struct harness *h = *state;
	const uint64_t second = PHYS + (100 << 12);
	uint64_t device = one_device(h);
	struct ds_mapping entry = entry_of(1, second, 4096, FROM);

	map_one(h, device, 1, PHYS, IOVA, 4096, FROM);
	map_event(h, device, 1, PHYS, IOVA, 4096, FROM);
	want__exposed(h, 1, 1, 0);
	map_event(h, device, 1, second, IOVA, 4096, FROM);
	want__exposed(h, 1, 1 - 2, 0);
	want__completed(h, 1, PHYS, 4096);
	for (entry.late = 2; entry.late; entry.late--) {
		want__entry(h, DS_MAPPING_SINGLE, device, IOVA, &entry);
		harness__check(h);
		unmap_event(h, device, 1, IOVA, 4096, FROM);
	}
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, &entry);
	harness__check(h);
	unmap_one(h, device, 1, second, IOVA, 4096, FROM);
	harness__check(h);
}

/* The old mapping's memory cannot be marked: the event that ends it is a loss. */
static void late_beyond_the_set(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h);
	struct ds_mapping entry = entry_of(1, PHYS, 4096, FROM);

	map_one(h, device, 1, SET_PAGES << 12, IOVA, 2 << 12, FROM);
	run(h, map, device, PHYS, IOVA, 4096, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PAGE_SETS_FULL, 1);
	h->want.devices[1].maps[FROM]++;
	h->want.devices[1].mapped_bytes[FROM] += 4096;
	want__exposed(h, 1, 1 - 2, 0);
	entry.late = 1;
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, &entry);
	harness__check(h);
}

/* ---- drivers that do not unmap ---- */

/* Maps one address until the device is known as one whose driver does not unmap. */
static void map_without_unmap(struct harness *h, uint64_t device)
{
	struct ds_mapping entry = entry_of(1, PHYS, 4096, FROM);

	for (int round = 0; round < 3; round++) { /* one unmap, and all is forgiven */
		map_one(h, device, 1, PHYS, PHYS, 4096, FROM);
		for (int i = 1; i < NO_UNMAP_REMAPPINGS; i++) {
			map_event(h, device, 1, PHYS, PHYS, 4096, FROM);
			want__exposed(h, 1, 1, 0);
		}
		entry.live = entry.pages = NO_UNMAP_REMAPPINGS;
		want__entry(h, DS_MAPPING_SINGLE, device, PHYS, &entry);
		harness__check(h);
		assert_int_equal(flags(h), DS_SOURCE_DIRECT);
		assert_int_equal(h->source_infos[1].remappings, NO_UNMAP_REMAPPINGS - 1);
		if (round == 2)
			break;
		for (int i = 1; i < NO_UNMAP_REMAPPINGS; i++) {
			unmap_event(h, device, 1, PHYS, 4096, FROM);
			assert_int_equal(h->source_infos[1].open_maps, 0);
			assert_int_equal(h->source_infos[1].remappings, 0);
			want__exposed(h, 1, -1, 0);
			want__completed(h, 1, PHYS, 4096);
		}
		unmap_one(h, device, 1, PHYS, PHYS, 4096, FROM);
	}
	for (int i = 0; i < 100; i++) /* shown: none of these is remembered, nor any other */
		map_event(h, device, 1, PHYS + (i % 2 << 12), PHYS + (i % 2 << 12), 4096, FROM);
	harness__check(h);
	assert_int_equal(flags(h), DS_SOURCE_DIRECT | DS_SOURCE_NO_UNMAP);
	assert_int_equal(h->source_infos[1].open_maps, NO_UNMAP_REMAPPINGS + 1);
}

static void no_unmap_at_the_same_address(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h);
	struct ds_mapping entry;

	map_without_unmap(h, device);

	/* What was remembered before ends all the same, as the agent or the driver ends it. */
	for (int i = 1; i < NO_UNMAP_REMAPPINGS; i++) {
		unmap_event(h, device, 1, PHYS, 4096, FROM);
		want__exposed(h, 1, -1, 0);
		want__completed(h, 1, PHYS, 4096);
	}
	unmap_one(h, device, 1, PHYS, PHYS, 4096, FROM);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
	assert_int_equal(h->want.devices[1].live_mappings, 0);

	/* An unmap of what is not kept is no surprise, and says which pages. So does a sync. */
	unmap_event(h, device, 1, PHYS + (7 << 12), 4096, FROM);
	want__completed(h, 1, PHYS + (7 << 12), 4096);
	sync_event(h, device, 1, PHYS + (9 << 12) + 1, 4096, FROM);
	want__completed(h, 1, PHYS + (9 << 12) + 1, 4096);
	harness__check(h);
	assert_int_equal(flags(h), DS_SOURCE_DIRECT | DS_SOURCE_NO_UNMAP);

	/* Coherent memory, lists and translated mappings have an end even so. */
	map_one(h, device, 1, PHYS, IOVA, 4096, FROM);
	unmap_one(h, device, 1, PHYS, IOVA, 4096, FROM);
	run(h, map_coherent, device, PHYS, PHYS, 4096, BOTH);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].maps[BOTH]++;
	h->want.devices[1].mapped_bytes[BOTH] += 4096;
	entry = entry_of(1, PHYS, 4096, BOTH);
	want__entry(h, DS_MAPPING_COHERENT, device, PHYS, &entry);
	want__exposed(h, 1, 1, 1);
	harness__check(h);
}

static void no_unmap_at_many_addresses(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h);

	for (uint64_t i = 0; i < NO_UNMAP_MAPS - 1; i++) {
		uint64_t at = PHYS + (i << 12);

		if (i < LEDGER_ENTRIES) {
			map_one(h, device, 1, at, at, 4096, FROM);
			continue;
		}
		run(h, map, device, at, at, 4096, FROM);
		want__lost_of(h, DS_SENSOR_DMA, DS_LOST_MAPPINGS_FULL, 1);
		h->want.devices[1].maps[FROM]++;
		h->want.devices[1].mapped_bytes[FROM] += 4096;
	}
	assert_int_equal(flags(h), DS_SOURCE_DIRECT);
	map_event(h, device, 1, PHYS - 4096, PHYS - 4096, 4096, FROM); /* not wanted, so not lost */
	harness__check(h);
	assert_int_equal(flags(h), DS_SOURCE_DIRECT | DS_SOURCE_NO_UNMAP);
	map_event(h, device, 1, PHYS - 8192, PHYS - 8192, 4096, FROM);
	harness__check(h);
	for (uint64_t i = 0; i < LEDGER_ENTRIES; i++)
		unmap_one(h, device, 1, PHYS + (i << 12), PHYS + (i << 12), 4096, FROM);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
}

/* Any streaming unmap shows that its driver unmaps, one of coherent memory does not. */
static void what_shows_that_a_driver_unmaps(void **state)
{
	static const struct fake_segment segment = {7, 0, 4096};
	struct harness *h = *state;
	uint64_t device = one_device(h), list = fake__list(h, &segment, 1, 1);
	const struct ds_source_info *info = &h->source_infos[1];

	run(h, map, device, PHYS, PHYS, 4096, FROM);
	run(h, map, device, PHYS, PHYS, 4096, FROM);
	run(h, free, device, IOVA, 4096, BOTH);
	assert_int_equal(info->open_maps, 2);
	assert_int_equal(info->remappings, 1);
	run(h, sync, device, PHYS, 4096, FROM);
	assert_int_equal(info->open_maps, 2);
	run(h, unmap, device, IOVA, 4096, TO);
	assert_int_equal(info->open_maps, 0);
	assert_int_equal(info->remappings, 0);
	run(h, map, device, PHYS, PHYS, 4096, FROM);
	run(h, unmap_list, device, list, 1, TO);
	assert_int_equal(info->open_maps, 0);
	run(h, map, device, PHYS, IOVA, 4096, FROM); /* translated: always unmapped */
	run(h, map, device, PHYS, PHYS, 4096, TO);   /* for reading: not in the ledger */
	assert_int_equal(info->open_maps, 0);
}

/* ---- unmaps and syncs of what is not in the ledger ---- */

static void unknown_and_no_habits_known(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h), other = fake__device(h, "e", NULL);

	want__device(h, other, 2);
	map_one(h, device, 1, PHYS, IOVA, 4096, FROM);
	unmap_event(h, other, 2, IOVA, 4096, FROM); /* another device's address space */
	sync_event(h, other, 2, IOVA, 4096, FROM);
	h->want.devices[2].unmatched_unmaps = 2;
	unmap_event(h, device, 1, IOVA + 4096, 4096, TO); /* for reading: no entry was to be */
	harness__check(h);
}

static void unknown_direct_and_translated(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h), at = PHYS + (30 << 12) + 100;

	map_one(h, device, 1, PHYS, PHYS, 4096, FROM);
	unmap_event(h, device, 1, at, 8192, FROM);
	want__completed(h, 1, at, 8192);
	sync_event(h, device, 1, at + (50 << 12), 64, BOTH);
	want__completed(h, 1, at + (50 << 12), 64);
	h->want.devices[1].unmatched_unmaps = 2;
	harness__check(h);
	run(h, unmap, device, SET_PAGES << 12, 4096, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PAGE_SETS_FULL, 1);
	h->want.devices[1].unmaps[FROM]++;
	h->want.devices[1].unmatched_unmaps = 3;
	harness__check(h);

	map_one(h, device, 1, PHYS, IOVA, 4096, FROM); /* both: an address says nothing */
	assert_int_equal(flags(h), DS_SOURCE_DIRECT | DS_SOURCE_TRANSLATED);
	unmap_event(h, device, 1, at + (90 << 12), 8192, FROM);
	sync_event(h, device, 1, at + (90 << 12), 64, FROM);
	h->want.devices[1].unmatched_unmaps = 5;
	harness__check(h);
}

static void unknown_translated(void **state)
{
	struct harness *h = *state;
	uint64_t device = one_device(h);

	map_one(h, device, 1, PHYS, IOVA, 4096, FROM);
	assert_int_equal(flags(h), DS_SOURCE_TRANSLATED);
	unmap_event(h, device, 1, PHYS, 4096, FROM);
	sync_event(h, device, 1, PHYS, 4096, FROM);
	h->want.devices[1].unmatched_unmaps = 2;
	harness__check(h);
}

int ledger_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_same_memory_again, harness__each),
		cmocka_unit_test_setup(the_same_address_in_two_sizes, harness__each),
		cmocka_unit_test_setup(one_unmap_for_two_mappings, harness__each),
		cmocka_unit_test_setup(unmap_told_late, harness__each),
		cmocka_unit_test_setup(two_unmaps_told_late, harness__each),
		cmocka_unit_test_setup(late_beyond_the_set, harness__each),
		cmocka_unit_test_setup(no_unmap_at_the_same_address, harness__each),
		cmocka_unit_test_setup(no_unmap_at_many_addresses, harness__each),
		cmocka_unit_test_setup(what_shows_that_a_driver_unmaps, harness__each),
		cmocka_unit_test_setup(unknown_and_no_habits_known, harness__each),
		cmocka_unit_test_setup(unknown_direct_and_translated, harness__each),
		cmocka_unit_test_setup(unknown_translated, harness__each),
	};

	return cmocka_run_group_tests_name("ledger", tests, harness__group, harness__group_end);
}
