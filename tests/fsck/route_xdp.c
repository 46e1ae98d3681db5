/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP in copy mode: the kernel copies packets into memory that a socket registered (umem). They
 * come over a veth pair, fsck0 to fsck1, which whoever runs this has made.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

#define RING_SIZE 128U
#define WAIT_MS 5000
#define BIND_TRIES 500
#define BIND_US 20000

struct xdp_ring {
	uint32_t *producer, *consumer;
	void *entries;
};

struct xdp {
	int fd, map, program;
	struct xdp_ring fill, receive;
};

static int map_ring(int fd, const struct xdp_ring_offset *at, size_t entry, off_t place,
		    struct xdp_ring *ring)
{
	unsigned char *memory = mmap(NULL, at->desc + RING_SIZE * entry, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_POPULATE, fd, place);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	ring->producer = (uint32_t *)(memory + at->producer);
	ring->consumer = (uint32_t *)(memory + at->consumer);
	ring->entries = memory + at->desc;
	return 0;
}

static int make_rings(struct xdp *xdp)
{
	const int size = RING_SIZE;
	struct xdp_mmap_offsets at;
	socklen_t length = sizeof(at);
	int err;

	if (setsockopt(xdp->fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof(size)) ||
	    setsockopt(xdp->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof(size)) ||
	    setsockopt(xdp->fd, SOL_XDP, XDP_RX_RING, &size, sizeof(size)) ||
	    getsockopt(xdp->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &length))
		return -errno;
	err = map_ring(xdp->fd, &at.fr, sizeof(uint64_t), (off_t)XDP_UMEM_PGOFF_FILL_RING,
		       &xdp->fill);
	return err ? err
		   : map_ring(xdp->fd, &at.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING,
			      &xdp->receive);
}

/* A program that gives every packet to the socket. */
static int attach(struct xdp *xdp, unsigned interface)
{
	const uint32_t queue = 0;
	struct bpf_insn redirect[] = {
		{.code = BPF_LD | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};

	xdp->map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "fsck", sizeof(queue), sizeof(xdp->fd), 1,
				  NULL);
	if (xdp->map < 0 || bpf_map_update_elem(xdp->map, &queue, &xdp->fd, BPF_ANY))
		return -errno;
	redirect[0].imm = xdp->map;
	xdp->program = bpf_prog_load(BPF_PROG_TYPE_XDP, "fsck", "GPL", redirect,
				     sizeof(redirect) / sizeof(*redirect), NULL);
	if (xdp->program < 0)
		return -errno;
	bpf_xdp_detach((int)interface, XDP_FLAGS_SKB_MODE, NULL);
	return bpf_xdp_attach((int)interface, xdp->program, XDP_FLAGS_SKB_MODE, NULL);
}

/* The queue is free only some time after its last owner has ended. */
static int bind_queue(const struct xdp *xdp, unsigned interface)
{
	const struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_COPY,
		.sxdp_ifindex = interface,
	};

	for (int i = 0; i < BIND_TRIES; i++) {
		if (!bind(xdp->fd, (const struct sockaddr *)&address, sizeof(address)))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(BIND_US);
	}
	return errno == EBUSY ? -ETIMEDOUT : -errno;
}

static int register_memory(struct fsck *fsck, struct xdp *xdp, unsigned interface)
{
	const struct xdp_umem_reg memory = {
		.addr = (uintptr_t)fsck->region,
		.len = FSCK_BYTES,
		.chunk_size = FSCK_PAGE,
	};
	uint64_t *entries;
	int err;

	if (setsockopt(xdp->fd, SOL_XDP, XDP_UMEM_REG, &memory, sizeof(memory)))
		return errno == EOPNOTSUPP || errno == EFAULT || errno == EINVAL
			       ? fsck__skip(fsck, "a umem of this kind of mapping: %s",
					    strerror(errno))
			       : -errno;
	err = make_rings(xdp);
	entries = xdp->fill.entries;
	for (unsigned i = 0; !err && entries && i < FSCK_CHOSEN; i++)
		entries[i] = fsck__number(i) * FSCK_PAGE;
	if (!err) {
		__atomic_store_n(xdp->fill.producer, FSCK_CHOSEN, __ATOMIC_RELEASE);
		err = bind_queue(xdp, interface);
	}
	return err ? err : attach(xdp, interface);
}

int xdp__register(struct fsck *fsck)
{
	const unsigned interface = if_nametoindex("fsck1");
	struct xdp *xdp = calloc(1, sizeof(*xdp));

	if (!xdp)
		return -ENOMEM;
	fsck->state = xdp;
	if (!interface)
		return fsck__skip(fsck, "no pair of veth interfaces");
	xdp->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (xdp->fd < 0)
		return errno == EAFNOSUPPORT ? fsck__skip(fsck, "no AF_XDP sockets") : -errno;
	return register_memory(fsck, xdp, interface);
}

int xdp__receive(struct fsck *fsck)
{
	const struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex("fsck0"),
	};
	const struct xdp *xdp = fsck->state;
	unsigned char packet[1000] = {[12] = 0x88, [13] = 0xb5};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	memset(packet + 14, 0x6b, sizeof(packet) - 14);
	memset(packet, 0xff, 6);
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		struct pollfd one = {.fd = xdp->fd, .events = POLLIN};

		if (sendto(fd, packet, sizeof(packet), 0, (const struct sockaddr *)&to,
			   sizeof(to)) != sizeof(packet))
			err = -errno;
		else if (poll(&one, 1, WAIT_MS) != 1)
			err = -ETIMEDOUT;
		else
			__atomic_store_n(xdp->receive.consumer,
					 __atomic_load_n(xdp->receive.producer, __ATOMIC_ACQUIRE),
					 __ATOMIC_RELEASE);
	}
	close(fd);
	return err;
}
