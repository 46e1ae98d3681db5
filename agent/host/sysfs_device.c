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
#include "agent/host/sysfs_walk.h"

#define VIRTIO_F_ACCESS_PLATFORM 33 /* include/uapi/linux/virtio_config.h */

struct name_list {
	const struct sysfs_tree *tree;
	const char *class; /* CLASS_BLOCK, CLASS_NET */
	struct sysfs_device *device;
};

static int add_name(struct sysfs_device *device, const char *name)
{
	char **larger;

	if (device->name_count >= SYSFS_NAMES_MAX)
		return 0;
	larger = reallocarray(device->names, device->name_count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	device->names = larger;
	larger[device->name_count] = strdup(name);
	if (!larger[device->name_count])
		return -ENOMEM;
	device->name_count++;
	return 0;
}

static int sysfs_take_name(int directory, const char *name, void *context)
{
	const struct name_list *list = context;
	char link[PATH_MAX], target[PATH_MAX];
	struct sysfs_found found;
	uint64_t hidden;
	int err;

	/* A virtual interface has no hardware below it; a host may have thousands of them. */
	if (!strcmp(list->class, CLASS_NET) &&
	    files__read_link(directory, name, target, sizeof(target)) > 0 &&
	    strstr(target, "/virtual/"))
		return 0;
	if (sysfs__link(list->class, name, link))
		return 0;
	err = sysfs_tree__find(list->tree, link, SYSFS_FOLLOW_PATHS, &found);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (strcmp(found.path, list->device->path) != 0 ||
	    (!sysfs__read_disk_u64(directory, name, "hidden", &hidden) && hidden))
		return 0;
	err = add_name(list->device, name);
	if (!err && !strcmp(list->class, CLASS_BLOCK))
		list->device->disk_count = list->device->name_count;
	return err;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(const struct sysfs_tree *tree, struct sysfs_device *device)
{
	struct name_list disks = {.tree = tree, .class = CLASS_BLOCK, .device = device};
	struct name_list netdevs = {.tree = tree, .class = CLASS_NET, .device = device};
	int err = sysfs_tree__each_name(tree, "block", sysfs_take_name, &disks);

	if (!err)
		err = sysfs_tree__each_name(tree, CLASS_NET, sysfs_take_name, &netdevs);
	if (device->name_count)
		qsort(device->names, device->name_count, sizeof(*device->names), compare_names);
	return err;
}

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
		    struct sysfs_device *device)
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
	return read_names(tree, device);
}

static int describe_link(const char *root, const char *link, enum sysfs_follow follow,
			 struct sysfs_device **device)
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
	err = describe(&tree, &found, *device);
	if (err) {
		sysfs_device__free(*device);
		*device = NULL;
	}
	return err;
}

int sysfs__describe(const char *root, const char *bus, const char *name,
		    struct sysfs_device **device)
{
	char link[PATH_MAX];
	int err = sysfs__bus_link(bus, name, link);

	*device = NULL;
	return err ? err : describe_link(root, link, SYSFS_FOLLOW_SELF, device);
}

int sysfs__describe_disk(const char *root, const char *disk, struct sysfs_device **device)
{
	char link[PATH_MAX];
	int err = sysfs__link(CLASS_BLOCK, disk, link);

	*device = NULL;
	return err ? err : describe_link(root, link, SYSFS_FOLLOW_PATHS, device);
}

int sysfs__describe_netdev(const char *root, const char *netdev, struct sysfs_device **device)
{
	char link[PATH_MAX];
	int err = sysfs__link(CLASS_NET, netdev, link);

	*device = NULL;
	return err ? err : describe_link(root, link, SYSFS_FOLLOW_PATHS, device);
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
	free(device->name);
	free(device->path);
	free(device);
}
