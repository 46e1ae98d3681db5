/* SPDX-License-Identifier: BSD-2-Clause */
/* A sysfs made by a test, with the links that the kernel makes. */
#ifndef DIRTYSCOPE_TESTS_UNIT_SYS_TREE_H
#define DIRTYSCOPE_TESTS_UNIT_SYS_TREE_H

#include <stdarg.h>
#include <stdbool.h>

#include "tests/unit/tree.h"

#define PCI "devices/pci0000:00/0000:00:"
#define ATA PCI "1f.2/ata1/host0/target0:0:0/0:0:0:0"
#define USB PCI "14.0/usb1/1-1/1-1:1.0"
#define NVME PCI "1c.0/0000:01:00.0"
#define MULTI PCI "05.0"
#define SUBSYSTEM "devices/virtual/nvme-subsystem/nvme-subsys1"
#define LONG_NAME "a-platform-device-with-a-name-that-is-longer-than-any-id-may-be"

static inline __attribute__((format(printf, 2, 3))) void sys__format(char text[PATH_MAX],
								     const char *format, ...)
{
	va_list list;

	va_start(list, format);
	tree__check(vsnprintf(text, PATH_MAX, format, list) >= PATH_MAX, format);
	va_end(list);
}

/* A link from below one place of the tree to another place of it, relative as in sysfs. */
static inline void sys__link_up(const struct tree *tree, const char *from, const char *to)
{
	char target[PATH_MAX] = "";

	for (const char *slash = from; (slash = strchr(slash, '/')); slash++)
		strcat(target, "../");
	strcat(target, to);
	tree__link(tree, from, target);
}

/* A device directory; kind is "bus/NAME" or "class/NAME", driver may be NULL. */
static inline void sys__add_device(const struct tree *tree, const char *path, const char *kind,
				   const char *driver)
{
	const char *name = strrchr(path, '/') + 1;
	char from[PATH_MAX], to[PATH_MAX];
	bool is_bus = !strncmp(kind, "bus/", 4);

	tree__directory(tree, path);
	tree__directory(tree, kind);
	sys__format(from, "%s/subsystem", path);
	sys__link_up(tree, from, kind);
	sys__format(from, is_bus ? "%s/devices/%s" : "%s/%s", kind, name);
	sys__link_up(tree, from, path);
	if (!driver)
		return;
	sys__format(to, "%s/drivers/%s", kind, driver);
	tree__directory(tree, to);
	sys__format(from, "%s/driver", path);
	sys__link_up(tree, from, to);
}

static inline void sys__add_disk(const struct tree *tree, const char *path, const char *dev,
				 const char *seq, const char *hidden)
{
	char below[PATH_MAX];

	sys__add_device(tree, path, "class/block", NULL);
	sys__format(below, "block/%s", strrchr(path, '/') + 1);
	sys__link_up(tree, below, path);
	sys__format(below, "%s/diskseq", path);
	tree__puts(tree, below, seq);
	sys__format(below, "%s/hidden", path);
	tree__puts(tree, below, hidden);
	sys__format(below, "%s/slaves", path);
	tree__directory(tree, below);
	if (!*dev)
		return;
	sys__format(below, "%s/dev", path);
	tree__puts(tree, below, dev);
	sys__format(below, "dev/block/%.*s", (int)strcspn(dev, "\n"), dev);
	sys__link_up(tree, below, path);
}

static inline void sys__add_partition(const struct tree *tree, const char *path, const char *dev)
{
	char below[PATH_MAX];

	sys__add_device(tree, path, "class/block", NULL);
	sys__format(below, "%s/partition", path);
	tree__puts(tree, below, "1\n");
	sys__format(below, "dev/block/%s", dev);
	sys__link_up(tree, below, path);
}

static inline void sys__add_slave(const struct tree *tree, const char *disk, const char *slave)
{
	char below[PATH_MAX];

	sys__format(below, "devices/virtual/block/%s/slaves/%s", disk, strrchr(slave, '/') + 1);
	sys__link_up(tree, below, slave);
}

static inline void sys__add_iommu(const struct tree *tree, const char *device, const char *group,
				  const char *type)
{
	char below[PATH_MAX], target[PATH_MAX];

	sys__format(target, "kernel/iommu_groups/%s", group);
	sys__format(below, "%s/type", target);
	if (type)
		tree__puts(tree, below, type);
	else
		tree__directory(tree, target);
	sys__format(below, "%s/iommu_group", device);
	sys__link_up(tree, below, target);
}

static inline void sys__add_hardware(const struct tree *tree)
{
	/* virtio-blk and virtio-net: devices below PCI functions. */
	sys__add_device(tree, PCI "02.0", "bus/pci", "virtio-pci");
	sys__add_device(tree, PCI "02.0/virtio1", "bus/virtio", "virtio_blk");
	sys__add_disk(tree, PCI "02.0/virtio1/block/vda", "254:0\n", "9\n", "0\n");
	sys__add_partition(tree, PCI "02.0/virtio1/block/vda/vda1", "254:1");
	sys__add_partition(tree, PCI "02.0/virtio1/block/vda/vda2", "254:2");
	sys__add_iommu(tree, PCI "02.0", "2", "DMA-FQ\n");
	sys__add_device(tree, PCI "03.0", "bus/pci", "virtio-pci");
	sys__add_device(tree, PCI "03.0/virtio2", "bus/virtio", "virtio_net");
	sys__add_device(tree, PCI "03.0/virtio2/net/eth0", "class/net", NULL);
	tree__puts(tree, PCI "03.0/virtio2/features", "0000000000000000000000000000000001\n");
	sys__add_iommu(tree, PCI "03.0", "3", "DMA\n");
	/* A NIC; SATA; a USB disk and a USB NIC on one controller. */
	sys__add_device(tree, PCI "04.0", "bus/pci", "e1000e");
	sys__add_device(tree, PCI "04.0/net/enp0s4", "class/net", NULL);
	sys__add_iommu(tree, PCI "04.0", "4", NULL);
	sys__add_device(tree, PCI "1f.2", "bus/pci", "ahci");
	tree__directory(tree, PCI "1f.2/ata1");
	sys__add_device(tree, ATA, "bus/scsi", "sd");
	sys__add_disk(tree, ATA "/block/sda", "8:0\n", "3\n", "0\n");
	sys__add_device(tree, PCI "14.0", "bus/pci", "xhci_hcd");
	sys__add_device(tree, PCI "14.0/usb1", "bus/usb", "usb");
	sys__add_device(tree, PCI "14.0/usb1/1-1", "bus/usb", "usb");
	sys__add_device(tree, USB, "bus/usb", "usb-storage");
	sys__add_disk(tree, USB "/host2/target2:0:0/2:0:0:0/block/sdb", "8:16\n", "4\n", "0\n");
	sys__add_device(tree, PCI "14.0/usb1/1-1/1-1:1.1/net/usb0", "class/net", NULL);
	/* An NVMe disk behind a bridge; one with multipath: a hidden path below the controller, a
	 * virtual head. */
	sys__add_device(tree, PCI "1c.0", "bus/pci", "pcieport");
	sys__add_device(tree, NVME, "bus/pci", "nvme");
	sys__add_device(tree, NVME "/nvme/nvme0", "class/nvme", NULL);
	sys__add_disk(tree, NVME "/nvme/nvme0/nvme0n1", "259:0\n", "5\n", "0\n");
	sys__add_disk(tree, NVME "/nvme/nvme0/nvme0n2", "259:1\n", "6\n", "0\n");
	sys__add_device(tree, MULTI, "bus/pci", "nvme");
	sys__add_device(tree, MULTI "/nvme/nvme1", "class/nvme", NULL);
	sys__add_disk(tree, MULTI "/nvme/nvme1/nvme1c1n1", "", "7\n", "1\n");
	sys__add_device(tree, SUBSYSTEM, "class/nvme-subsystem", NULL);
	sys__link_up(tree, SUBSYSTEM "/nvme1", MULTI "/nvme/nvme1");
	sys__add_disk(tree, SUBSYSTEM "/nvme1n1", "259:2\n", "8\n", "0\n");
	sys__add_partition(tree, SUBSYSTEM "/nvme1n1/nvme1n1p1", "259:3");
}

static inline void sys__add_virtual(const struct tree *tree)
{
	sys__add_disk(tree, "devices/virtual/block/loop0", "7:0\n", "1\n", "0\n");
	sys__add_disk(tree, "devices/virtual/block/zram0", "253:0\n", "2\n", "0\n");
	sys__add_disk(tree, "devices/virtual/block/dm-0", "252:0\n", "10\n", "0\n");
	sys__add_slave(tree, "dm-0", PCI "02.0/virtio1/block/vda/vda1");
	sys__add_disk(tree, "devices/virtual/block/dm-1", "252:1\n", "11\n", "0\n");
	sys__add_slave(tree, "dm-1", "devices/virtual/block/dm-0");
	sys__add_slave(tree, "dm-1", PCI "02.0/virtio1/block/vda/vda2");
	sys__add_disk(tree, "devices/virtual/block/md0", "9:0\n", "12\n", "0\n");
	sys__add_slave(tree, "md0", ATA "/block/sda");
	sys__add_slave(tree, "md0", USB "/host2/target2:0:0/2:0:0:0/block/sdb");
	sys__add_device(tree, "devices/virtual/net/lo", "class/net", NULL);
	tree__puts(tree, "class/net/bonding_masters", "\n");
	sys__add_device(tree, "devices/LNXSYSTM:00/ndbus0", "bus/platform", "nfit");
	sys__add_device(tree, "devices/LNXSYSTM:00/ndbus0/region0/namespace0.0", "bus/nd",
			"nd_pmem");
	sys__add_disk(tree, "devices/LNXSYSTM:00/ndbus0/region0/namespace0.0/block/pmem0",
		      "259:9\n", "13\n", "0\n");
}

static inline int sys__set_up(void **state)
{
	struct tree *tree;

	tree__set_up(state);
	tree = *state;
	sys__add_hardware(tree);
	sys__add_virtual(tree);
	/* Odd ones. */
	sys__add_device(tree, "devices/" LONG_NAME "1", "bus/platform", NULL);
	sys__add_device(tree, "devices/" LONG_NAME "2", "bus/platform", NULL);
	sys__add_disk(tree, "devices/" LONG_NAME "1/block/cciss!c0d0", "104:0\n", "14\n", "0\n");
	sys__add_device(tree, "devices/parent0/mei0", "bus/mei", "odd");
	tree__link(tree, "class/block/loop-a", "loop-b");
	tree__link(tree, "class/block/loop-b", "loop-a");
	tree__link(tree, "class/block/gone", "../../devices/virtual/block/gone");
	tree__link(tree, "block/gone", "../devices/virtual/block/gone");
	tree__link(tree, "class/block/outside", "/");
	return 0;
}

#endif
