/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/cpu/mapped_data.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/tracks/cpu/page_table.h"

int mapped_data__each(const char *procfs, uint32_t tgid, const struct map_region *region,
		      int (*each)(void *context, uint64_t start, uint64_t end), void *context)
{
	const off_t begin = (off_t)region->offset,
		    end = begin + (off_t)(region->end - region->start);
	char path[PATH_MAX];
	struct stat status;
	off_t at = begin, hole;
	int fd, err = 0;

	map_region__path(region, procfs, tgid, path, sizeof(path));
	/* A device may do something when it is opened. */
	fd = stat(path, &status) || !S_ISREG(status.st_mode) ? -1
							     : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return each(context, region->start, region->end);
	while (!err && at < end && (at = lseek(fd, at, SEEK_DATA)) >= 0 && at < end) {
		at = (off_t)((uint64_t)at & ~(PAGE_BYTES - 1));
		hole = lseek(fd, at, SEEK_HOLE);
		hole = hole > at && hole < end ? hole : end;
		hole = (off_t)(((uint64_t)hole + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1));
		err = each(context, region->start + (uint64_t)(at - begin),
			   region->start + (uint64_t)(hole - begin));
		at = hole;
	}
	/* ENXIO: there is no data behind it. */
	if (!err && at < 0 && errno != ENXIO)
		err = each(context, region->start, region->end);
	close(fd);
	return err;
}
