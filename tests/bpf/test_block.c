/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads of block devices: which pages, for whom, however the bios are cut. */
#include "tests/bpf/harness.h"

#include "twins.skel.h"

#define DISKSEQ 5ULL
#define STEPS 16384 /* DS_BLOCK_SEGMENTS */

#define fake_bio(h, next, ...)                                        \
	make_bio(h, next, (const struct fake_segment[]){__VA_ARGS__}, \
		 sizeof((const struct fake_segment[]){__VA_ARGS__}) / sizeof(struct fake_segment))

static uint64_t make_bio(struct harness *h, uint64_t next, const struct fake_segment *segments,
			 size_t count)
{
	uint64_t bio = fake__new(h, "bio", 1), array = fake__new(h, "bio_vec", count + 1);
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += segments[i].bytes;
	fake__segments(h, array, segments, count);
	fake__set(h, bio, "bio.bi_next", next);
	fake__set(h, bio, "bio.bi_io_vec", array);
	return fake__set(h, bio, "bio.bi_iter.bi_size", bytes);
}

static uint64_t real_disk(struct harness *h)
{
	want__disk(h, DISKSEQ, 1);
	return fake__disk(h, "vda", fake__device(h, "virtio1", "virtio"));
}

static void want_request(struct harness *h, uint32_t slot, uint64_t pages, uint64_t bytes)
{
	h->want.devices[slot].block_requests++;
	h->want.devices[slot].block_pages += pages;
	h->want.devices[slot].block_bytes += bytes;
}

static void one_bio(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bio = fake_bio(h, 0, {100, 0, 4096}, {50, 0, 8192});

	run(h, submit, 7, 70, bio);
	want__process(h, 7, 70, 1);
	want__request(h, bio, 7, 70);
	h->want.count[TABLE_SOURCES] = 0; /* the disk is met at the first completion */
	harness__check(h);
	run(h, complete, disk, DISKSEQ, bio, 12288, false);
	want__disk(h, DISKSEQ, 1);
	want__row(h, TABLE_REQUESTS, &bio, NULL);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 3, 12288);
	want__flow(h, 7, 70, 1, 3, 12288, 1);
	want__pages(h, 1, 100, 1);
	want__pages(h, 1, 50, 2);
	harness__check(h);
}

static void chain_of_owners(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h);
	uint64_t d = fake_bio(h, 0, {400, 0, 4096});
	uint64_t c = fake_bio(h, d, {300, 0, 16384});
	uint64_t b = fake_bio(h, c, {200, 0, 4096}, {201, 0, 4096});
	uint64_t a = fake_bio(h, b, {100, 0, 4096});

	run(h, submit, 7, 70, a);
	run(h, submit, 8, 80, b);
	run(h, submit, 8, 80, c);
	run(h, submit, 7, 70, d);
	run(h, complete, disk, DISKSEQ, a, 4096 + 8192 + 16384 + 4096, false);
	want__process(h, 7, 70, 1);
	want__process(h, 8, 80, 2);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 8, 32768);
	want__flow(h, 7, 70, 1, 2, 8192, 2); /* two runs of bios of its own */
	want__flow(h, 8, 80, 1, 6, 24576, 1);
	want__pages(h, 1, 100, 1);
	want__pages(h, 1, 200, 2);
	want__pages(h, 1, 300, 4);
	want__pages(h, 1, 400, 1);
	harness__check(h);
}

static void long_segments(void **state)
{
	struct harness *h = *state;
	const uint32_t mib = 1 << 20;
	uint64_t disk = real_disk(h), bytes = mib + mib + 4 * mib + 5 * mib + 512;
	uint64_t bio = fake_bio(h, 0, {1000, 0, mib}, {2000, 512, mib}, {3000, 0, 4 * mib},
				{5000, 3584, 5 * mib}, {8000, 4095, 512});

	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, bytes, false);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_BLOCK);
	want__pages(h, 1, 1000, 256);
	want__pages(h, 1, 2000, 257);
	want__pages(h, 1, 3000, 1024);
	want__pages(h, 1, 5000, 1281);
	want__pages(h, 1, 8000, 2);
	want_request(h, 1, 256 + 257 + 1024 + 1281 + 2, bytes);
	want__flow(h, 7, 70, 1, 256 + 257 + 1024 + 1281 + 2, bytes, 1);
	harness__check(h);
}

/* Just short of what one step marks: the step must not take bytes of the next segment. */
static void segment_of_511_pages_and_a_half(void **state)
{
	struct harness *h = *state;
	const uint32_t size = 511 * 4096 + 2048, rest = 3 * 4096 + 512;
	uint64_t disk = real_disk(h), bio = fake_bio(h, 0, {1000, 0, size}, {9000, 0, rest});

	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, size + rest, false);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_BLOCK);
	want__pages(h, 1, 1000, 512);
	want__pages(h, 1, 9000, 4);
	want_request(h, 1, 516, size + rest);
	want__flow(h, 7, 70, 1, 516, size + rest, 1);
	harness__check(h);
}

static void sectors(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bio;

	for (uint32_t i = 0; i < 8; i++) { /* one page, a sector at a time */
		bio = fake_bio(h, 0, {100, i * 512, 512});
		run(h, submit, 7, 70, bio);
		run(h, complete, disk, DISKSEQ, bio, 512, false);
		want__counted(h, DS_SENSOR_BLOCK);
		want_request(h, 1, 1, 512);
	}
	bio = fake_bio(h, 0, {200, 3584, 1024}); /* across a page boundary */
	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, 1024, false);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 2, 1024);
	want__process(h, 7, 70, 1);
	want__flow(h, 7, 70, 1, 10, 5120, 9);
	want__pages(h, 1, 100, 1);
	want__pages(h, 1, 200, 2);
	harness__check(h);
}

static void in_parts(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), next = fake_bio(h, 0, {500, 0, 4096});
	uint64_t bio =
		fake_bio(h, next, {100, 0, 4096}, {200, 0, 4096}, {300, 0, 4096}, {400, 0, 4096});

	run(h, submit, 7, 70, bio);
	run(h, submit, 8, 80, next);
	run(h, complete, disk, DISKSEQ, bio, 6144, false); /* one page and a half */
	want__process(h, 7, 70, 1);
	want__process(h, 8, 80, 2);
	want__request(h, bio, 7, 70);
	want__request(h, next, 8, 80);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 2, 6144);
	want__flow(h, 7, 70, 1, 2, 6144, 1);
	want__pages(h, 1, 100, 1);
	want__pages(h, 1, 200, 1);
	harness__check(h);

	fake__set(h, bio, "bio.bi_iter.bi_idx", 1); /* as bio_advance() leaves it */
	fake__set(h, bio,
		  fake__has(h, "bio.bi_iter.bi_offset") ? "bio.bi_iter.bi_offset"
							: "bio.bi_iter.bi_bvec_done",
		  2048);
	fake__set(h, bio, "bio.bi_iter.bi_size", 10240);
	run(h, complete, disk, DISKSEQ, bio, 10240 + 4096, false);
	want__row(h, TABLE_REQUESTS, &bio, NULL);
	want__row(h, TABLE_REQUESTS, &next, NULL);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 4, 14336);
	want__flow(h, 7, 70, 1, 5, 16384, 2);
	want__flow(h, 8, 80, 1, 1, 4096, 1);
	want__pages(h, 1, 300, 1);
	want__pages(h, 1, 400, 1);
	want__pages(h, 1, 500, 1);
	harness__check(h);
}

static void empty_bios(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), full = fake_bio(h, 0, {100, 0, 4096});
	uint64_t empty = make_bio(h, full, NULL, 0);

	run(h, submit, 7, 70, empty);
	run(h, submit, 7, 70, full);
	run(h, complete, disk, DISKSEQ, empty, 4096, false);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 1, 4096);
	want__flow(h, 7, 70, 1, 1, 4096, 1);
	want__pages(h, 1, 100, 1);
	harness__check(h);
	run(h, complete, disk, DISKSEQ, 0, 0, false); /* no bio, no bytes: a flush */
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 0, 0);
	harness__check(h);
}

static void unknown_submitter(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), known = fake_bio(h, 0, {200, 0, 4096});
	uint64_t bio = fake_bio(h, known, {100, 0, 4096});

	run(h, submit, 7, 70, known);
	run(h, complete, disk, DISKSEQ, bio, 8192, true);
	want__process(h, 7, 70, 1);
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_UNKNOWN_SUBMITTER, 1);
	want_request(h, 1, 2, 8192);
	h->want.devices[1].block_errors = 1; /* and its pages count even so */
	want__flow(h, 0, 0, 1, 1, 4096, 1);
	want__flow(h, 7, 70, 1, 1, 4096, 1);
	want__pages(h, 1, 100, 1);
	want__pages(h, 1, 200, 1);
	harness__check(h);
}

static void virtual_disk(void **state)
{
	struct harness *h = *state;
	uint64_t disk = fake__disk(h, "zram0", 0), bio = fake_bio(h, 0, {100, 0, 8192});

	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, 8192, false);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 0, 0, 8192); /* no slot, no page, no flow: the CPU moved it */
	harness__check(h);
}

static void disk_without_hardware(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bio = fake_bio(h, 0, {100, 0, 4096});

	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, 4096, false);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 1, 4096);
	want__flow(h, 7, 70, 1, 1, 4096, 1);
	want__pages(h, 1, 100, 1);
	harness__check(h);
	h->source_infos[1].flags = DS_SOURCE_VIRTUAL; /* so says the agent */
	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, 4096, false);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, 0, 4096);
	harness__check(h);
}

static void no_disk(void **state)
{
	struct harness *h = *state;
	uint64_t bio = fake_bio(h, 0, {100, 0, 4096});

	run(h, submit, 7, 70, bio);
	run(h, complete, 0, 0, bio, 4096, false);
	want__process(h, 7, 70, 1);
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_UNKNOWN_DEVICE, 0);
	want_request(h, 0, 1, 4096);
	want__flow(h, 7, 70, 0, 1, 4096, 1);
	want__pages(h, 0, 100, 1);
	harness__check(h);
}

static void disk_table_full(void **state)
{
	struct harness *h = *state;
	uint64_t disk = fake__disk(h, "sd", 1), bio = fake_bio(h, 0, {100, 0, 4096});

	want__process(h, 7, 70, 1);
	for (uint32_t i = 1; i < SLOTS + 2; i++) {
		uint32_t slot = i < SLOTS ? i : DS_SLOT_NONE;

		run(h, submit, 7, 70, bio);
		run(h, complete, disk, i, bio, 4096, false);
		want_request(h, slot, 1, 4096);
		want__pages(h, slot, 100, 1);
		if (slot) {
			want__disk(h, i, i);
			want__counted(h, DS_SENSOR_BLOCK);
			want__flow(h, 7, 70, slot, 1, 4096, 1);
		} else {
			want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_DEVICES_FULL, 0);
		}
	}
	want__flow(h, 7, 70, 0, 2, 8192, 2);
	harness__check(h);
}

static void tables_in_flight_full(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bios[TABLE_ENTRIES + 1];

	want__process(h, 7, 70, 1);
	for (int i = 0; i <= TABLE_ENTRIES; i++) {
		bios[i] = fake_bio(h, 0, {100 + i, 0, 4096});
		run(h, submit, 7, 70, bios[i]);
	}
	for (int i = 0; i <= TABLE_ENTRIES; i++) {
		run(h, complete, disk, DISKSEQ, bios[i], 4096, false);
		want_request(h, 1, 1, 4096);
		if (i < TABLE_ENTRIES)
			want__counted(h, DS_SENSOR_BLOCK);
	}
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_UNKNOWN_SUBMITTER, 1);
	want__flow(h, 7, 70, 1, TABLE_ENTRIES, TABLE_ENTRIES * 4096, TABLE_ENTRIES);
	want__flow(h, 0, 0, 1, 1, 4096, 1);
	want__pages(h, 1, 100, TABLE_ENTRIES + 1);
	harness__check(h);
}

static void flow_table_full(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bio = fake_bio(h, 0, {100, 0, 4096});

	for (uint32_t i = 1; i <= TABLE_ENTRIES + 2; i++) {
		run(h, submit, i, i, bio);
		run(h, complete, disk, DISKSEQ, bio, 4096, false);
		want_request(h, 1, 1, 4096);
		if (i < SLOTS)
			want__process(h, i, i, i);
		if (i <= TABLE_ENTRIES) {
			want__counted(h, DS_SENSOR_BLOCK);
			want__flow(h, i, i, 1, 1, 4096, 1);
		} else {
			want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_FLOWS_FULL, 1);
		}
	}
	want__pages(h, 1, 100, 1);
	harness__check(h);
}

static void pages_beyond_the_set(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h);
	uint64_t bio = fake_bio(h, 0, {SET_PAGES, 0, 4096}, {10, 0, 4096}, {1ULL << 38, 0, 4096});

	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, 12288, false);
	want__process(h, 7, 70, 1);
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_PAGE_SETS_FULL, 1);
	want_request(h, 1, 3, 12288);
	want__flow(h, 7, 70, 1, 3, 12288, 1);
	want__pages(h, 1, 10, 1);
	harness__check(h);
}

static void broken_lists(void **state)
{
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bio = fake_bio(h, 0, {100, 0, 4096});
	uint64_t hole = fake_bio(h, 0, {200, 0, 4096}, {300, 0, 0}, {400, 0, 4096});

	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, 8192, false); /* more bytes than the bios have */
	want__process(h, 7, 70, 1);
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_TRUNCATED, 1);
	want_request(h, 1, 1, 4096);
	want__flow(h, 7, 70, 1, 1, 4096, 1);
	want__pages(h, 1, 100, 1);
	harness__check(h);

	run(h, submit, 7, 70, hole);
	run(h, complete, disk, DISKSEQ, hole, 8192, false); /* a segment of no bytes */
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_TRUNCATED, 1);
	want_request(h, 1, 1, 4096);
	want__flow(h, 7, 70, 1, 2, 8192, 2);
	want__pages(h, 1, 200, 1);
	want__request(h, hole, 7, 70);
	harness__check(h);

	run(h, complete, disk, DISKSEQ, 0x10, 4096, false); /* not memory: reads as an empty bio */
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_UNKNOWN_SUBMITTER, 1);
	want_request(h, 1, 0, 0);
	harness__check(h);
}

static void longer_than_we_walk(void **state)
{
	static struct fake_segment segments[STEPS + 1];
	struct harness *h = *state;
	uint64_t disk = real_disk(h), bio;

	for (uint32_t i = 0; i <= STEPS; i++)
		segments[i] = (struct fake_segment){.pfn = 3 * i, .bytes = 512};
	bio = make_bio(h, 0, segments, STEPS);
	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, STEPS * 512, false);
	want__process(h, 7, 70, 1);
	want__counted(h, DS_SENSOR_BLOCK);
	want_request(h, 1, STEPS, STEPS * 512);
	want__flow(h, 7, 70, 1, STEPS, STEPS * 512, 1);
	for (uint32_t i = 0; i < STEPS; i++)
		want__pages(h, 1, segments[i].pfn, 1);
	harness__check(h);

	bio = make_bio(h, 0, segments, STEPS + 1);
	run(h, submit, 7, 70, bio);
	run(h, complete, disk, DISKSEQ, bio, (STEPS + 1) * 512, false);
	want__lost_of(h, DS_SENSOR_BLOCK, DS_LOST_TRUNCATED, 1);
	want_request(h, 1, STEPS, STEPS * 512);
	want__flow(h, 7, 70, 1, 2 * STEPS, 2 * STEPS * 512, 2);
	want__request(h, bio, 7, 70);
	harness__check(h);
}

int block_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_bio, harness__each),
		cmocka_unit_test_setup(chain_of_owners, harness__each),
		cmocka_unit_test_setup(long_segments, harness__each),
		cmocka_unit_test_setup(segment_of_511_pages_and_a_half, harness__each),
		cmocka_unit_test_setup(sectors, harness__each),
		cmocka_unit_test_setup(in_parts, harness__each),
		cmocka_unit_test_setup(empty_bios, harness__each),
		cmocka_unit_test_setup(unknown_submitter, harness__each),
		cmocka_unit_test_setup(virtual_disk, harness__each),
		cmocka_unit_test_setup(disk_without_hardware, harness__each),
		cmocka_unit_test_setup(no_disk, harness__each),
		cmocka_unit_test_setup(disk_table_full, harness__each),
		cmocka_unit_test_setup(tables_in_flight_full, harness__each),
		cmocka_unit_test_setup(flow_table_full, harness__each),
		cmocka_unit_test_setup(pages_beyond_the_set, harness__each),
		cmocka_unit_test_setup(broken_lists, harness__each),
		cmocka_unit_test_setup(longer_than_we_walk, harness__each),
	};

	return cmocka_run_group_tests_name("block", tests, harness__group, harness__group_end);
}
