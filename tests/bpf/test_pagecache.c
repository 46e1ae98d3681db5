/* SPDX-License-Identifier: BSD-2-Clause */
/* What processes write into the page cache, and who pays for it. */
#include "tests/bpf/harness.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/stat.h>

#include "twins.skel.h"

#define USER_ADDRESS 0x7f0000001000ULL

static uint64_t fake_mapping(struct harness *h, uint16_t mode, uint32_t rdev, uint32_t dev)
{
	uint64_t mapping = fake__new(h, "address_space", 1), inode = fake__new(h, "inode", 1);
	uint64_t sb = fake__new(h, "super_block", 1);

	fake__set(h, mapping, "address_space.host", inode);
	fake__set(h, inode, "inode.i_mode", mode);
	fake__set(h, inode, "inode.i_rdev", rdev);
	fake__set(h, inode, "inode.i_sb", sb);
	fake__set(h, sb, "super_block.s_dev", dev);
	return mapping;
}

static void want_pagecache(struct harness *h, uint32_t dev, uint64_t pagecache, uint64_t blockdev)
{
	struct ds_pagecache_stats stats = {.pagecache = pagecache, .blockdev = blockdev};

	want__row(h, TABLE_PAGECACHE, &dev, &stats);
}

static void files_and_block_devices(void **state)
{
	struct harness *h = *state;
	uint64_t file = fake_mapping(h, S_IFREG | 0644, 0, 0xfe00001);
	uint64_t disk = fake_mapping(h, S_IFBLK | 0660, 0xfe00001, 0x5);
	uint64_t other = fake_mapping(h, S_IFREG | 0600, 0x77, 0x800002);

	run(h, pagecache, 7, 70, 1, file);
	run(h, pagecache, 7, 70, 512, file);
	run(h, pagecache, 7, 70, 3, disk);
	run(h, pagecache, 8, 80, 5, other);
	run(h, pagecache, 8, 80, 2, 0); /* truncated meanwhile */
	want__process(h, 7, 70, 1);
	want__process(h, 8, 80, 2);
	h->want.processes[1].pagecache = 513;
	h->want.processes[1].blockdev = 3;
	h->want.processes[2].pagecache = 7;
	want_pagecache(h, 0xfe00001, 513, 3);
	want_pagecache(h, 0x800002, 5, 0);
	want_pagecache(h, 0, 2, 0);
	for (int i = 0; i < 5; i++)
		want__counted(h, DS_SENSOR_PAGECACHE);
	harness__check(h);
}

static void want_charge(struct harness *h, uint64_t id, uint32_t hierarchy, uint64_t pagecache,
			uint64_t blockdev)
{
	struct ds_charge_key key = {.cgroup_id = id, .hierarchy = hierarchy, .slot = 1};
	struct ds_pagecache_stats stats = {.pagecache = pagecache, .blockdev = blockdev};

	want__row(h, TABLE_CHARGES, &key, &stats);
}

static void who_pays_for_pages_of_the_kernel(void **state)
{
	struct harness *h = *state;
	uint64_t file = fake_mapping(h, S_IFREG | 0644, 0, 0xfe00001);
	uint64_t disk = fake_mapping(h, S_IFBLK | 0660, 0xfe00001, 0x5);
	uint64_t folio = fake__folio(h, 777, 0, false), other = fake__folio(h, 888, 5, true);
	uint64_t none = fake__new(h, "folio", 1), dead = fake__folio(h, 999, 0, false), own;

	fake__set(h, dead, "folio.memcg_data", fake__new(h, "mem_cgroup", 1));
	run(h, pagecache, 7, 70, 4, file, folio);
	own = fake__folio(h, h->process_infos[1].cgroup_id, 0, false);
	run(h, pagecache, 7, 70, 2, disk, folio);
	run(h, pagecache, 7, 70, 8, file, other);
	run(h, pagecache, 7, 70, 16, file, none);
	run(h, pagecache, 7, 70, 32, file, dead);
	run(h, pagecache, 7, 70, 64, file, own);
	run(h, pagecache, 7, 70, 128, file, 0);
	want__process(h, 7, 70, 1);
	h->want.processes[1].pagecache = 252;
	h->want.processes[1].blockdev = 2;
	want_pagecache(h, 0xfe00001, 252, 2);
	want_charge(h, 777, 0, 4, 2);
	want_charge(h, 888, 5, 8, 0);
	for (int i = 0; i < 7; i++)
		want__counted(h, DS_SENSOR_PAGECACHE);
	harness__check(h);
}

static void pagecache_tables_full(void **state)
{
	struct harness *h = *state;
	uint64_t pages = 0;

	for (uint32_t dev = 1; dev <= PAGECACHE_DEVICES + 2; dev++, pages++) {
		run(h, pagecache, 7, 70, 1, fake_mapping(h, S_IFREG, 0, dev));
		if (dev <= PAGECACHE_DEVICES) {
			want_pagecache(h, dev, 1, 0);
			want__counted(h, DS_SENSOR_PAGECACHE);
		} else {
			want__lost(h, DS_SENSOR_PAGECACHE, DS_LOST_DEVICES_FULL);
		}
	}
	want__process(h, 7, 70, 1);
	h->want.processes[1].pagecache = pages;
	for (uint32_t i = 2; i < SLOTS; i++) {
		run(h, fault, i, i, USER_ADDRESS, USER | WRITE);
		want__process(h, i, i, i);
		want__counted(h, DS_SENSOR_FAULT);
		h->want.processes[i].first_touch = 1;
	}
	run(h, pagecache, 9, 90, 4, fake_mapping(h, S_IFREG, 0, 1));
	run(h, pagecache, 9, 90, 4,
	    fake_mapping(h, S_IFREG, 0, 99)); /* both: one reason, the first */
	want__lost(h, DS_SENSOR_PAGECACHE, DS_LOST_PROCESSES_FULL);
	want__lost(h, DS_SENSOR_PAGECACHE, DS_LOST_PROCESSES_FULL);
	want_pagecache(h, 1, 5, 0);
	h->want.processes[DS_SLOT_NONE].pagecache = 8;
	harness__check(h);
}

static void folio_sizes(void **state)
{
	struct harness *h = *state;
	const char *count =
		fake__has(h, "folio._nr_pages") ? "folio._nr_pages" : "folio._folio_nr_pages";
	uint64_t file = fake_mapping(h, S_IFREG, 0, 1);
	uint64_t small = fake__new(h, "folio", 1), large = fake__new(h, "folio", 1);

	fake__set(h, small, "folio.flags", ~fake__page_flag(h, "PG_head"));
	fake__set(h, small, count, 77); /* of no meaning in a small folio */
	fake__set(h, large, "folio.flags", fake__page_flag(h, "PG_head"));
	fake__set(h, large, count, 512);
	run(h, folio, 7, 70, small, file);
	run(h, folio, 7, 70, large, file);
	want__process(h, 7, 70, 1);
	h->want.processes[1].pagecache = 513;
	want_pagecache(h, 1, 513, 0);
	want__counted(h, DS_SENSOR_PAGECACHE);
	want__counted(h, DS_SENSOR_PAGECACHE);
	harness__check(h);
}

/* Pages of tmpfs, by the page that was written: of a folio that is clean, all. */
static void files_in_memory(void **state)
{
	struct harness *h = *state;
	const char *count =
		fake__has(h, "folio._nr_pages") ? "folio._nr_pages" : "folio._folio_nr_pages";
	uint64_t small = fake__new(h, "folio", 1), large = fake__new(h, "folio", 1);
	uint64_t dirty = fake__new(h, "folio", 1);

	fake__set(h, large, "folio.flags", fake__page_flag(h, "PG_head"));
	fake__set(h, large, count, 16);
	fake__set(h, dirty, "folio.flags", fake__page_flag(h, "PG_dirty"));
	run(h, memory_file, 7, 70, small);
	run(h, memory_file, 7, 70, large);
	run(h, memory_file, 7, 70, dirty);
	want__process(h, 7, 70, 1);
	h->want.processes[1].pagecache = 17;
	want_pagecache(h, 0, 17, 0);
	want__counted(h, DS_SENSOR_PAGECACHE);
	want__counted(h, DS_SENSOR_PAGECACHE);
	harness__check(h);
}

/* A file system of several disks is known by its id. */
static void file_system_without_a_disk(void **state)
{
	struct harness *h = *state;
	struct ds_pagecache_stats stats = {.pagecache = 3, .uuid = {1, 2, 3, 4, 5, 6, 7, 8}};
	uint64_t file = fake_mapping(h, S_IFREG | 0644, 0, 0x2a);
	uint64_t sb = fake__new(h, "super_block", 1), inode = fake__new(h, "inode", 1);
	uint32_t dev = 0x2a;

	fake__set(h, file, "address_space.host", inode);
	fake__set(h, inode, "inode.i_sb", sb);
	fake__set(h, sb, "super_block.s_dev", dev);
	memcpy(h->fake + (sb - h->base) + fake__field(h, "super_block.s_uuid").bit / 8, stats.uuid,
	       sizeof(stats.uuid));
	run(h, pagecache, 7, 70, 3, file);
	want__process(h, 7, 70, 1);
	h->want.processes[1].pagecache = 3;
	want__row(h, TABLE_PAGECACHE, &dev, &stats);
	want__counted(h, DS_SENSOR_PAGECACHE);
	harness__check(h);
}

int pagecache_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(files_and_block_devices, harness__each),
		cmocka_unit_test_setup(who_pays_for_pages_of_the_kernel, harness__each),
		cmocka_unit_test_setup(pagecache_tables_full, harness__each),
		cmocka_unit_test_setup(folio_sizes, harness__each),
		cmocka_unit_test_setup(files_in_memory, harness__each),
		cmocka_unit_test_setup(file_system_without_a_disk, harness__each),
	};

	return cmocka_run_group_tests_name("pagecache", tests, harness__group, harness__group_end);
}
