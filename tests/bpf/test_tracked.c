/* SPDX-License-Identifier: BSD-2-Clause */
/* Which faults are a track's: by the entry, the page and the mapping that the kernel has there. */
#include "tests/bpf/harness.h"

#include <bpf/bpf.h>
#include <string.h>

#include "twins.skel.h"

#define ENTRY 0x8000000000000025ULL /* NX, accessed, user, present */
#define WRITABLE 2ULL
#define DIRTY 0x40ULL
#define SPECIAL 0x200ULL
#define UFFD 0x400ULL
#define SOFT_DIRTY 0x800ULL
#define SAVED_DIRTY (1ULL << 58)

#define ANON 1ULL /* in folio->mapping */
#define SHARED 8ULL
#define WRITE_FLAG 2ULL
#define TMPFS 0x01021994ULL
#define EXT4 0xef53ULL

/* ---- pages ---- */

static uint64_t exclusive(struct harness *h)
{
	return fake__page_flag(h, "PG_anon_exclusive");
}

static uint64_t page(struct harness *h, uint64_t flags, uint64_t mapping)
{
	uint64_t folio = fake__new(h, "folio", 1);

	fake__set(h, folio, "folio.flags", flags);
	fake__set(h, folio, "folio.mapping", mapping);
	return folio;
}

static void set_head(struct harness *h, uint64_t tail, uint64_t info)
{
	fake__set(h, tail,
		  fake__has(h, "page.compound_info") ? "page.compound_info" : "page.compound_head",
		  info);
}

static uint64_t tail_of(struct harness *h, uint64_t head, uint64_t flags)
{
	uint64_t tail = fake__new(h, "folio", 1);

	fake__set(h, tail, "folio.flags", flags);
	set_head(h, tail, head | 1);
	return tail;
}

static uint64_t vma(struct harness *h, uint64_t flags, uint64_t magic)
{
	uint64_t mapping = fake__new(h, "vm_area_struct", 1), file = fake__new(h, "file", 1);
	uint64_t inode = fake__new(h, "inode", 1), sb = fake__new(h, "super_block", 1);

	fake__set(h, mapping, "vm_area_struct.vm_flags", flags);
	fake__set(h, mapping, "vm_area_struct.vm_file", magic ? file : 0);
	fake__set(h, file, "file.f_inode", inode);
	fake__set(h, inode, "inode.i_sb", sb);
	fake__set(h, sb, "super_block.s_magic", magic);
	return mapping;
}

static bool held(struct harness *h, uint64_t how, uint64_t entry, uint64_t page, uint64_t vma)
{
	run(h, held, how, entry, page, vma);
	return h->twins->bss->verdict;
}

/* ---- verdicts ---- */

/* It would have been written without a copy: the mark alone stands in the way. */
static void anonymous_memory(void **state)
{
	struct harness *h = *state;
	const uint64_t private = vma(h, WRITE_FLAG, 0);
	const uint64_t heads[] = {page(h, 0, ANON), page(h, ~exclusive(h), ANON)};
	const uint64_t own[] = {
		page(h, exclusive(h), ANON),
		tail_of(h, heads[0], exclusive(h)),
	};
	const uint64_t shared[] = {heads[0], heads[1], tail_of(h, heads[0], 0)};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		for (int dirty = 0; dirty < 2; dirty++) {
			const uint64_t entry = ENTRY | (dirty ? SAVED_DIRTY : 0);

			assert_true(held(h, DS_PROTECTED_WP, entry | UFFD, own[i], private));
			assert_false(held(h, DS_PROTECTED_WP, entry, own[i], private));
			assert_true(held(h, DS_PROTECTED_SOFT, entry, own[i], private));
			assert_false(
				held(h, DS_PROTECTED_SOFT, entry | SOFT_DIRTY, own[i], private));
			assert_false(held(h, DS_PROTECTED_PAST, entry, own[i], private));
			/* A userfaultfd of the target's own. */
			assert_false(held(h, DS_PROTECTED_PAST, entry | UFFD, own[i], private));
			assert_false(held(h, DS_PROTECTED_SOFT, entry | UFFD, own[i], private));
		}
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) { /* since a fork */
		assert_false(held(h, DS_PROTECTED_WP, ENTRY | UFFD | DIRTY, shared[i], private));
		assert_false(held(h, DS_PROTECTED_SOFT, ENTRY | SAVED_DIRTY, shared[i], private));
		assert_false(held(h, DS_PROTECTED_PAST, ENTRY | SAVED_DIRTY, shared[i], private));
	}
	/* The zero page. */
	assert_false(held(h, DS_PROTECTED_WP, ENTRY | UFFD | SPECIAL, page(h, 0, 0), private));
}

static void memory_of_files(void **state)
{
	struct harness *h = *state;
	/* The bit of exclusive anonymous pages means something else in a page of a file. */
	const uint64_t file = page(h, exclusive(h), fake__new(h, "address_space", 1));
	const uint64_t pages[] = {file, tail_of(h, file, 0)};
	const uint64_t disk = vma(h, SHARED | WRITE_FLAG, EXT4);
	const uint64_t own = vma(h, WRITE_FLAG, EXT4);
	const uint64_t memfd = vma(h, SHARED | WRITE_FLAG, TMPFS);
	const uint64_t own_memfd = vma(h, WRITE_FLAG, TMPFS);
	const uint64_t hows[] = {DS_PROTECTED_WP, DS_PROTECTED_SOFT, DS_PROTECTED_PAST,
				 DS_PROTECTED_PAST | DS_PROTECTED_SOFT};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		for (size_t j = 0; j < sizeof(hows) / sizeof(hows[0]); j++) {
			const uint64_t how = hows[j], mark = how & DS_PROTECTED_WP ? UFFD : 0;

			assert_true(held(h, how, ENTRY | mark | DIRTY, pages[i], disk));
			assert_true(held(h, how, ENTRY | mark | SAVED_DIRTY, pages[i], disk));
			/* Written back since, never written, or to be copied: its own. */
			assert_false(held(h, how, ENTRY | mark, pages[i], disk));
			assert_false(held(h, how, ENTRY | mark, pages[i], own));
			assert_false(held(h, how, ENTRY | mark, pages[i], own_memfd));
			/* Shared memory could be written at once. */
			assert_true(held(h, how, ENTRY | mark, pages[i], memfd));
			assert_true(held(h, how, ENTRY | mark | SAVED_DIRTY, pages[i], memfd));
		}
}

/* A tail page that holds a mask of its own address. */
static void heads_by_mask(void **state)
{
	struct harness *h = *state;
	const uint64_t size = fake__sizeof(h, "page"), many = 8;
	uint64_t pages = fake__alloc(h, 2 * many * size), head;

	if (size & (size - 1) || !fake__has(h, "page.compound_info"))
		return;
	head = (pages + many * size - 1) & ~(many * size - 1);
	fake__set(h, head, "folio.mapping", ANON);
	for (uint64_t i = 1; i < many; i++) {
		set_head(h, head + i * size, ~(many * size - 1) | 1);
		fake__set(h, head + i * size, "folio.flags", exclusive(h));
		assert_true(held(h, DS_PROTECTED_WP, ENTRY | UFFD, head + i * size, 0));
	}
}

/* ---- page tables ---- */

#define ADDRESS 0x7f1234567000ULL

static void what_may_be_written_by_now(void **state)
{
	struct harness *h = *state;
	const bool five = h->twins->rodata->ds_page_offset < 0xffff800000000000ULL;
	uint64_t mm = fake__new(h, "mm_struct", 1), at;
	uint64_t memory = (fake__alloc(h, 6 * 4096) | 4095) + 1;
	uint64_t entry;

	fake__set(h, mm, "mm_struct.pgd", memory);
	at = memory;
	for (int shift = five ? 48 : 39; shift > 12; shift -= 9, at += 4096) {
		entry = (at + 4096 - h->twins->rodata->ds_page_offset) | 0x67;
		memcpy(h->fake + (at + (ADDRESS >> shift & 511) * 8 - h->base), &entry, 8);
	}
	for (int there = 0; there < 2; there++)
		for (int present = 0; present < 2; present++) {
			entry = there ? ENTRY | WRITABLE | DIRTY : 0;
			memcpy(h->fake + (at + (ADDRESS >> 12 & 511) * 8 - h->base), &entry, 8);
			run(h, tracks, mm, ADDRESS, DS_PROTECTED_WP, present);
			/* Another thread was there first, or the page was never mapped. */
			assert_int_equal(h->twins->bss->verdict, there && present);
		}
}

/* ---- processes ---- */

static uint64_t protection(struct harness *h, uint64_t start, uint32_t tgid)
{
	run(h, protection, start, tgid);
	return h->twins->bss->verdict;
}

static void track(struct harness *h, uint64_t start, uint32_t tgid, uint32_t how)
{
	const struct ds_tracked row = {.start_ticks = start / 10000000, .how = how};

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(h->twins->maps.tracked), &tgid, &row, BPF_ANY), 0);
}

static void let_programs_look(struct harness *h, bool they_do)
{
	for (uint32_t cpu = 0; cpu < h->cpus; cpu++)
		h->sensors[DS_SENSOR_FAULT * h->cpus + cpu].tracking = they_do;
}

static void who_is_tracked(void **state)
{
	struct harness *h = *state;
	const uint64_t start = 123456789012ULL;

	track(h, start, 70, DS_PROTECTED_WP);
	track(h, start, 71, DS_PROTECTED_SOFT);
	track(h, start, 72, DS_PROTECTED_SOFT);
	let_programs_look(h, false);
	assert_int_equal(protection(h, start, 70), 0);
	let_programs_look(h, true);
	assert_int_equal(protection(h, start, 70), DS_PROTECTED_WP);
	assert_int_equal(protection(h, start + 1000, 70), DS_PROTECTED_WP); /* of the same tick */
	assert_int_equal(protection(h, start + 10000000, 70), 0); /* the pid is another's */
	assert_int_equal(protection(h, start, 69), 0);
	run(h, exit, start, 70);
	assert_int_equal(protection(h, start, 70), 0);
	assert_int_equal(protection(h, start, 71), DS_PROTECTED_SOFT);
	run(h, exec, start, 71);
	assert_int_equal(protection(h, start, 71), 0);
	assert_int_equal(protection(h, start, 72), DS_PROTECTED_SOFT);
	let_programs_look(h, false);
}

/* A track's faults are counted events, and in no other counter; one each, however large the page.
 */
static void counted_apart(void **state)
{
	enum { FIRST_TOUCH, REWRITE, KERNEL, TRACKED };
	struct harness *h = *state;

	run(h, fault_pages, 7, 70, REWRITE, 1);
	run(h, fault_pages, 7, 70, TRACKED, 1);
	run(h, fault_pages, 7, 70, TRACKED, 512);
	want__process(h, 7, 70, 1);
	h->want.processes[1].rewrite = 1;
	h->want.processes[1].tracked = 2;
	for (int i = 0; i < 3; i++)
		want__counted(h, DS_SENSOR_FAULT);
	harness__check(h);
}

int tracked_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(anonymous_memory, harness__each),
		cmocka_unit_test_setup(memory_of_files, harness__each),
		cmocka_unit_test_setup(heads_by_mask, harness__each),
		cmocka_unit_test_setup(what_may_be_written_by_now, harness__each),
		cmocka_unit_test_setup(who_is_tracked, harness__each),
		cmocka_unit_test_setup(counted_apart, harness__each),
	};

	return cmocka_run_group_tests_name("tracked", tests, harness__group, harness__group_end);
}
