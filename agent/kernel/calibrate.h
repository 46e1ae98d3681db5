/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the kernel keeps struct page and the direct map; bpf/calibrate.bpf.c says how. */
#ifndef DIRTYSCOPE_AGENT_KERNEL_CALIBRATE_H
#define DIRTYSCOPE_AGENT_KERNEL_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

struct kernel_error;

/* Who told the number of the page that both bases are calculated from. */
enum calibration_source {
	CALIBRATION_PAGEMAP,	/* /proc/self/pagemap, which shows it to CAP_SYS_ADMIN alone */
	CALIBRATION_PAGE_TABLE, /* the page table itself, read by BPF */
};

struct calibration_options {
	uint64_t memory_pages; /* highest PFN of the host + 1 */
	const char *procfs;
	/* Does not ask pagemap: as for whoever may not read it. */
	bool page_table_only;
};

struct calibration {
	uint64_t vmemmap_base; /* address of the struct page of PFN 0 */
	uint64_t page_offset;  /* address of physical address 0 */
	uint64_t entry_mask;   /* bits of a page table's entry that are an address */
	enum calibration_source source;
	uint32_t tries; /* candidates for page_offset */
};

/*
 * Never a guess: -ENOSYS with one sentence in *error where the number of a page cannot be had, or
 * what is calculated from it cannot be true; another negative errno when something failed.
 */
int calibrate(const struct calibration_options *options, struct calibration *calibration,
	      struct kernel_error *error);

#endif
