/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc/PID/maps, region by region: include/linux and fs/proc/task_mmu.c, show_map_vma(). */
#ifndef DIRTYSCOPE_AGENT_TRACKS_SHARED_MAPS_H
#define DIRTYSCOPE_AGENT_TRACKS_SHARED_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_NAME_MAX 256

struct map_region {
	uint64_t start, end;		     /* bytes, of whole pages */
	uint64_t mapping_start, mapping_end; /* of the mapping that it is, or is a part of */
	bool readable, writable, shared;
	uint64_t offset;	 /* bytes into the object */
	uint32_t major, minor;	 /* of the object's file system; with inode: which object */
	uint64_t inode;		 /* 0: anonymous */
	char name[MAP_NAME_MAX]; /* as the kernel writes it, cut; any bytes */
};

/* What is mapped, wherever else it is mapped, too. inode 0: anonymous memory, this process's own.
 */
struct object_key {
	uint64_t inode;
	uint32_t major, minor;
};
struct object_key map_region__object(const struct map_region *region);

/* Calls `each` in the order of addresses; nonzero ends it and is returned. -ESRCH when it is gone.
 */
int maps__read(const char *procfs, uint32_t tgid,
	       int (*each)(void *context, const struct map_region *region), void *context);
/*
 * The path of the file that is mapped there, below map_files, where it can still be had when it has
 * been deleted. size: PATH_MAX.
 */
void map_region__path(const struct map_region *region, const char *procfs, uint32_t tgid,
		      char *path, size_t size);
/*
 * Whether its file system is hugetlbfs, which anonymous memory of hugetlb has as well
 * (hugetlb_file_setup(), fs/hugetlbfs/inode.c). False where it is gone.
 */
bool map_region__is_hugetlb(const struct map_region *region, const char *procfs, uint32_t tgid);
/* One line of the file, without its end. False when it is not one. */
bool maps__parse(char *line, struct map_region *region);

#endif
