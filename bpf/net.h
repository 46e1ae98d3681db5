/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DIRTYSCOPE_BPF_NET_H
#define DIRTYSCOPE_BPF_NET_H

#include "bpf/page_sets.h"

#define DS_NET_STEPS 2048 /* linear parts and fragments of one packet */
#define DS_MAX_FRAGS 45	  /* CONFIG_MAX_SKB_FRAGS at most */
#define SKB_NO_MAC 0xffff /* (typeof(skb->mac_header))~0U */

struct net_walk {
	__u64 skb;  /* at hand */
	__u64 next; /* after it: the fragment list */
	__u64 shinfo;
	__u64 pages;
	__u32 frag;
	__u32 frags;
	__u32 slot;
	__u32 lost;
};

static __always_inline void net__mark(struct net_walk *walk, __u64 pfn, __u64 offset, __u32 bytes)
{
	__u64 pages = pages__spanned(offset, bytes);
	__u32 lost = DS_LOST_TRUNCATED;

	if (pages <= DS_MARK_PAGES)
		lost = page_set__mark(walk->slot, pfn + (offset >> DS_PAGE_SHIFT), pages);
	if (lost == DS_LOST_NOT)
		walk->pages += pages;
	else
		event__lose(walk->lost, lost);
}

/*
 * Only a page fragment was written by the device: into kmalloc'ed memory a driver copies, and
 * the page it copied from appears in no skb.
 */
static __always_inline void net__linear(struct net_walk *walk, struct sk_buff *skb)
{
	__u64 head = (__u64)BPF_CORE_READ(skb, head);
	__u16 mac = BPF_CORE_READ(skb, mac_header);
	__u64 start = mac == SKB_NO_MAC ? (__u64)BPF_CORE_READ(skb, data) : head + mac;
	__u64 end = head + BPF_CORE_READ(skb, tail);

	if (!BPF_CORE_READ_BITFIELD_PROBED(skb, head_frag) || end <= start)
		return;
	if (start < ds_page_offset) {
		event__lose(walk->lost, DS_LOST_PFN_RANGE);
		return;
	}
	start -= ds_page_offset;
	net__mark(walk, start >> DS_PAGE_SHIFT, start & (DS_PAGE_SIZE - 1),
		  end - ds_page_offset - start);
}

/* One part; 1 at the end. */
__weak int net__part(struct net_walk *walk, __u32 step)
{
	struct sk_buff *skb;
	struct bio_vec frag;

	if (!walk || !walk->skb)
		return 1;
	skb = (void *)walk->skb;
	if (!walk->shinfo) { /* a new skb: its linear part */
		struct skb_shared_info *shinfo =
			(void *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));

		walk->shinfo = (__u64)shinfo;
		walk->frags = BPF_CORE_READ(shinfo, nr_frags);
		walk->frag = 0;
		if (!step)
			walk->next = (__u64)BPF_CORE_READ(shinfo, frag_list);
		net__linear(walk, skb);
		return 0;
	}
	if (walk->frag < walk->frags && walk->frag < DS_MAX_FRAGS) {
		if (skb__frag(walk->shinfo, walk->frag, &frag))
			event__lose(walk->lost, DS_LOST_TRUNCATED);
		else if (!((__u64)frag.bv_page & 1))
			net__mark(walk, page__pfn((__u64)frag.bv_page), frag.bv_offset,
				  frag.bv_len);
		walk->frag++;
		return 0;
	}
	skb = (void *)walk->next;
	walk->skb = walk->next;
	walk->shinfo = 0;
	if (skb)
		walk->next = (__u64)BPF_CORE_READ(skb, next);
	return 0;
}

static long net__step(__u32 step, struct net_walk *walk)
{
	return net__part(walk, step) != 0;
}

/* dev: the parent of the netdev, 0 where none does DMA (loopback, veth, bridge). */
static __always_inline int net__account(struct device *dev, __u64 skb, __u32 bytes)
{
	struct ds_sensor_stats *sensor = event__offer(DS_SENSOR_NET);
	struct net_walk walk = {.skb = skb, .lost = DS_LOST_NOT};
	struct ds_device_stats *stats;

	if (dev) {
		walk.slot = device__slot(dev);
		if (walk.slot == DS_SLOT_NONE)
			event__lose(walk.lost, DS_LOST_DEVICES_FULL);
		bpf_loop(DS_NET_STEPS, net__step, &walk, 0);
		if (walk.skb)
			event__lose(walk.lost, DS_LOST_TRUNCATED);
	}
	stats = device__stats(walk.slot);
	if (stats) {
		ds_add(stats->net_packets, 1);
		ds_add(stats->net_bytes, bytes);
		ds_add(stats->net_pages, walk.pages);
	}
	event__close_device(sensor, stats, walk.lost);
	return 0;
}

#endif
