/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/device/mapped_frames.h"

#include <fcntl.h>
#include <unistd.h>

void mapped_frames__init(struct mapped_frames *frames)
{
	frames->fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
}

void mapped_frames__free(struct mapped_frames *frames)
{
	if (frames->fd >= 0)
		close(frames->fd);
	frames->fd = -1;
}

bool mapped_frames__any(const struct mapped_frames *frames, uint64_t first_pfn, uint64_t bits)
{
	uint64_t counts[64];
	ssize_t length;

	if (frames->fd < 0)
		return true;
	length = pread(frames->fd, counts, sizeof(counts), (off_t)(first_pfn * sizeof(*counts)));
	if (length < 0)
		return true;
	for (; bits; bits &= bits - 1) {
		const unsigned bit = (unsigned)__builtin_ctzll(bits);

		/* Beyond the end of memory there is no frame. */
		if ((size_t)length >= (bit + 1) * sizeof(*counts) && counts[bit])
			return true;
	}
	return false;
}
