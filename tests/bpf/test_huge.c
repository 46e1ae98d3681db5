/* SPDX-License-Identifier: BSD-2-Clause */
/* What functions tell of: how large a page is, and what userfaultfd fills. */
#include "tests/bpf/harness.h"

#include <string.h>

#include "twins.skel.h"

#define ADDRESS 0x7f1234567000ULL
#define PRESENT_ENTRY 1ULL
#define HUGE_ENTRY 0x81ULL
#define BITS_ABOVE (1ULL << 63 | 0x66) /* NX, and others that are no part of an address */
#define LEVELS 5

static void counts_of_many_pages(void **state)
{
	struct harness *h = *state;
	struct ds_process_stats *want = &h->want.processes[1];
	static const uint64_t pages[] = {1, 512, 512 * 512, 0};

	want__process(h, 7, 70, 1);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		for (uint64_t kind = 0; kind < 3; kind++) {
			run(h, fault_pages, 7, 70, kind, pages[i]);
			want__counted(h, DS_SENSOR_FAULT);
			*(kind == 0   ? &want->first_touch
			  : kind == 1 ? &want->rewrite
				      : &want->kernel) += pages[i];
			harness__check(h);
		}
	for (uint32_t i = 2; i < SLOTS + 2; i++) {
		run(h, fault_pages, i, i, 0, 512);
		if (i < SLOTS) {
			want__process(h, i, i, i);
			want__counted(h, DS_SENSOR_FAULT);
			h->want.processes[i].first_touch = 512;
		} else {
			want__lost(h, DS_SENSOR_FAULT, DS_LOST_PROCESSES_FULL);
			h->want.processes[DS_SLOT_NONE].first_touch += 512;
		}
	}
	harness__check(h);
}

/* ---- page tables ---- */

struct tables {
	uint64_t mm;
	uint64_t at[LEVELS]; /* kernel addresses, from the top down */
	int levels, shift;   /* of the top */
};

static uint64_t phys_of(struct harness *h, uint64_t address)
{
	return address - h->twins->rodata->ds_page_offset;
}

static void set_entry(struct harness *h, const struct tables *tables, int level, uint64_t entry)
{
	uint64_t index = ADDRESS >> (tables->shift - 9 * level) & 511;

	memcpy(h->fake + (tables->at[level] + index * 8 - h->base), &entry, sizeof(entry));
}

/* As many levels as the kernel that the direct map makes it look like; all of them linked. */
static struct tables fake_tables(struct harness *h)
{
	struct tables tables = {.mm = fake__new(h, "mm_struct", 1), .levels = 4, .shift = 39};
	uint64_t memory = (fake__alloc(h, (LEVELS + 1) * 4096) | 4095) + 1;

	if (h->twins->rodata->ds_page_offset < 0xffff800000000000ULL) {
		tables.levels = 5;
		tables.shift = 48;
	}
	for (int level = 0; level < tables.levels; level++)
		tables.at[level] = memory + 4096 * level;
	for (int level = 0; level + 1 < tables.levels; level++)
		set_entry(h, &tables, level,
			  phys_of(h, tables.at[level + 1]) | PRESENT_ENTRY | BITS_ABOVE);
	fake__set(h, tables.mm, "mm_struct.pgd", tables.at[0]);
	return tables;
}

static uint64_t table_pages(struct harness *h, const struct tables *tables, uint64_t address)
{
	run(h, table_pages, tables->mm, address);
	return h->twins->bss->page_count;
}

static void sizes_of_pages(void **state)
{
	struct harness *h = *state;
	struct tables tables = fake_tables(h);
	const int pmd = tables.levels - 2, pud = tables.levels - 3;
	uint64_t table = phys_of(h, tables.at[tables.levels - 1]);

	assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
	set_entry(h, &tables, pmd, (200 << 21) | HUGE_ENTRY | BITS_ABOVE);
	assert_int_equal(table_pages(h, &tables, ADDRESS), 512);
	assert_int_equal(table_pages(h, &tables, ADDRESS & ~((2ULL << 20) - 1)), 512);
	assert_int_equal(table_pages(h, &tables, ADDRESS + (2 << 20)), 1); /* its neighbour */
	assert_int_equal(table_pages(h, &tables, ADDRESS + (1ULL << 30)), 1);
	assert_int_equal(table_pages(h, &tables, ADDRESS + (1ULL << 39)), 1);
	set_entry(h, &tables, pmd, (200 << 21) | (HUGE_ENTRY & ~PRESENT_ENTRY)); /* swapped out */
	assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
	set_entry(h, &tables, pmd, 0);
	assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
	set_entry(h, &tables, pmd, table | PRESENT_ENTRY);
	set_entry(h, &tables, pud, (1ULL << 30) | HUGE_ENTRY | BITS_ABOVE);
	assert_int_equal(table_pages(h, &tables, ADDRESS), 512 * 512);
	set_entry(h, &tables, pud, (1ULL << 30) | (HUGE_ENTRY & ~PRESENT_ENTRY));
	assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
}

/* A way that ends anywhere, or leads to memory that is not there: a small page. */
static void tables_that_are_not_there(void **state)
{
	struct harness *h = *state;
	struct tables tables;

	for (int level = 0; level < 4; level++)
		for (int kind = 0; kind < 2; kind++) {
			harness__reset(h);
			tables = fake_tables(h);
			set_entry(h, &tables, tables.levels - 2, HUGE_ENTRY);
			assert_int_equal(table_pages(h, &tables, ADDRESS), 512);
			if (level < tables.levels - 2) {
				set_entry(h, &tables, level,
					  kind ? 0x000ffffffffff000ULL | PRESENT_ENTRY : 0);
				assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
			}
		}
	fake__set(h, tables.mm, "mm_struct.pgd", 0);
	assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
	tables.mm = 0;
	assert_int_equal(table_pages(h, &tables, ADDRESS), 1);
}

static void where_a_huge_page_fits(void **state)
{
	const uint64_t two = 2 << 20, start = ADDRESS & ~(two - 1);
	const struct {
		uint64_t start, end, address;
		bool may;
	} cases[] = {
		{start, start + two, ADDRESS, true},
		{start, start + two, start, true},
		{start, start + two, start + two - 1, true},
		{start + 4096, start + two, ADDRESS, false},
		{start, start + two - 4096, ADDRESS, false},
		{start - two, start + 2 * two, ADDRESS, true},
		{ADDRESS, ADDRESS + 4096, ADDRESS, false},
	};
	struct harness *h = *state;
	uint64_t vma = fake__new(h, "vm_area_struct", 1);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake__set(h, vma, "vm_area_struct.vm_start", cases[i].start);
		fake__set(h, vma, "vm_area_struct.vm_end", cases[i].end);
		run(h, may_be_huge, vma, cases[i].address);
		assert_int_equal(h->twins->bss->page_count, cases[i].may);
	}
}

/* UFFDIO_COPY: whose memory it is, given its mm, or the userfaultfd's context. */
static void memory_that_userfaultfd_fills(void **state)
{
	struct harness *h = *state;
	uint64_t mm = fake__new(h, "mm_struct", 1), task = fake__new(h, "task_struct", 1);
	uint64_t context = fake__new(h, "userfaultfd_ctx", 1);

	fake__set(h, mm, "mm_struct.owner", task);
	fake__set(h, task, "task_struct.mm", mm);
	fake__set(h, task, "task_struct.tgid", 70);
	fake__set(h, task, "task_struct.group_leader", task);
	fake__set(h, task, "task_struct.start_boottime", 7);
	fake__set(h, context, "userfaultfd_ctx.mm", mm);
	run(h, userfault, context, 1 << 20);
	run(h, userfault, mm, 4096);
	run(h, userfault, mm, (uint64_t)-14);
	run(h, userfault, mm, 0);
	assert_int_equal(harness__process(h, 1).kernel, 257);
	assert_int_equal(h->process_infos[1].key.tgid, 70);
	assert_int_equal(h->process_infos[1].key.start_boottime_ns, 7);
	assert_int_equal(harness__sensor(h, DS_SENSOR_FAULT).counted, 2);
	assert_int_equal(harness__sensor(h, DS_SENSOR_FAULT).offered, 2);
}

int huge_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counts_of_many_pages, harness__each),
		cmocka_unit_test_setup(sizes_of_pages, harness__each),
		cmocka_unit_test_setup(tables_that_are_not_there, harness__each),
		cmocka_unit_test_setup(where_a_huge_page_fits, harness__each),
		cmocka_unit_test_setup(memory_that_userfaultfd_fills, harness__each),
	};

	return cmocka_run_group_tests_name("huge", tests, harness__group, harness__group_end);
}
