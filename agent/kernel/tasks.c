/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/tasks.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/kernel/kernel_side_private.h"

/* The walk takes place while its text is read: a few bytes, of the agent itself. */
static int walk(int fd, struct ds_own_namespaces *own)
{
	struct ds_own_namespaces row;
	ssize_t length;

	do {
		length = read(fd, &row, sizeof(row));
		if (length == (ssize_t)sizeof(row))
			*own = row;
	} while (length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN)));
	return length < 0 ? -errno : 0;
}

int tasks__refresh(const struct kernel_side *kernel, struct ds_own_namespaces *own)
{
	int link, fd, err;

	if (kernel->refresh_fd < 0)
		return -ENOSYS;
	link = bpf_link_create(kernel->refresh_fd, 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return link;
	fd = bpf_iter_create(link);
	err = fd < 0 ? fd : walk(fd, own);
	if (fd >= 0)
		close(fd);
	close(link);
	return err;
}
