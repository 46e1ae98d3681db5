/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel tells of pins by netlink, for pins.c and those who look at many processes. */
#ifndef DIRTYSCOPE_AGENT_HOST_PINS_PRIVATE_H
#define DIRTYSCOPE_AGENT_HOST_PINS_PRIVATE_H

#include "agent/host/pins.h"

/*
 * RDMA memory regions, summed by process, and AF_XDP areas by socket. A source that this kernel
 * does not have is empty. AF_XDP is seen in the agent's own network namespace alone. For one
 * thread.
 */
struct rdma_region;
struct xdp_area;
struct pin_sources {
	bool rdma_is_read;
	struct rdma_region *rdma;
	size_t rdma_count;
	struct xdp_area *xdp;
	size_t xdp_count;
};

/*
 * What cannot be read stays empty. RDMA is asked once somebody wants to know: only who has VmPin
 * can have a region (ib_umem_get(), drivers/infiniband/core/umem.c). pin_sources__clear frees it.
 */
void pin_sources__read(struct pin_sources *sources);
void pin_sources__clear(struct pin_sources *sources);
/* Bytes of a process's memory regions; their places are not told. */
uint64_t pin_sources__rdma(struct pin_sources *sources, uint32_t pid);
/* Bytes of the area behind a socket's inode, the first time that it is asked for by this process:
 * sockets may share an area. */
uint64_t pin_sources__xdp(struct pin_sources *sources, uint32_t pid, uint64_t inode);

/*
 * As pins__read, with sources that were read before; NULL: none. Its descriptors are looked at only
 * where VmPin or the sources give a reason to, unless `always`: Linux 7.2 and newer do not count
 * the buffers of io_uring in VmPin.
 */
int pins__read_with(const char *procfs, uint32_t pid, struct pin_sources *sources, bool always,
		    struct pins *pins);
/* Adds a range, of whole pages, to the ranges and to its kind. -ENOMEM, or 0. */
int pins__add(struct pins *pins, enum pin_kind kind, uint64_t start, uint64_t bytes);

#endif
