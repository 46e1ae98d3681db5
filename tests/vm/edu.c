/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that owns a device through VFIO, as a VMM does: QEMU's "edu" device, which copies
 * memory by DMA on command (docs/specs/edu.rst there).
 *
 *   edu ADDRESS GROUP PAGES
 *
 * Maps that many pages for the device to write, and as many that it may only read; prints
 * "mapped", waits for a line, has the device write into one of them, prints "written" when the data
 * is right, waits, unmaps, prints "unmapped", waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/vm/edu.h"

#define PAGE 4096UL
#define IOVA 0x100000UL /* the device addresses 28 bits */

static void die(const char *what)
{
	fprintf(stderr, "edu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *line)
{
	puts(line);
	fflush(stdout);
	for (int c = getchar(); c != '\n'; c = getchar())
		if (c == EOF)
			exit(0);
}

static char *map(int container, size_t pages, uint64_t iova, uint32_t flags)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	struct vfio_iommu_type1_dma_map request = {
		.argsz = sizeof(request),
		.flags = flags,
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = pages * PAGE,
	};

	if (memory == MAP_FAILED)
		die("mmap");
	memset(memory, 0x11, pages * PAGE);
	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &request))
		die("VFIO_IOMMU_MAP_DMA");
	return memory;
}

static void unmap(int container, size_t pages, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap request = {
		.argsz = sizeof(request), .iova = iova, .size = pages * PAGE};

	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &request))
		die("VFIO_IOMMU_UNMAP_DMA");
}

static void copy(volatile uint8_t *registers, uint64_t from, uint64_t to, uint64_t command)
{
	int err = edu__copy(registers, from, to, command);

	errno = -err;
	if (err)
		die("DMA");
}

int main(int argc, char **argv)
{
	volatile uint8_t *registers;
	size_t pages = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	int container, group;
	char path[64], *writable, *readable;

	if (!pages) {
		fprintf(stderr, "usage: edu ADDRESS GROUP PAGES\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/dev/vfio/%s", argv[2]);
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (container < 0)
		die("/dev/vfio/vfio");
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		die(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		die("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("VFIO_SET_IOMMU");
	registers = edu__open(group, argv[1]);
	if (!registers)
		die("the device");
	writable = map(container, pages, IOVA, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	readable = map(container, pages, IOVA + pages * PAGE, VFIO_DMA_MAP_FLAG_READ);
	say("mapped");

	memset(readable, 0x22, EDU_LENGTH);
	copy(registers, IOVA + pages * PAGE, EDU_BUFFER, 0);
	copy(registers, EDU_BUFFER, IOVA + PAGE, EDU_TO_MEMORY);
	if (memcmp(writable + PAGE, readable, EDU_LENGTH) != 0) {
		errno = EIO;
		die("the device's data");
	}
	say("written");

	unmap(container, pages, IOVA);
	unmap(container, pages, IOVA + pages * PAGE);
	say("unmapped");
	return 0;
}
