/* SPDX-License-Identifier: BSD-2-Clause */
/* Scatterlists: merged, chained, ended early, too long. */
#include "tests/bpf/mappings.h"

#include "twins.skel.h"

#define STEPS 4096 /* DS_LIST_SEGMENTS */

/* The entry of a mapped list. */
static struct ds_mapping list_entry(uint64_t list, const struct fake_segment *segments,
				    size_t count, uint32_t direction)
{
	return (struct ds_mapping){.phys = list,
				   .size = segments__bytes(segments, count),
				   .pages = segments__pages(segments, count),
				   .slot = 1,
				   .entries = count,
				   .live = 1,
				   .direction = direction};
}

/* Mapped, synced for the CPU, unmapped: all of it counted. */
static void whole_life(struct harness *h, uint64_t device, const struct fake_segment *segments,
		       size_t count, size_t per_array, uint32_t direction)
{
	uint64_t list = fake__list(h, segments, count, per_array);
	struct ds_mapping entry = list_entry(list, segments, count, direction);
	struct ds_device_stats *want = &h->want.devices[1];

	run(h, map_list, device, list, count, 1, direction);
	want__counted(h, DS_SENSOR_DMA);
	want->maps[direction]++;
	want->mapped_bytes[direction] += entry.size;
	if (direction != TO) {
		want__entry(h, DS_MAPPING_LIST, device, list, &entry);
		want__exposed(h, 1, (int64_t)entry.pages, 1);
	}
	harness__check(h);

	run(h, sync_list, device, list, count, direction);
	want__counted(h, DS_SENSOR_DMA);
	want->syncs++;
	if (direction != TO) {
		want->completed_pages += entry.pages;
		want__segments(h, 1, segments, count);
	}
	harness__check(h);

	run(h, unmap_list, device, list, count, direction);
	want__counted(h, DS_SENSOR_DMA);
	want->unmaps[direction]++;
	if (direction != TO) {
		want__entry(h, DS_MAPPING_LIST, device, list, NULL);
		want__exposed(h, 1, -(int64_t)entry.pages, -1);
		want->completed_pages += entry.pages;
	}
	harness__check(h);
	assert_int_equal(want->exposed_pages, 0);
	assert_int_equal(h->source_infos[1].flags, 0); /* a list's address is no DMA address */
}

static void lists_in_every_direction(void **state)
{
	static const struct fake_segment segments[] = {
		{100, 0, 4096},	    {200, 512, 512},	   {300, 4095, 2},	{400, 0, 65536},
		{500, 100, 0},	    {600, 8192, 4096},	   {1000, 63, 1 << 20}, {2000, 0, 2 << 20},
		{4000, 1, 2 << 20}, {8000, 4095, 7 << 20},
	};
	const size_t count = sizeof(segments) / sizeof(segments[0]);
	struct harness *h = *state;
	uint64_t device = fake__device(h, "ahci", "pci");

	want__device(h, device, 1);
	for (uint32_t direction = BOTH; direction <= FROM; direction++) {
		whole_life(h, device, segments, 1, 1, direction);
		whole_life(h, device, segments, count, count, direction);
		whole_life(h, device, segments, count, 4, direction); /* chained */
		whole_life(h, device, segments, count, 2, direction);
	}
}

static void largest_segment(void **state)
{
	static const struct fake_segment segment = {7, 0, UINT32_MAX - 4095};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "rdma", "pci");

	want__device(h, device, 1);
	whole_life(h, device, &segment, 1, 1, FROM);
}

static void failed_lists(void **state)
{
	static const struct fake_segment segment = {7, 0, 4096};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, &segment, 1, 1);

	want__device(h, device, 1);
	run(h, map_list, device, list, 1, 0, FROM);
	run(h, map_list, device, list, 1, (uint64_t)-12, FROM);
	run(h, map_list, device, list, 1, 1, DS_DMA_NONE);
	run(h, map_list, device, list, 1, 1, UINT32_MAX);
	h->want.devices[1].failed_maps = 4;
	run(h, unmap_list, device, list, 1, DS_DMA_NONE);
	run(h, sync_list, device, list, 1, DS_DMA_NONE);
	h->want.devices[1].syncs = 1;
	for (int i = 0; i < 6; i++)
		want__counted(h, DS_SENSOR_DMA);
	harness__check(h);
}

static void no_entries(void **state)
{
	static const struct fake_segment segment = {7, 0, 4096};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, &segment, 1, 1);

	want__device(h, device, 1);
	run(h, map_list, device, list, 0, 1, FROM);
	run(h, unmap_list, device, list, 0, FROM);
	run(h, map_list, device, list, (uint64_t)-1, 1, FROM);
	run(h, sync_list, device, list, (uint64_t)-1, FROM);
	h->want.devices[1].maps[FROM] = 2;
	h->want.devices[1].unmaps[FROM] = 1;
	h->want.devices[1].unmatched_unmaps = 1;
	h->want.devices[1].syncs = 1;
	for (int i = 0; i < 4; i++)
		want__counted(h, DS_SENSOR_DMA);
	harness__check(h);
}

/* A list says itself where it ends, its caller how much of it is meant. */
static void list_ends_early(void **state)
{
	static const struct fake_segment segments[] = {{10, 0, 4096}, {20, 0, 4096}, {30, 0, 4096}};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, segments, 3, 3);

	want__device(h, device, 1);
	run(h, sync_list, device, list, 2, FROM);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].syncs++;
	h->want.devices[1].completed_pages = 2;
	want__segments(h, 1, segments, 2);
	harness__check(h);
	run(h, sync_list, device, list, 5, FROM);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].syncs++;
	h->want.devices[1].completed_pages += 3;
	want__segments(h, 1, segments, 3);
	harness__check(h);
}

static void longer_than_we_walk(void **state)
{
	static struct fake_segment segments[STEPS + 4];
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list;

	want__device(h, device, 1);
	for (uint32_t i = 0; i < STEPS + 4; i++)
		segments[i] = (struct fake_segment){.pfn = 2 * i, .bytes = 4096};
	list = fake__list(h, segments, STEPS, STEPS);
	run(h, sync_list, device, list, STEPS, FROM);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].syncs++;
	h->want.devices[1].completed_pages += STEPS;
	want__segments(h, 1, segments, STEPS);
	harness__check(h);

	list = fake__list(h, segments, STEPS + 4, STEPS + 4);
	run(h, sync_list, device, list, STEPS + 4, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
	h->want.devices[1].syncs++;
	h->want.devices[1].completed_pages += STEPS;
	harness__check(h);
}

static void endless_chain(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__new(h, "scatterlist", 1);

	fake__list_entry(h, list, list | SG_CHAIN, NULL);
	want__device(h, device, 1);
	run(h, sync_list, device, list, 1, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
	h->want.devices[1].syncs = 1;
	harness__check(h);
}

static void pages_beyond_the_set(void **state)
{
	static const struct fake_segment segments[] = {
		{SET_PAGES - 1, 0, 8192}, {10, 0, 4096}, {1ULL << 40, 0, 4096}};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, segments, 3, 3);

	want__device(h, device, 1);
	run(h, sync_list, device, list, 3, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PAGE_SETS_FULL, 1);
	h->want.devices[1].syncs = 1;
	h->want.devices[1].completed_pages = 4;
	want__segments(h, 1, segments, 3);
	fake__list_entry(h, list, (FAKE_VMEMMAP - 64) | SG_END, NULL); /* below page 0 */
	run(h, sync_list, device, list, 1, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PFN_RANGE, 1);
	h->want.devices[1].syncs++;
	h->want.devices[1].completed_pages += 2;
	harness__check(h);
}

/* What is beyond our walk is not exposed, nor ended: both events are losses, and both agree. */
static void mapping_longer_than_we_walk(void **state)
{
	static struct fake_segment segments[STEPS + 1];
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list;
	struct ds_mapping entry;

	want__device(h, device, 1);
	for (uint32_t i = 0; i < STEPS + 1; i++)
		segments[i] = (struct fake_segment){.pfn = 2 * i, .bytes = 4096};
	list = fake__list(h, segments, STEPS + 1, STEPS + 1);
	entry = list_entry(list, segments, STEPS, FROM);
	entry.entries = STEPS + 1;
	run(h, map_list, device, list, STEPS + 1, 1, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
	want__entry(h, DS_MAPPING_LIST, device, list, &entry);
	want__exposed(h, 1, STEPS, 1);
	h->want.devices[1].maps[FROM]++;
	h->want.devices[1].mapped_bytes[FROM] = STEPS << 12;
	harness__check(h);
	run(h, unmap_list, device, list, STEPS + 1, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
	want__entry(h, DS_MAPPING_LIST, device, list, NULL);
	want__exposed(h, 1, -STEPS, -1);
	h->want.devices[1].unmaps[FROM]++;
	h->want.devices[1].completed_pages += STEPS;
	want__segments(h, 1, segments, STEPS);
	harness__check(h);
}

/* The same list twice, as it is and with other pages in it meanwhile. */
static void mapped_twice(void **state)
{
	static const struct fake_segment one[] = {{10, 0, 4096}, {20, 0, 8192}};
	static const struct fake_segment two[] = {{30, 0, 16384}, {20, 0, 8192}};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, one, 2, 2);
	struct ds_mapping entry = list_entry(list, one, 2, FROM);
	struct ds_device_stats *want = &h->want.devices[1];

	want__device(h, device, 1);
	run(h, map_list, device, list, 2, 1, FROM);
	fake__list_entry(h, list, fake__page(h, two[0].pfn), &two[0]);
	run(h, map_list, device, list, 2, 1, FROM);
	want__counted(h, DS_SENSOR_DMA);
	want__counted(h, DS_SENSOR_DMA);
	want->maps[FROM] = 2;
	want->mapped_bytes[FROM] = 12288 + 24576;
	entry.size = 24576;
	entry.pages = 3 + 6;
	entry.live = 2;
	want__entry(h, DS_MAPPING_LIST, device, list, &entry);
	want__exposed(h, 1, 9, 1);
	harness__check(h);
	run(h, unmap_list, device, list, 2, FROM);
	want__counted(h, DS_SENSOR_DMA);
	entry.pages = 3;
	entry.live = 1;
	want__entry(h, DS_MAPPING_LIST, device, list, &entry);
	want__exposed(h, 1, -6, 0);
	want__segments(h, 1, two, 2);
	fake__list_entry(h, list, fake__page(h, one[0].pfn), &one[0]);
	want->unmaps[FROM]++;
	want->completed_pages += 6;
	harness__check(h);
	run(h, unmap_list, device, list, 2, FROM);
	want__counted(h, DS_SENSOR_DMA);
	want__entry(h, DS_MAPPING_LIST, device, list, NULL);
	want__exposed(h, 1, -3, -1);
	want__segments(h, 1, one, 2);
	want->unmaps[FROM]++;
	want->completed_pages += 3;
	harness__check(h);
	run(h, unmap_list, device, list, 2, FROM); /* known no more: the list says which pages */
	want__counted(h, DS_SENSOR_DMA);
	want->unmaps[FROM]++;
	want->completed_pages += 3;
	want->unmatched_unmaps = 1;
	harness__check(h);
}

/* Two lists of one device, and of two, are entries of their own. */
static void lists_side_by_side(void **state)
{
	static const struct fake_segment segment = {10, 0, 4096};
	struct harness *h = *state;
	uint64_t devices[] = {fake__device(h, "d", NULL), fake__device(h, "e", NULL)};
	uint64_t lists[] = {fake__list(h, &segment, 1, 1), fake__list(h, &segment, 1, 1)};

	for (uint32_t i = 0; i < 4; i++) {
		struct ds_mapping entry = list_entry(lists[i & 1], &segment, 1, BOTH);

		entry.slot = 1 + i / 2;
		want__device(h, devices[i / 2], entry.slot);
		run(h, map_list, devices[i / 2], lists[i & 1], 1, 1, BOTH);
		want__counted(h, DS_SENSOR_DMA);
		want__entry(h, DS_MAPPING_LIST, devices[i / 2], lists[i & 1], &entry);
		want__exposed(h, entry.slot, 1, 1);
		h->want.devices[entry.slot].maps[BOTH]++;
		h->want.devices[entry.slot].mapped_bytes[BOTH] += 4096;
	}
	harness__check(h);
	run(h, unmap_list, devices[1], lists[0], 1, BOTH);
	want__counted(h, DS_SENSOR_DMA);
	want__entry(h, DS_MAPPING_LIST, devices[1], lists[0], NULL);
	want__exposed(h, 2, -1, -1);
	want__completed(h, 2, 10 << 12, 4096);
	h->want.devices[2].unmaps[BOTH]++;
	harness__check(h);
}

/* A single mapping at the address of a list, as a number, is another entry. */
static void single_events_on_a_list(void **state)
{
	static const struct fake_segment segment = {7, 0, 4096};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, &segment, 1, 1);
	struct ds_mapping entry = list_entry(list, &segment, 1, FROM);

	want__device(h, device, 1);
	run(h, map_list, device, list, 1, 1, FROM);
	want__counted(h, DS_SENSOR_DMA);
	want__entry(h, DS_MAPPING_LIST, device, list, &entry);
	want__exposed(h, 1, 1, 1);
	h->want.devices[1].maps[FROM] = 1;
	h->want.devices[1].mapped_bytes[FROM] = 4096;
	sync_event(h, device, 1, list, 4096, FROM);
	unmap_event(h, device, 1, list, 4096, FROM);
	h->want.devices[1].unmatched_unmaps = 2;
	harness__check(h);
}

static void list_of_no_device(void **state)
{
	static const struct fake_segment segment = {7, 0, 4096};
	struct harness *h = *state;
	uint64_t list = fake__list(h, &segment, 1, 1);
	struct ds_mapping entry = list_entry(list, &segment, 1, FROM);

	entry.slot = DS_SLOT_NONE;
	run(h, map_list, 0, list, 1, 1, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_UNKNOWN_DEVICE, 0);
	want__entry(h, DS_MAPPING_LIST, 0, list, &entry);
	want__exposed(h, 0, 1, 1);
	h->want.devices[0].maps[FROM] = 1;
	h->want.devices[0].mapped_bytes[FROM] = 4096;
	harness__check(h);
}

int list_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lists_in_every_direction, harness__each),
		cmocka_unit_test_setup(largest_segment, harness__each),
		cmocka_unit_test_setup(failed_lists, harness__each),
		cmocka_unit_test_setup(no_entries, harness__each),
		cmocka_unit_test_setup(list_ends_early, harness__each),
		cmocka_unit_test_setup(longer_than_we_walk, harness__each),
		cmocka_unit_test_setup(endless_chain, harness__each),
		cmocka_unit_test_setup(pages_beyond_the_set, harness__each),
		cmocka_unit_test_setup(mapping_longer_than_we_walk, harness__each),
		cmocka_unit_test_setup(mapped_twice, harness__each),
		cmocka_unit_test_setup(lists_side_by_side, harness__each),
		cmocka_unit_test_setup(single_events_on_a_list, harness__each),
		cmocka_unit_test_setup(list_of_no_device, harness__each),
	};

	return cmocka_run_group_tests_name("lists", tests, harness__group, harness__group_end);
}
