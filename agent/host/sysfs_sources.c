/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices that DMA may come from, as sysfs lists them. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/host/sysfs_walk.h"

#define PCI_CLASS_BRIDGE 0x06 /* the upper byte of three; include/linux/pci_ids.h */
#define PCI_VENDOR_VIRTIO 0x1af4

/* A PCI bridge does no DMA of its own: it forwards that of the devices behind it. */
static bool is_bridge(const char *path)
{
	char link[PATH_MAX], line[32];

	return !sysfs__join(link, path, "class") &&
	       files__read_line(AT_FDCWD, link, line, sizeof(line)) > 0 &&
	       strtoul(line, NULL, 16) >> 16 == PCI_CLASS_BRIDGE;
}

/* Its driver knows; before that its vendor tells. */
static bool carries_virtio(const char *path, bool has_driver)
{
	char link[PATH_MAX], text[SYSFS_NAME_SIZE];

	if (has_driver)
		return !sysfs__join(link, path, "driver") &&
		       !files__link_name(AT_FDCWD, link, text, sizeof(text)) &&
		       !strcmp(text, "virtio-pci");
	return !sysfs__join(link, path, "vendor") &&
	       files__read_line(AT_FDCWD, link, text, sizeof(text)) > 0 &&
	       strtoul(text, NULL, 16) == PCI_VENDOR_VIRTIO;
}

int sysfs__find_source(const char *root, const char *bus, const char *name,
		       struct sysfs_source *source)
{
	char link[PATH_MAX], path[PATH_MAX], driver[PATH_MAX];
	struct stat found;
	int err = sysfs__bus_link(bus, name, link);

	*source = (struct sysfs_source){.name = name};
	if (!err)
		err = sysfs__join(path, root, link);
	if (err)
		return err;
	if (stat(path, &found))
		return -errno;
	if (!strcmp(bus, "pci") && is_bridge(path))
		return -ENODEV;
	snprintf(source->bus, sizeof(source->bus), "%s", bus);
	source->number = found.st_ino;
	source->driver = !sysfs__join(driver, path, "driver") && !access(driver, F_OK);
	source->virtio = !strcmp(bus, "pci") && carries_virtio(path, source->driver);
	return 0;
}

struct source_list {
	const struct sysfs_tree *tree;
	const char *bus; /* NULL: of netdevs, each has its own */
	int (*callback)(void *, const struct sysfs_source *);
	void *context;
};

/* What vanishes while we look, or has no DMA, is passed over. */
static int list_source(int directory, const char *name, void *context)
{
	const struct source_list *list = context;
	struct sysfs_source source;

	if (sysfs__find_source(list->tree->root, list->bus, name, &source))
		return 0;
	return list->callback(list->context, &source);
}

/* The parent of a netdev: a PCI function, a virtio device, a USB interface. */
static int list_parent(int directory, const char *name, void *context)
{
	struct source_list list = *(const struct source_list *)context;
	char link[NAME_MAX + 32], device[NAME_MAX + 1], bus[SYSFS_NAME_SIZE];

	snprintf(link, sizeof(link), "%s/device", name);
	if (files__link_name(directory, link, device, sizeof(device)))
		return 0;
	snprintf(link, sizeof(link), "%s/device/subsystem", name);
	if (files__link_name(directory, link, bus, sizeof(bus)))
		return 0;
	list.bus = bus;
	return list_source(directory, device, &list);
}

int sysfs__list_sources(const char *root, int (*callback)(void *, const struct sysfs_source *),
			void *context)
{
	static const char *const buses[] = {"virtio", "pci"};
	struct sysfs_tree tree;
	struct source_list list = {.tree = &tree, .callback = callback, .context = context};
	int err = sysfs_tree__open(&tree, root);

	if (!err)
		err = sysfs_tree__each_name(&tree, CLASS_NET, list_parent, &list);
	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]) && !err; i++) {
		char below[64];

		list.bus = buses[i];
		snprintf(below, sizeof(below), "bus/%s/devices", buses[i]);
		err = sysfs_tree__each_name(&tree, below, list_source, &list);
	}
	return err;
}

static int count_name(int directory, const char *name, void *context)
{
	++*(size_t *)context;
	return 0;
}

static int count_real(int directory, const char *name, void *context)
{
	*(size_t *)context += !sysfs__leads_to(directory, name, VIRTUAL);
	return 0;
}

size_t sysfs__count(const char *root)
{
	struct sysfs_tree tree;
	size_t count = 0;

	if (sysfs_tree__open(&tree, root))
		return 0;
	(void)sysfs_tree__each_name(&tree, "bus/pci/devices", count_name, &count);
	(void)sysfs_tree__each_name(&tree, "bus/virtio/devices", count_name, &count);
	(void)sysfs_tree__each_name(&tree, "block", count_real, &count);
	(void)sysfs_tree__each_name(&tree, CLASS_NET, count_real, &count);
	return count;
}

bool sysfs__any_up(const char *root, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char link[PATH_MAX], path[PATH_MAX], line[32];

		if (sysfs__link(CLASS_NET, names[i], link) || sysfs__join(path, root, link) ||
		    sysfs__join(link, path, "flags"))
			continue;
		if (files__read_line(AT_FDCWD, link, line, sizeof(line)) > 0 &&
		    strtoul(line, NULL, 16) & IFF_UP)
			return true;
	}
	return false;
}
