// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Pages that NICs wrote: where a driver hands a packet over, before GRO merges it. The events
 * inside the stack would count a merged packet again; these are the entries, one a packet.
 */
#include "bpf/net.h"
#include <bpf/bpf_tracing.h>

static __always_inline int receive(const struct sk_buff *skb)
{
	return net__account(skb->dev->dev.parent, (__u64)skb, skb->len);
}

SEC("tp_btf/napi_gro_receive_entry")
int BPF_PROG(napi_gro_receive, const struct sk_buff *skb)
{
	return receive(skb);
}

SEC("tp_btf/napi_gro_frags_entry")
int BPF_PROG(napi_gro_frags, const struct sk_buff *skb)
{
	return receive(skb);
}

SEC("tp_btf/netif_receive_skb_entry")
int BPF_PROG(netif_receive_skb, const struct sk_buff *skb)
{
	return receive(skb);
}

SEC("tp_btf/netif_receive_skb_list_entry")
int BPF_PROG(netif_receive_skb_list, const struct sk_buff *skb)
{
	return receive(skb);
}

SEC("tp_btf/netif_rx_entry")
int BPF_PROG(netif_rx, const struct sk_buff *skb)
{
	return receive(skb);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
