/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/sysfs_stacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "agent/base/files.h"

#define DEPTH 8 /* disks on disks */

struct stack {
	struct sysfs_stack shown;
	char **disks; /* for each of shown.on the disk that it is, or is a partition of */
	UT_hash_handle hh;
};

struct real_disk {
	const char *path;
	UT_hash_handle hh;
	char name[];
};

/* Sorted by path, then by the stack's name. */
struct standing {
	const char *path;
	const struct stack *stack;
};

struct sysfs_stacks {
	struct stack *by_name;	  /* uthash */
	struct real_disk *placed; /* uthash */
	struct standing *standings;
	size_t count, room;
};

struct sysfs_stacks *sysfs_stacks__new(void)
{
	return calloc(1, sizeof(struct sysfs_stacks));
}

static void clear_stack(struct sysfs_stack *stack)
{
	for (size_t i = 0; i < stack->on_count; i++)
		free(stack->on[i]);
	free(stack->on);
	free(stack->name);
}

void sysfs_stacks__clear(struct sysfs_stack *stacks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		clear_stack(&stacks[i]);
	free(stacks);
}

static void free_stack(struct stack *stack)
{
	for (size_t i = 0; stack->disks && i < stack->shown.on_count; i++)
		free(stack->disks[i]);
	free(stack->disks);
	clear_stack(&stack->shown);
	free(stack);
}

void sysfs_stacks__free(struct sysfs_stacks *stacks)
{
	struct stack *stack, *next;
	struct real_disk *disk, *next_disk;

	if (!stacks)
		return;
	HASH_ITER (hh, stacks->by_name, stack, next) {
		HASH_DEL(stacks->by_name, stack);
		free_stack(stack);
	}
	HASH_ITER (hh, stacks->placed, disk, next_disk) {
		HASH_DEL(stacks->placed, disk);
		free(disk);
	}
	free(stacks->standings);
	free(stacks);
}

/* ---- read ---- */

/* The disk of a partition, by where its link leads; else the disk itself. */
static void find_disk(const struct sysfs_tree *tree, const char *name, char disk[NAME_MAX + 1])
{
	char link[PATH_MAX], path[PATH_MAX], target[PATH_MAX], *last;

	snprintf(disk, NAME_MAX + 1, "%s", name);
	if (sysfs__link(CLASS_BLOCK, name, link) || sysfs__join(path, tree->root, link) ||
	    sysfs__join(link, path, "partition") || access(link, F_OK) ||
	    files__read_link(AT_FDCWD, path, target, sizeof(target)) < 0)
		return;
	last = strrchr(target, '/');
	if (!last)
		return;
	*last = '\0';
	last = strrchr(target, '/');
	if (last)
		snprintf(disk, NAME_MAX + 1, "%s", last + 1);
}

static int stand_on(struct stack *stack, const struct sysfs_tree *tree, const char *name)
{
	const size_t count = stack->shown.on_count;
	char disk[NAME_MAX + 1];
	char **larger;

	larger = reallocarray(stack->shown.on, count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	stack->shown.on = larger;
	larger = reallocarray(stack->disks, count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	stack->disks = larger;
	find_disk(tree, name, disk);
	stack->shown.on[count] = strdup(name);
	stack->disks[count] = strdup(disk);
	stack->shown.on_count++;
	return stack->shown.on[count] && stack->disks[count] ? 0 : -ENOMEM;
}

static int read_slaves(struct stack *stack, const struct sysfs_tree *tree, int directory)
{
	char path[NAME_MAX + 8];
	const struct dirent *entry;
	DIR *slaves;
	int err = 0, fd;

	snprintf(path, sizeof(path), "%s/slaves", stack->shown.name);
	fd = files__open_directory(directory, path);
	if (fd < 0)
		return 0;
	slaves = fdopendir(fd);
	if (!slaves) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (entry = readdir(slaves)))
		if (entry->d_name[0] != '.')
			err = stand_on(stack, tree, entry->d_name);
	closedir(slaves);
	return err;
}

/* By name alone: to ask where a file lies could block. */
static int read_backing(struct stack *stack, const struct sysfs_tree *tree, int directory)
{
	static const char nodes[] = "/dev/";
	char path[PATH_MAX], file[PATH_MAX], link[PATH_MAX];

	snprintf(path, sizeof(path), "%s/loop/backing_file", stack->shown.name);
	if (files__read_line(directory, path, file, sizeof(file)) < 0 ||
	    strncmp(file, nodes, sizeof(nodes) - 1) != 0 ||
	    sysfs__link(CLASS_BLOCK, file + sizeof(nodes) - 1, link) ||
	    sysfs__join(path, tree->root, link) || access(path, F_OK))
		return 0;
	return stand_on(stack, tree, strrchr(link, '/') + 1);
}

int sysfs_stacks__read(struct sysfs_stacks *stacks, const struct sysfs_tree *tree, int directory,
		       const char *name)
{
	struct stack *stack = calloc(1, sizeof(*stack));
	int err;

	if (!stack)
		return -ENOMEM;
	stack->shown.name = strdup(name);
	err = stack->shown.name ? read_slaves(stack, tree, directory) : -ENOMEM;
	if (!err && !stack->shown.on_count)
		err = read_backing(stack, tree, directory);
	if (err || !stack->shown.on_count) {
		free_stack(stack);
		return err;
	}
	HASH_ADD_KEYPTR(hh, stacks->by_name, stack->shown.name, strlen(name), stack);
	return 0;
}

/* ---- place ---- */

int sysfs_stacks__place(struct sysfs_stacks *stacks, const char *name, const char *path)
{
	struct real_disk *disk;

	if (!stacks->by_name) /* nobody will ask */
		return 0;
	disk = calloc(1, sizeof(*disk) + strlen(name) + 1);
	if (!disk)
		return -ENOMEM;
	memcpy(disk->name, name, strlen(name) + 1);
	disk->path = path;
	HASH_ADD_STR(stacks->placed, name, disk);
	return 0;
}

static int add_standing(struct sysfs_stacks *stacks, size_t first, const struct stack *stack,
			const char *path)
{
	for (size_t i = first; i < stacks->count; i++)
		if (!strcmp(stacks->standings[i].path, path))
			return 0;
	if (stacks->count == stacks->room) {
		const size_t room = stacks->room ? 2 * stacks->room : 64;
		struct standing *larger = reallocarray(stacks->standings, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		stacks->standings = larger;
		stacks->room = room;
	}
	stacks->standings[stacks->count++] = (struct standing){.path = path, .stack = stack};
	return 0;
}

/* The devices below one of its disks, which may be a virtual one again. */
static int descend(struct sysfs_stacks *stacks, size_t first, const struct stack *stack,
		   const struct stack *at, int depth)
{
	int err = 0;

	for (size_t i = 0; i < at->shown.on_count && !err; i++) {
		const struct real_disk *disk;
		const struct stack *below;

		HASH_FIND_STR(stacks->placed, at->disks[i], disk);
		if (disk) {
			err = add_standing(stacks, first, stack, disk->path);
			continue;
		}
		HASH_FIND_STR(stacks->by_name, at->disks[i], below);
		if (below && depth < DEPTH)
			err = descend(stacks, first, stack, below, depth + 1);
	}
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct standing *one = a, *other = b;
	int order = strcmp(one->path, other->path);

	return order ? order : strcmp(one->stack->shown.name, other->stack->shown.name);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int sysfs_stacks__finish(struct sysfs_stacks *stacks)
{
	struct stack *stack, *next;
	int err = 0;

	HASH_ITER (hh, stacks->by_name, stack, next)
		if (!err)
			err = descend(stacks, stacks->count, stack, stack, 0);
	/* Only now: their order is that of the disks. */
	HASH_ITER (hh, stacks->by_name, stack, next)
		qsort(stack->shown.on, stack->shown.on_count, sizeof(*stack->shown.on),
		      compare_strings);
	if (!err && stacks->count)
		qsort(stacks->standings, stacks->count, sizeof(*stacks->standings), compare);
	return err;
}

/* ---- give ---- */

static int copy(const struct sysfs_stack *from, struct sysfs_stack *to)
{
	*to = (struct sysfs_stack){.name = strdup(from->name),
				   .on = calloc(from->on_count, sizeof(*to->on))};
	if (!to->name || !to->on)
		return -ENOMEM;
	for (; to->on_count < from->on_count; to->on_count++) {
		to->on[to->on_count] = strdup(from->on[to->on_count]);
		if (!to->on[to->on_count])
			return -ENOMEM;
	}
	return 0;
}

static size_t lower_bound(const struct sysfs_stacks *stacks, const char *path)
{
	size_t low = 0, high = stacks->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (strcmp(stacks->standings[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int sysfs_stacks__give(const struct sysfs_stacks *stacks, struct sysfs_device *device)
{
	const size_t first = lower_bound(stacks, device->path);
	size_t last = first;
	int err = 0;

	while (last < stacks->count && last - first < SYSFS_NAMES_MAX &&
	       !strcmp(stacks->standings[last].path, device->path))
		last++;
	if (last == first)
		return 0;
	device->stacks = calloc(last - first, sizeof(*device->stacks));
	if (!device->stacks)
		return -ENOMEM;
	for (size_t i = first; i < last && !err; i++)
		err = copy(&stacks->standings[i].stack->shown,
			   &device->stacks[device->stack_count++]);
	return err;
}
