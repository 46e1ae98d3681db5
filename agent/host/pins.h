/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of a process that the kernel holds pinned for somebody who may write it at any time: a
 * device, or the kernel on a file's behalf. Such a write sets no bit in the page table, so no
 * tracker of CPU stores sees it.
 *
 * The kernel's own sum is VmPin of /proc/PID/status (mm->pinned_vm, fs/proc/task_mmu.c). What can
 * be explained is listed by kind: buffers registered with io_uring stand in /proc/PID/fdinfo
 * (io_uring/fdinfo.c), memory regions of RDMA in its netlink family
 * (drivers/infiniband/core/nldev.c, fill_res_mr_entry()), AF_XDP areas in its socket diagnostics
 * (net/xdp/xsk_diag.c). VFIO counts in VmLck instead; the agent adds it from the sensors. Rings of
 * io_uring that lie in memory of the process's own (IORING_SETUP_NO_MMAP, Linux 6.5) and AF_XDP
 * areas are pinned, and count in neither.
 *
 * Bytes are of whole pages. Functions return 0 or a negative errno; they never wait for the
 * process. Thread-safe.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_PINS_H
#define DIRTYSCOPE_AGENT_HOST_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/snapshot/snapshot.h"

/* Where a pin is known to be: addresses of the process, whole pages. */
struct pin_range {
	uint64_t start, end;
	enum pin_kind kind;
};

struct pins {
	uint64_t vm_pin;	  /* bytes; VmPin of its status */
	uint64_t by[PIN_KINDS];	  /* bytes explained, by kind */
	uint64_t placed;	  /* bytes of VmPin that the ranges account for */
	uint64_t own_rings;	  /* bytes, at most, of rings in its own memory; in no other sum */
	uint64_t writable;	  /* bytes of mappings that it can write; 0: not looked at */
	struct pin_range *ranges; /* sorted by start; they may overlap */
	size_t range_count, range_room;
	bool whole;	    /* false: not all of it could be read; see reason */
	bool anywhere;	    /* what was not read is in no sum: any of `writable` may be pinned */
	const char *reason; /* a sentence without its end, static; NULL where it is whole */
};

/*
 * What the kernel tells by netlink: RDMA memory regions by process, AF_XDP areas by socket. Asked
 * for when it is needed first, and kept for all processes that are read with it. For one thread.
 */
struct pin_sources;
/* NULL: memory is short. */
struct pin_sources *pin_sources__new(void);
void pin_sources__free(struct pin_sources *sources);
/* AF_XDP is asked for again, by whoever is read next. */
void pin_sources__renew_xdp(struct pin_sources *sources);

struct pins_options {
	const char *procfs;
	uint32_t pid;
	struct pin_sources *sources; /* borrowed; NULL: asked for this process alone */
	/*
	 * All rings' buffers count in VmPin (pins__ring_is_counted): those of a ring that is not
	 * found among its descriptors are in that sum.
	 */
	bool rings_are_counted;
};

/*
 * Reads one process's pins. *pins is filled in whatever is returned; pins__clear frees it. -ESRCH:
 * it is gone; -EACCES: its descriptors may not be looked at, vm_pin is known then. `whole` is left
 * false by a process that keeps its rings busy, has more descriptors than PINS_FDS_MAX, an AF_XDP
 * socket of which the kernel tells nothing, or, where rings are not counted, one that it has mapped
 * and has no descriptor of. RDMA counts
 * in VmPin (ib_umem_get(), drivers/infiniband/core/umem.c), and is asked for only where that is not
 * 0.
 */
#define PINS_FDS_MAX 65536
int pins__read(const struct pins_options *options, struct pins *pins);
/*
 * Whether this kernel counts the buffers of every ring in VmPin, by one of this process: Linux 7.2
 * and 7.3 do not count those of root. False where there is no telling: io_uring is not to be had,
 * or this process has no CAP_IPC_LOCK, so that its own ring may be counted where others are not.
 */
bool pins__ring_is_counted(void);
void pins__clear(struct pins *pins);
/* VmPin that nothing explains, in bytes. */
uint64_t pins__unexplained(const struct pins *pins);

/* From the text of a ring's fdinfo: its size in memory, at most, in bytes; 0: it is not told. */
uint64_t pins__ring_bytes(const char *text);
/* From the same text: adds its buffers. -EAGAIN: the ring was in use, and kept them
 * to itself; -ENOMEM; -EINVAL: it is no such text. */
int pins__parse_ring(const char *text, struct pins *pins);

#endif
