/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A BPF file system of the agent's own, which is mounted nowhere and ends with the agent, however
 * that ends. What is pinned in it is given up by the kernel's workers, later, where close(2) waits.
 *
 * Up to Linux 6.12 it takes a grace period of RCU tasks, 0.14 s, to detach a program from a
 * function, one function after the other (kernel/trace/ftrace.c: unregister_ftrace_direct() holds
 * direct_mutex while ftrace_shutdown() calls synchronize_rcu_tasks()). For 28 functions that is 4
 * s, in which who closes their links does not answer to SIGKILL either. A pinned link outlives its
 * descriptors. Its inode's end goes through bpf_link_put(), which leaves the rest to a worker
 * since 6.5 (ab5d47bd41b1). Before, whoever ends the file system does it all; a ring of io_uring
 * that holds a directory of it makes that a worker, too (io_uring/io_uring.c, io_ring_exit_work()).
 */
#ifndef DIRTYSCOPE_AGENT_KERNEL_BPFFS_H
#define DIRTYSCOPE_AGENT_KERNEL_BPFFS_H

struct bpffs {
	int root, ring; /* descriptors; negative: none */
};
#define BPFFS_NONE ((struct bpffs){.root = -1, .ring = -1})

/*
 * Needs CAP_SYS_ADMIN: 0, -EPERM, or another negative errno; fs is none then. Where io_uring is
 * closed, it is made without a ring.
 */
int bpffs__open(struct bpffs *fs);
/* Returns at once. */
void bpffs__close(struct bpffs *fs);
/* Pins a link. 0, or a negative errno; -EBADF when there is no file system. */
int bpffs__pin(const struct bpffs *fs, int link, const char *name);
/* Nothing happens where there is no such name. */
void bpffs__unpin(const struct bpffs *fs, const char *name);

#endif
