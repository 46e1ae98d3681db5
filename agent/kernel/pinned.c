/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/pinned.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/kernel/kernel_side_private.h"

#define ROWS_FIRST 256

static int by_memory(const void *a, const void *b)
{
	const struct ds_pinned *left = a, *right = b;

	if (left->memory != right->memory)
		return left->memory < right->memory ? -1 : 1;
	return left->tgid < right->tgid ? -1 : left->tgid > right->tgid;
}

static int by_tgid(const void *a, const void *b)
{
	const struct ds_pinned *left = a, *right = b;

	return left->tgid < right->tgid ? -1 : left->tgid > right->tgid;
}

/* One row an address space is left, by tgid. */
static size_t fold(struct ds_pinned *rows, size_t count)
{
	size_t left = 0;

	if (!count)
		return 0;
	qsort(rows, count, sizeof(*rows), by_memory);
	for (size_t i = 0; i < count; i++)
		if (!left || rows[i].memory != rows[left - 1].memory)
			rows[left++] = rows[i];
	qsort(rows, left, sizeof(*rows), by_tgid);
	return left;
}

static int read_rows(int fd, struct ds_pinned **rows, size_t *count)
{
	size_t room = 0, used = 0;
	ssize_t length;
	char *data = NULL, *more;

	do {
		if (room - used < sizeof(**rows)) {
			room = room ? 2 * room : ROWS_FIRST * sizeof(**rows);
			more = realloc(data, room);
			if (!more) {
				free(data);
				return -ENOMEM;
			}
			data = more;
		}
		length = read(fd, data + used, room - used);
		if (length > 0)
			used += length;
	} while (length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN)));
	if (length < 0) {
		free(data);
		return -errno;
	}
	*rows = (struct ds_pinned *)data;
	*count = fold(*rows, used / sizeof(**rows));
	return 0;
}

int pinned__read(const struct kernel_side *kernel, struct ds_pinned **rows, size_t *count)
{
	int link, fd, err;

	*rows = NULL;
	*count = 0;
	if (kernel->pinned_fd < 0)
		return -ENOSYS;
	link = bpf_link_create(kernel->pinned_fd, 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return link;
	fd = bpf_iter_create(link);
	err = fd < 0 ? fd : read_rows(fd, rows, count);
	if (fd >= 0)
		close(fd);
	close(link);
	return err;
}
