/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/bpffs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A ring that does nothing but hold the root directory. -1: none can be had. */
static int hold_root(int root)
{
	struct io_uring_params params = {0};
	int directory = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ring = directory < 0 ? -1 : (int)syscall(__NR_io_uring_setup, 1, &params);

	if (ring >= 0 &&
	    syscall(__NR_io_uring_register, ring, IORING_REGISTER_FILES, &directory, 1))
		close_fd(&ring);
	close_fd(&directory);
	return ring;
}

int bpffs__open(struct bpffs *fs)
{
	int err = 0, context = fsopen("bpf", FSOPEN_CLOEXEC);

	*fs = BPFFS_NONE;
	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		err = -errno;
	if (!err) {
		fs->root = fsmount(context, FSMOUNT_CLOEXEC, 0);
		err = fs->root < 0 ? -errno : 0;
	}
	if (!err)
		fs->ring = hold_root(fs->root);
	close_fd(&context);
	return err;
}

void bpffs__close(struct bpffs *fs)
{
	close_fd(&fs->root);
	close_fd(&fs->ring); /* the last: its end is a worker's */
}

int bpffs__pin(const struct bpffs *fs, int link, const char *name)
{
	char path[128];

	if (fs->root < 0)
		return -EBADF;
	/* BPF_OBJ_PIN takes a directory's descriptor since 6.5 only (cb8edce28073). */
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fs->root, name);
	return bpf_obj_pin(link, path);
}

void bpffs__unpin(const struct bpffs *fs, const char *name)
{
	if (fs->root >= 0)
		(void)unlinkat(fs->root, name, 0);
}
