/* SPDX-License-Identifier: BSD-2-Clause */
/* Who a process is: cgroup, container, VM, user. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "tests/unit/proc_tree.h"

#include <cmocka.h>

#include "agent/host/cgroup_tree.h"
#include "agent/host/cgroups.h"
#include "agent/host/hypervisor.h"
#include "agent/host/procfs.h"

#define TASK "0123456789abcdef0123456789abcdef"
#define BUILD "qwkpfd8nzhi6mu6k7bny8tuvc"
#define ID_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_B "ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_cgroup(void **state)
{
	static const struct {
		const char *path, *memory, *chosen;
	} cases[] = {
		{"/user.slice/a.scope", "/m", "/user.slice/a.scope"},
		{"/", "/m", "/m"},
		{"/", "/", "/"},
		{"/system.slice/containerd.service", "/docker/" ID_A, "/docker/" ID_A},
		{"/", "/docker/" ID_A, "/docker/" ID_A},
		{"/docker/" ID_B, "/docker/" ID_A, "/docker/" ID_B},
		{"/docker/" ID_B, "/m", "/docker/" ID_B},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(cgroup__choose(cases[i].path, cases[i].memory),
				    cases[i].chosen);
}

static void test_hierarchy(void **state)
{
	static const struct {
		const char *text;
		uint32_t hierarchy;
	} cases[] = {
		{"0::/user.slice/a.scope\n", 0},
		{"9:name=systemd:/s\n4:memory:/m\n1:cpu:/a-longer-one\n0::/\n", 4},
		{"12:cpu,memory,x:/m\n0::/\n", 12},
		{"4:memory_x:/m\n3:name=memory:/s\n", 0},
		{"4:xmemory:/m\n", 0},
		{"4:memory", 0},
		{"x:memory:/\n", 0},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = strdup(cases[i].text);

		assert_int_equal(cgroup_tree__hierarchy(text, strlen(text), "memory"),
				 cases[i].hierarchy);
		free(text);
	}
}

static void test_container(void **state)
{
	static const struct {
		const char *path, *id;
	} cases[] = {
		{"/docker/" ID_A, ID_A},
		{"/system.slice/docker-" ID_A ".scope", ID_A},
		{"/kubepods.slice/p.slice/cri-containerd-" ID_A ".scope", ID_A},
		{"/kubepods/besteffort/pod1-2-3/" ID_A, ID_A},
		{"/kubepods/pod1/crio-" ID_A, ID_A},
		{"/user.slice/libpod-" ID_A ".scope/container", ID_A},
		{"/machine.slice/libpod-conmon-" ID_A ".scope", NULL},
		{"/kubepods-x.slice:cri-containerd:" ID_A, ID_A},
		{"/docker/" ID_A "/docker/" ID_B "/init.scope", ID_B},
		{"/process_api/775a533d2c43fbdd63c4185eb7613b16", NULL},
		{"/docker/" ID_A "0", NULL},
		{"/docker/x" ID_A, NULL},
		{"/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", NULL},
		{"/ecs/0123/" ID_A, ID_A},
		{"/ecs/" TASK "/" TASK "-2495160603", TASK "-2495160603"},
		{"/ecs/" TASK "/" TASK, NULL},
		{"/ecs/" TASK "/" TASK "-x", NULL},
		{"/ecs/" TASK "/" ID_B, ID_B},
		{"/docker/buildkit/" BUILD, BUILD},
		{"/system.slice/docker-" BUILD ".scope", BUILD},
		{"/system.slice/docker-" BUILD "x.scope", NULL},
		{"/buildkit/" BUILD "x", NULL},
		{"/lxc.payload.web-1", "web-1"},
		{"/lxc.payload.web/system.slice/docker-" ID_A ".scope", ID_A},
		{"/lxc.monitor.web-1", NULL},
		{"/lxc/101/ns/init.scope", "101"},
		{"/lxc.payload.", NULL},
		{"/machine.slice/systemd-nspawn@my\\x2dbox.service/payload/init.scope", "my-box"},
		{"/machine.slice/systemd-nspawn@box.service/supervisor", NULL},
		{"/machine.slice/machine-my\\x2dbox.scope/payload", "my-box"},
		{"/machine.slice/machine-my\\x2dbox.scope/supervisor", NULL},
		{"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator", NULL},
		{"/machine.slice/machine-\\x.scope/payload", "\\x"},
		{"/system.slice/garden.service/garden/a-b", "a-b"},
		{"/garden/good/a-b", "a-b"},
		{"/garden/bad/a-b/init", "a-b"},
		{"/garden/good", NULL},
		{"/good/a-b", NULL},
		{"/lxc/" ID_A ID_A, NULL},
		{"/", NULL},
		{"", NULL},
		{"/.scope", NULL},
	};
	char id[CONTAINER_ID_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cgroup__container(cases[i].path, id), cases[i].id != NULL);
		if (cases[i].id)
			assert_string_equal(id, cases[i].id);
	}
}

#define ARGUMENTS(text) text "\0", sizeof(text)

static void test_vm_name(void **state)
{
	static const struct {
		const char *program, *arguments;
		size_t length;
		const char *name;
	} cases[] = {
		{"qemu-system-x86_64", ARGUMENTS("q\0-name\0guest=web,debug-threads=on"), "web"},
		{"qemu-system-x86_64", ARGUMENTS("q\0-name\0web,process=x"), "web"},
		{"qemu-system-x86_64", ARGUMENTS("q\0-name\0debug-threads=on,guest=a,,b"), "a,b"},
		{"qemu-system-x86_64", ARGUMENTS("q\0-name\0debug-threads=on"), NULL},
		{"qemu-system-x86_64", ARGUMENTS("q\0--name\0dash"), "dash"},
		{"qemu-system-x86_64", ARGUMENTS("q\0-names\0x"), NULL},
		{"qemu-system-x86_64", ARGUMENTS("q\0-name"), NULL},
		{"qemu-system-x86_64", ARGUMENTS("-name\0x"), NULL},
		{"qemu-system-x86_64", "q\0-name\0cut", 11, NULL},
		{"firecracker", ARGUMENTS("f\0--id\0vm-7\0--name\0no"), "vm-7"},
		{"firecracker", ARGUMENTS("f\0--id=vm-8"), "vm-8"},
		{"firecracker", ARGUMENTS("f\0--id="), NULL},
		{"unknown", ARGUMENTS("u\0--name\0a,b=c"), "a,b=c"},
		{"vmware-vmx", ARGUMENTS("v\0--name\0x"), NULL},
		{"unknown", "", 0, NULL},
	};
	char name[VM_NAME_SIZE], arguments[400] = "q\0-name\0";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct hypervisor *hypervisor = hypervisor__find(cases[i].program);
		char *copy = malloc(cases[i].length ? cases[i].length : 1);

		memcpy(copy, cases[i].arguments, cases[i].length);
		assert_int_equal(hypervisor__vm_name(hypervisor, copy, cases[i].length, name),
				 cases[i].name != NULL);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
		free(copy);
	}
	memset(arguments + 8, 'n', 300);
	assert_true(hypervisor__vm_name(hypervisor__find("qemu-kvm"), arguments, 309, name));
	assert_int_equal(strlen(name), VM_NAME_SIZE - 1);
	assert_null(hypervisor__find("bash"));
	assert_null(hypervisor__find(""));
	assert_null(hypervisor__find("kvm-nothing"));
}

static struct process_identity *identify(const struct tree *tree, struct procfs_users *users,
					 uint32_t tgid)
{
	struct process_identity known = {.tgid = tgid,
					 .start_boottime_ns = ticks_to_ns(500) + 1,
					 .uid = 1000,
					 .cgroup = "/docker/" ID_A,
					 .vm_name = "stale"};
	struct process_identity *identity = NULL;

	assert_int_equal(procfs__identify(tree->root, users, &known, &identity), 0);
	assert_int_equal(identity->tgid, tgid);
	assert_int_equal(identity->references, 1);
	return identity;
}

static struct procfs_users *users_of_me(const struct tree *tree)
{
	char path[PATH_MAX];

	tree__puts(tree, "passwd", "me:x:1000:1000::/:/bin/sh\n");
	return procfs_users__new(tree__path(tree, "passwd", path));
}

static void test_identify(void **state)
{
	struct tree *tree = *state;
	struct process_identity known = {.tgid = 10, .start_boottime_ns = 1}, *identity;
	struct procfs_users *users = users_of_me(tree);
	char *large = calloc(1, 70000);

	/* Nothing but its stat: the rest may not be read. */
	write_stat(tree, 10, "bare) x", 'S', 0, 1, 500);
	identity = identify(tree, users, 10);
	assert_string_equal(identity->comm, "bare) x");
	assert_string_equal(identity->user, "me");
	assert_string_equal(identity->cmdline, "");
	assert_null(identity->vm_name);
	process_identity__put(identity);
	assert_int_equal(procfs__identify(tree->root, users, &known, &identity), -ESRCH);
	assert_null(identity);
	known.tgid = 11;
	assert_int_equal(procfs__identify(tree->root, users, &known, &identity), -ESRCH);

	/* All of it, in a container. */
	tree__write(tree, "10/cmdline", "run\0-a\0two words\0\0", 18);
	identity = identify(tree, users, 10);
	assert_string_equal(identity->cmdline, "run -a two words");
	assert_string_equal(identity->cgroup, "/docker/" ID_A);
	assert_string_equal(identity->container, ID_A);
	process_identity__put(identity);

	/* A command line without end. */
	memset(large, 'x', 69999);
	tree__puts(tree, "10/cmdline", large);
	identity = identify(tree, users, 10);
	assert_int_equal(strlen(identity->cmdline), PROCFS_CMDLINE_MAX);
	process_identity__put(identity);
	procfs_users__free(users);
	free(large);
}

static void test_identify_vms(void **state)
{
	struct tree *tree = *state;
	struct procfs_users *users = users_of_me(tree);
	struct process_identity *identity;
	char large[9013];

	/* QEMU, by its program; replaced on disk since. */
	write_stat(tree, 10, "kvm", 'S', 0, 1, 500);
	tree__write(tree, "10/cmdline", "/usr/bin/kvm\0-name\0guest=db\0", 28);
	tree__link(tree, "10/exe", "/usr/bin/qemu-system-x86_64 (deleted)");
	identity = identify(tree, users, 10);
	assert_string_equal(identity->vm_name, "db");
	assert_string_equal(identity->hypervisor, "qemu");
	process_identity__put(identity);

	/* Its name comes after more arguments than are shown. */
	memset(large, 'x', 9000);
	memcpy(large, "kvm", 4);
	memcpy(large + 9000, "\0-name\0late\0", 13);
	tree__write(tree, "10/cmdline", large, 9013);
	identity = identify(tree, users, 10);
	assert_string_equal(identity->vm_name, "late");
	assert_int_equal(strlen(identity->cmdline), PROCFS_CMDLINE_MAX);
	process_identity__put(identity);

	/* An unknown program that holds a KVM VM among other things. */
	write_stat(tree, 12, "vmm", 'S', 0, 1, 500);
	tree__write(tree, "12/cmdline", "/opt/vmm\0", 9);
	tree__link(tree, "12/fd/0", "/dev/null");
	tree__link(tree, "12/fd/1", "anon_inode:kvm-vcpu:0");
	identity = identify(tree, users, 12);
	assert_null(identity->vm_name);
	process_identity__put(identity);
	tree__link(tree, "12/fd/9", "anon_inode:kvm-vm");
	identity = identify(tree, users, 12);
	assert_string_equal(identity->vm_name, "pid-12");
	assert_string_equal(identity->hypervisor, "kvm");
	process_identity__put(identity);

	/* A kernel thread has no command line, whatever it is called. */
	write_stat(tree, 12, "kvm", 'S', 0x200000, 1, 500);
	identity = identify(tree, users, 12);
	assert_string_equal(identity->cmdline, "");
	assert_null(identity->vm_name);
	process_identity__put(identity);
	procfs_users__free(users);
}

static void test_users(void **state)
{
	struct tree *tree = *state;
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct procfs_users *users;
	char path[PATH_MAX];

	tree__path(tree, "passwd", path);
	users = procfs_users__new(path); /* not there yet */
	assert_string_equal(procfs_users__name(users, 0), "0");
	tree__puts(tree, "passwd",
		   "root:x:0:0::/:/bin/sh\n#c:x:5:5:::\n\n+::6:::\n:x:7:::\nbad\nx:y\n"
		   "n:x:-1:::\nbig:x:99999999999:::\nb:x:20:1:::\na:x:20:1:::\n"
		   "max:x:4294967295:1:::\nend:x:30:");
	procfs_users__refresh(users);
	assert_string_equal(procfs_users__name(users, 0), "root");
	assert_string_equal(procfs_users__name(users, 5), "5");
	assert_string_equal(procfs_users__name(users, 6), "6");
	assert_string_equal(procfs_users__name(users, 7), "7");
	assert_string_equal(procfs_users__name(users, 20), "b");
	assert_string_equal(procfs_users__name(users, 30), "end");
	assert_string_equal(procfs_users__name(users, UINT32_MAX), "max");
	tree__puts(tree, "passwd", "new:x:0:0::/:/bin/sh\n");
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	procfs_users__refresh(users);
	assert_string_equal(procfs_users__name(users, 0), "new");
	unlink(path);
	procfs_users__refresh(users);
	assert_string_equal(procfs_users__name(users, 0), "new");
	procfs_users__free(users);
	procfs_users__free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_hierarchy),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_vm_name),
		cmocka_unit_test_setup_teardown(test_identify, tree__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_identify_vms, tree__set_up, tree__tear_down),
		cmocka_unit_test_setup_teardown(test_users, tree__set_up, tree__tear_down),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
