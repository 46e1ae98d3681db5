/* SPDX-License-Identifier: BSD-2-Clause */
/* QEMU's "edu" device (docs/specs/edu.rst there) through VFIO: it copies memory by DMA on command.
 */
#ifndef DIRTYSCOPE_TESTS_VM_EDU_H
#define DIRTYSCOPE_TESTS_VM_EDU_H

#include <errno.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define EDU_BUFFER 0x40000UL /* the device's own memory */
#define EDU_LENGTH 64	     /* bytes that a copy takes */
#define EDU_TO_MEMORY 2UL

enum edu_register {
	EDU_SOURCE = 0x80,
	EDU_DESTINATION = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
};
#define EDU_START 1UL
#define EDU_WAIT_US 10000 /* a copy takes the device 100 ms */
#define EDU_WAITS 2000

#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY_MASTER 6

/* The device's registers, with its right to do DMA; NULL, and errno. It stays open. */
static inline volatile uint8_t *edu__open(int group, const char *address)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
	struct vfio_region_info config = {.argsz = sizeof(config),
					  .index = VFIO_PCI_CONFIG_REGION_INDEX};
	const uint16_t command = PCI_COMMAND_MEMORY_MASTER;
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	void *mapped;

	if (device < 0 || ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config))
		return NULL;
	if (pwrite(device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) !=
	    sizeof(command))
		return NULL;
	mapped =
		mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	return mapped == MAP_FAILED ? NULL : mapped;
}

/* EDU_LENGTH bytes; command: EDU_TO_MEMORY, or 0 into the device's own. 0, or -ETIMEDOUT. */
static inline int edu__copy(volatile uint8_t *registers, uint64_t from, uint64_t to,
			    uint64_t command)
{
	*(volatile uint64_t *)(registers + EDU_SOURCE) = from;
	*(volatile uint64_t *)(registers + EDU_DESTINATION) = to;
	*(volatile uint64_t *)(registers + EDU_COUNT) = EDU_LENGTH;
	*(volatile uint64_t *)(registers + EDU_COMMAND) = command | EDU_START;
	for (int i = 0; i < EDU_WAITS; i++) {
		if (!(*(volatile uint64_t *)(registers + EDU_COMMAND) & EDU_START))
			return 0;
		usleep(EDU_WAIT_US);
	}
	return -ETIMEDOUT;
}

#endif
