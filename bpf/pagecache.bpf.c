// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Page-cache pages that went from clean to dirty; folio_account_dirtied(), mm/page-writeback.c. */
#include "bpf/pagecache.h"
#include <bpf/bpf_tracing.h>

SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(writeback_dirty_folio, struct folio *folio, struct address_space *mapping)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct ds_process_key process = process__of(task);
	__u64 charged = task->flags & PF_KTHREAD ? (__u64)folio : 0;

	return pagecache__account(&process, folio__pages(folio), (__u64)mapping, charged);
}

/* Before 5.16 (203a31516616) the event named a page, not a folio. */
SEC("tp_btf/writeback_dirty_page")
int BPF_PROG(writeback_dirty_page, struct page *page, struct address_space *mapping)
{
	struct ds_process_key process = process__current();

	return pagecache__account(&process, 1, (__u64)mapping, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
