// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* CPU writes that faulted, per process; arch/x86/include/asm/trace/exceptions.h. */
#include "bpf/fault.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/page_fault_user")
int BPF_PROG(page_fault_user, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	struct ds_process_key process = process__current();

	return fault__account(&process, address, error_code);
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(page_fault_kernel, unsigned long address, struct pt_regs *regs,
	     unsigned long error_code)
{
	struct ds_process_key process = process__current();

	return fault__account(&process, address, error_code);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
