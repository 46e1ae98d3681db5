// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Where are struct page 0 and the direct map? Both bases are random. The agent puts a page of its
 * own with random content into a pipe (vmsplice); the pipe holds its struct page. The page's
 * number is what its page table says, which leads to it from mm->pgd: with that number
 * vmemmap is calculated, and no candidate of it is ever tried. Only the direct map is searched: its
 * base is a multiple of 1 GiB (arch/x86/mm/kaslr.c) below mm->pgd, and the one under which all
 * levels of the table can be followed to a page with that content is right. A pair of bases
 * searched by content alone can be wrong: 1 GiB of vmemmap is 64 GiB of memory, and a pair that is
 * off by both shows the same content. Run once, over the agent's own files, before all else.
 */
#include "bpf/account.h"
#include <bpf/bpf_tracing.h>

#define GIB (1ULL << 30)
#define MAX_CANDIDATES (1 << 20)

/* Page table entries of x86, arch/x86/include/asm/pgtable_types.h */
#define ENTRY_PRESENT (1ULL << 0)
#define ENTRY_HUGE (1ULL << 7)
/* Where the direct map begins so low, tables have five levels: Documentation/arch/x86 */
#define FOUR_LEVELS_FROM 0xffff800000000000ULL
#define LEVELS 5

DS_ROWS(calibration, struct ds_calibration);

struct search {
	struct ds_calibration *row;
	__u64 pgd;
	__u64 highest; /* candidate for the direct map: this and below */
};

/* What the page tables say: the number of the page at row->address, or 0 where none leads there. */
static __u64 page_number(struct ds_calibration *row, __u64 pgd, __u64 map)
{
	__u64 table = pgd - map, entry = 0;
	int shift = pgd < FOUR_LEVELS_FROM ? 48 : 39;

	for (int level = 0; level < LEVELS && shift >= DS_PAGE_SHIFT; level++, shift -= 9) {
		__u64 at = map + table + (row->address >> shift & 511) * 8;

		if (bpf_probe_read_kernel(&entry, sizeof(entry), (void *)at) ||
		    !(entry & ENTRY_PRESENT))
			return 0;
		table = entry & row->entry_mask;
		if (table >> DS_PAGE_SHIFT >= row->span_pages)
			return 0;
		if (shift > DS_PAGE_SHIFT && shift < 39 && entry & ENTRY_HUGE) {
			__u64 within = row->address & ((1ULL << shift) - 1);

			return ((table & ~((1ULL << shift) - 1)) + within) >> DS_PAGE_SHIFT;
		}
	}
	return table >> DS_PAGE_SHIFT;
}

static long try_candidate(__u32 index, struct search *search)
{
	struct ds_calibration *row = search->row;
	__u64 map = search->highest - index * GIB, content[2] = {}, pfn;

	row->tries = index + 1;
	if ((search->pgd - map) >> DS_PAGE_SHIFT >= row->span_pages)
		return 1; /* beyond all memory: nothing is left to try */
	pfn = row->known_pfn ?: page_number(row, search->pgd, map);
	if (!pfn ||
	    bpf_probe_read_kernel(content, sizeof(content), (void *)(map + (pfn << DS_PAGE_SHIFT))))
		return 0;
	if (content[0] != row->magic[0] || content[1] != row->magic[1])
		return 0;
	row->pfn = pfn;
	row->page_offset = map;
	row->found = 1;
	return 1;
}

SEC("iter/task_file")
int calibrate(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct pipe_inode_info *pipe;
	struct file *file = ctx->file;
	struct search search = {};
	struct pipe_buffer *buffer;
	struct ds_calibration *row;
	__u32 zero = 0;

	row = bpf_map_lookup_elem(&calibration, &zero);
	if (!row || !task || !file || row->found || file->f_inode->i_ino != row->pipe_inode)
		return 0;
	row->page_size_of = bpf_core_type_size(struct page);
	pipe = file->private_data;
	buffer = BPF_CORE_READ(pipe, bufs);
	row->page = (__u64)BPF_CORE_READ(buffer, page); /* the first buffer of a fresh pipe */
	search.row = row;
	search.pgd = (__u64)BPF_CORE_READ(task, mm, pgd);
	search.highest = search.pgd & ~(GIB - 1);
	if (row->page && search.pgd)
		bpf_loop(MAX_CANDIDATES, try_candidate, &search, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
