/* SPDX-License-Identifier: BSD-2-Clause */
/* Many devices: what is opened for each of them does not rise with their number. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "tests/unit/sys_tree.h"

#include <cmocka.h>

#include "agent/host/sysfs.h"

#define FEW 30
#define MANY 300

/* Files and directories opened, and links followed, since the test last set it to 0. */
static unsigned opened;

int openat(int directory, const char *path, int flags, ...)
{
	int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, "openat");
	unsigned mode = 0;
	va_list list;

	if (flags & O_CREAT) {
		va_start(list, flags);
		mode = va_arg(list, unsigned);
		va_end(list);
	}
	opened++;
	return real(directory, path, flags, mode);
}

DIR *opendir(const char *path)
{
	DIR *(*real)(const char *) = dlsym(RTLD_NEXT, "opendir");

	opened++;
	return real(path);
}

ssize_t readlinkat(int directory, const char *path, char *target, size_t size)
{
	ssize_t (*real)(int, const char *, char *, size_t) = dlsym(RTLD_NEXT, "readlinkat");

	opened++;
	return real(directory, path, target, size);
}

/* A controller with a disk and a bare function, so many times, and as many loop disks. */
static void make(const struct tree *tree, int count)
{
	char path[PATH_MAX], dev[32], seq[16];

	for (int i = 0; i < count; i++) {
		sys__format(path, "devices/pci0001:00/0001:%02x:00.0", i);
		sys__add_device(tree, path, "bus/pci", "nvme");
		snprintf(seq, sizeof(seq), "%d\n", i + 1);
		snprintf(dev, sizeof(dev), "259:%d\n", i);
		sys__format(path, "devices/pci0001:00/0001:%02x:00.0/nvme/nvme%d/nvme%dn1", i, i,
			    i);
		sys__add_disk(tree, path, dev, seq, "0\n");
		sys__format(path, "devices/pci0002:00/0002:%02x:00.0", i);
		sys__add_device(tree, path, "bus/pci", "vfio-pci");
		snprintf(seq, sizeof(seq), "%d\n", i + count + 1);
		snprintf(dev, sizeof(dev), "7:%d\n", i);
		sys__format(path, "devices/virtual/block/loop%d", i);
		sys__add_disk(tree, path, dev, seq, "0\n");
	}
}

struct look {
	const char *root;
	struct sysfs_names *names;
	int devices, named;
};

static void count_device(struct look *look, struct sysfs_device *device)
{
	look->devices++;
	look->named += device->name_count == 1;
	sysfs_device__free(device);
}

static int see_disk(void *context, const struct sysfs_disk *disk)
{
	struct look *look = context;
	struct sysfs_device *device;

	if (!*disk->device_id)
		return 0;
	assert_int_equal(sysfs__describe_disk(look->root, look->names, disk->name, &device), 0);
	count_device(look, device);
	return 0;
}

static int see_source(void *context, const struct sysfs_source *source)
{
	struct look *look = context;
	struct sysfs_device *device;

	assert_int_equal(
		sysfs__describe(look->root, look->names, source->bus, source->name, &device), 0);
	count_device(look, device);
	return 0;
}

/* As the agent looks at a host. */
static unsigned look_at(const struct tree *tree, int count)
{
	struct look look = {.root = tree->root};

	opened = 0;
	assert_int_equal(sysfs_names__read(tree->root, &look.names), 0);
	assert_int_equal(sysfs__list_disks(tree->root, see_disk, &look), 0);
	assert_int_equal(sysfs__list_sources(tree->root, see_source, &look), 0);
	sysfs_names__free(look.names);
	assert_int_equal(look.devices, 3 * count);
	assert_int_equal(look.named, 2 * count);
	return opened;
}

static void test_linear(void **state)
{
	struct tree few, many;
	unsigned of_few, of_many;

	tree__new(&few);
	tree__new(&many);
	make(&few, FEW);
	make(&many, MANY);
	of_few = look_at(&few, FEW);
	of_many = look_at(&many, MANY);
	tree__remove(&few, "");
	tree__remove(&many, "");
	print_message("# %u opened for %d, %u for %d\n", of_few, FEW, of_many, MANY);
	assert_true(of_many <= of_few * (MANY / FEW));
	assert_true(of_many <= 45 * MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear)};

	return cmocka_run_group_tests_name("sysfs_many", tests, NULL, NULL);
}
