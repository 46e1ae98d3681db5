/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO: the process owns QEMU's "edu" device, which writes memory by DMA on command
 * (docs/specs/edu.rst there), as a VMM's guest has a device write.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

#define IOVA 0x1000000UL /* the device addresses 28 bits */
#define BUFFER 0x40000UL /* the device's own memory */
#define LENGTH 64
#define WRITES 8 /* a copy takes the device 100 ms */
#define WAIT_US 10000
#define WAITS 2000

enum edu_register {
	EDU_SOURCE = 0x80,
	EDU_DESTINATION = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
};
#define EDU_START 1UL
#define EDU_TO_MEMORY 2UL

#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY_MASTER 6

struct vfio {
	int container, group, device;
	volatile uint8_t *registers;
};

static int open_container(struct vfio *vfio, const char *group)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%.20s", group);
	vfio->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	vfio->group = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->container < 0 || vfio->group < 0)
		return -errno;
	if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container) ||
	    ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	return 0;
}

static int open_device(struct vfio *vfio, const char *address)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
	struct vfio_region_info config = {.argsz = sizeof(config),
					  .index = VFIO_PCI_CONFIG_REGION_INDEX};
	const uint16_t command = PCI_COMMAND_MEMORY_MASTER;
	void *registers;

	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (vfio->device < 0 || ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		return -errno;
	if (pwrite(vfio->device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) !=
	    sizeof(command))
		return -errno;
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->device,
			 (off_t)bar.offset);
	if (registers == MAP_FAILED)
		return -errno;
	vfio->registers = registers;
	return 0;
}

int vfio__map(struct fsck *fsck)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)fsck->region,
		.iova = IOVA,
		.size = FSCK_BYTES,
	};
	char address[32], group[24];
	struct vfio *vfio;
	int err;

	if (!fsck->edu || sscanf(fsck->edu, "%31[^,],%23s", address, group) != 2)
		return fsck__skip(fsck, "no edu device behind VFIO");
	vfio = calloc(1, sizeof(*vfio));
	if (!vfio)
		return -ENOMEM;
	fsck->state = vfio;
	err = open_container(vfio, group);
	if (err)
		return err;
	if (ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map))
		return errno == EOPNOTSUPP || errno == EFAULT
			       ? fsck__skip(fsck, "memory of this kind cannot be mapped: %s",
					    strerror(errno))
			       : -errno;
	return open_device(vfio, address);
}

static int copy(const struct vfio *vfio, uint64_t from, uint64_t to, uint64_t command)
{
	volatile uint8_t *registers = vfio->registers;

	*(volatile uint64_t *)(registers + EDU_SOURCE) = from;
	*(volatile uint64_t *)(registers + EDU_DESTINATION) = to;
	*(volatile uint64_t *)(registers + EDU_COUNT) = LENGTH;
	*(volatile uint64_t *)(registers + EDU_COMMAND) = command | EDU_START;
	for (int i = 0; i < WAITS; i++) {
		if (!(*(volatile uint64_t *)(registers + EDU_COMMAND) & EDU_START))
			return 0;
		usleep(WAIT_US);
	}
	return -ETIMEDOUT;
}

/* What the device takes from the mapping's first bytes comes into the chosen pages' middle. */
int vfio__write(struct fsck *fsck)
{
	const struct vfio *vfio = fsck->state;
	int err = copy(vfio, IOVA, BUFFER, 0);

	for (unsigned i = 0; i < WRITES && !err; i++)
		err = copy(vfio, BUFFER, IOVA + fsck__number(i) * FSCK_PAGE + 1000, EDU_TO_MEMORY);
	return err;
}
