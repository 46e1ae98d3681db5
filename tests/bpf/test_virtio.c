/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffers that virtio drivers give to their devices to write. */
#include "tests/bpf/mappings.h"

#include <string.h>

#include "twins.skel.h"

#define TOKEN 0xffff888000abc000ULL
#define STEPS 4096 /* DS_LIST_SEGMENTS */
#define LISTS 4	   /* DS_BUFFER_LISTS */

struct lists {
	const struct fake_segment *segments;
	size_t count; /* of segments */
	uint64_t address;
};

/* The fingerprint of a list, from its segments; goes on with that of the lists before. */
static uint64_t check_of(uint64_t check, const struct fake_segment *segments, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check = (check << 7 | check >> 57) ^
			((segments[i].pfn << 12) + segments[i].offset) ^
			(uint64_t)segments[i].bytes << 48;
	return check;
}

static struct ds_buffer buffer_of(const struct lists *lists, size_t count, bool exposed)
{
	struct ds_buffer buffer = {.slot = 1, .exposed = exposed, .truncated = count > LISTS};

	for (size_t i = 0; i < count && i < LISTS; i++) {
		const struct lists *list = &lists[i];

		buffer.lists[i].at = list->address;
		buffer.lists[i].segments = list->count;
		buffer.lists[i].bytes = segments__bytes(list->segments, list->count);
		buffer.size += buffer.lists[i].bytes;
		buffer.pages += segments__pages(list->segments, list->count);
		if (list->count == 1)
			buffer.lists[i].at =
				(list->segments[0].pfn << 12) + list->segments[0].offset;
		else
			buffer.check = check_of(buffer.check, list->segments, list->count);
	}
	return buffer;
}

static void want_buffer(struct harness *h, uint64_t queue, uint64_t token,
			const struct ds_buffer *buffer)
{
	struct ds_buffer_key key = {.queue = queue, .token = token};

	want__row(h, TABLE_BUFFERS, &key, buffer);
	if (!buffer)
		return;
	h->want.devices[1].virtio_buffers++;
	if (buffer->exposed)
		want__exposed(h, 1, (int64_t)buffer->pages, 1);
}

/* The first bytes of segments are written: how many pages that is. */
static uint64_t want_written(struct harness *h, const struct fake_segment *segments, size_t count,
			     uint64_t bytes)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < count && bytes; i++) {
		struct fake_segment part = segments[i];

		if (part.bytes > bytes)
			part.bytes = bytes;
		bytes -= part.bytes;
		pages += segments__pages(&part, 1);
		want__segments(h, 1, &part, 1);
	}
	h->want.devices[1].completed_pages += pages;
	h->want.devices[1].virtio_pages += pages;
	return pages;
}

static void want_taken(struct harness *h, uint64_t queue, uint64_t token,
		       const struct ds_buffer *buffer, uint64_t bytes)
{
	struct ds_buffer_key key = {.queue = queue, .token = token};

	want__row(h, TABLE_BUFFERS, &key, NULL);
	h->want.devices[1].virtio_used++;
	h->want.devices[1].virtio_bytes += bytes;
	if (buffer->exposed)
		want__exposed(h, 1, -(int64_t)buffer->pages, -1);
}

static uint64_t one_queue(struct harness *h)
{
	uint64_t queue = fake__queue(h, "virtio1");

	want__device(h, queue__device(h, queue), 1);
	return queue;
}

/* An array of pointers to lists, as virtqueue_add_sgs() takes it; `out` strangers go first. */
static uint64_t fake_lists(struct harness *h, struct lists *lists, size_t count, size_t out)
{
	static const struct fake_segment stranger = {9000, 0, 4096};
	uint64_t array = fake__alloc(h, (out + count) * 8);
	uint64_t *at = (uint64_t *)(h->fake + (array - h->base));

	for (size_t i = 0; i < out; i++)
		*at++ = fake__list(h, &stranger, 1, 1);
	for (size_t i = 0; i < count; i++) {
		lists[i].address = fake__list(h, lists[i].segments, lists[i].count, 3);
		*at++ = lists[i].address;
	}
	return array;
}

/* Packets: one segment, whose list is used again at once. The used length says which pages. */
static void one_segment(void **state)
{
	static const struct fake_segment segment = {100, 4000, 8192}, other = {500, 0, 4096};
	static const uint64_t used[][2] = {{0, 0},	 {1, 1},	 {96, 1},   {97, 2},
					   {4192, 2},	 {4193, 3},	 {8192, 3}, {8193, 3},
					   {1 << 20, 3}, {UINT32_MAX, 3}};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
		struct lists list = {&segment, 1, fake__list(h, &segment, 1, 1)};
		struct ds_buffer buffer = buffer_of(&list, 1, true);
		uint64_t bytes = used[i][0] < 8192 ? used[i][0] : 8192;

		run(h, give_list, queue, TOKEN + i, list.address, 1, false);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_buffer(h, queue, TOKEN + i, &buffer);
		harness__check(h);
		assert_int_equal(buffer.pages, 3);
		fake__list_entry(h, list.address, fake__page(h, other.pfn) | SG_END, &other);
		run(h, take, queue, TOKEN + i, used[i][0]);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_taken(h, queue, TOKEN + i, &buffer, bytes);
		assert_int_equal(want_written(h, &segment, 1, bytes), used[i][1]);
		harness__check(h);
		assert_int_equal(h->want.devices[1].exposed_pages, 0);
		run(h, take, queue, TOKEN + i, 4096); /* by the function around it: not again */
		harness__check(h);
	}
}

/* A block request: what the driver writes, then data in chained lists, then a status byte. */
static void several_lists(void **state)
{
	static const struct fake_segment data[] = {
		{100, 0, 4096}, {200, 512, 512}, {300, 4095, 2}, {400, 0, 65536}, {500, 0, 0}};
	static const struct fake_segment more[] = {{600, 100, 8192}, {700, 0, 4096}};
	static const struct fake_segment status = {800, 77, 1};
	static const uint64_t cuts[] = {0,     1,     4095,  4096,  4097,  4608,
					4609,  4610,  4611,  70145, 70146, 70147,
					78338, 78339, 82434, 82435, 82436, UINT32_MAX};
	struct fake_segment all[8];
	struct harness *h = *state;
	uint64_t queue = one_queue(h);

	memcpy(all, data, sizeof(data));
	memcpy(all + 5, more, sizeof(more));
	all[7] = status;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct lists lists[] = {{data, 5, 0}, {more, 2, 0}, {&status, 1, 0}};
		uint64_t array = fake_lists(h, lists, 3, i % 3), bytes = cuts[i];
		struct ds_buffer buffer = buffer_of(lists, 3, true);

		assert_int_equal(buffer.size, 82435);
		assert_int_equal(buffer.lists[0].segments + buffer.lists[2].segments, 6);
		run(h, give_lists, queue, TOKEN, array, i % 3, 3, false);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_buffer(h, queue, TOKEN, &buffer);
		harness__check(h);
		/* The list of the status byte was on the driver's stack. */
		fake__list_entry(h, lists[2].address, fake__page(h, 9999) | SG_END, &more[0]);
		bytes = bytes < buffer.size ? bytes : buffer.size;
		run(h, take, queue, TOKEN, cuts[i]);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_taken(h, queue, TOKEN, &buffer, bytes);
		want_written(h, all, 8, bytes);
		harness__check(h);
	}
}

/* More lists than are remembered: what is known counts, and both of its events are losses. */
static void more_lists_than_we_keep(void **state)
{
	static const struct fake_segment segments[LISTS + 2] = {{100, 0, 4096}, {200, 0, 4096},
								{300, 0, 4096}, {400, 0, 4096},
								{500, 0, 4096}, {600, 0, 4096}};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);

	for (uint64_t in = 1; in <= LISTS + 2; in++) {
		const uint64_t used[] = {4096 * in, 4096};

		for (int i = 0; i < 2; i++) {
			struct lists lists[LISTS + 2];
			struct ds_buffer buffer;
			uint64_t array, kept = in < LISTS ? in : LISTS, bytes = used[i];

			for (uint64_t list = 0; list < in; list++)
				lists[list] = (struct lists){&segments[list], 1, 0};
			array = fake_lists(h, lists, in, 2);
			buffer = buffer_of(lists, in, true);
			run(h, give_lists, queue, TOKEN, array, 2, in, false);
			if (in > LISTS)
				want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_TRUNCATED, 1);
			else
				want__counted(h, DS_SENSOR_VIRTIO);
			want_buffer(h, queue, TOKEN, &buffer);
			harness__check(h);
			run(h, take, queue, TOKEN, bytes);
			if (bytes > kept * 4096) { /* it wrote what we do not know */
				want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_TRUNCATED, 1);
				bytes = kept * 4096;
			} else {
				want__counted(h, DS_SENSOR_VIRTIO);
			}
			want_taken(h, queue, TOKEN, &buffer, bytes);
			want_written(h, segments, kept, bytes);
			harness__check(h);
		}
	}
}

/* The driver filled the same lists for another buffer: what was written cannot be told. */
static void lists_used_again(void **state)
{
	static const struct fake_segment before[] = {{100, 0, 4096}, {200, 0, 4096}};
	static const struct fake_segment after[][2] = {
		{{100, 0, 4096}, {300, 0, 4096}},
		{{100, 0, 4096}, {200, 0, 4095}},
		{{200, 0, 4096}, {100, 0, 4096}},
		{{100, 8, 4096}, {200, 0, 4096}},
	};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);

	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		struct lists list = {before, 2, fake__list(h, before, 2, 2)};
		struct ds_buffer buffer = buffer_of(&list, 1, true);
		uint64_t second = list.address + fake__sizeof(h, "scatterlist");

		run(h, give_list, queue, TOKEN, list.address, 2, false);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_buffer(h, queue, TOKEN, &buffer);
		fake__list_entry(h, list.address, fake__page(h, after[i][0].pfn), &after[i][0]);
		fake__list_entry(h, second, fake__page(h, after[i][1].pfn) | SG_END, &after[i][1]);
		run(h, take, queue, TOKEN, 8192);
		want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_TRUNCATED, 1);
		want_taken(h, queue, TOKEN, &buffer, 8192);
		want_written(h, after[i], 2, 8192);
		harness__check(h);
		assert_int_equal(h->want.devices[1].exposed_pages, 0);
	}
}

static void longer_than_we_walk(void **state)
{
	static struct fake_segment segments[STEPS + 2];
	struct harness *h = *state;
	uint64_t queue = one_queue(h), array, at;

	for (uint32_t i = 0; i < STEPS + 2; i++)
		segments[i] = (struct fake_segment){.pfn = 2 * i, .bytes = 4096};
	for (uint64_t count = STEPS; count <= STEPS + 2; count += 2) {
		struct lists list = {segments, STEPS, fake__list(h, segments, count, count)};
		struct ds_buffer buffer = buffer_of(&list, 1, true);

		array = fake__alloc(h, 8);
		at = array - h->base;
		memcpy(h->fake + at, &list.address, 8);
		for (int i = 0; i < 2; i++) {
			if (i == 0)
				run(h, give_lists, queue, TOKEN, array, 0, 1, false);
			else
				run(h, take, queue, TOKEN, STEPS << 12);
			if (count > STEPS)
				want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_TRUNCATED, 1);
			else
				want__counted(h, DS_SENSOR_VIRTIO);
			if (i == 0)
				want_buffer(h, queue, TOKEN, &buffer);
		}
		want_taken(h, queue, TOKEN, &buffer, STEPS << 12);
		want_written(h, segments, STEPS, STEPS << 12);
		harness__check(h);
	}
}

/* Nothing for the device to write: not an event. */
static void out_only(void **state)
{
	struct harness *h = *state;
	uint64_t queue = fake__queue(h, "virtio1"), array = fake_lists(h, NULL, 0, 3);

	run(h, give_lists, queue, TOKEN, array, 3, 0, false);
	run(h, take, queue, TOKEN, 4096);
	run(h, detach, queue, TOKEN);
	run(h, detach, queue, 0);
	harness__check(h);
}

static void given_twice(void **state)
{
	static const struct fake_segment segment = {100, 0, 8192}, other = {200, 0, 4096};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);
	struct lists list = {&segment, 1, fake__list(h, &segment, 1, 1)};
	struct lists again = {&other, 1, fake__list(h, &other, 1, 1)};
	struct ds_buffer first = buffer_of(&list, 1, true), second = buffer_of(&again, 1, true);

	run(h, give_list, queue, TOKEN, list.address, 1, false);
	want_buffer(h, queue, TOKEN, &first);
	run(h, give_list, queue, TOKEN, again.address, 1, false);
	want__exposed(h, 1, -(int64_t)first.pages, -1);
	want_buffer(h, queue, TOKEN, &second);
	for (int i = 0; i < 2; i++)
		want__counted(h, DS_SENSOR_VIRTIO);
	harness__check(h);
	run(h, give_list, queue + 64, TOKEN, 0, 1, false); /* the token of another queue */
	run(h, take, queue, TOKEN, 10);
	want__counted(h, DS_SENSOR_VIRTIO);
	want_taken(h, queue, TOKEN, &second, 10);
	want_written(h, &other, 1, 10);
	assert_int_equal(harness__device(h, 1).exposed_pages, 0);
	assert_int_equal(harness__device(h, 1).virtio_used, 1);
}

static void detached(void **state)
{
	static const struct fake_segment segments[] = {{100, 0, 8192}, {200, 0, 4096}};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);

	for (uint64_t count = 1; count <= 2; count++) {
		struct lists list = {segments, count, fake__list(h, segments, count, count)};
		struct ds_buffer buffer = buffer_of(&list, 1, true);

		run(h, give_list, queue, TOKEN, list.address, count, false);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_buffer(h, queue, TOKEN, &buffer);
		harness__check(h);
		run(h, detach, queue, TOKEN);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_taken(h, queue, TOKEN, &buffer, 0);
		harness__check(h);
		run(h, detach, queue, TOKEN);
		harness__check(h);
	}
}

/* Behind the DMA API the dma sensor has the exposure; the used length is only here. */
static void behind_the_dma_api(void **state)
{
	static const struct fake_segment segment = {100, 0, 8192};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);
	struct lists list = {&segment, 1, fake__list(h, &segment, 1, 1)};
	struct ds_buffer buffer = buffer_of(&list, 1, false);

	for (int i = 0; i < 2; i++) { /* given twice: no exposure to take back */
		run(h, give_list, queue, TOKEN, list.address, 1, true);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_buffer(h, queue, TOKEN, &buffer);
		harness__check(h);
	}
	run(h, take, queue, TOKEN, 5000);
	want__counted(h, DS_SENSOR_VIRTIO);
	want_taken(h, queue, TOKEN, &buffer, 5000);
	want_written(h, &segment, 1, 5000);
	harness__check(h);
}

/* The driver maps by itself: no page in its list, but the address. */
static void premapped(void **state)
{
	static const struct fake_segment segment = {100, 512, 4096};
	struct harness *h = *state;
	uint64_t queue = one_queue(h);
	struct lists list = {&segment, 1, fake__list(h, &segment, 1, 1)};
	struct ds_buffer buffer = buffer_of(&list, 1, true);

	fake__list_entry(h, list.address, SG_END, &segment);
	fake__set(h, list.address, "scatterlist.offset", 0);
	fake__set(h, list.address, "scatterlist.dma_address", (100 << 12) + 512);
	run(h, give_list, queue, TOKEN, list.address, 1, false);
	want__counted(h, DS_SENSOR_VIRTIO);
	want_buffer(h, queue, TOKEN, &buffer);
	run(h, take, queue, TOKEN, 4096);
	want__counted(h, DS_SENSOR_VIRTIO);
	want_taken(h, queue, TOKEN, &buffer, 4096);
	want_written(h, &segment, 1, 4096);
	harness__check(h);
}

static void tables_full(void **state)
{
	static const struct fake_segment segment = {SET_PAGES - 1, 0, 8192};
	struct harness *h = *state;
	uint64_t queue = one_queue(h), another, last = TOKEN + LEDGER_ENTRIES;
	struct lists list = {&segment, 1, fake__list(h, &segment, 1, 1)};
	struct ds_buffer buffer = buffer_of(&list, 1, true);
	struct ds_buffer_key key = {.token = last};

	for (uint64_t i = 0; i < LEDGER_ENTRIES; i++) {
		run(h, give_list, queue, TOKEN + i, list.address, 1, false);
		want__counted(h, DS_SENSOR_VIRTIO);
		want_buffer(h, queue, TOKEN + i, &buffer);
	}
	run(h, give_list, queue, last, list.address, 1, false);
	want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_MAPPINGS_FULL, 1);
	h->want.devices[1].virtio_buffers++;
	run(h, take, queue, last, 1); /* so that nobody knows it */
	harness__check(h);
	run(h, take, queue, TOKEN, 8192); /* one page of two is beyond the set */
	want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_PAGE_SETS_FULL, 1);
	want_taken(h, queue, TOKEN, &buffer, 8192);
	want__pages(h, 1, SET_PAGES - 1, 1);
	h->want.devices[1].virtio_pages += 2;
	harness__check(h);

	for (uint32_t i = 2; i < SLOTS; i++) {
		another = fake__device(h, "d", NULL);
		run(h, swiotlb, another, 0);
		want__counted(h, DS_SENSOR_SWIOTLB);
		want__device(h, another, i);
		h->want.devices[i].swiotlb_bounces = 1;
	}
	key.queue = fake__queue(h, "virtio2");
	buffer.slot = DS_SLOT_NONE;
	run(h, give_list, key.queue, last, list.address, 1, false);
	want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_DEVICES_FULL, 0);
	want__row(h, TABLE_BUFFERS, &key, &buffer);
	h->want.devices[0].virtio_buffers = 1;
	want__exposed(h, 0, 2, 1);
	harness__check(h);
	run(h, take, key.queue, last, 1);
	want__lost_of(h, DS_SENSOR_VIRTIO, DS_LOST_DEVICES_FULL, 0);
	want__row(h, TABLE_BUFFERS, &key, NULL);
	want__exposed(h, 0, -2, -1);
	want__pages(h, 0, SET_PAGES - 1, 1);
	h->want.devices[0].virtio_used = h->want.devices[0].virtio_bytes = 1;
	h->want.devices[0].virtio_pages = h->want.devices[0].completed_pages = 1;
	harness__check(h);
}

int virtio_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_segment, harness__each),
		cmocka_unit_test_setup(several_lists, harness__each),
		cmocka_unit_test_setup(more_lists_than_we_keep, harness__each),
		cmocka_unit_test_setup(lists_used_again, harness__each),
		cmocka_unit_test_setup(longer_than_we_walk, harness__each),
		cmocka_unit_test_setup(out_only, harness__each),
		cmocka_unit_test_setup(given_twice, harness__each),
		cmocka_unit_test_setup(detached, harness__each),
		cmocka_unit_test_setup(behind_the_dma_api, harness__each),
		cmocka_unit_test_setup(premapped, harness__each),
		cmocka_unit_test_setup(tables_full, harness__each),
	};

	return cmocka_run_group_tests_name("virtio", tests, harness__group, harness__group_end);
}
