/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounce buffers, the IOMMU's events, memory given to devices by VFIO, hardware reports. */
#include "tests/bpf/mappings.h"

#include "twins.skel.h"

#define READ_WRITE 3ULL /* IOMMU_READ | IOMMU_WRITE */
#define READ_ONLY 1ULL
#define DOMAIN 0xffff888000001000ULL
#define UNMAP_STEPS (1ULL << 20) /* DS_UNMAP_STEPS */

static void swiotlb(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	run(h, swiotlb, device, 4096);
	run(h, swiotlb, device, 1);
	run(h, swiotlb, 0, 7);
	want__counted(h, DS_SENSOR_SWIOTLB);
	want__counted(h, DS_SENSOR_SWIOTLB);
	want__lost_of(h, DS_SENSOR_SWIOTLB, DS_LOST_UNKNOWN_DEVICE, 0);
	h->want.devices[1].swiotlb_bounces = 2;
	h->want.devices[1].swiotlb_bytes = 4097;
	h->want.devices[0].swiotlb_bounces = 1;
	h->want.devices[0].swiotlb_bytes = 7;
	harness__check(h);
}

static void iommu(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "d", NULL);

	want__device(h, device, 1);
	run(h, iommu, 4096, 0, true);
	run(h, iommu, 2 << 20, 0, true);
	run(h, iommu, 0, 8192, false);
	run(h, iommu_fault, device);
	for (int i = 0; i < 4; i++)
		want__counted(h, DS_SENSOR_IOMMU);
	run(h, iommu_fault, 0);
	want__lost_of(h, DS_SENSOR_IOMMU, DS_LOST_UNKNOWN_DEVICE, 0);
	h->want.devices[0].iommu_maps = 2;
	h->want.devices[0].iommu_mapped_bytes = 4096 + (2 << 20);
	h->want.devices[0].iommu_unmaps = 1;
	h->want.devices[0].iommu_unmapped_bytes = 8192;
	h->want.devices[0].iommu_faults = 1;
	h->want.devices[1].iommu_faults = 1;
	harness__check(h);
}

static void hardware_reports(void **state)
{
	static const uint64_t reports[][3] = {{0, 4096, 1},	 {IOVA + 4095, 2, 2}, {IOVA, 0, 0},
					      {0, 2 << 20, 512}, {1, 4096, 2},	      {IOVA, 1, 1}};
	struct harness *h = *state;

	for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		run(h, hw, reports[i][0], reports[i][1]);
		want__counted(h, DS_SENSOR_HW);
		h->want.devices[DS_SLOT_NONE].reported_pages += reports[i][2];
		harness__check(h);
	}
}

/* ---- domains ---- */

static uint64_t attached(struct harness *h, uint64_t domain)
{
	uint64_t device = fake__device(h, "0000:03:00.0", "pci");
	uint32_t slot = 1;

	run(h, domain_attach, domain, device);
	want__counted(h, DS_SENSOR_IOMMU);
	want__device(h, device, 1);
	want__row(h, TABLE_DOMAINS, &domain, &slot);
	harness__check(h);
	assert_int_equal(h->source_infos[1].flags, DS_SOURCE_FOREIGN);
	return device;
}

static void domain_map(struct harness *h, uint64_t phys, uint64_t iova, uint64_t pages)
{
	struct ds_mapping entry = entry_of(1, phys, pages << 12, BOTH);

	run(h, domain_map, DOMAIN, iova, phys, pages << 12, READ_WRITE, 0);
	want__counted(h, DS_SENSOR_IOMMU);
	h->want.devices[1].foreign_maps++;
	want__exposed(h, 1, (int64_t)pages, 1);
	want__entry(h, DS_MAPPING_FOREIGN, DOMAIN, iova, &entry);
}

static void want_unmapped(struct harness *h, uint64_t phys, uint64_t iova, uint64_t pages)
{
	h->want.devices[1].foreign_unmaps++;
	want__exposed(h, 1, -(int64_t)pages, -1);
	want__completed(h, 1, phys, pages << 12);
	want__entry(h, DS_MAPPING_FOREIGN, DOMAIN, iova, NULL);
}

static void domain_unmap(struct harness *h, uint64_t iova, uint64_t size)
{
	run(h, domain_unmap, DOMAIN, iova, size);
	want__counted(h, DS_SENSOR_IOMMU);
}

static void memory_of_a_domain(void **state)
{
	struct harness *h = *state;

	attached(h, DOMAIN);
	domain_map(h, PHYS, IOVA, 512);
	harness__check(h);
	run(h, domain_map, DOMAIN, IOVA, PHYS, 512 << 12, READ_WRITE, 0); /* by iommu_map(), too */
	run(h, domain_map, DOMAIN, IOVA + (1 << 30), PHYS, 4096, READ_ONLY, 0);
	run(h, domain_map, DOMAIN, IOVA + (1 << 30), PHYS, 4096, 0, 0);
	run(h, domain_map, DOMAIN, IOVA + (1 << 30), PHYS, 4096, READ_WRITE, (uint64_t)-12);
	harness__check(h);
	domain_unmap(h, IOVA, 512 << 12);
	want_unmapped(h, PHYS, IOVA, 512);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
	assert_int_equal(h->source_infos[1].open_maps, 0); /* a direct address or not: VFIO's */
	assert_int_equal(h->source_infos[1].flags, DS_SOURCE_FOREIGN);
}

/* One unmap for many mappings, and for address space that has none, or one for reading. */
static void unmap_over_entries_and_holes(void **state)
{
	struct harness *h = *state;

	attached(h, DOMAIN);
	domain_map(h, PHYS, IOVA + (2 << 12), 3);
	domain_map(h, PHYS + (100 << 12), IOVA + (5 << 12), 1);
	domain_map(h, PHYS + (200 << 12), IOVA + (9 << 12), 4);
	domain_map(h, PHYS + (300 << 12), IOVA + (20 << 12), 2);
	harness__check(h);
	domain_unmap(h, IOVA, (20 << 12) - 1); /* up to the last, which stays */
	want_unmapped(h, PHYS, IOVA + (2 << 12), 3);
	want_unmapped(h, PHYS + (100 << 12), IOVA + (5 << 12), 1);
	want_unmapped(h, PHYS + (200 << 12), IOVA + (9 << 12), 4);
	harness__check(h);
	domain_unmap(h, IOVA + (21 << 12), 4096); /* inside of one: not how it was mapped */
	harness__check(h);
	domain_unmap(h, IOVA + (20 << 12), 4096); /* the whole, as it was mapped */
	want_unmapped(h, PHYS + (300 << 12), IOVA + (20 << 12), 2);
	harness__check(h);
	run(h, domain_unmap, DOMAIN, IOVA, 0);
	harness__check(h);
	assert_int_equal(h->want.devices[1].exposed_pages, 0);
}

static void unmaps_that_are_lost(void **state)
{
	struct harness *h = *state;
	const uint64_t last = IOVA + (UNMAP_STEPS << 12);

	attached(h, DOMAIN);
	domain_map(h, SET_PAGES << 12, IOVA, 2);
	run(h, domain_unmap, DOMAIN, IOVA, 2 << 12);
	want__lost_of(h, DS_SENSOR_IOMMU, DS_LOST_PAGE_SETS_FULL, 1);
	h->want.devices[1].foreign_unmaps++;
	want__exposed(h, 1, -2, -1);
	want__entry(h, DS_MAPPING_FOREIGN, DOMAIN, IOVA, NULL);
	harness__check(h);

	domain_map(h, PHYS, last, 1); /* behind a hole that is one page too long */
	run(h, domain_unmap, DOMAIN, IOVA, (UNMAP_STEPS + 1) << 12);
	want__lost_of(h, DS_SENSOR_IOMMU, DS_LOST_TRUNCATED, 1);
	harness__check(h);
	domain_unmap(h, IOVA + 4096, UNMAP_STEPS << 12);
	want_unmapped(h, PHYS, last, 1);
	harness__check(h);
}

static void domain_and_ledger_full(void **state)
{
	struct harness *h = *state;

	attached(h, DOMAIN);
	for (uint64_t i = 0; i < LEDGER_ENTRIES; i++)
		domain_map(h, PHYS + (i << 12), IOVA + (i << 12), 1);
	run(h, domain_map, DOMAIN, IOVA + (99 << 12), PHYS, 4096, READ_WRITE, 0);
	want__lost_of(h, DS_SENSOR_IOMMU, DS_LOST_MAPPINGS_FULL, 1);
	h->want.devices[1].foreign_maps++;
	harness__check(h);
	domain_unmap(h, IOVA, LEDGER_ENTRIES << 12);
	for (uint64_t i = 0; i < LEDGER_ENTRIES; i++)
		want_unmapped(h, PHYS + (i << 12), IOVA + (i << 12), 1);
	harness__check(h);
}

/* The DMA API maps through the same functions; the dma sensor has those. */
static void domains_that_are_not_ours(void **state)
{
	struct harness *h = *state;
	uint64_t gone = DOMAIN;

	attached(h, DOMAIN);
	run(h, domain_map, DOMAIN + 64, IOVA, PHYS, 4096, READ_WRITE, 0);
	run(h, domain_unmap, DOMAIN + 64, IOVA, 4096);
	run(h, domain_free, DOMAIN + 64);
	harness__check(h);
	domain_map(h, PHYS, IOVA, 1);
	domain_unmap(h, IOVA, 4096);
	want_unmapped(h, PHYS, IOVA, 1);
	run(h, domain_free, DOMAIN);
	want__row(h, TABLE_DOMAINS, &gone, NULL);
	run(h, domain_map, DOMAIN, IOVA, PHYS, 4096, READ_WRITE, 0);
	run(h, domain_unmap, DOMAIN, IOVA, 4096);
	harness__check(h);
}

static void attachments(void **state)
{
	struct harness *h = *state;
	uint64_t domain = DOMAIN, device = attached(h, DOMAIN), other;
	uint32_t slot = 2;

	run(h, domain_attach, domain, device); /* the same again */
	want__counted(h, DS_SENSOR_IOMMU);
	run(h, domain_attach, domain, 0);
	want__lost(h, DS_SENSOR_IOMMU, DS_LOST_UNKNOWN_DEVICE);
	harness__check(h);
	assert_int_equal(h->source_infos[DS_SLOT_NONE].flags, 0);
	other = fake__device(h, "0000:04:00.0", "pci"); /* a container of two: known by the last */
	run(h, domain_attach, domain, other);
	want__counted(h, DS_SENSOR_IOMMU);
	want__device(h, other, 2);
	want__row(h, TABLE_DOMAINS, &domain, &slot);
	harness__check(h);
	for (uint64_t i = 1; i < DOMAINS; i++) {
		domain = DOMAIN + i;
		run(h, domain_attach, domain, other);
		want__counted(h, DS_SENSOR_IOMMU);
		want__row(h, TABLE_DOMAINS, &domain, &slot);
	}
	run(h, domain_attach, DOMAIN + DOMAINS, other);
	want__lost(h, DS_SENSOR_IOMMU, DS_LOST_DEVICES_FULL);
	harness__check(h);
	for (uint32_t i = 3; i < SLOTS; i++) {
		other = fake__device(h, "d", NULL);
		run(h, swiotlb, other, 0);
		want__counted(h, DS_SENSOR_SWIOTLB);
		want__device(h, other, i);
		h->want.devices[i].swiotlb_bounces = 1;
	}
	other = fake__device(h, "d", NULL);
	run(h, domain_attach, DOMAIN, other);
	want__lost(h, DS_SENSOR_IOMMU, DS_LOST_DEVICES_FULL);
	run(h, iommu_fault, other);
	want__lost_of(h, DS_SENSOR_IOMMU, DS_LOST_DEVICES_FULL, 0);
	h->want.devices[0].iommu_faults = 1;
	harness__check(h);
}

int iommu_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(swiotlb, harness__each),
		cmocka_unit_test_setup(iommu, harness__each),
		cmocka_unit_test_setup(hardware_reports, harness__each),
		cmocka_unit_test_setup(memory_of_a_domain, harness__each),
		cmocka_unit_test_setup(unmap_over_entries_and_holes, harness__each),
		cmocka_unit_test_setup(unmaps_that_are_lost, harness__each),
		cmocka_unit_test_setup(domain_and_ledger_full, harness__each),
		cmocka_unit_test_setup(domains_that_are_not_ours, harness__each),
		cmocka_unit_test_setup(attachments, harness__each),
	};

	return cmocka_run_group_tests_name("iommu", tests, harness__group, harness__group_end);
}
