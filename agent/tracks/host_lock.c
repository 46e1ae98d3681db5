/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/host_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"

int host_lock__take(int *fd)
{
	int err = 0;

	*fd = open(HOST_LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0 && errno == ENOENT && mkdir("/run/dirtyscope", 0755) == 0)
		*fd = open(HOST_LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0) {
		log_warn("no lock against a second agent", "file=" HOST_LOCK_PATH " reason=\"%s\"",
			 strerror(errno));
		return 0;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (err) {
		close(*fd);
		*fd = -1;
	}
	return err;
}
