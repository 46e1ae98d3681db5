// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Where are struct page 0 and the direct map? Both bases are random, and the symbols are hidden
 * on many kernels and from all but root. But the agent can put a page of its own with random
 * content into a pipe (vmsplice); the pipe holds its struct page. Both bases are multiples of
 * 1 GiB (arch/x86/mm/kaslr.c), so few candidates are left, and the one under which that page
 * shows that content is right. Run once, over the agent's own files, before anything attaches.
 */
#include "bpf/account.h"
#include <bpf/bpf_tracing.h>

#define GIB (1ULL << 30)
#define DS_CANDIDATES (1 << 20)

/* The kernel's answer: the symbols, where it shows them. */
extern const void vmemmap_base __ksym __weak;
extern const void page_offset_base __ksym __weak;

DS_ROWS(calibration, struct ds_calibration);

struct search {
	struct ds_calibration *row;
	__u64 page;	   /* struct page of the page in the pipe */
	__u64 highest_map; /* candidates for the bases: these and below */
	__u64 highest_vmemmap;
	__u32 map_steps;
};

static bool right(struct ds_calibration *row, __u64 page, __u64 vmemmap, __u64 map)
{
	__u64 content[2] = {}, pfn = (page - vmemmap) / row->page_size_of;

	if (bpf_probe_read_kernel(content, sizeof(content), (void *)(map + (pfn << DS_PAGE_SHIFT))))
		return false;
	if (content[0] != row->magic[0] || content[1] != row->magic[1])
		return false;
	row->vmemmap_base = vmemmap;
	row->page_offset = map;
	row->found = 1;
	return true;
}

static long try_candidate(__u32 index, struct search *search)
{
	struct ds_calibration *row = search->row;
	__u64 vmemmap = search->highest_vmemmap - index / search->map_steps * GIB;
	__u64 map = search->highest_map - index % search->map_steps * GIB;

	row->tries = index + 1;
	if ((search->page - vmemmap) / row->page_size_of >= row->span_pages + GIB / 4096)
		return 1; /* beyond all memory: nothing is left to try */
	return right(row, search->page, vmemmap, map);
}

SEC("iter/task_file")
int calibrate(struct bpf_iter__task_file *ctx)
{
	__u64 vmemmap = 0, map = 0, pgd;
	struct search search = {};
	struct task_struct *task = ctx->task;
	struct pipe_inode_info *pipe;
	struct file *file = ctx->file;
	struct pipe_buffer *buffer;
	struct ds_calibration *row;
	__u32 zero = 0;

	row = bpf_map_lookup_elem(&calibration, &zero);
	if (!row || !task || !file || row->found || file->f_inode->i_ino != row->pipe_inode)
		return 0;
	row->page_size_of = bpf_core_type_size(struct page);
	pipe = file->private_data;
	buffer = BPF_CORE_READ(pipe, bufs);
	search.row = row;
	search.page = (__u64)BPF_CORE_READ(buffer, page); /* the first buffer of a fresh pipe */
	pgd = (__u64)BPF_CORE_READ(task, mm, pgd);
	if (!search.page || !pgd)
		return 0;

	if (&vmemmap_base)
		bpf_probe_read_kernel(&vmemmap, sizeof(vmemmap), &vmemmap_base);
	if (&page_offset_base)
		bpf_probe_read_kernel(&map, sizeof(map), &page_offset_base);
	if (vmemmap && map && right(row, search.page, vmemmap, map))
		return 0;

	search.highest_vmemmap = search.page & ~(GIB - 1);
	search.highest_map = pgd & ~(GIB - 1);
	search.map_steps = row->span_pages / (GIB >> DS_PAGE_SHIFT) + 2;
	bpf_loop(DS_CANDIDATES, try_candidate, &search, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
