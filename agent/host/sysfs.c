/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/files.h"
#include "agent/host/sysfs_walk.h"

/* ---- ids ---- */

static int find_link(const char *root, const char *link, enum sysfs_follow follow,
		     char id[SYSFS_ID_SIZE])
{
	struct sysfs_tree tree;
	struct sysfs_found found;
	int err = sysfs_tree__open(&tree, root);

	if (!err)
		err = sysfs_tree__find(&tree, link, follow, &found);
	if (!err)
		memcpy(id, found.id, sizeof(found.id));
	else
		id[0] = '\0';
	return err;
}

static int class_device_of(const char *root, const char *class, const char *name,
			   char id[SYSFS_ID_SIZE])
{
	char link[PATH_MAX];
	int err = sysfs__link(class, name, link);

	id[0] = '\0';
	return err ? err : find_link(root, link, SYSFS_FOLLOW_PATHS, id);
}

int sysfs__device_of_disk(const char *root, const char *disk, char id[SYSFS_ID_SIZE])
{
	return class_device_of(root, CLASS_BLOCK, disk, id);
}

int sysfs__device_of_netdev(const char *root, const char *netdev, char id[SYSFS_ID_SIZE])
{
	return class_device_of(root, CLASS_NET, netdev, id);
}

int sysfs__device_of(const char *root, const char *bus, const char *name, char id[SYSFS_ID_SIZE])
{
	char link[PATH_MAX];
	int err = sysfs__bus_link(bus, name, link);

	id[0] = '\0';
	return err ? err : find_link(root, link, SYSFS_FOLLOW_SELF, id);
}

int sysfs__device_of_dev(const char *root, uint32_t major, uint32_t minor, char id[SYSFS_ID_SIZE])
{
	char link[64];

	snprintf(link, sizeof(link), "dev/block/%u:%u", major, minor);
	return find_link(root, link, SYSFS_FOLLOW_SLAVES, id);
}

int sysfs__device_of_btrfs(const char *root, const uint8_t uuid[16], char id[SYSFS_ID_SIZE])
{
	const uint8_t *u = uuid;
	struct sysfs_found found;
	struct sysfs_tree tree;
	char directory[64];
	int err;

	snprintf(directory, sizeof(directory),
		 "fs/btrfs/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x/"
		 "devices",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
		 u[13], u[14], u[15]);
	err = sysfs_tree__open(&tree, root);
	if (!err)
		err = sysfs_tree__find_common(&tree, directory, &found);
	if (!err)
		memcpy(id, found.id, sizeof(found.id));
	else
		id[0] = '\0';
	return err;
}

/* ---- disks ---- */

struct disk_list {
	const struct sysfs_tree *tree;
	int (*callback)(void *, const struct sysfs_disk *);
	void *context;
};

static int list_disk(int directory, const char *name, void *context)
{
	const struct disk_list *list = context;
	struct sysfs_disk disk = {.name = name};
	struct sysfs_found found;
	char link[PATH_MAX];
	int err;

	if (sysfs__leads_to(directory, name, VIRTUAL) || sysfs__link(CLASS_BLOCK, name, link))
		return 0;
	err = sysfs_tree__find(list->tree, link, SYSFS_FOLLOW_PATHS, &found);
	if (err == -ENOMEM)
		return err;
	/* Only "virtual" and "found" are answers; anything else vanished while we looked. */
	if (err && err != -ENODEV)
		return 0;
	if (!err)
		memcpy(disk.device_id, found.id, sizeof(disk.device_id));
	sysfs__read_disk_u64(directory, name, "diskseq", &disk.diskseq);
	return list->callback(list->context, &disk);
}

int sysfs__list_disks(const char *root, int (*callback)(void *, const struct sysfs_disk *),
		      void *context)
{
	struct sysfs_tree tree;
	struct disk_list list = {.tree = &tree, .callback = callback, .context = context};
	int err = sysfs_tree__open(&tree, root);

	return err ? err : sysfs_tree__each_name(&tree, "block", list_disk, &list);
}
