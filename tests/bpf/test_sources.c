/* SPDX-License-Identifier: BSD-2-Clause */
/* Which device an event is about: identity, names, slots. */
#include "tests/bpf/mappings.h"

#include <bpf/bpf.h>
#include <string.h>

#include "twins.skel.h"

/* An address is used again; the id of a directory in sysfs is not. */
static void address_used_again(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "nvme0", "pci"), node;

	map_one(h, device, 1, PHYS, IOVA, 4096, FROM); /* not in sysfs yet: by its address */
	want__device(h, device, 1);
	harness__check(h);
	unmap_one(h, device, 1, PHYS, IOVA, 4096, FROM);

	fake__put_in_sysfs(h, device, 77);
	map_one(h, device, 2, PHYS, IOVA, 4096, FROM);
	want__device(h, 77, 2);
	unmap_one(h, device, 2, PHYS, IOVA, 4096, FROM);
	harness__check(h);

	fake__name_device(h, device, "nvme1", "pci"); /* gone, and another at its address */
	fake__put_in_sysfs(h, device, (1ULL << 32) + 77);
	map_one(h, device, 3, PHYS, IOVA, 4096, FROM);
	want__device(h, (1ULL << 32) + 77, 3);
	harness__check(h);
	assert_int_equal(h->source_infos[2].key.id, 77);
	assert_string_equal(h->source_infos[2].name, "nvme0");
	assert_string_equal(h->source_infos[3].name, "nvme1");

	/* Its directory goes before its last unmap: exposure ends where it began. */
	fake__set(h, device, "device.kobj.sd", 0);
	unmap_event(h, device, 1, IOVA, 4096, FROM);
	want__completed(h, 1, PHYS, 4096);
	want__entry(h, DS_MAPPING_SINGLE, device, IOVA, NULL);
	want__exposed(h, 3, -1, -1);
	harness__check(h);

	node = fake__new(h, "kernfs_node", 1); /* an id of 0 is none */
	fake__set(h, device, "device.kobj.sd", node);
	map_one(h, device, 1, PHYS, IOVA, 4096, FROM);
	harness__check(h);
}

/* The agent makes the slot before the first event. */
static void slot_made_before(void **state)
{
	struct harness *h = *state;
	uint64_t device = fake__device(h, "nvme0", "pci");
	struct ds_source_key key = {.kind = DS_SOURCE_DEVICE, .id = 77};
	uint32_t slot = 5;

	fake__put_in_sysfs(h, device, 77);
	assert_int_equal(
		bpf_map_update_elem(harness__table(h, TABLE_SOURCES), &key, &slot, BPF_ANY), 0);
	want__device(h, 77, 5);
	map_one(h, device, 5, PHYS, IOVA, 4096, FROM);
	harness__check(h);
	assert_int_equal(h->source_infos[5].flags, DS_SOURCE_TRANSLATED);
	assert_int_equal(h->source_infos[5].state, DS_SLOT_FREE); /* the agent's to say */
}

/* Every sensor finds the same source. */
static void one_device_of_all_sensors(void **state)
{
	struct harness *h = *state;
	uint64_t queue = fake__queue(h, "virtio1"), device = queue__device(h, queue);
	uint64_t skb = fake__new(h, "sk_buff", 1), entry;
	uint64_t list = fake__list(h, &(struct fake_segment){7, 0, 4096}, 1, 1);

	fake__put_in_sysfs(h, device, 123);
	entry = fake__alloc(h, 4096);
	fake__set(h, skb, "sk_buff.head", entry);
	fake__set(h, skb, "sk_buff.data", entry);
	run(h, net, device, skb, 0);
	run(h, swiotlb, device, 1);
	run(h, iommu_fault, device);
	run(h, map, device, PHYS, IOVA, 4096, TO);
	run(h, domain_attach, 0x1000, device);
	run(h, give_list, queue, 1, list, 1, true);
	want__device(h, 123, 1);
	assert_int_equal(harness__device(h, 1).net_packets, 1);
	assert_int_equal(harness__device(h, 1).swiotlb_bounces, 1);
	assert_int_equal(harness__device(h, 1).iommu_faults, 1);
	assert_int_equal(harness__device(h, 1).maps[TO], 1);
	assert_int_equal(harness__device(h, 1).virtio_buffers, 1);
	assert_int_equal(h->source_infos[1].flags, DS_SOURCE_FOREIGN);
	assert_int_equal(h->source_infos[2].state, DS_SLOT_FREE);
}

/* The 16th device has no slot; when one becomes free, its exposure must end where it began. */
static void device_table_full(void **state)
{
	struct harness *h = *state;
	uint64_t devices[SLOTS + 1];
	struct ds_source_key first = {.kind = DS_SOURCE_DEVICE};
	struct ds_mapping entry = entry_of(DS_SLOT_NONE, PHYS, 4096, FROM);
	uint32_t slot = 1;

	for (uint32_t i = 1; i <= SLOTS; i++)
		devices[i] = fake__device(h, "d", NULL);
	for (uint32_t i = 1; i < SLOTS; i++) {
		want__device(h, devices[i], i);
		map_one(h, devices[i], i, PHYS + (i << 12), IOVA, 4096, FROM);
	}
	run(h, map, devices[SLOTS], PHYS, IOVA, 4096, FROM);
	want__entry(h, DS_MAPPING_SINGLE, devices[SLOTS], IOVA, &entry);
	h->want.devices[0].maps[FROM] = 1;
	h->want.devices[0].mapped_bytes[FROM] = 4096;
	want__exposed(h, 0, 1, 1);
	want__lost_of(h, DS_SENSOR_DMA, DS_LOST_DEVICES_FULL, 0);
	harness__check(h);

	unmap_one(h, devices[1], 1, PHYS + 4096, IOVA, 4096, FROM);
	first.id = devices[1];
	assert_int_equal(bpf_map_delete_elem(harness__table(h, TABLE_SOURCES), &first), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(h->twins->maps.source_slots), NULL, &slot, BPF_ANY),
		0);
	want__row(h, TABLE_SOURCES, &first, NULL);
	want__device(h, devices[SLOTS], 1);
	map_event(h, devices[SLOTS], 1, PHYS, IOVA, 4096, FROM); /* again, and so does this */
	entry.live = entry.pages = 2;
	want__entry(h, DS_MAPPING_SINGLE, devices[SLOTS], IOVA, &entry);
	want__exposed(h, 0, 1, 0);
	harness__check(h);
	unmap_event(h, devices[SLOTS], 1, IOVA, 4096, FROM);
	want__completed(h, 1, PHYS, 4096);
	want__exposed(h, 0, -1, 0);
	unmap_event(h, devices[SLOTS], 1, IOVA, 4096, FROM);
	want__entry(h, DS_MAPPING_SINGLE, devices[SLOTS], IOVA, NULL);
	want__completed(h, 1, PHYS, 4096);
	want__exposed(h, 0, -1, -1);
	harness__check(h);
	assert_int_equal(h->source_infos[1].flags, DS_SOURCE_TRANSLATED);
}

static void names_of_sources(void **state)
{
	const char *longest = "0123456789abcdef0123456789abcdef0123456789abcdef_and_more";
	struct harness *h = *state;
	uint64_t parent = fake__device(h, "virtio1", "virtio");

	run(h, swiotlb, fake__device(h, "0000:00:04.0", "pci"), 1);
	run(h, swiotlb, fake__device(h, longest, longest), 1);
	run(h, swiotlb, fake__new(h, "device", 1), 1); /* no names at all */
	run(h, swiotlb, 0x10, 1);		       /* not even memory */
	run(h, complete, fake__disk(h, "vda", parent), 3, 0, 0, 0);
	run(h, complete, fake__disk(h, "loop0", 0), 4, 0, 0, 0);
	for (int slot = 1; slot <= 5; slot++) {
		assert_int_equal(h->source_infos[slot].state, DS_SLOT_LIVE);
		assert_true(h->source_infos[slot].first_seen_ns);
		assert_int_equal(h->source_infos[slot].flags, 0);
		assert_int_equal(h->source_infos[slot].key.kind,
				 slot < 5 ? DS_SOURCE_DEVICE : DS_SOURCE_DISK);
	}
	assert_int_equal(h->source_infos[6].state, DS_SLOT_FREE); /* not for the loop disk */
	assert_string_equal(h->source_infos[1].name, "0000:00:04.0");
	assert_string_equal(h->source_infos[1].bus, "pci");
	assert_int_equal(strlen(h->source_infos[2].name), DS_NAME_LEN - 1);
	assert_int_equal(strlen(h->source_infos[2].bus), DS_BUS_LEN - 1);
	assert_memory_equal(h->source_infos[2].name, longest, DS_NAME_LEN - 1);
	assert_string_equal(h->source_infos[3].name, "");
	assert_string_equal(h->source_infos[4].name, "");
	assert_string_equal(h->source_infos[5].name, "vda");
	assert_int_equal(h->source_infos[5].key.id, 3);
}

int source_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(address_used_again, harness__each),
		cmocka_unit_test_setup(slot_made_before, harness__each),
		cmocka_unit_test_setup(one_device_of_all_sensors, harness__each),
		cmocka_unit_test_setup(device_table_full, harness__each),
		cmocka_unit_test_setup(names_of_sources, harness__each),
	};

	return cmocka_run_group_tests_name("sources", tests, harness__group, harness__group_end);
}
