/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/sysfs_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/files.h"

#define FOLLOW_DEPTH 8	 /* stacked disks over stacked disks */
#define FOLLOW_LINKS 256 /* looked at in one search */
#define VIRTIO "virtio"

/*
 * Buses whose devices do DMA, one row each. What is on no row (usb, scsi, nvme, mmc) is passed on
 * the way up; a row without DMA ends the way: the CPU moves its data.
 */
static const struct dma_bus {
	const char *name;
	bool dma;
} dma_buses[] = {
	{VIRTIO, true}, {"pci", true},	  {"platform", true}, {"vmbus", true},
	{"xen", true},	{"amba", true},	  {"ccw", true},      {"css", true},
	{"vio", true},	{"fsl-mc", true}, {"nd", false}, /* persistent memory */
};
#define DMA_BUSES (sizeof(dma_buses) / sizeof(dma_buses[0]))

static const struct dma_bus *find_bus(const char *name)
{
	for (size_t i = 0; i < DMA_BUSES; i++)
		if (!strcmp(dma_buses[i].name, name))
			return &dma_buses[i];
	return NULL;
}

int sysfs__join(char path[PATH_MAX], const char *a, const char *b)
{
	int length = snprintf(path, PATH_MAX, "%s/%s", a, b);

	return length >= 0 && length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int sysfs__link(const char *directory, const char *name, char link[PATH_MAX])
{
	char component[NAME_MAX + 1];
	size_t length = strlen(name);

	if (length > NAME_MAX)
		return -EINVAL;
	memcpy(component, name, length + 1);
	/* "cciss/c0d0": the name of a kobject cannot hold a "/". */
	for (char *slash = component; (slash = strchr(slash, '/'));)
		*slash = '!';
	return files__is_component(component) ? sysfs__join(link, directory, component) : -EINVAL;
}

int sysfs__bus_link(const char *bus, const char *name, char link[PATH_MAX])
{
	char directory[NAME_MAX + 16];

	if (!files__is_component(bus) || strlen(bus) > NAME_MAX)
		return -EINVAL;
	snprintf(directory, sizeof(directory), "bus/%s/devices", bus);
	return sysfs__link(directory, name, link);
}

int sysfs_tree__open(struct sysfs_tree *tree, const char *root)
{
	if (!realpath(root, tree->root))
		return -errno;
	return sysfs__join(tree->devices, tree->root, "devices");
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return !strncmp(path, directory, length) && path[length] == '/';
}

/* The bus or class that a device directory belongs to; *is_bus tells which. */
static int subsystem_of(const char *path, char name[SYSFS_NAME_SIZE], bool *is_bus)
{
	char link[PATH_MAX], target[PATH_MAX];
	int err = sysfs__join(link, path, "subsystem");
	char *last;

	if (!err)
		err = files__read_link(AT_FDCWD, link, target, sizeof(target));
	if (err < 0)
		return err;
	last = strrchr(target, '/');
	if (!last || strlen(last + 1) >= SYSFS_NAME_SIZE)
		return -EINVAL;
	snprintf(name, SYSFS_NAME_SIZE, "%s", last + 1);
	*last = '\0';
	last = strrchr(target, '/');
	*is_bus = !strcmp(last ? last + 1 : target, "bus");
	return 0;
}

static bool is_on_bus(const char *path, const char *bus)
{
	char name[SYSFS_NAME_SIZE];
	bool is_bus;

	return !subsystem_of(path, name, &is_bus) && is_bus && !strcmp(name, bus);
}

/* FNV-1a: only to keep long names apart. */
static uint32_t hash_string(const char *string)
{
	uint32_t hash = 2166136261u;

	for (; *string; string++)
		hash = (hash ^ (uint8_t)*string) * 16777619u;
	return hash;
}

void sysfs__make_id(const char *bus, const char *name, char id[SYSFS_ID_SIZE])
{
	int length = snprintf(id, SYSFS_ID_SIZE, "%s/%s", bus, name);

	if (length >= SYSFS_ID_SIZE)
		snprintf(id + SYSFS_ID_SIZE - 10, 10, "~%08x", hash_string(name));
}

static void set_found(struct sysfs_found *found, const char *bus)
{
	sysfs__make_id(bus, strrchr(found->path, '/') + 1, found->id);
	snprintf(found->bus, sizeof(found->bus), "%s", bus);
}

/* Cuts path down to the nearest directory of a DMA device, itself included. */
static int climb(const struct sysfs_tree *tree, struct sysfs_found *found)
{
	while (is_below(found->path, tree->devices)) {
		const struct dma_bus *row;
		char name[SYSFS_NAME_SIZE];
		bool is_bus;

		if (!subsystem_of(found->path, name, &is_bus) && is_bus) {
			row = find_bus(name);
			if (row && !row->dma)
				return -ENODEV;
			if (row) {
				set_found(found, row->name);
				return 0;
			}
		}
		*strrchr(found->path, '/') = '\0';
	}
	return -ENODEV;
}

/* A function that carries a virtio device is known by that; the first by name, should there be
 * several. */
static void prefer_virtio(struct sysfs_found *found)
{
	char child[PATH_MAX], best[NAME_MAX + 1] = "";
	const struct dirent *entry;
	DIR *directory;

	if (!strcmp(found->bus, VIRTIO))
		return;
	directory = opendir(found->path);
	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, VIRTIO, sizeof(VIRTIO) - 1) != 0 ||
		    (*best && strcmp(entry->d_name, best) >= 0) ||
		    sysfs__join(child, found->path, entry->d_name) || !is_on_bus(child, VIRTIO))
			continue;
		snprintf(best, sizeof(best), "%s", entry->d_name);
	}
	if (directory)
		closedir(directory);
	if (*best && !sysfs__join(child, found->path, best)) {
		memcpy(found->path, child, sizeof(child));
		set_found(found, VIRTIO);
	}
}

struct search {
	const struct sysfs_tree *tree;
	enum sysfs_follow follow;
	int links; /* that may still be looked at */
};

static int search__resolve(struct search *search, const char *link, int depth,
			   struct sysfs_found *found);

static bool is_link(const char *path)
{
	struct stat stat;

	return !lstat(path, &stat) && S_ISLNK(stat.st_mode);
}

/* All links of a directory that begin so must lead to one and the same device. */
static int search__links(struct search *search, const char *path, const char *prefix, int depth,
			 struct sysfs_found *found)
{
	struct sysfs_found *next;
	const struct dirent *entry;
	DIR *directory = opendir(path);
	int err = 0, count = 0;

	if (!directory)
		return -ENODEV;
	next = malloc(sizeof(*next));
	if (!next)
		err = -ENOMEM;
	while (!err && (entry = readdir(directory))) {
		char link[PATH_MAX];

		if (entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    sysfs__join(link, path, entry->d_name) || !is_link(link))
			continue;
		err = search->links-- > 0 ? search__resolve(search, link, depth + 1, next) : -ELOOP;
		if (!err && count++ && strcmp(next->path, found->path) != 0)
			err = -ENODEV;
		if (!err)
			*found = *next;
	}
	free(next);
	closedir(directory);
	return err ? err : count ? 0 : -ENODEV;
}

/* From a virtual disk to what it stands on, where that is wanted. */
static int search__below(struct search *search, char path[PATH_MAX], int depth,
			 struct sysfs_found *found)
{
	char name[SYSFS_NAME_SIZE], below[PATH_MAX];
	bool is_bus;
	int err;

	if (depth >= FOLLOW_DEPTH)
		return -ELOOP;
	/* The device below a partition is the one below its disk. */
	if (!sysfs__join(below, path, "partition") && !access(below, F_OK))
		*strrchr(path, '/') = '\0';
	if (search->follow == SYSFS_FOLLOW_SLAVES && !sysfs__join(below, path, "slaves")) {
		err = search__links(search, below, "", depth, found);
		if (err != -ENODEV)
			return err;
	}
	*strrchr(path, '/') = '\0';
	if (subsystem_of(path, name, &is_bus) || strcmp(name, "nvme-subsystem") != 0)
		return -ENODEV;
	return search__links(search, path, "nvme", depth, found);
}

static int search__resolve(struct search *search, const char *link, int depth,
			   struct sysfs_found *found)
{
	char path[PATH_MAX], bus[SYSFS_NAME_SIZE];
	bool is_bus;
	int err;

	if (!realpath(link, path))
		return -errno;
	/* A link that leads out of the devices is no device. */
	if (!is_below(path, search->tree->devices))
		return -ENOENT;
	memcpy(found->path, path, sizeof(path));
	err = climb(search->tree, found);
	if (!err) {
		prefer_virtio(found);
	} else if (search->follow == SYSFS_FOLLOW_SELF) {
		/* It was seen doing DMA, or a netdev's parent, on a bus of no row. */
		memcpy(found->path, path, sizeof(path));
		err = subsystem_of(path, bus, &is_bus);
		if (!err)
			set_found(found, bus);
	} else {
		err = search__below(search, path, depth, found);
	}
	return err;
}

int sysfs_tree__find(const struct sysfs_tree *tree, const char *link, enum sysfs_follow follow,
		     struct sysfs_found *found)
{
	struct search search = {.tree = tree, .follow = follow, .links = FOLLOW_LINKS};
	char path[PATH_MAX];
	int err = sysfs__join(path, tree->root, link);

	return err ? err : search__resolve(&search, path, 0, found);
}

int sysfs_tree__find_common(const struct sysfs_tree *tree, const char *directory,
			    struct sysfs_found *found)
{
	struct search search = {.tree = tree, .follow = SYSFS_FOLLOW_SLAVES, .links = FOLLOW_LINKS};
	char path[PATH_MAX];
	int err = sysfs__join(path, tree->root, directory);

	return err ? err : search__links(&search, path, "", 0, found);
}

int sysfs_tree__find_parent(const struct sysfs_tree *tree, const struct sysfs_found *found,
			    struct sysfs_found *parent)
{
	memcpy(parent->path, found->path, sizeof(parent->path));
	*strrchr(parent->path, '/') = '\0';
	return climb(tree, parent);
}

int sysfs_tree__each_name(const struct sysfs_tree *tree, const char *below,
			  int (*callback)(int directory, const char *name, void *context),
			  void *context)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	DIR *directory;
	int err = sysfs__join(path, tree->root, below);

	if (err)
		return err;
	directory = opendir(path);
	if (!directory)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			err = callback(dirfd(directory), entry->d_name, context);
	closedir(directory);
	return err;
}

int sysfs__read_disk_u64(int directory, const char *disk, const char *attribute, uint64_t *value)
{
	char path[NAME_MAX + 32];

	*value = 0;
	snprintf(path, sizeof(path), "%s/%s", disk, attribute);
	return files__read_u64(directory, path, value);
}

bool sysfs__leads_to(int directory, const char *name, const char *part)
{
	char target[PATH_MAX];

	return files__read_link(directory, name, target, sizeof(target)) > 0 &&
	       strstr(target, part);
}
