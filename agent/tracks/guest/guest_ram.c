/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/guest/guest_ram.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/files.h"
#include "agent/host/procfs.h"
#include "agent/tracks/guest/guest_args.h"

#define ARGUMENTS_MAX (1UL << 20)    /* bytes; the kernel allows more of them */
#define PLUGGED_BYTES (128ULL << 20) /* a module's size is a multiple: MEMORY_BLOCK of Linux */
#define ALIGNED_BYTES (2ULL << 20)   /* QEMU_VMALLOC_ALIGN of x86, include/qemu/osdep.h */

struct guest_ram {
	struct procfs_vm vm;
	struct guest_args args;
};

/* One row a name that a hypervisor gives to such memory, or how it begins. */
static const struct {
	const char *hypervisor; /* NULL: any */
	const char *name;
} names[] = {
	{"qemu", "/memfd:memory-backend-memfd"}, /* backends/hostmem-memfd.c */
	{"qemu", "/memfd:pc.ram"},		 /* qemu_ram_alloc_internal(), system/physmem.c */
	{"qemu", "/memfd:mach-virt.ram"},
	{"qemu", "/memfd:ram-node"},
	{"cloud-hypervisor", "/memfd:ch_ram"},
	{"firecracker", "/memfd:guest_mem"},
	{"crosvm", "/memfd:crosvm_guest"},
	{NULL, "/anon_hugepage"}, /* hugetlb_file_setup(), mm/mmap.c */
};

int guest_ram__new(const char *procfs, uint32_t tgid, struct guest_ram **out)
{
	struct guest_ram *ram = calloc(1, sizeof(*ram));
	char path[PATH_MAX], *arguments;
	size_t length;
	int err;

	*out = NULL;
	if (!ram)
		return -ENOMEM;
	err = procfs__vm(procfs, tgid, &ram->vm);
	snprintf(path, sizeof(path), "%s/%u/cmdline", procfs, tgid);
	if (!err && strcmp(ram->vm.hypervisor, "qemu") == 0 &&
	    files__read_all(AT_FDCWD, path, ARGUMENTS_MAX, &arguments, &length) == 0) {
		guest_args__parse(&ram->args, arguments, length);
		free(arguments);
	}
	if (err)
		free(ram);
	else
		*out = ram;
	return err;
}

void guest_ram__free(struct guest_ram *ram)
{
	free(ram);
}

const char *guest_ram__name(const struct guest_ram *ram)
{
	return ram->vm.name;
}

static bool has_name(const struct guest_ram *ram, const struct map_region *region)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((!names[i].hypervisor ||
		     strcmp(names[i].hypervisor, ram->vm.hypervisor) == 0) &&
		    strncmp(region->name, names[i].name, strlen(names[i].name)) == 0)
			return true;
	return false;
}

/* A file that is named, or one in a folder that is: qemu_back_mem.*, file_ram_open(). */
static bool is_in_file(const struct guest_ram *ram, const struct map_region *region)
{
	for (size_t i = 0; i < ram->args.path_count; i++) {
		const char *path = ram->args.paths[i], *rest;
		size_t length = strlen(path);

		while (length > 1 && path[length - 1] == '/')
			length--;
		if (strncmp(region->name, path, length) != 0)
			continue;
		rest = region->name + length;
		if (!*rest || strcmp(rest, " (deleted)") == 0 ||
		    strncmp(rest, "/qemu_back_mem.", strlen("/qemu_back_mem.")) == 0)
			return true;
	}
	return false;
}

/* Memory that is nobody's file: anonymous, shared anonymous, or a memfd. */
static bool is_plain(const struct map_region *region)
{
	return region->writable && region->readable &&
	       (!*region->name || strncmp(region->name, "[anon", 5) == 0 ||
		strncmp(region->name, "/dev/zero", 9) == 0 ||
		strncmp(region->name, "/memfd:", 7) == 0);
}

static bool continues(const struct map_region *region, const struct map_region *next)
{
	return next->start == region->end && next->inode == region->inode &&
	       (!region->inode || next->offset == region->offset + region->end - region->start) &&
	       next->shared == region->shared && is_plain(next);
}

/* How many mappings from this one on are together as large as one of the sizes; 0: none are. */
static size_t of_size(const struct guest_ram *ram, const struct map_region *regions, size_t count)
{
	for (size_t i = 0; i < count && (!i || continues(&regions[i - 1], &regions[i])); i++)
		for (size_t k = 0; k < ram->args.size_count; k++)
			if (regions[i].end - regions[0].start == ram->args.sizes[k])
				return i + 1;
	return 0;
}

/* Memory that was plugged in later has a size that no argument tells. */
static bool may_be_plugged(const struct guest_ram *ram, const struct map_region *region)
{
	return ram->args.may_grow && (region->end - region->start) % PLUGGED_BYTES == 0 &&
	       region->start % ALIGNED_BYTES == 0;
}

int guest_ram__find(const struct guest_ram *ram, const struct map_region *regions, size_t count,
		    struct address_ranges *ranges)
{
	int err = 0;

	ranges->count = 0;
	for (size_t i = 0, more; i < count && !err; i += more) {
		const struct map_region *region = &regions[i];
		const bool is_ram =
			region->writable && (has_name(ram, region) || is_in_file(ram, region));

		more = is_ram ? 1 : is_plain(region) ? of_size(ram, region, count - i) : 0;
		if (!more && is_plain(region) && may_be_plugged(ram, region))
			more = 1;
		if (more)
			err = address_ranges__add(ranges, region->start, regions[i + more - 1].end);
		else
			more = 1;
	}
	return err;
}
