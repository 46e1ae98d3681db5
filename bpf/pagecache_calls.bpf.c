// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Files that are in memory alone, by the function that readies a page of one for write(2),
 * mm/shmem.c. The one behind it has seven arguments, and takes no program before 6.6.
 */
#include "bpf/pagecache.h"
#include <bpf/bpf_tracing.h>

#define SHMEM_PAGE 4 /* where it puts the struct page, since 6.12 the folio that begins with it */

/* What it found or made is marked dirty once the data is in it. */
SEC("fexit/shmem_write_begin")
int shmem_write_begin(unsigned long long *ctx)
{
	struct ds_process_key process = process__current();
	__u64 error = 0, page = 0;

	bpf_get_func_ret(ctx, &error);
	if ((__u32)error)
		return 0;
	bpf_probe_read_kernel(&page, sizeof(page), (void *)func__argument(ctx, SHMEM_PAGE));
	return page ? pagecache__account_memory(&process, page) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
