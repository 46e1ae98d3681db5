/* SPDX-License-Identifier: BSD-2-Clause */
/* sysfs: against trees made here as the kernel makes them, and against this host's own /sys. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "tests/unit/sys_tree.h"

#include <cmocka.h>

#include "agent/base/files.h"
#include "agent/host/sysfs.h"

static void test_disks(void **state)
{
	static const struct {
		const char *disk;
		int err;
		const char *id;
	} cases[] = {
		{"vda", 0, "virtio/virtio1"},
		{"vda1", 0, "virtio/virtio1"},
		{"sda", 0, "pci/0000:00:1f.2"},
		{"sdb", 0, "pci/0000:00:14.0"},
		{"nvme0n1", 0, "pci/0000:01:00.0"},
		{"nvme1c1n1", 0, "pci/0000:00:05.0"},
		{"nvme1n1", 0, "pci/0000:00:05.0"},
		{"nvme1n1p1", 0, "pci/0000:00:05.0"},
		{"loop0", -ENODEV, ""},
		{"zram0", -ENODEV, ""},
		{"dm-0", -ENODEV, ""},
		{"pmem0", -ENODEV, ""},
		{"nothing", -ENOENT, ""},
		{"gone", -ENOENT, ""},
		{"loop-a", -ELOOP, ""},
		{"outside", -ENOENT, ""},
		{"..", -EINVAL, ""},
		{"", -EINVAL, ""},
		{"../block/vda", -ENOENT, ""},
	};
	const struct tree *tree = *state;
	char id[SYSFS_ID_SIZE], longest[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(sysfs__device_of_disk(tree->root, cases[i].disk, id),
				 cases[i].err);
		assert_string_equal(id, cases[i].id);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(sysfs__device_of_disk(tree->root, longest, id), -EINVAL);
	assert_int_equal(sysfs__device_of_disk("/nonexistent", "vda", id), -ENOENT);
}

static void test_netdevs_and_buses(void **state)
{
	const struct tree *tree = *state;
	char id[SYSFS_ID_SIZE], other[SYSFS_ID_SIZE];

	assert_int_equal(sysfs__device_of_netdev(tree->root, "eth0", id), 0);
	assert_string_equal(id, "virtio/virtio2");
	assert_int_equal(sysfs__device_of_netdev(tree->root, "enp0s4", id), 0);
	assert_string_equal(id, "pci/0000:00:04.0");
	assert_int_equal(sysfs__device_of_netdev(tree->root, "usb0", id), 0);
	assert_string_equal(id, "pci/0000:00:14.0");
	assert_int_equal(sysfs__device_of_netdev(tree->root, "lo", id), -ENODEV);
	/* A function that carries a virtio device is that device. */
	assert_int_equal(sysfs__device_of(tree->root, "pci", "0000:00:02.0", id), 0);
	assert_string_equal(id, "virtio/virtio1");
	assert_int_equal(sysfs__device_of(tree->root, "virtio", "virtio1", id), 0);
	assert_string_equal(id, "virtio/virtio1");
	assert_int_equal(sysfs__device_of(tree->root, "usb", "1-1:1.0", id), 0);
	assert_string_equal(id, "pci/0000:00:14.0");
	assert_int_equal(sysfs__device_of(tree->root, "mei", "mei0", id), 0);
	assert_string_equal(id, "mei/mei0");
	assert_int_equal(sysfs__device_of(tree->root, "pci", "0000:00:99.0", id), -ENOENT);
	assert_int_equal(sysfs__device_of(tree->root, "", "0000:00:02.0", id), -EINVAL);
	assert_int_equal(sysfs__device_of(tree->root, "../class", "net", id), -EINVAL);
	/* Long ids are cut, and stay different. */
	assert_int_equal(sysfs__device_of(tree->root, "platform", LONG_NAME "1", id), 0);
	assert_int_equal(strlen(id), SYSFS_ID_SIZE - 1);
	assert_int_equal(sysfs__device_of(tree->root, "platform", LONG_NAME "2", other), 0);
	assert_string_not_equal(id, other);
	assert_int_equal(sysfs__device_of_disk(tree->root, "cciss/c0d0", other), 0);
	assert_string_equal(id, other);
}

static void test_device_numbers(void **state)
{
	struct tree *tree = *state;
	char id[SYSFS_ID_SIZE];

	assert_int_equal(sysfs__device_of_dev(tree->root, 254, 0, id), 0);
	assert_string_equal(id, "virtio/virtio1");
	assert_int_equal(sysfs__device_of_dev(tree->root, 254, 1, id), 0);
	assert_string_equal(id, "virtio/virtio1");
	assert_int_equal(sysfs__device_of_dev(tree->root, 259, 3, id), 0);
	assert_string_equal(id, "pci/0000:00:05.0");
	/* dm over a partition; dm over dm and another partition of the same disk. */
	assert_int_equal(sysfs__device_of_dev(tree->root, 252, 0, id), 0);
	assert_string_equal(id, "virtio/virtio1");
	assert_int_equal(sysfs__device_of_dev(tree->root, 252, 1, id), 0);
	assert_string_equal(id, "virtio/virtio1");
	/* A mirror of two devices is neither; nor is what stands on nothing. */
	assert_int_equal(sysfs__device_of_dev(tree->root, 9, 0, id), -ENODEV);
	assert_string_equal(id, "");
	assert_int_equal(sysfs__device_of_dev(tree->root, 7, 0, id), -ENODEV);
	assert_int_equal(sysfs__device_of_dev(tree->root, 0, 30, id), -ENOENT);
	/* What no kernel makes: a disk that stands on itself, one whose slave has just gone. */
	sys__add_slave(tree, "zram0", "devices/virtual/block/zram0");
	assert_int_equal(sysfs__device_of_dev(tree->root, 253, 0, id), -ELOOP);
	sys__add_slave(tree, "loop0", "devices/virtual/block/gone");
	assert_int_equal(sysfs__device_of_dev(tree->root, 7, 0, id), -ENOENT);
}

/* Its disks are named by links: one disk, a partition and what stands on another, two devices. */
static void test_btrfs(void **state)
{
	static const uint8_t uuid[16] = {0x0a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff};
	static const char devices[] = "fs/btrfs/0a010203-0405-0607-0809-0a0b0c0d0eff/devices";
	struct tree *tree = *state;
	char id[SYSFS_ID_SIZE], link[PATH_MAX];

	assert_int_equal(sysfs__device_of_btrfs(tree->root, uuid, id), -ENODEV);
	assert_string_equal(id, "");
	sys__format(link, "%s/vda1", devices);
	sys__link_up(tree, link, PCI "02.0/virtio1/block/vda/vda1");
	assert_int_equal(sysfs__device_of_btrfs(tree->root, uuid, id), 0);
	assert_string_equal(id, "virtio/virtio1");
	sys__format(link, "%s/dm-1", devices);
	sys__link_up(tree, link, "devices/virtual/block/dm-1");
	assert_int_equal(sysfs__device_of_btrfs(tree->root, uuid, id), 0);
	assert_string_equal(id, "virtio/virtio1");
	sys__format(link, "%s/sda", devices);
	sys__link_up(tree, link, ATA "/block/sda");
	assert_int_equal(sysfs__device_of_btrfs(tree->root, uuid, id), -ENODEV);
}

struct seen {
	int disks, bare;
	uint64_t sequences;
};

static int see_disk(void *context, const struct sysfs_disk *disk)
{
	struct seen *seen = context;

	seen->disks++;
	seen->bare += !*disk->device_id;
	seen->sequences |= 1ULL << disk->diskseq;
	if (!strcmp(disk->name, "vda"))
		assert_string_equal(disk->device_id, "virtio/virtio1");
	return 0;
}

static int see_one(void *context, const struct sysfs_disk *disk)
{
	++*(int *)context;
	return 5;
}

struct sources {
	char text[2048]; /* "bus/name" each, with "-" where it has no driver, "v" where it is
			    virtio's */
	int count;
};

static int see_source(void *context, const struct sysfs_source *source)
{
	struct sources *sources = context;
	size_t length = strlen(sources->text);

	assert_true(source->number != 0);
	sources->count++;
	snprintf(sources->text + length, sizeof(sources->text) - length, "%s/%s%s%s ", source->bus,
		 source->name, source->driver ? "" : "-", source->virtio ? "v" : "");
	return 0;
}

static int stop_at_source(void *context, const struct sysfs_source *source)
{
	++*(int *)context;
	return -ENOMEM;
}

/* Netdevs' own come first; bridges and what has vanished do not come. */
static void test_sources(void **state)
{
	const struct tree *tree = *state;
	struct sources sources = {.text = ""};
	struct sysfs_source source;
	struct sysfs_device *device;
	struct sysfs_names *names;
	int calls = 0;

	sys__link_up(tree, PCI "04.0/net/enp0s4/device", PCI "04.0");
	tree__puts(tree, PCI "1c.0/class", "0x060400\n");
	tree__puts(tree, PCI "04.0/class", "0x020000\n");
	tree__link(tree, "bus/pci/devices/0000:00:1e.0", "../../../devices/nothing");
	sys__add_device(tree, PCI "06.0", "bus/pci", NULL);
	tree__puts(tree, PCI "06.0/vendor", "0x1af4\n");

	assert_int_equal(sysfs__list_sources(tree->root, see_source, &sources), 0);
	assert_memory_equal(sources.text, "pci/0000:00:04.0 virtio/virtio", 30);
	assert_non_null(strstr(sources.text, " pci/0000:01:00.0 "));
	assert_non_null(strstr(sources.text, " pci/0000:00:02.0v "));
	assert_non_null(strstr(sources.text, " pci/0000:00:06.0-v "));
	assert_null(strstr(sources.text, "1c.0"));
	assert_null(strstr(sources.text, "1e.0"));
	assert_int_equal(sysfs__list_sources(tree->root, stop_at_source, &calls), -ENOMEM);
	assert_int_equal(calls, 1);

	assert_int_equal(sysfs__find_source(tree->root, "pci", "0000:00:1c.0", &source), -ENODEV);
	assert_int_equal(sysfs__find_source(tree->root, "pci", "0000:00:1e.0", &source), -ENOENT);
	assert_int_equal(sysfs__find_source(tree->root, "..", "x", &source), -EINVAL);
	assert_int_equal(sysfs__find_source(tree->root, "pci", "0000:00:04.0", &source), 0);
	assert_int_equal(sysfs_names__read(tree->root, &names), 0);
	assert_int_equal(sysfs__describe(tree->root, names, "pci", "0000:00:04.0", &device), 0);
	sysfs_names__free(names);
	assert_int_equal(device->number, source.number);

	/* Unplugged, and another one plugged in at the same place. */
	tree__remove(tree, PCI "04.0");
	assert_false(sysfs_device__exists(tree->root, device));
	tree__directory(tree, PCI "99.0"); /* so that the old number is not taken at once */
	tree__directory(tree, PCI "04.0");
	assert_int_equal(sysfs__find_source(tree->root, "pci", "0000:00:04.0", &source), 0);
	if (source.number != device->number) /* the test's file system may use it again */
		assert_false(sysfs_device__exists(tree->root, device));
	sysfs_device__free(device);
}

static void test_up(void **state)
{
	const struct tree *tree = *state;
	char *names[] = {"vda", "eth0", "enp0s4"};

	assert_false(sysfs__any_up(tree->root, names, 3));
	tree__puts(tree, PCI "03.0/virtio2/net/eth0/flags", "0x1002\n");
	assert_false(sysfs__any_up(tree->root, names, 3));
	tree__puts(tree, PCI "04.0/net/enp0s4/flags", "0x1003\n");
	assert_true(sysfs__any_up(tree->root, names, 3));
	assert_false(sysfs__any_up(tree->root, names, 2));
}

static void test_lists(void **state)
{
	const struct tree *tree = *state;
	struct seen seen = {};
	int calls = 0;

	assert_int_equal(sysfs__list_disks(tree->root, see_disk, &seen), 0);
	/* Of 14; not loop, zram, two dm, md, nor the head of a multipath disk. */
	assert_int_equal(seen.disks, 8);
	assert_int_equal(seen.bare, 1); /* pmem */
	assert_int_equal(seen.sequences, 0x62f8);
	assert_int_equal(sysfs__list_disks(tree->root, see_one, &calls), 5);
	assert_int_equal(calls, 1);
}

/* Of a tree that the test does not change in between. */
static struct sysfs_device *describe(const struct tree *tree, const char *bus, const char *name)
{
	struct sysfs_names *names;
	struct sysfs_device *device = NULL;

	assert_int_equal(sysfs_names__read(tree->root, &names), 0);
	if (bus)
		assert_int_equal(sysfs__describe(tree->root, names, bus, name, &device), 0);
	else
		assert_int_equal(sysfs__describe_disk(tree->root, names, name, &device), 0);
	sysfs_names__free(names);
	return device;
}

static void test_describe(void **state)
{
	struct tree *tree = *state;
	struct sysfs_device *device = describe(tree, "pci", "0000:00:02.0");

	assert_string_equal(device->id, "virtio/virtio1");
	assert_string_equal(device->bus, "virtio");
	assert_string_equal(device->name, "virtio1");
	assert_string_equal(device->driver, "virtio_blk");
	assert_string_equal(device->parent, "pci/0000:00:02.0");
	assert_false(device->platform_dma);
	assert_string_equal(device->iommu_group, ""); /* it did not take the platform's DMA */
	assert_int_equal(device->name_count, 1);
	assert_string_equal(device->names[0], "vda");
	assert_true(sysfs_device__exists(tree->root, device));
	tree__remove(tree, "bus/virtio/devices/virtio1");
	assert_false(sysfs_device__exists(tree->root, device));
	sysfs_device__free(device);

	device = describe(tree, "virtio", "virtio2");
	assert_true(device->platform_dma);
	assert_int_equal(device->disk_count, 0);
	assert_string_equal(device->names[0], "eth0");
	assert_string_equal(device->iommu_group, "3");
	assert_string_equal(device->iommu_domain, "DMA");
	sysfs_device__free(device);

	device = describe(tree, "pci", "0000:00:04.0");
	assert_string_equal(device->parent, "");
	assert_string_equal(device->iommu_group, "4");
	assert_string_equal(device->iommu_domain, "");
	sysfs_device__free(device);
}

static void test_names(void **state)
{
	struct tree *tree = *state;
	struct sysfs_device *device = describe(tree, NULL, "sdb");
	struct sysfs_names *names;

	assert_string_equal(device->id, "pci/0000:00:14.0");
	assert_string_equal(device->driver, "xhci_hcd");
	assert_int_equal(device->name_count, 2);
	assert_string_equal(device->names[0], "sdb");
	assert_string_equal(device->names[1], "usb0");
	assert_int_equal(device->disk_count, 1);
	sysfs_device__free(device);

	/* Behind a bridge; the head of a multipath disk is a name, its hidden path is not. */
	device = describe(tree, NULL, "nvme0n1");
	assert_string_equal(device->parent, "");
	assert_int_equal(device->name_count, 2);
	sysfs_device__free(device);
	device = describe(tree, NULL, "nvme1c1n1");
	assert_int_equal(device->name_count, 1);
	assert_string_equal(device->names[0], "nvme1n1");
	sysfs_device__free(device);

	assert_null(describe(tree, NULL, "loop0"));
	assert_int_equal(sysfs_names__read(tree->root, &names), 0);
	assert_int_equal(sysfs__describe_disk(tree->root, names, "gone", &device), -ENOENT);
	assert_null(device);
	sysfs_names__free(names);
	sysfs_names__free(NULL);
	assert_int_equal(sysfs_names__read("/nonexistent", &names), -ENOENT);
	assert_null(names);
}

static void assert_stack(const struct sysfs_device *device, size_t index, const char *name,
			 const char *first, size_t count)
{
	assert_true(index < device->stack_count);
	assert_string_equal(device->stacks[index].name, name);
	assert_int_equal(device->stacks[index].on_count, count);
	assert_string_equal(device->stacks[index].on[0], first);
}

static void test_stacks(void **state)
{
	struct tree *tree = *state;
	struct sysfs_device *device;
	struct sysfs_names *names;

	/* A loop disk on a disk, one on a file; a disk that stands on itself, one whose slave has
	 * gone. */
	sys__add_disk(tree, "devices/virtual/block/loop1", "7:1\n", "20\n", "0\n");
	tree__puts(tree, "devices/virtual/block/loop1/loop/backing_file", "/dev/nvme1n1p1\n");
	tree__puts(tree, "devices/virtual/block/loop0/loop/backing_file", "/srv/vda\n");
	sys__add_slave(tree, "zram0", "devices/virtual/block/zram0");
	sys__add_disk(tree, "devices/virtual/block/dm-2", "252:2\n", "21\n", "0\n");
	sys__add_slave(tree, "dm-2", "devices/virtual/block/gone");

	device = describe(tree, "virtio", "virtio1");
	assert_int_equal(device->stack_count, 2);
	assert_stack(device, 0, "dm-0", "vda1", 1);
	assert_stack(device, 1, "dm-1", "dm-0", 2);
	assert_string_equal(device->stacks[1].on[1], "vda2");

	/* The agent looks again when a virtual disk comes or goes. */
	tree__remove(tree, "block/dm-1");
	assert_int_equal(sysfs_names__read(tree->root, &names), 0);
	assert_int_equal(sysfs_names__give_stacks(names, device), 0);
	assert_int_equal(device->stack_count, 1);
	sysfs_names__free(names);
	sysfs_device__free(device);

	device = describe(tree, "pci", "0000:00:1f.2");
	assert_int_equal(device->stack_count, 1);
	assert_stack(device, 0, "md0", "sda", 2);
	sysfs_device__free(device);
	device = describe(tree, "pci", "0000:00:14.0");
	assert_int_equal(device->stack_count, 1);
	assert_stack(device, 0, "md0", "sda", 2);
	sysfs_device__free(device);
	device = describe(tree, "pci", "0000:00:05.0");
	assert_int_equal(device->stack_count, 1);
	assert_stack(device, 0, "loop1", "nvme1n1p1", 1);
	sysfs_device__free(device);
	device = describe(tree, "pci", "0000:00:04.0");
	assert_int_equal(device->stack_count, 0);
	sysfs_device__free(device);
}

static void test_bare(void **state)
{
	const struct tree *tree = *state;
	struct sysfs_device *device = sysfs_device__bare("device", "ghost");

	assert_string_equal(device->id, "device/ghost");
	assert_true(sysfs_device__exists(tree->root, device));
	sysfs_device__free(device);
	/* sysfs knows its bus, and it is not there. */
	device = sysfs_device__bare("pci", "0000:00:99.0");
	assert_false(sysfs_device__exists(tree->root, device));
	sysfs_device__free(device);
	sysfs_device__free(NULL);
}

/* This host: every disk lies below the device that is told for it, or is told to be virtual. */
static void check_host_disk(const struct sysfs_names *names, const char *name)
{
	char path[PATH_MAX], link[PATH_MAX], part[300], id[SYSFS_ID_SIZE];
	struct sysfs_device *device;

	snprintf(link, sizeof(link), "/sys/block/%s", name);
	if (!realpath(link, path))
		return;
	assert_int_equal(sysfs__describe_disk("/sys", names, name, &device), 0);
	if (!device) {
		assert_true(strstr(path, "/virtual/") || strstr(path, "/platform/") ||
			    strstr(path, "/ndbus"));
		return;
	}
	snprintf(part, sizeof(part), "/%s/", device->name);
	assert_true(strstr(path, part) || strstr(path, "/nvme-subsystem/"));
	assert_true(device->name_count > 0);
	assert_int_equal(sysfs__device_of("/sys", device->bus, device->name, id), 0);
	assert_string_equal(id, device->id);
	assert_true(sysfs_device__exists("/sys", device));
	sysfs_device__free(device);
}

static void test_host_disks(void **state)
{
	struct sysfs_names *names;
	const struct dirent *entry;
	DIR *list = opendir("/sys/block");

	assert_non_null(list);
	assert_int_equal(sysfs_names__read("/sys", &names), 0);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.')
			check_host_disk(names, entry->d_name);
	sysfs_names__free(names);
	closedir(list);
}

static void check_host_netdev(const struct sysfs_names *names, const char *name)
{
	char link[PATH_MAX], path[PATH_MAX], id[SYSFS_ID_SIZE], part[SYSFS_ID_SIZE + 2];
	struct sysfs_device *device;
	char *slash;
	bool named = false;
	int err = sysfs__device_of_netdev("/sys", name, id);

	snprintf(link, sizeof(link), "/sys/class/net/%s", name);
	if (err || !realpath(link, path)) {
		assert_true(err == -ENODEV || err == -ENOENT);
		return;
	}
	slash = strchr(id, '/');
	snprintf(part, sizeof(part), "/%s/", slash + 1);
	assert_non_null(strstr(path, part));
	*slash = '\0';
	assert_int_equal(sysfs__describe("/sys", names, id, slash + 1, &device), 0);
	for (size_t i = 0; i < device->name_count; i++)
		named = named || !strcmp(device->names[i], name);
	assert_true(named);
	sysfs_device__free(device);
}

static void test_host_netdevs(void **state)
{
	struct sysfs_names *names;
	const struct dirent *entry;
	DIR *list = opendir("/sys/class/net");

	assert_non_null(list);
	assert_int_equal(sysfs_names__read("/sys", &names), 0);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.')
			check_host_netdev(names, entry->d_name);
	sysfs_names__free(names);
	closedir(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disks, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_netdevs_and_buses, sys__set_up,
						tree__tear_down),
		cmocka_unit_test_setup_teardown(test_device_numbers, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_btrfs, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_lists, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_sources, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_up, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_describe, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_names, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_stacks, sys__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_bare, sys__set_up, tree__tear_down),
		cmocka_unit_test(test_host_disks),
		cmocka_unit_test(test_host_netdevs),
	};

	return cmocka_run_group_tests_name("sysfs", tests, NULL, NULL);
}
