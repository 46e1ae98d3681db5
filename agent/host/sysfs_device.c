/* SPDX-License-Identifier: BSD-2-Clause */
/* struct sysfs_device: one device with all that is known of it. */
#include "agent/host/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/host/sysfs_stacks.h"

#define VIRTIO_F_ACCESS_PLATFORM 33 /* include/uapi/linux/virtio_config.h */

/* A virtio device goes through its parent's IOMMU only where it took that feature. */
static bool uses_platform_dma(const char *path)
{
	char link[PATH_MAX], bits[80];

	return !sysfs__join(link, path, "features") &&
	       files__read_line(AT_FDCWD, link, bits, sizeof(bits)) > VIRTIO_F_ACCESS_PLATFORM &&
	       bits[VIRTIO_F_ACCESS_PLATFORM] == '1';
}

static void read_iommu(const char *path, struct sysfs_device *device)
{
	char link[PATH_MAX];

	if (sysfs__join(link, path, "iommu_group") ||
	    files__link_name(AT_FDCWD, link, device->iommu_group, sizeof(device->iommu_group))) {
		device->iommu_group[0] = '\0';
		return;
	}
	if (sysfs__join(link, path, "iommu_group/type") ||
	    files__read_line(AT_FDCWD, link, device->iommu_domain, sizeof(device->iommu_domain)) <
		    0)
		device->iommu_domain[0] = '\0';
}

static void read_parent(const struct sysfs_tree *tree, const struct sysfs_found *found,
			struct sysfs_device *device)
{
	struct sysfs_found parent;
	bool has_parent = !sysfs_tree__find_parent(tree, found, &parent);

	/* A bridge above a function of its own bus only forwards. */
	if (has_parent && strcmp(parent.bus, found->bus) != 0)
		memcpy(device->parent, parent.id, sizeof(parent.id));
	device->platform_dma = !strcmp(found->bus, "virtio") && uses_platform_dma(found->path);
	if (strcmp(found->bus, "virtio") != 0)
		read_iommu(found->path, device);
	else if (has_parent && device->platform_dma)
		read_iommu(parent.path, device);
}

static int describe(const struct sysfs_tree *tree, const struct sysfs_found *found,
		    const struct sysfs_names *names, struct sysfs_device *device)
{
	char link[PATH_MAX];
	struct stat stat_of;

	if (stat(found->path, &stat_of))
		return -errno;
	device->number = stat_of.st_ino;
	device->path = strdup(found->path);
	device->name = strdup(strrchr(found->path, '/') + 1);
	if (!device->path || !device->name)
		return -ENOMEM;
	memcpy(device->id, found->id, sizeof(found->id));
	memcpy(device->bus, found->bus, sizeof(found->bus));
	if (sysfs__join(link, found->path, "driver") ||
	    files__link_name(AT_FDCWD, link, device->driver, sizeof(device->driver)))
		device->driver[0] = '\0';
	read_parent(tree, found, device);
	return sysfs_names__give(names, device);
}

static int describe_link(const char *root, const struct sysfs_names *names, const char *link,
			 enum sysfs_follow follow, struct sysfs_device **device)
{
	struct sysfs_found found;
	struct sysfs_tree tree;
	int err = sysfs_tree__open(&tree, root);

	if (!err)
		err = sysfs_tree__find(&tree, link, follow, &found);
	if (err)
		return err == -ENODEV ? 0 : err;
	*device = calloc(1, sizeof(**device));
	if (!*device)
		return -ENOMEM;
	err = describe(&tree, &found, names, *device);
	if (err) {
		sysfs_device__free(*device);
		*device = NULL;
	}
	return err;
}

int sysfs__describe(const char *root, const struct sysfs_names *names, const char *bus,
		    const char *name, struct sysfs_device **device)
{
	char link[PATH_MAX];
	int err = sysfs__bus_link(bus, name, link);

	*device = NULL;
	return err ? err : describe_link(root, names, link, SYSFS_FOLLOW_SELF, device);
}

int sysfs__describe_disk(const char *root, const struct sysfs_names *names, const char *disk,
			 struct sysfs_device **device)
{
	char link[PATH_MAX];
	int err = sysfs__link(CLASS_BLOCK, disk, link);

	*device = NULL;
	return err ? err : describe_link(root, names, link, SYSFS_FOLLOW_PATHS, device);
}

struct sysfs_device *sysfs_device__bare(const char *bus, const char *name)
{
	struct sysfs_device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->name = strdup(name);
	if (!device->name) {
		free(device);
		return NULL;
	}
	snprintf(device->bus, sizeof(device->bus), "%s", bus);
	sysfs__make_id(device->bus, name, device->id);
	return device;
}

bool sysfs_device__exists(const char *root, const struct sysfs_device *device)
{
	char link[PATH_MAX], path[PATH_MAX];
	struct stat found;

	if (sysfs__bus_link(device->bus, device->name, link) || sysfs__join(path, root, link))
		return true;
	if (!stat(path, &found))
		return !device->number || found.st_ino == device->number;
	if (device->path)
		return false;
	*strrchr(path, '/') = '\0';
	return access(path, F_OK);
}

void sysfs_device__free(struct sysfs_device *device)
{
	if (!device)
		return;
	for (size_t i = 0; i < device->name_count; i++)
		free(device->names[i]);
	free(device->names);
	sysfs_stacks__clear(device->stacks, device->stack_count);
	free(device->name);
	free(device->path);
	free(device);
}
