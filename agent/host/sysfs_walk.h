/* SPDX-License-Identifier: BSD-2-Clause */
/* From a link in sysfs to the device that does the DMA; see agent/host/sysfs.h for what the errors
 * mean.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_SYSFS_WALK_H
#define DIRTYSCOPE_AGENT_HOST_SYSFS_WALK_H

#include <limits.h>

#include "agent/host/sysfs.h"

#define CLASS_BLOCK "class/block"
#define CLASS_NET "class/net"

/* A sysfs with its root resolved, so that resolved links can be compared with it. */
struct sysfs_tree {
	char root[PATH_MAX];
	char devices[PATH_MAX]; /* root/devices */
};

struct sysfs_found {
	char path[PATH_MAX];
	char bus[SYSFS_NAME_SIZE];
	char id[SYSFS_ID_SIZE];
};

enum sysfs_follow {
	SYSFS_FOLLOW_PATHS,  /* from the head of an NVMe multipath disk to its controller */
	SYSFS_FOLLOW_SELF,   /* no further: a device of a bus stands for itself */
	SYSFS_FOLLOW_SLAVES, /* also from a stacked disk to what it stands on */
};

int sysfs_tree__open(struct sysfs_tree *tree, const char *root);
/* The DMA device of a class or bus link, given below the root: "class/net/eth0". */
int sysfs_tree__find(const struct sysfs_tree *tree, const char *link, enum sysfs_follow follow,
		     struct sysfs_found *found);
/*
 * The one to which all links of a directory below the root lead, and what they stand on. -ENODEV:
 * several, or none.
 */
int sysfs_tree__find_common(const struct sysfs_tree *tree, const char *directory,
			    struct sysfs_found *found);
/* The DMA device that this one sits on. */
int sysfs_tree__find_parent(const struct sysfs_tree *tree, const struct sysfs_found *found,
			    struct sysfs_found *parent);
/*
 * Calls back for each name in a directory below the root, with that directory's descriptor; ends
 * early with what is not 0. No such directory: no names.
 */
int sysfs_tree__each_name(const struct sysfs_tree *tree, const char *below,
			  int (*callback)(int directory, const char *name, void *context),
			  void *context);
/* An attribute of a disk: a number, 0 with an error. */
int sysfs__read_disk_u64(int directory, const char *disk, const char *attribute, uint64_t *value);
/*
 * Whether a link in the directory of a class leads to that part of sysfs. A host may have thousands
 * of virtual disks and interfaces, of which nothing more need be read.
 */
bool sysfs__leads_to(int directory, const char *name, const char *part);
#define VIRTUAL "/virtual/" /* the heads of NVMe multipath disks, too */
#define VIRTUAL_DISK "/virtual/block/"
/* Copies the names of the device at its path. 0, or -ENOMEM. */
int sysfs_names__give(const struct sysfs_names *names, struct sysfs_device *device);
/* a/b; -ENAMETOOLONG. */
int sysfs__join(char path[PATH_MAX], const char *a, const char *b);
/*
 * A name as a link below the root: in "class/block", "class/net", "bus/BUS/devices". -EINVAL for
 * one that would lead elsewhere: names come from kernel memory.
 */
int sysfs__link(const char *directory, const char *name, char link[PATH_MAX]);
/* bus/BUS/devices/NAME */
int sysfs__bus_link(const char *bus, const char *name, char link[PATH_MAX]);
/* "BUS/NAME", cut and hashed where it is longer. */
void sysfs__make_id(const char *bus, const char *name, char id[SYSFS_ID_SIZE]);

#endif
