/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/vmstat.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/files.h"

/* False: there is no such line, or no number on it. */
static bool find(const char *text, const char *name, uint64_t *value)
{
	const size_t length = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == ' ')
			return files__parse_u64(line + length + 1, strcspn(line + length + 1, "\n"),
						value);
	}
	return false;
}

void vmstat__read(const char *procfs, struct snapshot_writeback *writeback)
{
	char path[4096], text[16384];
	uint64_t background = 0, limit = 0;

	*writeback = (struct snapshot_writeback){0};
	if (snprintf(path, sizeof(path), "%s/vmstat", procfs) >= (int)sizeof(path) ||
	    files__read(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	writeback->known = find(text, "nr_dirty", &writeback->waiting) &&
			   find(text, "nr_writeback", &writeback->under_writeback) &&
			   find(text, "nr_dirty_threshold", &limit) &&
			   find(text, "nr_dirty_background_threshold", &background);
	writeback->throttle_at = (limit + background) / 2;
}
