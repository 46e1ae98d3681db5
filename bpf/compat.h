/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * All kernel drift in one place, each with the kernel commit or release that caused it.
 * Everywhere else a kernel structure is read as if it had always looked like this.
 */
#ifndef DIRTYSCOPE_BPF_COMPAT_H
#define DIRTYSCOPE_BPF_COMPAT_H

#include "bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define MEMCG_DATA_FLAGS 7UL /* include/linux/memcontrol.h; two of them until 6.15 */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

enum pageflags { /* any values: the relocations replace them */
		 PG_dirty = 0,
		 PG_head = 1,
		 PG_anon_exclusive = 2,
};

/* Folio flags: a number until 6.17, then a memdesc_flags_t (53fbef56e07d). */
struct memdesc_flags {
	unsigned long f;
};
struct folio___memdesc {
	struct memdesc_flags flags;
};

/* Folio size: _nr_pages since 6.15 (4996fc547f5b), _folio_nr_pages since 5.18 (on 64 bit). */
struct folio___nr_pages {
	unsigned int _nr_pages;
};
struct folio___folio_nr_pages {
	unsigned int _folio_nr_pages;
};

/* Who pays for a folio, with the memory controller; below its flags. */
struct folio___charged {
	unsigned long memcg_data;
};

/* Of a tail page, with bit 0 set: compound_head until 7.1, compound_info since. */
struct page___compound_head {
	unsigned long compound_head;
};
struct page___compound_info {
	unsigned long compound_info;
};

/*
 * skb_frag_t: a bio_vec until 6.9, then a struct with a netmem in place of the page
 * (21d2e6737c97); pointer, length, offset in both.
 */
struct skb_shared_info___frags {
	struct bio_vec frags[1];
};

/* How far into its first segment a bio is: bi_bvec_done until 7.2, bi_offset since 7.3. */
struct bvec_iter___offset {
	unsigned int bi_offset;
};
struct bio___offset {
	struct bvec_iter___offset bi_iter;
};

/* Any values: the relocations replace them. */
enum fault_flag {
	FAULT_FLAG_WRITE = 1,
	FAULT_FLAG_USER = 2,
	FAULT_FLAG_REMOTE = 4,
};
enum cgroup_subsys_id {
	memory_cgrp_id = 1,
};
enum vm_fault_reason {
	VM_FAULT_OOM = 1,
	VM_FAULT_SIGBUS = 2,
	VM_FAULT_HWPOISON = 3,
	VM_FAULT_HWPOISON_LARGE = 4,
	VM_FAULT_SIGSEGV = 5,
	VM_FAULT_RETRY = 6,
	VM_FAULT_FALLBACK = 7,
};

#pragma clang attribute pop

/*
 * A field behind a pointer that a tp_btf program was given: a plain load, at a small part of the
 * helper's cost. The pointers of tests/bpf are its own; only the helper follows those.
 */
#ifndef DS_FIELD
#define DS_FIELD(pointer, field) ((pointer)->field)
#endif

/*
 * An argument of the function that a program is on, as a number: a pointer from the context may
 * not be calculated with on 6.1, and one to a pointer not be read on 6.12.
 */
static __always_inline __u64 func__argument(void *ctx, __u32 number)
{
	__u64 value = 0;

	bpf_get_func_arg(ctx, number, &value);
	return value;
}

/* The cgroup of a task in the memory controller's hierarchy; NULL: this kernel has no such. */
static __always_inline struct cgroup *task__memory_cgroup(struct task_struct *task)
{
	struct cgroup_subsys_state *css = NULL;
	__u64 set = (__u64)BPF_CORE_READ(task, cgroups);

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return NULL;
	set += bpf_core_field_offset(struct css_set, subsys);
	set += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(css);
	if (bpf_probe_read_kernel(&css, sizeof(css), (void *)set))
		return NULL;
	return BPF_CORE_READ(css, cgroup);
}

/* The cgroup of what is a struct mem_cgroup by all that can be seen, and of one that lives; NULL.
 */
static __always_inline struct cgroup *memory__cgroup(__u64 memory)
{
	struct cgroup *cgroup = BPF_CORE_READ((struct mem_cgroup *)memory, css.cgroup);
	__u64 css = memory + bpf_core_field_offset(struct mem_cgroup, css), found = 0;
	__u64 at = (__u64)cgroup + bpf_core_field_offset(struct cgroup, subsys) +
		   bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(found);

	if (!cgroup || bpf_probe_read_kernel(&found, sizeof(found), (void *)at) || found != css)
		return NULL;
	return cgroup;
}

/*
 * The cgroup that pays for a folio's memory; NULL: none that is known. The folio names its struct
 * mem_cgroup, or, on kernels that may move what a dead one held, a struct obj_cgroup that does.
 */
static __always_inline struct cgroup *folio__payer(__u64 folio)
{
	struct folio___charged *charged = (void *)folio;
	struct cgroup *cgroup;
	__u64 memory;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id) ||
	    !bpf_core_field_exists(charged->memcg_data))
		return NULL;
	memory = BPF_CORE_READ(charged, memcg_data) & ~MEMCG_DATA_FLAGS;
	if (!memory)
		return NULL;
	cgroup = memory__cgroup(memory);
	if (cgroup)
		return cgroup;
	return memory__cgroup((__u64)BPF_CORE_READ((struct obj_cgroup *)memory, memcg));
}

#define DS_PAGE_FLAG(name) (1UL << bpf_core_enum_value(enum pageflags, name))

/* Base pages in a folio: 1 for a small one. read: DS_FIELD, or BPF_CORE_READ for an address. */
#define FOLIO_PAGES(folio, read)                                                                 \
	({                                                                                       \
		struct folio___memdesc *memdesc = (void *)(folio);                               \
		unsigned long flags;                                                             \
		__u64 pages = 1;                                                                 \
                                                                                                 \
		if (bpf_core_field_exists(memdesc->flags.f))                                     \
			flags = read(memdesc, flags.f);                                          \
		else                                                                             \
			flags = read(folio, flags);                                              \
		if (!(flags & DS_PAGE_FLAG(PG_head)))                                            \
			pages = 1;                                                               \
		else if (bpf_core_field_exists(struct folio___nr_pages, _nr_pages))              \
			pages = read((struct folio___nr_pages *)(folio), _nr_pages);             \
		else if (bpf_core_field_exists(struct folio___folio_nr_pages, _folio_nr_pages))  \
			pages = read((struct folio___folio_nr_pages *)(folio), _folio_nr_pages); \
		pages;                                                                           \
	})

static __always_inline __u64 folio__pages(struct folio *folio)
{
	return FOLIO_PAGES(folio, DS_FIELD);
}

/* Flags of the page at that address; a folio begins with those of its first page. */
static __always_inline unsigned long page__flags(__u64 page)
{
	struct folio___memdesc *memdesc = (void *)page;

	if (bpf_core_field_exists(memdesc->flags.f))
		return BPF_CORE_READ(memdesc, flags.f);
	return BPF_CORE_READ((struct folio *)page, flags);
}

/*
 * Address of the first page of the folio that has the page at that address. In a tail page stands
 * where that is, or, with compound_info and where sizeof(struct page) allows it, a mask for its own
 * address, whose upper bits are all ones as those of no address of a struct page are
 * (_compound_head(), include/linux/page-flags.h; Documentation/arch/x86/x86_64/mm.rst).
 */
static __always_inline __u64 page__head(__u64 page)
{
	const __u64 masks = ~0ULL << 32;
	__u64 info;

	if (bpf_core_field_exists(struct page___compound_info, compound_info))
		info = BPF_CORE_READ((struct page___compound_info *)page, compound_info);
	else
		info = BPF_CORE_READ((struct page___compound_head *)page, compound_head);
	if (!(info & 1))
		return page;
	return info >= masks ? page & info : info - 1;
}

/* The same of a folio of which the address is known; 0 where it is dirty already. */
static __always_inline __u64 folio__clean_pages(__u64 address)
{
	struct folio *folio = (void *)address;

	if (page__flags(address) & DS_PAGE_FLAG(PG_dirty))
		return 0;
	return FOLIO_PAGES(folio, BPF_CORE_READ);
}

/* Bytes of a bio's first segment that are done. */
static __always_inline __u32 bio__done(struct bio *bio)
{
	struct bio___offset *renamed = (void *)bio;

	if (bpf_core_field_exists(renamed->bi_iter.bi_offset))
		return BPF_CORE_READ(renamed, bi_iter.bi_offset);
	return BPF_CORE_READ(bio, bi_iter.bi_bvec_done);
}

/* One fragment of an skb. Bit 0 of its page set: memory of a device (net_iov), not of the host. */
static __always_inline int skb__frag(__u64 shinfo, __u32 index, struct bio_vec *frag)
{
	__u64 frags = shinfo + bpf_core_field_offset(struct skb_shared_info___frags, frags);

	return bpf_probe_read_kernel(frag, sizeof(*frag), (void *)(frags + index * sizeof(*frag)));
}

#endif
