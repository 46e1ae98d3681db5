// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Does nothing, on the tracepoint of the fault sensor: what any BPF program costs there. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("tp_btf/page_fault_user")
int BPF_PROG(empty, unsigned long address, void *regs, unsigned long error_code)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
