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
#include "tests/vm/edu.h"

#define IOVA 0x1000000UL /* the device addresses 28 bits */
#define WRITES 8	 /* a copy takes the device 100 ms */

struct vfio {
	int container, group;
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
	vfio->registers = edu__open(vfio->group, address);
	return vfio->registers ? 0 : -errno;
}

/* What the device takes from the mapping's first bytes comes into the chosen pages' middle. */
int vfio__write(struct fsck *fsck)
{
	const struct vfio *vfio = fsck->state;
	int err = edu__copy(vfio->registers, IOVA, EDU_BUFFER, 0);

	for (unsigned i = 0; i < WRITES && !err; i++)
		err = edu__copy(vfio->registers, EDU_BUFFER,
				IOVA + fsck__number(i) * FSCK_PAGE + 1000, EDU_TO_MEMORY);
	return err;
}
