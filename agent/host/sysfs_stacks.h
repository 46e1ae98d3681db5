/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which virtual disks stand on which devices: dm and md by their slaves, a loop disk by its file
 * where that is a disk. Errors are -ENOMEM alone; what vanishes while it is read stands on nothing.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_SYSFS_STACKS_H
#define DIRTYSCOPE_AGENT_HOST_SYSFS_STACKS_H

#include "agent/host/sysfs_walk.h"

struct sysfs_stacks;

struct sysfs_stacks *sysfs_stacks__new(void);
void sysfs_stacks__free(struct sysfs_stacks *stacks);
/* What the virtual disk stands on itself. directory: descriptor of where its link is. */
int sysfs_stacks__read(struct sysfs_stacks *stacks, const struct sysfs_tree *tree, int directory,
		       const char *name);
/* After all were read: that disk is the device's at path, which is borrowed until the end. */
int sysfs_stacks__place(struct sysfs_stacks *stacks, const char *disk, const char *path);
/* After all were placed. */
int sysfs_stacks__finish(struct sysfs_stacks *stacks);
/* Copies those that stand on the device at its path. */
int sysfs_stacks__give(const struct sysfs_stacks *stacks, struct sysfs_device *device);
/* Frees copies. */
void sysfs_stacks__clear(struct sysfs_stack *stacks, size_t count);

#endif
