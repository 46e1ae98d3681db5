/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of struct pin_sources, for pins.c and pin_sources.c alone. */
#ifndef DIRTYSCOPE_AGENT_HOST_PINS_PRIVATE_H
#define DIRTYSCOPE_AGENT_HOST_PINS_PRIVATE_H

#include "agent/host/pins.h"

/*
 * A source that this kernel does not have, or that cannot be read, is empty. AF_XDP is seen in the
 * agent's own network namespace alone.
 */
struct rdma_region;
struct xdp_area;
struct pin_sources {
	bool rdma_is_read, xdp_is_read; /* asked for */
	struct rdma_region *rdma;
	size_t rdma_count;
	struct xdp_area *xdp;
	size_t xdp_count;
};

/* Frees what it holds. */
void pin_sources__clear(struct pin_sources *sources);
/* Bytes of a process's memory regions; their places are not told. */
uint64_t pin_sources__rdma(struct pin_sources *sources, uint32_t pid);
/*
 * *bytes: of the area behind a socket's inode, the first time that it is asked for by this process,
 * since sockets may share an area. False: the kernel tells nothing of that socket.
 */
bool pin_sources__xdp(struct pin_sources *sources, uint32_t pid, uint64_t inode, uint64_t *bytes);

/* Adds a range, of whole pages, to the ranges and to its kind. -ENOMEM, or 0. */
int pins__add(struct pins *pins, enum pin_kind kind, uint64_t start, uint64_t bytes);

#endif
