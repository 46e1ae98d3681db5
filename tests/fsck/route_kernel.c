/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of the kernel's that a process maps: the kernel stores into it, by no page table of ours.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

#define RING_PAGES 16U
#define FRAME 2048U
#define WAITS 5000
#define WAIT_US 1000

struct kernel_memory {
	int fd, map;
	aio_context_t aio;
};

static int new_state(struct fsck *fsck, struct kernel_memory **out)
{
	*out = fsck->state = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static int map_area(struct fsck *fsck, int fd, size_t pages)
{
	void *memory = mmap(NULL, pages * FSCK_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	fsck__area(fsck, memory, pages);
	return 0;
}

/* ---- received packets ---- */

int kernel__packet_ring(struct fsck *fsck)
{
	const struct tpacket_req ring = {
		.tp_block_size = FSCK_PAGE,
		.tp_block_nr = RING_PAGES,
		.tp_frame_size = FRAME,
		.tp_frame_nr = RING_PAGES * 2,
	};
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	struct kernel_memory *memory;
	int err = new_state(fsck, &memory);

	if (err)
		return err;
	memory->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (memory->fd < 0)
		return errno == EAFNOSUPPORT ? fsck__skip(fsck, "no packet sockets") : -errno;
	if (bind(memory->fd, (const struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(memory->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		return -errno;
	return map_area(fsck, memory->fd, RING_PAGES);
}

static int await_frame(const unsigned char *frame)
{
	for (int i = 0; i < WAITS; i++) {
		if (((volatile const struct tpacket_hdr *)frame)->tp_status & TP_STATUS_USER)
			return 0;
		usleep(WAIT_US);
	}
	return -ETIMEDOUT;
}

int kernel__packets(struct fsck *fsck)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	unsigned char packet[1000];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	memset(packet, 0x5c, sizeof(packet));
	for (unsigned i = 0; i < RING_PAGES && !err; i++)
		/* Nobody listens, and says so with the next one. */
		if (sendto(fd, packet, sizeof(packet), 0, (const struct sockaddr *)&to,
			   sizeof(to)) < 0 &&
		    errno != ECONNREFUSED)
			err = -errno;
		else
			err = await_frame(fsck->areas[0].start + (size_t)i * FRAME);
	close(fd);
	return err;
}

/* ---- a BPF array ---- */

int kernel__array(struct fsck *fsck)
{
	const struct bpf_map_create_opts options = {.sz = sizeof(options),
						    .map_flags = BPF_F_MMAPABLE};
	struct kernel_memory *memory;
	int err = new_state(fsck, &memory);

	if (err)
		return err;
	memory->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fsck", sizeof(uint32_t), FSCK_PAGE,
				     RING_PAGES, &options);
	if (memory->map < 0)
		return errno == EPERM ? fsck__skip(fsck, "no BPF maps for this user") : -errno;
	return map_area(fsck, memory->map, RING_PAGES);
}

int kernel__update(struct fsck *fsck)
{
	const struct kernel_memory *memory = fsck->state;
	unsigned char page[FSCK_PAGE];

	for (uint32_t i = 0; i < RING_PAGES; i++) {
		fsck__fresh(page, i);
		if (bpf_map_update_elem(memory->map, &i, page, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* ---- completions of the kernel's AIO: its context is the address of their ring ---- */

/* fs/aio.c: 32 bytes of header, 32 a completion. */
#define AIO_EVENTS 1000U
#define AIO_PAGES 3

int kernel__aio_ring(struct fsck *fsck)
{
	struct kernel_memory *memory;
	int err = new_state(fsck, &memory);

	if (err)
		return err;
	if (syscall(SYS_io_setup, AIO_EVENTS, &memory->aio))
		return -errno;
	fsck__area(fsck, (void *)memory->aio, AIO_PAGES);
	return 0;
}

int kernel__aio_complete(struct fsck *fsck)
{
	const struct kernel_memory *memory = fsck->state;
	int fd = fsck__source(fsck, FSCK_TMPFS), err = 0;
	char byte;

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < AIO_PAGES * FSCK_PAGE / sizeof(struct io_event) && !err; i++) {
		struct iocb block = {
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)fd,
			.aio_buf = (uintptr_t)&byte,
			.aio_nbytes = 1,
			.aio_data = ~0ULL - i,
		};
		struct iocb *blocks[] = {&block};

		if (syscall(SYS_io_submit, memory->aio, 1, blocks) != 1)
			err = -errno;
	}
	close(fd);
	return err;
}
