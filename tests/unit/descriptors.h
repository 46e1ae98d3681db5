/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DIRTYSCOPE_TESTS_UNIT_DESCRIPTORS_H
#define DIRTYSCOPE_TESTS_UNIT_DESCRIPTORS_H

#include <dirent.h>
#include <stddef.h>

/* Of this process, and as many more each time as it takes to look; for differences. */
static inline size_t open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
