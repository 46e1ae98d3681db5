/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What sysfs says of devices: which function does the DMA for a disk, a netdev, or any device.
 *
 * `root` is where sysfs is mounted, "/sys". An id is "BUS/NAME", at most SYSFS_ID_SIZE - 1 bytes; a
 * longer one is cut and ends in a hash of the whole. Functions return 0 or a negative errno:
 * -ENOENT what is not there or has just vanished, -ENODEV what has no DMA device (loop, zram, dm,
 * lo, veth: virtual), -EINVAL a name that can be none.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_SYSFS_H
#define DIRTYSCOPE_AGENT_HOST_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYSFS_ID_SIZE 64
#define SYSFS_NAME_SIZE 64
#define SYSFS_NAMES_MAX 1024 /* names of one device that are kept */

/*
 * The id of the DMA device of a disk ("vda"; a "/" in a disk's name is "!" in sysfs, both are
 * taken), of a netdev, or of any device of a bus ("pci", "0000:00:04.0"; "usb", "1-1:1.0"). The
 * nearest ancestor on a bus of DMA devices; a function whose child is a virtio device is shown as
 * that. A device of a bus is never virtual: without such an ancestor it is its own.
 */
int sysfs__device_of_disk(const char *root, const char *disk, char id[SYSFS_ID_SIZE]);
int sysfs__device_of_netdev(const char *root, const char *netdev, char id[SYSFS_ID_SIZE]);
int sysfs__device_of(const char *root, const char *bus, const char *name, char id[SYSFS_ID_SIZE]);
/*
 * Of a block device number. Stacked devices (dm, md, bcache) are followed down when all that they
 * stand on is one device. A loop device is virtual: asking where its file lies could block.
 */
int sysfs__device_of_dev(const char *root, uint32_t major, uint32_t minor, char id[SYSFS_ID_SIZE]);

/*
 * Of the disks of a btrfs, known by its id, where all of them are on one device; -ENODEV: they are
 * not, or there is none.
 */
int sysfs__device_of_btrfs(const char *root, const uint8_t uuid[16], char id[SYSFS_ID_SIZE]);

struct sysfs_disk {
	const char *name;
	uint64_t diskseq;	       /* 0: the kernel does not tell (before 5.15) */
	char device_id[SYSFS_ID_SIZE]; /* "": nothing below it does DMA (iSCSI, pmem) */
};
/*
 * Calls back for every disk that may move data itself, so not for virtual ones and the heads of
 * NVMe multipath disks, in no order; ends early with what is not 0, and returns that.
 */
int sysfs__list_disks(const char *root, int (*callback)(void *context, const struct sysfs_disk *),
		      void *context);

/* A struct device that may do DMA, or that a netdev names as its own. */
struct sysfs_source {
	char bus[SYSFS_NAME_SIZE];
	const char *name;
	uint64_t number; /* of its directory: what BPF knows it by */
	bool driver;	 /* one is bound */
	bool virtio;	 /* a function that carries a virtio device, or is to */
};
/*
 * Calls back for the devices behind netdevs, then for virtio devices, then for PCI functions;
 * bridges and ports, which only forward, are left out. A device may come twice. Ends early with
 * what is not 0, and returns that.
 */
int sysfs__list_sources(const char *root,
			int (*callback)(void *context, const struct sysfs_source *), void *context);
/* One of them; -ENODEV for a bridge. source->name is `name`. */
int sysfs__find_source(const char *root, const char *bus, const char *name,
		       struct sysfs_source *source);
/*
 * How many sources and disks there may be, at most: what the two lists above tell is fewer. 0 where
 * sysfs cannot be read.
 */
size_t sysfs__count(const char *root);
/* Whether one of these netdevs is up (IFF_UP). */
bool sysfs__any_up(const char *root, char *const *names, size_t count);

/* A virtual disk (dm, md, bcache, loop on a disk) and the disks and partitions that it stands on.
 */
struct sysfs_stack {
	char *name;
	char **on; /* sorted */
	size_t on_count;
};

struct sysfs_device {
	char id[SYSFS_ID_SIZE];
	uint64_t number; /* its directory's: another one after a replug; 0 of a bare one */
	char bus[SYSFS_NAME_SIZE];
	char *name;		      /* on that bus, in full */
	char *path;		      /* resolved, below root; NULL of a bare one */
	char driver[SYSFS_NAME_SIZE]; /* "": none is bound */
	char parent[SYSFS_ID_SIZE];   /* the DMA device of another bus that it sits on; "": none */
	char iommu_group[SYSFS_NAME_SIZE];  /* "": no IOMMU translates for it */
	char iommu_domain[SYSFS_NAME_SIZE]; /* "DMA", "DMA-FQ", "identity"; "": not told */
	bool platform_dma; /* virtio: took VIRTIO_F_ACCESS_PLATFORM, so uses the DMA API */
	char **names;	   /* disks and netdevs, sorted */
	size_t name_count;
	size_t disk_count;	    /* of the names; the others are netdevs */
	struct sysfs_stack *stacks; /* that stand on its disks, if only in part; sorted by name */
	size_t stack_count;
};
/*
 * All disks and netdevs that are not virtual, by the device that does their DMA, and what stands on
 * them: as of one reading, which costs a few links for each of them.
 */
struct sysfs_names;
int sysfs_names__read(const char *root, struct sysfs_names **names);
void sysfs_names__free(struct sysfs_names *names);
/* What stands on the device, anew. 0, or -ENOMEM. */
int sysfs_names__give_stacks(const struct sysfs_names *names, struct sysfs_device *device);
/*
 * The DMA device, as above, with all that is known. For a virtual disk they return 0 and *device is
 * NULL.
 */
int sysfs__describe(const char *root, const struct sysfs_names *names, const char *bus,
		    const char *name, struct sysfs_device **device);
int sysfs__describe_disk(const char *root, const struct sysfs_names *names, const char *disk,
			 struct sysfs_device **device);
/* One that sysfs does not know: only its id, bus and name. NULL when memory is short. */
struct sysfs_device *sysfs_device__bare(const char *bus, const char *name);
/*
 * Whether this very device is still plugged in, not another one in its place. True for a bare one
 * of a bus that sysfs does not show.
 */
bool sysfs_device__exists(const char *root, const struct sysfs_device *device);
void sysfs_device__free(struct sysfs_device *device);

#endif
