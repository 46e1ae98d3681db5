/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/kernel_side.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dirtyscope.skel.h"

/* Only the iterator is loaded here: the answer becomes read-only data of all other programs. */
static struct dirtyscope *open_iterator(void)
{
	struct dirtyscope *skeleton = dirtyscope__open();
	struct bpf_program *program;
	struct bpf_map *map;

	if (!skeleton)
		return NULL;
	bpf_object__for_each_program(program, skeleton->obj)
		bpf_program__set_autoload(program, program == skeleton->progs.calibrate);
	bpf_object__for_each_map(map, skeleton->obj) if (map != skeleton->maps.calibration &&
							 map != skeleton->maps.rodata)
		bpf_map__set_autocreate(map, false);
	if (dirtyscope__load(skeleton)) {
		dirtyscope__destroy(skeleton);
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

int calibrate(uint64_t memory_pages, struct calibration *calibration, struct kernel_error *error)
{
	struct ds_calibration row = {.span_pages = memory_pages};
	struct dirtyscope *skeleton = NULL;
	int pipe_fds[2] = {-1, -1}, err;
	const uint32_t zero = 0;
	struct iovec vector;
	struct stat status;
	void *page;

	page = mmap(NULL, DS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || pipe2(pipe_fds, O_CLOEXEC) || fstat(pipe_fds[0], &status)) {
		err = -errno;
		goto cleanup;
	}
	if (getrandom(row.magic, sizeof(row.magic), 0) != (ssize_t)sizeof(row.magic)) {
		err = -EIO;
		goto cleanup;
	}
	row.pipe_inode = status.st_ino;
	memcpy(page, row.magic, sizeof(row.magic));
	vector = (struct iovec){.iov_base = page, .iov_len = DS_PAGE_SIZE};
	if (vmsplice(pipe_fds[1], &vector, 1, 0) != (ssize_t)DS_PAGE_SIZE) {
		err = -errno;
		goto cleanup;
	}
	skeleton = open_iterator();
	if (!skeleton) {
		err = -errno;
		goto cleanup;
	}
	err = bpf_map_update_elem(bpf_map__fd(skeleton->maps.calibration), &zero, &row, BPF_ANY);
	if (!err)
		err = run_iterator(skeleton);
	if (!err)
		err = bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.calibration), &zero, &row);
	if (!err && !row.found)
		err = -ESRCH;
	if (!err)
		*calibration = (struct calibration){.vmemmap_base = row.vmemmap_base,
						    .page_offset = row.page_offset,
						    .tries = row.tries};
cleanup:
	if (err)
		snprintf(error->message, sizeof(error->message),
			 "cannot find where the kernel keeps struct page (%s, %u candidates tried)",
			 strerror(-err), row.tries);
	dirtyscope__destroy(skeleton);
	if (page != MAP_FAILED)
		munmap(page, DS_PAGE_SIZE);
	if (pipe_fds[0] >= 0)
		close(pipe_fds[0]);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	return err;
}
