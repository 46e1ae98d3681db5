/* SPDX-License-Identifier: BSD-2-Clause */
/* Syncs, which may be of a part of a mapping; and address space that is linked piece by piece. */
#include "tests/bpf/mappings.h"

#include <bpf/bpf.h>

#include "twins.skel.h"

#define MOST_LINKS 4096 /* DS_IOVA_LINKS */

static void syncs(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);
	struct ds_device_stats *want = &h->want.devices[1];

	want__device(h, device, 1);
	map_one(h, device, 1, PHYS, IOVA, 3 << 12, FROM);
	sync_event(h, device, 1, IOVA, 4097, FROM); /* from the start of the mapping */
	want__completed(h, 1, PHYS, 4097);
	sync_event(h, device, 1, IOVA + 64, 1500, FROM); /* a packet inside of its page */
	want__completed(h, 1, PHYS + 64, 1500);
	harness__check(h);
	sync_event(h, device, 1, IOVA + 64, 3 << 12, FROM); /* beyond its end */
	sync_event(h, device, 1, IOVA, (3 << 12) + 1, FROM);
	sync_event(h, device, 1, IOVA + (50 << 12), 64, FROM);
	want->unmatched_unmaps += 3;
	harness__check(h);
	sync_event(h, device, 1, IOVA, 4096, TO); /* nothing was written */
	sync_event(h, device, 1, IOVA, 0, BOTH);
	harness__check(h);
	unmap_one(h, device, 1, PHYS, IOVA, 3 << 12, FROM);
	harness__check(h);
}

/* A page pool syncs its pages one by one, of 4 KiB to 128 KiB each. */
static void syncs_inside_of_mappings(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	for (uint64_t order = 0; order <= 6; order++) {
		uint64_t size = 4096ULL << order, at = IOVA + (order << 24);
		uint64_t phys = PHYS + (order << 20);
		const uint64_t inside[][2] = {{0, 1},	       {1, 1},	       {size - 1, 1},
					      {size - 64, 64}, {size / 2, 64}, {8, size - 8}};

		map_one(h, device, 1, phys, at, size, FROM);
		for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
			uint64_t offset = inside[i][0];

			sync_event(h, device, 1, at + offset, inside[i][1], FROM);
			if (order < 6 || offset < 32 << 12)
				want__completed(h, 1, phys + offset, inside[i][1]);
			else /* no mapping is looked for so far away */
				h->want.devices[1].unmatched_unmaps++;
		}
		harness__check(h);
		sync_event(h, device, 1, at + size - 1, 2, FROM); /* a byte too many */
		h->want.devices[1].unmatched_unmaps++;
		harness__check(h);
	}
}

/* The mapping at the very address is too short: it is in the one around it. */
static void syncs_of_nested_mappings(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL), part = 3 << 12;

	want__device(h, device, 1);
	map_one(h, device, 1, PHYS, IOVA, 32 << 12, FROM);
	map_one(h, device, 1, PHYS + (100 << 12), IOVA + part, 100, FROM);
	sync_event(h, device, 1, IOVA + part, 100, FROM);
	want__completed(h, 1, PHYS + (100 << 12), 100);
	sync_event(h, device, 1, IOVA + part, 101, FROM);
	want__completed(h, 1, PHYS + part, 101);
	sync_event(h, device, 1, IOVA + part + 99, 1, FROM);
	want__completed(h, 1, PHYS + (100 << 12) + 99, 1);
	sync_event(h, device, 1, IOVA + part + 99, 2, FROM);
	want__completed(h, 1, PHYS + part + 99, 2);
	harness__check(h);
}

static void sync_beyond_the_set(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	map_one(h, device, 1, SET_PAGES << 12, IOVA, 4096, FROM);
	run(h, sync, device, IOVA, 4096, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PAGE_SETS_FULL, 1);
	h->want.devices[1].syncs++;
	harness__check(h);
}

/* ---- links ---- */

static void link_pages(struct harness *h, uint64_t device, uint64_t phys, uint64_t offset,
		       uint64_t pages, uint32_t direction)
{
	struct ds_mapping entry = entry_of(1, phys, pages << 12, direction);

	run(h, link, device, IOVA, phys, offset, pages << 12, direction, 0);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].maps[direction]++;
	h->want.devices[1].mapped_bytes[direction] += pages << 12;
	if (direction == TO)
		return;
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA + offset, &entry);
	want__exposed(h, 1, (int64_t)pages, 1);
}

static void want_unlinked(struct harness *h, uint64_t device, uint64_t phys, uint64_t offset,
			  uint64_t pages, uint32_t direction)
{
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA + offset, NULL);
	want__exposed(h, 1, -(int64_t)pages, -1);
	want__completed(h, 1, phys, pages << 12);
	h->want.devices[1].unmaps[direction]++;
}

static void unlink_event(struct harness *h, uint64_t device, uint64_t offset, uint64_t size,
			 uint32_t direction)
{
	run(h, unlink, device, IOVA + offset, size, direction);
	want__counted(h, DS_SENSOR_DMA);
}

/* Three pieces of memory, one after the other in the device's address space. */
static uint64_t three_links(struct harness *h, uint32_t direction)
{
	uint64_t device = fake__device(h, "nvme0", "pci");

	want__device(h, device, 1);
	link_pages(h, device, PHYS, 0, 2, direction);
	link_pages(h, device, PHYS + (100 << 12), 2 << 12, 1, direction);
	link_pages(h, device, PHYS + (200 << 12), 3 << 12, 5, direction);
	harness__check(h);
	return device;
}

static void links_in_one_go(void **state)
{
	struct harness *h = *state;
	uint64_t device = three_links(h, FROM);

	assert_int_equal(h->source_infos[1].flags, DS_SOURCE_TRANSLATED);
	unlink_event(h, device, 0, 8 << 12, FROM);
	want_unlinked(h, device, PHYS, 0, 2, FROM);
	want_unlinked(h, device, PHYS + (100 << 12), 2 << 12, 1, FROM);
	want_unlinked(h, device, PHYS + (200 << 12), 3 << 12, 5, FROM);
	harness__check(h);
	unlink_event(h, device, 0, 8 << 12, FROM); /* all are gone */
	h->want.devices[1].unmatched_unmaps = 1;
	harness__check(h);
}

static void links_in_parts(void **state)
{
	struct harness *h = *state;
	uint64_t device = three_links(h, BOTH);

	unlink_event(h, device, 2 << 12, 1 << 12, BOTH); /* the one in the middle */
	want_unlinked(h, device, PHYS + (100 << 12), 2 << 12, 1, BOTH);
	harness__check(h);
	unlink_event(h, device, 0, 8 << 12, BOTH); /* up to the hole, no further */
	want_unlinked(h, device, PHYS, 0, 2, BOTH);
	h->want.devices[1].unmatched_unmaps = 1;
	harness__check(h);
	unlink_event(h, device, 4 << 12, 1 << 12, BOTH); /* no link begins there */
	h->want.devices[1].unmatched_unmaps = 2;
	harness__check(h);
	unlink_event(h, device, 3 << 12, 1, BOTH); /* a link ends as a whole */
	want_unlinked(h, device, PHYS + (200 << 12), 3 << 12, 5, BOTH);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
}

static void links_for_reading(void **state)
{
	struct harness *h = *state;
	uint64_t device = three_links(h, TO);

	unlink_event(h, device, 0, 8 << 12, TO);
	h->want.devices[1].unmaps[TO]++;
	unlink_event(h, device, 0, 0, TO);
	unlink_event(h, device, 0, 8 << 12, DS_DMA_NONE);
	unlink_event(h, device, 0, 8 << 12, UINT32_MAX);
	unlink_event(h, device, 0, 0, FROM);
	harness__check(h);
}

static void links_that_fail(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "nvme0", "pci");

	want__device(h, device, 1);
	run(h, link, device, IOVA, PHYS, 0, 4096, FROM, (uint64_t)-12);
	want__counted(h, DS_SENSOR_DMA);
	h->want.devices[1].failed_maps = 1;
	run(h, unlink, 0, IOVA, 4096, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_UNKNOWN_DEVICE, 0);
	h->want.devices[0].unmatched_unmaps = 1;
	harness__check(h);

	link_pages(h, device, SET_PAGES << 12, 0, 1, FROM); /* memory beyond the set */
	link_pages(h, device, PHYS, 1 << 12, 1, FROM);
	run(h, unlink, device, IOVA, 2 << 12, FROM);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_PAGE_SETS_FULL, 1);
	want_unlinked(h, device, PHYS, 1 << 12, 1, FROM);
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, NULL);
	want__exposed(h, 1, -1, -1);
	h->want.devices[1].unmaps[FROM]++;
	harness__check(h);
}

static void more_links_than_we_walk(void **state)
{
	struct harness *h = harness__new(true, MOST_LINKS + 2);
	uint64_t device = fake__device(h, "nvme0", "pci");
	struct ds_device_stats all;

	for (uint64_t i = 0; i < MOST_LINKS + 2; i++)
		run(h, link, device, IOVA, PHYS + (i << 13), i << 12, 4096, FROM, 0);
	run(h, unlink, device, IOVA, (MOST_LINKS + 2) << 12, FROM);
	all = harness__device(h, 1);
	assert_int_equal(all.exposed_pages, 2);
	assert_int_equal(all.live_mappings, 2);
	assert_int_equal(all.unmaps[FROM], MOST_LINKS);
	assert_int_equal(all.completed_pages, MOST_LINKS);
	assert_int_equal(all.lost, 1);
	assert_int_equal(harness__sensor(h, DS_SENSOR_DMA).lost[DS_LOST_TRUNCATED], 1);
	run(h, unlink, device, IOVA + (MOST_LINKS << 12), 2 << 12, FROM);
	assert_int_equal(harness__device(h, 1).exposed_pages, 0);
	assert_int_equal(harness__device(h, 1).lost, 1);
	harness__free(h);
}

int link_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(syncs, harness__each),
		cmocka_unit_test_setup(syncs_inside_of_mappings, harness__each),
		cmocka_unit_test_setup(syncs_of_nested_mappings, harness__each),
		cmocka_unit_test_setup(sync_beyond_the_set, harness__each),
		cmocka_unit_test_setup(links_in_one_go, harness__each),
		cmocka_unit_test_setup(links_in_parts, harness__each),
		cmocka_unit_test_setup(links_for_reading, harness__each),
		cmocka_unit_test_setup(links_that_fail, harness__each),
		cmocka_unit_test(more_links_than_we_walk),
	};

	return cmocka_run_group_tests_name("links", tests, harness__group, harness__group_end);
}
