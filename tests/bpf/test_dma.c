/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of one run of memory: sizes, directions, failures, coherent memory, full tables. */
#include "tests/bpf/mappings.h"

#include <bpf/bpf.h>

#include "twins.skel.h"

static void sizes_and_directions(void **state)
{
	static const struct {
		uint64_t offset, size;
	} cases[] = {
		{0, 0},
		{0, 1},
		{4095, 1},
		{4095, 2},
		{1, 4096},
		{0, 4096},
		{100, 1500},
		{0, 2 << 20},
		{512, (2 << 20) + 1},
		{4095, (2 << 20) + 1},
		{63, 8191},
		{0, 64 << 12},
		{0, 3 * (2 << 20) + 5},
	};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "0000:00:04.0", "pci"), pfn = PFN;

	want__device(h, device, 1);
	for (uint32_t direction = BOTH; direction <= FROM; direction++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			uint64_t phys = (pfn << 12) + cases[i].offset;

			map_one(h, device, 1, phys, IOVA + i, cases[i].size, direction);
			harness__check(h);
			unmap_one(h, device, 1, phys, IOVA + i, cases[i].size, direction);
			assert_int_equal(h->want.devices[1].exposed_pages, 0);
			harness__check(h);
			pfn += 2000; /* so that a wrong page is never a page of another case */
		}
}

static void largest_sizes(void **state)
{
	static const uint64_t absurd[] = {UINT64_MAX, 1ULL << 63, (1ULL << 47) + 1};
	const uint64_t four_gib = 4ULL << 30, most = 1ULL << 47;
	struct harness *h = *state;
	uint64_t device = fake__device(h, "gpu", "pci");
	struct ds_device_stats *want = &h->want.devices[1];

	want__device(h, device, 1);
	for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
		run(h, map, device, PHYS, IOVA, absurd[i], FROM);
		run(h, unmap, device, IOVA, absurd[i], FROM);
		want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
		want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
		run(h, sync, device, IOVA, absurd[i], FROM);
		want__counted(h, DS_SENSOR_DMA);
		want->syncs++;
	}
	harness__check(h);

	map_one(h, device, 1, PHYS, IOVA, four_gib, FROM); /* the most that one event marks */
	unmap_one(h, device, 1, PHYS, IOVA, four_gib, FROM);
	harness__check(h);

	map_one(h, device, 1, PHYS, IOVA, four_gib + 4096, FROM);
	run(h, unmap, device, IOVA, four_gib + 4096, FROM);
	want->unmaps[FROM]++;
	want->exposed_pages = want->live_mappings = 0;
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, NULL);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
	harness__check(h);

	map_one(h, device, 1, 0, IOVA, most, BOTH); /* larger than the set: all of it, and a loss */
	run(h, unmap, device, IOVA, most, BOTH);
	want->unmaps[BOTH]++;
	want->exposed_pages = want->live_mappings = 0;
	want__pages(h, 1, 0, 1 << 20);
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, NULL);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_TRUNCATED, 1);
	harness__check(h);
}

static void memory_beyond_the_set(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "gpu", "pci");
	uint64_t phys = (SET_PAGES - 2) << 12;

	want__device(h, device, 1);
	map_one(h, device, 1, phys, IOVA, 4 << 12, FROM); /* two pages inside, two outside */
	run(h, unmap, device, IOVA, 4 << 12, FROM);
	h->want.devices[1].unmaps[FROM]++;
	want__exposed(h, 1, -4, -1);
	want__pages(h, 1, SET_PAGES - 2, 2);
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, NULL);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PAGE_SETS_FULL, 1);
	harness__check(h);
}

static void strange_directions(void **state)
{
	static const uint64_t directions[] = {DS_DMA_NONE, 4, 77, UINT32_MAX, 1u << 31};
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	for (size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
		run(h, map, device, PHYS, IOVA, 4096, directions[i]);
		run(h, unmap, device, IOVA, 4096, directions[i]);
		run(h, sync, device, IOVA, 4096, directions[i]);
		h->want.devices[1].failed_maps++;
		h->want.devices[1].syncs++;
		for (int event = 0; event < 3; event++)
			want__counted(h, DS_SENSOR_DMA);
	}
	harness__check(h);
}

static void failed_mappings(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	run(h, map, device, PHYS, NO_ADDRESS, 4096, FROM);
	run(h, map, device, PHYS, NO_ADDRESS, UINT64_MAX, TO);
	run(h, alloc, device, 0, IOVA, 4096, BOTH);
	run(h, alloc, device, 0, NO_ADDRESS, 4096, FROM);
	h->want.devices[1].failed_maps = 4;
	for (int i = 0; i < 4; i++)
		want__counted(h, DS_SENSOR_DMA);
	harness__check(h);
}

/* Coherent memory: the event, its counters, and the entry of it. */
static void alloc(struct harness *h, uint64_t device, uint64_t virt, uint64_t phys, uint64_t size)
{
	struct ds_mapping entry = entry_of(1, phys, size, BOTH);

	if (phys == UNKNOWN_MEMORY)
		entry.pages = pages_of(0, size);
	run(h, alloc, device, virt, IOVA, size, BOTH);
	want__counted(h, DS_SENSOR_DMA);
	want__entry(h, DS_MAPPING_COHERENT, device, IOVA, &entry);
	want__exposed(h, 1, (int64_t)entry.pages, 1);
	h->want.devices[1].maps[BOTH]++;
	h->want.devices[1].mapped_bytes[BOTH] += size;
}

static void free_event(struct harness *h, uint64_t device, uint64_t size)
{
	run(h, free, device, IOVA, size, BOTH);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].unmaps[BOTH]++;
}

static void coherent_memory(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), memory = fake__alloc(h, 8192);
	uint64_t phys = (FAKE_PFN << 12) + (memory - (h->base & ~4095ULL));

	want__device(h, device, 1);
	alloc(h, device, memory, phys, 8192);
	harness__check(h);
	free_event(h, device, 8192);
	want__entry(h, DS_MAPPING_COHERENT, device, IOVA, NULL);
	want__exposed(h, 1, -(int64_t)pages_of(phys, 8192), -1);
	want__completed(h, 1, phys, 8192);
	harness__check(h);
	free_event(h, device, 8192); /* known no more */
	h->want.devices[1].unmatched_unmaps = 1;
	harness__check(h);
	assert_int_equal(h->source_infos[1].flags, 0); /* it says nothing of streaming mappings */
}

/* vmalloc'ed behind an IOMMU, or below the direct map: exposed, but where is not known. */
static void coherent_memory_elsewhere(void **state)
{
	struct harness *h = *state;
	const uint64_t direct_map = h->twins->rodata->ds_page_offset;
	const uint64_t elsewhere[] = {direct_map + (SET_PAGES << 12),
				      direct_map + (1ULL << 44) + 99,
				      direct_map + (1ULL << 46),
				      direct_map - 1,
				      UINT64_MAX,
				      4096};
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		alloc(h, device, elsewhere[i], UNKNOWN_MEMORY, 3 * 4096 + 1);
		harness__check(h);
		free_event(h, device, 3 * 4096 + 1);
		want__entry(h, DS_MAPPING_COHERENT, device, IOVA, NULL);
		want__exposed(h, 1, -4, -1);
		harness__check(h);
	}
	alloc(h, device, direct_map + ((SET_PAGES - 1) << 12), (SET_PAGES - 1) << 12, 4096);
	free_event(h, device, 4096); /* the last page that is known */
	want__entry(h, DS_MAPPING_COHERENT, device, IOVA, NULL);
	want__exposed(h, 1, -1, -1);
	want__completed(h, 1, (SET_PAGES - 1) << 12, 4096);
	harness__check(h);
}

static void kinds_at_one_address(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), direct_map;

	direct_map = h->twins->rodata->ds_page_offset;
	want__device(h, device, 1);
	alloc(h, device, direct_map + PHYS, PHYS, 8192);
	map_one(h, device, 1, PHYS + (50 << 12), IOVA, 4096, FROM);
	harness__check(h);
	assert_int_equal(h->source_infos[1].flags, DS_SOURCE_TRANSLATED);
	sync_event(h, device, 1, IOVA, 4096, FROM); /* never of coherent memory */
	want__completed(h, 1, PHYS + (50 << 12), 4096);
	sync_event(h, device, 1, IOVA, 8192, FROM);
	h->want.devices[1].unmatched_unmaps = 1;
	harness__check(h);
	unmap_one(h, device, 1, PHYS + (50 << 12), IOVA, 4096, FROM);
	harness__check(h);
	free_event(h, device, 8192);
	want__entry(h, DS_MAPPING_COHERENT, device, IOVA, NULL);
	want__exposed(h, 1, -2, -1);
	want__completed(h, 1, PHYS, 8192);
	harness__check(h);
}

/* Only what a device may write is in the ledger. */
static void mappings_for_reading(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	for (uint64_t i = 0; i < 2 * LEDGER_ENTRIES; i++)
		map_event(h, device, 1, PHYS, PHYS + (i << 12), 4096, TO);
	harness__check(h);
	assert_int_equal(h->source_infos[1].flags, 0);
	assert_int_equal(h->source_infos[1].open_maps, 0);
	for (uint64_t i = 0; i < 2 * LEDGER_ENTRIES; i++)
		unmap_event(h, device, 1, PHYS + (i << 12), 4096, TO);
	sync_event(h, device, 1, PHYS, 4096, TO);
	harness__check(h);
}

static void ledger_full(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);
	struct ds_device_stats *want = &h->want.devices[1];

	want__device(h, device, 1);
	for (uint64_t i = 0; i < LEDGER_ENTRIES; i++)
		map_one(h, device, 1, PHYS + (i << 12), IOVA + (i << 12), 4096, FROM);
	for (uint64_t i = LEDGER_ENTRIES; i < LEDGER_ENTRIES + 3; i++) {
		run(h, map, device, PHYS, IOVA + (i << 12), 4096, FROM);
		want->maps[FROM]++;
		want->mapped_bytes[FROM] += 4096;
		want__lost_of(h, DS_SENSOR_DMA, DS_LOST_MAPPINGS_FULL, 1);
	}
	assert_int_equal(want->exposed_pages, LEDGER_ENTRIES);
	assert_int_equal(want->live_mappings, LEDGER_ENTRIES);
	harness__check(h);
	for (uint64_t i = LEDGER_ENTRIES; i < LEDGER_ENTRIES + 3; i++)
		unmap_event(h, device, 1, IOVA + (i << 12), 4096, FROM);
	want->unmatched_unmaps = 3;
	harness__check(h);
	for (uint64_t i = 0; i < LEDGER_ENTRIES; i++)
		unmap_one(h, device, 1, PHYS + (i << 12), IOVA + (i << 12), 4096, FROM);
	assert_int_equal(want->exposed_pages, 0);
	assert_int_equal(want->live_mappings, 0);
	harness__check(h);
}

/* Where mappings must not be remembered: counters, and nothing that the ledger would tell. */
static void ledger_off(void **state)
{
	static const struct fake_segment segment = {7, 0, 4096};
	struct harness *h = harness__new(false, LEDGER_ENTRIES);
	uint64_t device = fake__device(h, "d", NULL), list = fake__list(h, &segment, 1, 1);
	struct ds_device_stats *want = &h->want.devices[1];

	want__device(h, device, 1);
	map_event(h, device, 1, PHYS, PHYS, 4096, FROM);
	sync_event(h, device, 1, PHYS, 4096, FROM);
	unmap_event(h, device, 1, PHYS, 4096, FROM);
	harness__check(h);
	run(h, link, device, IOVA, PHYS, 0, 4096, FROM, 0);
	run(h, unlink, device, IOVA, 4096, FROM);
	want->maps[FROM]++;
	want->unmaps[FROM]++;
	want->mapped_bytes[FROM] += 4096;
	run(h, map_list, device, list, 1, 1, FROM);
	run(h, unmap_list, device, list, 1, FROM); /* the list itself says which pages */
	want->maps[FROM]++;
	want->unmaps[FROM]++;
	want->mapped_bytes[FROM] += 4096;
	want__completed(h, 1, 7 << 12, 4096);
	for (int i = 0; i < 4; i++)
		want__counted(h, DS_SENSOR_DMA);
	harness__check(h);
	assert_int_equal(h->source_infos[1].flags, 0);
	harness__free(h);
}

static void no_device(void **state)
{
	struct harness *h = *state;
	struct ds_mapping entry = entry_of(DS_SLOT_NONE, PHYS, 4096, FROM);
	struct ds_device_stats *want = &h->want.devices[DS_SLOT_NONE];

	run(h, map, 0, PHYS, IOVA, 4096, FROM);
	want->maps[FROM] = 1;
	want->mapped_bytes[FROM] = 4096;
	want__exposed(h, DS_SLOT_NONE, 1, 1);
	want__entry(h, DS_MAPPING_SINGLE, 0, IOVA, &entry);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_UNKNOWN_DEVICE, 0);
	harness__check(h);
	run(h, unmap, 0, IOVA, 4096, FROM);
	want->unmaps[FROM] = 1;
	want__exposed(h, DS_SLOT_NONE, -1, -1);
	want__completed(h, DS_SLOT_NONE, PHYS, 4096);
	want__entry(h, DS_MAPPING_SINGLE, 0, IOVA, NULL);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_UNKNOWN_DEVICE, 0);
	harness__check(h);
	assert_int_equal(h->source_infos[DS_SLOT_NONE].flags, 0); /* nobody has no habits */
}

int dma_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sizes_and_directions, harness__each),
		cmocka_unit_test_setup(largest_sizes, harness__each),
		cmocka_unit_test_setup(memory_beyond_the_set, harness__each),
		cmocka_unit_test_setup(strange_directions, harness__each),
		cmocka_unit_test_setup(failed_mappings, harness__each),
		cmocka_unit_test_setup(coherent_memory, harness__each),
		cmocka_unit_test_setup(coherent_memory_elsewhere, harness__each),
		cmocka_unit_test_setup(kinds_at_one_address, harness__each),
		cmocka_unit_test_setup(mappings_for_reading, harness__each),
		cmocka_unit_test_setup(ledger_full, harness__each),
		cmocka_unit_test(ledger_off),
		cmocka_unit_test_setup(no_device, harness__each),
	};

	return cmocka_run_group_tests_name("dma", tests, harness__group, harness__group_end);
}
