/* SPDX-License-Identifier: BSD-2-Clause */
/* Received packets: the linear part, fragments, the fragment list. */
#include "tests/bpf/harness.h"

#include "twins.skel.h"

#define PACKET 1500
#define END 2048      /* where the shared info begins in a head */
#define NO_MAC 0xffff /* skb->mac_header when it is not set */
#define MAX_FRAGS 17
#define STEPS 2048 /* DS_NET_STEPS */

struct packet {
	uint64_t skb;
	uint64_t head;
	uint64_t shinfo;
};

/* The head begins 64 bytes into a page of the fake memory. */
static struct packet fake_packet(struct harness *h, bool head_frag)
{
	struct packet packet = {.skb = fake__new(h, "sk_buff", 1)};
	size_t info = fake__sizeof(h, "skb_shared_info") + MAX_FRAGS * fake__sizeof(h, "bio_vec");

	packet.head = (fake__alloc(h, 4096 + 64 + END + info) | 4095) + 1 + 64;
	packet.shinfo = packet.head + END;
	fake__set(h, packet.skb, "sk_buff.head", packet.head);
	fake__set(h, packet.skb, "sk_buff.data", packet.head + 128);
	fake__set(h, packet.skb, "sk_buff.mac_header", 128);
	fake__set(h, packet.skb, "sk_buff.tail", 128 + PACKET);
	fake__set(h, packet.skb, "sk_buff.end", END);
	fake__set(h, packet.skb, "sk_buff.head_frag", head_frag);
	return packet;
}

static void add_frags(struct harness *h, const struct packet *packet,
		      const struct fake_segment *frags, size_t count)
{
	uint64_t at = packet->shinfo + fake__field(h, "skb_shared_info.frags").bit / 8;

	fake__segments(h, at, frags, count);
	fake__set(h, packet->shinfo, "skb_shared_info.nr_frags", count);
}

static uint64_t head_pfn(struct harness *h, uint64_t address)
{
	return FAKE_PFN + ((address - (h->base & ~4095ULL)) >> 12);
}

static void want_packet(struct harness *h, uint32_t slot, uint64_t pages, uint64_t bytes)
{
	h->want.devices[slot].net_packets++;
	h->want.devices[slot].net_pages += pages;
	h->want.devices[slot].net_bytes += bytes;
}

static uint64_t nic(struct harness *h)
{
	uint64_t device = fake__device(h, "virtio0", "virtio");

	want__device(h, device, 1);
	return device;
}

/* The layout that compat.h counts on: pointer, length, offset, as in a bio_vec. */
static void layout_of_fragments(void **state)
{
	struct harness *h = *state;
	const char *first = "skb_frag.netmem";

	if (btf__find_by_name_kind(h->kernel, "skb_frag", BTF_KIND_STRUCT) < 0)
		return; /* it is a bio_vec itself */
	if (!fake__has(h, first))
		first = "skb_frag.bv_page";
	assert_int_equal(fake__field(h, first).bit, fake__field(h, "bio_vec.bv_page").bit);
	assert_int_equal(fake__field(h, "skb_frag.len").bit, fake__field(h, "bio_vec.bv_len").bit);
	assert_int_equal(fake__field(h, "skb_frag.offset").bit,
			 fake__field(h, "bio_vec.bv_offset").bit);
	assert_int_equal(fake__sizeof(h, "skb_frag"), fake__sizeof(h, "bio_vec"));
}

static void linear_parts(void **state)
{
	struct harness *h = *state;
	struct packet fragment = fake_packet(h, true), copied = fake_packet(h, false);
	uint64_t device = nic(h);

	run(h, net, device, fragment.skb, PACKET);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 1, PACKET);
	want__pages(h, 1, head_pfn(h, fragment.head), 1);
	harness__check(h);
	run(h, net, device, copied.skb, PACKET); /* the CPU wrote it */
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 0, PACKET);
	harness__check(h);
}

static void linear_part_over_pages(void **state)
{
	struct harness *h = *state;
	struct packet packet = fake_packet(h, true);
	uint64_t device = nic(h), page = head_pfn(h, packet.head), shift = 4096 - 64 - 128 - 1;

	/* The last byte of one page to the first of the next but one. */
	fake__set(h, packet.skb, "sk_buff.head", packet.head + shift - 4096);
	fake__set(h, packet.skb, "sk_buff.end", END + 4096 - shift);
	fake__set(h, packet.skb, "sk_buff.tail", 128 + 4098);
	run(h, net, device, packet.skb, 4098);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 3, 4098);
	want__pages(h, 1, page - 1, 3);
	harness__check(h);

	fake__set(h, packet.skb, "sk_buff.tail", 128 + 4097); /* one byte less: two pages */
	run(h, net, device, packet.skb, 4097);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 2, 4097);
	harness__check(h);
}

static void no_link_header(void **state)
{
	struct harness *h = *state;
	struct packet packet = fake_packet(h, true);
	uint64_t device = nic(h);

	fake__set(h, packet.skb, "sk_buff.mac_header", NO_MAC);
	fake__set(h, packet.skb, "sk_buff.data", packet.head + 100);
	run(h, net, device, packet.skb, PACKET);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 1, PACKET);
	want__pages(h, 1, head_pfn(h, packet.head), 1);
	harness__check(h);

	fake__set(h, packet.skb, "sk_buff.data", packet.head + 128 + PACKET); /* all was pulled */
	run(h, net, device, packet.skb, 0);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 0, 0);
	harness__check(h);
}

static void fragments(void **state)
{
	static const struct fake_segment frags[] = {
		{1000, 256, 1500}, {2000, 4095, 2}, {3000, 0, 65536}, {4000, 8192 + 100, 4096}};
	struct harness *h = *state;
	struct packet packet = fake_packet(h, false);
	uint64_t device = nic(h);

	add_frags(h, &packet, frags, 4);
	run(h, net, device, packet.skb, 71134);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 1 + 2 + 16 + 2, 71134);
	want__pages(h, 1, 1000, 1);
	want__pages(h, 1, 2000, 2);
	want__pages(h, 1, 3000, 16);
	want__pages(h, 1, 4002, 2);
	harness__check(h);
}

static void most_fragments(void **state)
{
	struct harness *h = *state;
	struct packet packet = fake_packet(h, true);
	struct fake_segment frags[MAX_FRAGS];
	uint64_t device = nic(h);

	for (uint32_t i = 0; i < MAX_FRAGS; i++)
		frags[i] = (struct fake_segment){.pfn = 5000 + 2 * i, .bytes = 4096};
	add_frags(h, &packet, frags, MAX_FRAGS);
	run(h, net, device, packet.skb, 1);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, MAX_FRAGS + 1, 1);
	want__pages(h, 1, head_pfn(h, packet.head), 1);
	for (uint32_t i = 0; i < MAX_FRAGS; i++)
		want__pages(h, 1, 5000 + 2 * i, 1);
	harness__check(h);
}

static void memory_of_a_device(void **state)
{
	static const struct fake_segment frags[] = {{1000, 0, 4096}, {2000, 0, 4096}};
	struct harness *h = *state;
	struct packet packet = fake_packet(h, false);
	uint64_t device = nic(h);

	add_frags(h, &packet, frags, 2);
	fake__set(h, packet.shinfo + fake__field(h, "skb_shared_info.frags").bit / 8,
		  "bio_vec.bv_page", fake__page(h, 1000) | 1); /* a net_iov */
	run(h, net, device, packet.skb, 8192);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 1, 8192);
	want__pages(h, 1, 2000, 1);
	harness__check(h);
}

static void fragment_list(void **state)
{
	static const struct fake_segment frags[] = {{1000, 0, 4096}, {2000, 0, 4096}};
	struct harness *h = *state;
	struct packet first = fake_packet(h, true), second = fake_packet(h, true);
	struct packet third = fake_packet(h, false), stranger = fake_packet(h, true);
	uint64_t device = nic(h);

	add_frags(h, &first, &frags[0], 1);
	add_frags(h, &third, &frags[1], 1);
	fake__set(h, first.shinfo, "skb_shared_info.frag_list", second.skb);
	fake__set(h, second.skb, "sk_buff.next", third.skb);
	fake__set(h, first.skb, "sk_buff.next", stranger.skb); /* another packet of the queue */
	run(h, net, device, first.skb, 11192);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, 1, 4, 11192);
	want__pages(h, 1, head_pfn(h, first.head), 1);
	want__pages(h, 1, head_pfn(h, second.head), 1);
	want__pages(h, 1, 1000, 1);
	want__pages(h, 1, 2000, 1);
	harness__check(h);
}

static void endless_fragment_list(void **state)
{
	struct harness *h = *state;
	struct packet packet = fake_packet(h, true);
	uint64_t device = nic(h);

	fake__set(h, packet.shinfo, "skb_shared_info.frag_list", packet.skb);
	fake__set(h, packet.skb, "sk_buff.next", packet.skb);
	run(h, net, device, packet.skb, PACKET);
	want__lost_of(h, DS_SENSOR_NET, DS_LOST_TRUNCATED, 1);
	want_packet(h, 1, STEPS / 2, PACKET); /* a step for the linear part, one to the next */
	want__pages(h, 1, head_pfn(h, packet.head), 1);
	harness__check(h);
}

/* Loopback, veth, bridge: the CPU moves the data. */
static void no_dma_device(void **state)
{
	static const struct fake_segment frag = {1000, 0, 4096};
	struct harness *h = *state;
	struct packet packet = fake_packet(h, true);

	add_frags(h, &packet, &frag, 1);
	run(h, net, 0, packet.skb, 5596);
	want__counted(h, DS_SENSOR_NET);
	want_packet(h, DS_SLOT_NONE, 0, 5596);
	harness__check(h);
}

static void device_table_full(void **state)
{
	struct harness *h = *state;
	struct packet packet = fake_packet(h, true);

	for (uint32_t i = 1; i < SLOTS + 2; i++) {
		uint64_t device = fake__device(h, "vf", "pci");
		uint32_t slot = i < SLOTS ? i : DS_SLOT_NONE;

		run(h, net, device, packet.skb, PACKET);
		want_packet(h, slot, 1, PACKET);
		want__pages(h, slot, head_pfn(h, packet.head), 1);
		if (slot) {
			want__device(h, device, slot);
			want__counted(h, DS_SENSOR_NET);
		} else {
			want__lost_of(h, DS_SENSOR_NET, DS_LOST_DEVICES_FULL, 0);
		}
	}
	harness__check(h);
}

static void pages_not_to_be_had(void **state)
{
	static const struct fake_segment frags[] = {
		{SET_PAGES, 0, 4096}, {1000, 0, 4096}, {2000, 0, (2 << 20) + 1}};
	struct harness *h = *state;
	struct packet packet = fake_packet(h, false);
	uint64_t device = nic(h);

	add_frags(h, &packet, frags, 3);
	run(h, net, device, packet.skb, 1); /* beyond the set; too long: the first reason counts */
	want__lost_of(h, DS_SENSOR_NET, DS_LOST_PAGE_SETS_FULL, 1);
	want_packet(h, 1, 1, 1);
	want__pages(h, 1, 1000, 1);
	harness__check(h);

	add_frags(h, &packet, &frags[2], 1);
	run(h, net, device, packet.skb, 1);
	want__lost_of(h, DS_SENSOR_NET, DS_LOST_TRUNCATED, 1);
	want_packet(h, 1, 0, 1);
	harness__check(h);

	packet = fake_packet(h, true); /* a head below the direct map */
	fake__set(h, packet.skb, "sk_buff.mac_header", NO_MAC);
	fake__set(h, packet.skb, "sk_buff.data", 4096);
	run(h, net, device, packet.skb, 1);
	want__lost_of(h, DS_SENSOR_NET, DS_LOST_PFN_RANGE, 1);
	want_packet(h, 1, 0, 1);
	harness__check(h);
}

int net_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(layout_of_fragments, harness__each),
		cmocka_unit_test_setup(linear_parts, harness__each),
		cmocka_unit_test_setup(linear_part_over_pages, harness__each),
		cmocka_unit_test_setup(no_link_header, harness__each),
		cmocka_unit_test_setup(fragments, harness__each),
		cmocka_unit_test_setup(most_fragments, harness__each),
		cmocka_unit_test_setup(memory_of_a_device, harness__each),
		cmocka_unit_test_setup(fragment_list, harness__each),
		cmocka_unit_test_setup(endless_fragment_list, harness__each),
		cmocka_unit_test_setup(no_dma_device, harness__each),
		cmocka_unit_test_setup(device_table_full, harness__each),
		cmocka_unit_test_setup(pages_not_to_be_had, harness__each),
	};

	return cmocka_run_group_tests_name("net", tests, harness__group, harness__group_end);
}
