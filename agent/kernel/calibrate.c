/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/calibrate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/kernel/kernel_error.h"
#include "bpf/dirtyscope.h"
#include "dirtyscope.skel.h"

/* Both bases are multiples of it: arch/x86/mm/kaslr.c, kernel_randomize_memory(). */
#define BASE_ALIGNMENT (1ULL << 30)

/* An entry of pagemap: Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_PFN_MASK ((1ULL << 55) - 1)

/* Only the iterator is loaded here: the answer becomes read-only data of all other programs. */
static struct dirtyscope *open_iterator(void)
{
	struct dirtyscope *skeleton = dirtyscope__open();
	struct bpf_program *program;
	struct bpf_map *map;
	int err;

	if (!skeleton)
		return NULL;
	bpf_object__for_each_program(program, skeleton->obj)
		bpf_program__set_autoload(program, program == skeleton->progs.calibrate);
	/* libbpf maps .bss whether or not it is made. */
	bpf_object__for_each_map(map, skeleton->obj) if (map != skeleton->maps.calibration &&
							 map != skeleton->maps.rodata &&
							 map != skeleton->maps.bss)
		bpf_map__set_autocreate(map, false);
	err = dirtyscope__load(skeleton);
	if (err) {
		dirtyscope__destroy(skeleton);
		errno = -err;
		return NULL;
	}
	return skeleton;
}

/* Runs the iterator over the files of this process. */
static int run_iterator(struct dirtyscope *skeleton)
{
	union bpf_iter_link_info info = {.task = {.tid = 0, .pid = (__u32)getpid()}};
	struct bpf_iter_attach_opts options;
	struct bpf_link *link;
	char ignored[64];
	int fd, err;

	memset(&options, 0, sizeof(options)); /* libbpf refuses padding that is not zero */
	options.sz = sizeof(options);
	options.link_info = &info;
	options.link_info_len = sizeof(info);
	link = bpf_program__attach_iter(skeleton->progs.calibrate, &options);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	err = fd < 0 ? fd : 0;
	while (!err && read(fd, ignored, sizeof(ignored)) > 0)
		;
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

static int ask(struct ds_calibration *row)
{
	struct dirtyscope *skeleton = open_iterator();
	const uint32_t zero = 0;
	int err, map;

	if (!skeleton)
		return -errno;
	map = bpf_map__fd(skeleton->maps.calibration);
	err = bpf_map_update_elem(map, &zero, row, BPF_ANY);
	if (!err)
		err = run_iterator(skeleton);
	if (!err)
		err = bpf_map_lookup_elem(map, &zero, row);
	dirtyscope__destroy(skeleton);
	return err;
}

/* 0: it is not shown to this process. */
static uint64_t number_in_pagemap(const char *procfs, const void *page)
{
	char path[PATH_MAX];
	uint64_t entry = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/self/pagemap", procfs);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)page / DS_PAGE_SIZE * sizeof(entry))) !=
	    (ssize_t)sizeof(entry))
		entry = 0;
	close(fd);
	return entry & PAGEMAP_PFN_MASK;
}

/*
 * Addresses in a page table are below the end of memory; what lies above in an entry are other
 * bits, as that of encrypted memory, whose place depends on the machine.
 */
static uint64_t entry_mask(uint64_t memory_pages)
{
	uint64_t end = DS_PAGE_SIZE;

	while (end < memory_pages << DS_PAGE_SHIFT)
		end <<= 1;
	return (end - 1) & ~(DS_PAGE_SIZE - 1);
}

/* Memory may be added; bit 47 is the lowest that ever meant encrypted memory. */
#define MOST_MEMORY (1ULL << 46)

static uint64_t entry_mask_of_all(uint64_t memory_pages)
{
	return entry_mask(memory_pages) | entry_mask(MOST_MEMORY >> DS_PAGE_SHIFT);
}

static int conclude(const struct ds_calibration *row, struct calibration *calibration,
		    struct kernel_error *error)
{
	uint64_t vmemmap = row->page - row->pfn * row->page_size_of;

	if (!row->found) {
		snprintf(error->message, sizeof(error->message),
			 "cannot find where the kernel keeps its direct map of memory: %s",
			 row->page ? "no place shows this process's own page; a kernel for x86_64 "
				     "that is not a guest of Xen PV is needed"
				   : "BPF cannot see this process's files");
		return -ENOSYS;
	}
	if (vmemmap & (BASE_ALIGNMENT - 1)) {
		snprintf(error->message, sizeof(error->message),
			 "cannot find where the kernel keeps struct page: it is no flat array; a "
			 "kernel "
			 "with CONFIG_SPARSEMEM_VMEMMAP=y is needed");
		return -ENOSYS;
	}
	calibration->vmemmap_base = vmemmap;
	calibration->page_offset = row->page_offset;
	calibration->tries = row->tries;
	return 0;
}

/* A page of this process, in a pipe: row says which. */
static int prepare_page(struct ds_calibration *row, int pipe_fds[2], void **page)
{
	struct iovec vector;
	struct stat status;

	*page = mmap(NULL, DS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (*page == MAP_FAILED || pipe2(pipe_fds, O_CLOEXEC) || fstat(pipe_fds[0], &status))
		return -errno;
	if (getrandom(row->magic, sizeof(row->magic), 0) != (ssize_t)sizeof(row->magic))
		return -EIO;
	row->pipe_inode = status.st_ino;
	row->address = (uintptr_t)*page;
	memcpy(*page, row->magic, sizeof(row->magic));
	vector = (struct iovec){.iov_base = *page, .iov_len = DS_PAGE_SIZE};
	return vmsplice(pipe_fds[1], &vector, 1, 0) == (ssize_t)DS_PAGE_SIZE ? 0 : -errno;
}

int calibrate(const struct calibration_options *options, struct calibration *calibration,
	      struct kernel_error *error)
{
	struct ds_calibration row = {
		.span_pages = options->memory_pages,
		.entry_mask = entry_mask(options->memory_pages),
	};
	int pipe_fds[2] = {-1, -1}, err;
	void *page = MAP_FAILED;

	memset(calibration, 0, sizeof(*calibration));
	err = prepare_page(&row, pipe_fds, &page);
	if (err)
		goto cleanup;
	/* Into the pipe the page went as it is: from now on it does not move. */
	if (!options->page_table_only)
		row.known_pfn = number_in_pagemap(options->procfs, page);
	calibration->entry_mask = entry_mask_of_all(options->memory_pages);
	calibration->source = row.known_pfn ? CALIBRATION_PAGEMAP : CALIBRATION_PAGE_TABLE;
	err = ask(&row);
	if (!err)
		err = conclude(&row, calibration, error);
cleanup:
	if (err && !*error->message)
		snprintf(error->message, sizeof(error->message),
			 "cannot find where the kernel keeps struct page: %s",
			 errno_text(err).text);
	if (page != MAP_FAILED)
		munmap(page, DS_PAGE_SIZE);
	if (pipe_fds[0] >= 0)
		close(pipe_fds[0]);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	return err;
}
