/* SPDX-License-Identifier: BSD-2-Clause */
/* struct sysfs_names: every disk and netdev with the device below it, read once for all devices. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/sysfs_stacks.h"

/* Sorted by path, then by name: those of a device lie together, in the order they are shown. */
struct sysfs_name {
	char *path; /* of the DMA device */
	char *name;
	bool disk;
};

struct sysfs_names {
	struct sysfs_name *names;
	size_t count, room;
	struct sysfs_stacks *stacks;
};

struct names_reader {
	const struct sysfs_tree *tree;
	const char *class; /* CLASS_BLOCK, CLASS_NET */
	struct sysfs_names *names;
};

static int add_name(struct sysfs_names *names, const char *path, const char *name, bool disk)
{
	struct sysfs_name *added;

	if (names->count == names->room) {
		const size_t room = names->room ? 2 * names->room : 64;
		struct sysfs_name *larger = reallocarray(names->names, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		names->names = larger;
		names->room = room;
	}
	added = &names->names[names->count];
	*added = (struct sysfs_name){.path = strdup(path), .name = strdup(name), .disk = disk};
	names->count++;
	return added->path && added->name ? 0 : -ENOMEM;
}

static int take_name(int directory, const char *name, void *context)
{
	const struct names_reader *reader = context;
	const bool disk = !strcmp(reader->class, CLASS_BLOCK);
	struct sysfs_found found;
	char link[PATH_MAX];
	uint64_t hidden;
	int err;

	if (disk && sysfs__leads_to(directory, name, VIRTUAL_DISK))
		return sysfs_stacks__read(reader->names->stacks, reader->tree, directory, name);
	if ((!disk && sysfs__leads_to(directory, name, VIRTUAL)) ||
	    sysfs__link(reader->class, name, link))
		return 0;
	err = sysfs_tree__find(reader->tree, link, SYSFS_FOLLOW_PATHS, &found);
	if (err)
		return err == -ENOMEM ? err : 0;
	if (!sysfs__read_disk_u64(directory, name, "hidden", &hidden) && hidden)
		return 0;
	return add_name(reader->names, found.path, name, disk);
}

static int compare(const void *a, const void *b)
{
	const struct sysfs_name *one = a, *other = b;
	int order = strcmp(one->path, other->path);

	return order ? order : strcmp(one->name, other->name);
}

static int place_stacks(struct sysfs_names *names)
{
	int err = 0;

	for (size_t i = 0; i < names->count && !err; i++)
		if (names->names[i].disk)
			err = sysfs_stacks__place(names->stacks, names->names[i].name,
						  names->names[i].path);
	return err ? err : sysfs_stacks__finish(names->stacks);
}

int sysfs_names__read(const char *root, struct sysfs_names **out)
{
	struct sysfs_tree tree;
	struct sysfs_names *names;
	struct names_reader reader = {.tree = &tree, .class = CLASS_BLOCK};
	int err = sysfs_tree__open(&tree, root);

	*out = NULL;
	if (err)
		return err;
	names = reader.names = calloc(1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	names->stacks = sysfs_stacks__new();
	err = names->stacks ? 0 : -ENOMEM;
	if (!err)
		err = sysfs_tree__each_name(&tree, "block", take_name, &reader);
	reader.class = CLASS_NET;
	if (!err)
		err = sysfs_tree__each_name(&tree, CLASS_NET, take_name, &reader);
	if (!err && names->count)
		qsort(names->names, names->count, sizeof(*names->names), compare);
	if (!err)
		err = place_stacks(names);
	if (err) {
		sysfs_names__free(names);
		return err;
	}
	*out = names;
	return 0;
}

void sysfs_names__free(struct sysfs_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->count; i++) {
		free(names->names[i].path);
		free(names->names[i].name);
	}
	free(names->names);
	sysfs_stacks__free(names->stacks);
	free(names);
}

/* Index of the first name whose path is not less. */
static size_t lower_bound(const struct sysfs_names *names, const char *path)
{
	size_t low = 0, high = names->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (strcmp(names->names[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int give_names(const struct sysfs_names *names, struct sysfs_device *device)
{
	const size_t first = lower_bound(names, device->path);
	size_t last = first;

	while (last < names->count && last - first < SYSFS_NAMES_MAX &&
	       !strcmp(names->names[last].path, device->path))
		last++;
	if (last == first)
		return 0;
	device->names = calloc(last - first, sizeof(*device->names));
	if (!device->names)
		return -ENOMEM;
	for (size_t i = first; i < last; i++) {
		char *name = strdup(names->names[i].name);

		if (!name)
			return -ENOMEM;
		device->names[device->name_count++] = name;
		device->disk_count += names->names[i].disk;
	}
	return 0;
}

int sysfs_names__give(const struct sysfs_names *names, struct sysfs_device *device)
{
	int err = give_names(names, device);

	return err ? err : sysfs_stacks__give(names->stacks, device);
}

int sysfs_names__give_stacks(const struct sysfs_names *names, struct sysfs_device *device)
{
	sysfs_stacks__clear(device->stacks, device->stack_count);
	device->stacks = NULL;
	device->stack_count = 0;
	return device->path ? sysfs_stacks__give(names->stacks, device) : 0;
}
