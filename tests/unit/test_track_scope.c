/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a process's memory a track is of: ranges against plain arrays, QEMU's arguments, zero
 * pages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/tracks/base/address_ranges.h"
#include "agent/tracks/base/page_map.h"
#include "agent/tracks/cpu/scope.h"
#include "agent/tracks/guest/guest_args.h"
#include "agent/tracks/residents.h"
#include "tests/cmocka_names.h"
#include "tests/unit/chance.h"

#define PAGE 4096ULL
#define SPAN 2000 /* pages of the model */
#define FIRST 0x7f1234567ULL

struct model {
	bool has[SPAN];
	size_t parts;
};

static void add(struct address_ranges *ranges, struct model *model)
{
	const uint64_t page = chance(SPAN), pages = 1 + chance(60);
	const uint64_t end = page + pages < SPAN ? page + pages : SPAN;

	assert_int_equal(address_ranges__add(ranges, (FIRST + page) * PAGE, (FIRST + end) * PAGE),
			 0);
	memset(model->has + page, true, end - page);
}

static int check_part(void *context, uint64_t start, uint64_t end, bool inside)
{
	struct model *model = context;

	assert_true(start < end);
	for (uint64_t page = start / PAGE; page < end / PAGE; page++)
		assert_int_equal(model->has[page - FIRST], inside);
	model->parts++;
	return 0;
}

static void test_ranges(void **unused)
{
	for (int round = 0; round < 50; round++) {
		struct address_ranges ranges = {0}, copy = {0};
		struct model model = {0};
		uint64_t pages = 0;

		for (int i = 0; i < 20; i++)
			add(&ranges, &model);
		for (size_t i = 0; i < SPAN; i++)
			pages += model.has[i];
		assert_int_equal(address_ranges__bytes(&ranges, 0, UINT64_MAX), pages * PAGE);
		for (size_t i = 1; i < ranges.count; i++)
			assert_true(ranges.list[i - 1].end < ranges.list[i].start);
		assert_int_equal(address_ranges__copy(&copy, &ranges), 0);
		assert_int_equal(address_ranges__cut(&copy, FIRST * PAGE, (FIRST + SPAN) * PAGE,
						     check_part, &model),
				 0);
		assert_uint_in_range(model.parts, 2 * ranges.count - 1, 2 * ranges.count + 1);
		address_ranges__free(&ranges);
		address_ranges__free(&copy);
	}
}

static void test_parse(void **unused)
{
	static const char *const bad[] = {"",
					  "-",
					  "0x1000",
					  "0x1000-",
					  "-0x1000",
					  "0x1000-0x2000-0x3000",
					  " 0x1000-0x2000",
					  "0x1000--0x2000",
					  "0x1000-0x2000 ",
					  "0x1000-0x1000",
					  "0x2000-0x1000",
					  "0x1001-0x2000",
					  "0x1000-0x2001",
					  "0x1000-0xfffffffffffff000",
					  "0x1000-0x10000000000000000000",
					  "g-h"};
	struct address_range range;
	struct reason why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why.text[0] = '\0';
		assert_int_equal(address_range__parse(bad[i], &range, &why), -EINVAL);
		assert_true(*why.text);
	}
	assert_int_equal(address_range__parse("0x7f0000000000-7f0001000000", &range, &why), 0);
	assert_true(range.start == 0x7f0000000000 && range.end == 0x7f0001000000);
}

static int collect(void *context, const struct page_run *run)
{
	bool *told = context;

	memset(told + (run->page - FIRST), true, run->pages);
	return 0;
}

static void test_keep(void **unused)
{
	for (int round = 0; round < 50; round++) {
		struct page_map *map = page_map__new();
		struct address_ranges ranges = {0};
		bool written[SPAN] = {0}, told[SPAN] = {0};
		struct page_counts counts;
		struct model model = {0};

		for (int i = 0; i < 10; i++)
			add(&ranges, &model);
		for (int i = 0; i < 300; i++) {
			const uint64_t page = chance(SPAN);

			written[page] = true;
			assert_int_equal(
				i % 2 ? page_map__add_cpu(map, FIRST + page, 1)
				      : page_map__add_device(map, FIRST + page, 1,
							     i % 4 ? DS_EVIDENCE_EXPOSED
								   : DS_EVIDENCE_COMPLETED),
				0);
		}
		page_map__keep(map, &ranges);
		assert_int_equal(page_map__walk(map, DS_EVIDENCE_EXPOSED, &counts, collect, told),
				 0);
		for (size_t i = 0; i < SPAN; i++)
			assert_int_equal(told[i], written[i] && model.has[i]);
		/* It is as good as before. */
		assert_int_equal(page_map__add_cpu(map, FIRST + 7, 1), 0);
		ranges.count = 0;
		page_map__keep(map, &ranges);
		assert_true(page_map__is_empty(map));
		page_map__free(map);
		address_ranges__free(&ranges);
	}
}

static struct map_region region(uint64_t start, uint64_t end, uint64_t offset, uint64_t inode)
{
	return (struct map_region){.start = start * PAGE,
				   .end = end * PAGE,
				   .mapping_start = start * PAGE,
				   .mapping_end = end * PAGE,
				   .offset = offset * PAGE,
				   .inode = inode,
				   .readable = true,
				   .writable = true,
				   .shared = inode};
}

static void test_scope(void **unused)
{
	struct address_ranges ranges = {0};
	const struct scope_want want = {.ranges = &ranges}, all = {0};
	struct map_region *regions = malloc(3 * sizeof(*regions));
	size_t count = 3, room = 3;
	struct scope scope = {0};

	assert_non_null(regions);
	regions[0] = region(100, 200, 0, 0);
	regions[1] = region(300, 400, 10, 7);
	regions[2] = region(500, 600, 50, 7); /* the same file, from its page 50 on */
	assert_int_equal(address_ranges__add(&ranges, 150 * PAGE, 160 * PAGE), 0);
	assert_int_equal(address_ranges__add(&ranges, 330 * PAGE, 350 * PAGE), 0);
	assert_int_equal(scope__begin(&scope, "/proc", 1, &want), 0);
	assert_int_equal(scope__select(&scope, &regions, &count, &room), 0);
	assert_int_equal(count, 3);
	assert_true(regions[0].start == 150 * PAGE && regions[0].end == 160 * PAGE);
	assert_true(regions[1].start == 330 * PAGE && regions[1].end == 350 * PAGE);
	assert_true(regions[1].offset == 40 * PAGE && regions[1].mapping_start == 300 * PAGE);
	/* Pages 40 to 59 of the file: from 50 on they are mapped twice. */
	assert_true(regions[2].start == 500 * PAGE && regions[2].end == 510 * PAGE);
	/* Who wants all gets it in parts, so that the others' ranges stay what they were. */
	regions[0] = region(100, 200, 0, 0);
	count = 1;
	assert_int_equal(scope__add(&scope, "/proc", 1, &all), 0);
	assert_int_equal(scope__select(&scope, &regions, &count, &room), 0);
	assert_int_equal(count, 3);
	assert_true(regions[1].start == 150 * PAGE && regions[2].end == 200 * PAGE);
	scope__free(&scope);
	address_ranges__free(&ranges);
	free(regions);
}

static void parse(struct guest_args *args, const char *const *words)
{
	char text[1024];
	size_t length = 0;

	for (; *words; words++) {
		memcpy(text + length, *words, strlen(*words) + 1);
		length += strlen(*words) + 1;
	}
	guest_args__parse(args, text, length);
}

static void test_guest_args(void **unused)
{
	static const struct {
		const char *const words[6];
		uint64_t size;
		const char *path;
		bool may_grow;
	} cases[] = {
		{{"qemu", NULL}, 128ULL << 20, NULL, false},
		{{"qemu", "-m", "48", NULL}, 48ULL << 20, NULL, false},
		{{"qemu", "-m", "4G", NULL}, 4ULL << 30, NULL, false},
		{{"qemu", "-m", "1.5g", NULL}, 3ULL << 29, NULL, false},
		{{"qemu", "--m", "size=512,slots=2,maxmem=4T", NULL}, 512ULL << 20, NULL, true},
		{{"qemu", "-m", "maxmem=8589934592,size=4194304k", NULL}, 4ULL << 30, NULL, true},
		{{"qemu", "-m", "x", NULL}, 128ULL << 20, NULL, false},
		{{"qemu", "-m", "1e400", NULL}, 128ULL << 20, NULL, false},
		{{"qemu", "-m", NULL}, 128ULL << 20, NULL, false},
		{{"qemu", "-object", "memory-backend-file,id=a,mem-path=/a,,b,size=1G", NULL},
		 1ULL << 30,
		 "/a,,b",
		 false},
		{{"qemu", "-object", "{\"qom-type\":\"memory-backend-memfd\",\"size\":65536}",
		  NULL},
		 65536,
		 NULL,
		 false},
		{{"qemu", "-object", "{\"qom-type\":\"iothread\",\"size\":65536}", NULL},
		 128ULL << 20,
		 NULL,
		 false},
		{{"qemu", "-object", "rng-random,size=4096", NULL}, 128ULL << 20, NULL, false},
		{{"qemu", "-object", "{\"qom-type\":", NULL}, 128ULL << 20, NULL, false},
		{{"qemu", "-mem-path", "/dev/hugepages", NULL},
		 128ULL << 20,
		 "/dev/hugepages",
		 false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest_args args;

		parse(&args, cases[i].words);
		assert_int_equal(args.size_count, 1);
		assert_int_equal(args.sizes[0], cases[i].size);
		assert_int_equal(args.may_grow, cases[i].may_grow);
		assert_int_equal(args.path_count, cases[i].path != NULL);
		if (cases[i].path)
			assert_string_equal(args.paths[0], cases[i].path);
	}
}

/* Any process may give itself any arguments: under the sanitizers. */
static void test_hostile_args(void **unused)
{
	static const char *const words[] = {
		"-m",	     "-object", "-mem-path", "memory-backend-ram",
		"size=",     "1G",	",",	     ",,",
		"=",	     "{",	"\"size\":", "\"qom-type\":",
		"mem-path=", "}",	"9e999",     "maxmem=",
		"-",	     "--m",	"\xff",	     "/"};
	char text[512];

	for (int round = 0; round < 20000; round++) {
		const size_t most = chance(sizeof(text));
		struct guest_args args;
		size_t length = 0;

		while (length < most) {
			const char *word = words[chance(sizeof(words) / sizeof(words[0]))];
			const size_t size = strlen(word) + chance(2);

			if (length + size > most)
				break;
			for (size_t i = 0; i < size; i++)
				text[length++] = word[i];
		}
		guest_args__parse(&args, text, length);
		assert_uint_in_range(args.size_count, 1, GUEST_SIZES_MAX);
		assert_uint_in_range(args.path_count, 0, GUEST_PATHS_MAX);
		for (size_t i = 0; i < args.size_count; i++)
			assert_true(args.sizes[i] > 0);
	}
}

/* Of so many pages of our own so many are not zero; how many does a sample say are? */
static void look(size_t pages, size_t written, struct zero_pages *zero)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	struct residents *residents = residents__new(1 + chance(1000000));

	assert_true(memory != MAP_FAILED);
	assert_non_null(residents);
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < written; i++)
		memory[i * PAGE + chance(PAGE)] = 1;
	for (size_t i = 0; i < pages; i++)
		residents__add(residents, (uintptr_t)memory + i * PAGE);
	assert_int_equal(residents__count(residents), pages);
	residents__look(residents, (uint32_t)getpid(), 60, zero);
	residents__free(residents);
	munmap(memory, pages * PAGE);
}

static void test_zero_pages(void **unused)
{
	struct zero_pages zero, sum;

	look(1000, 300, &zero);
	assert_int_equal(zero.sampled, 1000);
	assert_true(zero.value == 700 && zero.low == 700 && zero.high == 700);
	sum = zero;
	look(20000, 5000, &zero);
	assert_int_equal(zero.sampled, RESIDENTS_SAMPLE);
	/* Four deviations: it is the same on every run. */
	assert_true(zero.value > 14400 && zero.value < 15600);
	assert_true(zero.low < zero.value && zero.value < zero.high && zero.high - zero.low < 800);
	zero_pages__add(&sum, &zero);
	assert_true(sum.value == 700 + zero.value && sum.sampled == 1000 + RESIDENTS_SAMPLE);
	look(20000, 20000, &zero);
	assert_true(zero.value == 0 && zero.low == 0 && zero.high > 0 && zero.high < 40);
	zero_pages__add(&sum, &(struct zero_pages){0});
	assert_int_equal(sum.sampled, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),	   cmocka_unit_test(test_parse),
		cmocka_unit_test(test_keep),	   cmocka_unit_test(test_scope),
		cmocka_unit_test(test_guest_args), cmocka_unit_test(test_hostile_args),
		cmocka_unit_test(test_zero_pages),
	};

	return cmocka_run_group_tests_name("track_scope", tests, NULL, NULL);
}
