/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/hypervisor.h"

#include <string.h>

/* One row a program. */
static const struct hypervisor hypervisors[] = {
	{"qemu-system-", true, true, "qemu", "-name"},
	{"qemu-kvm", false, true, "qemu", "-name"}, /* RHEL's name for it */
	{"kvm", false, false, "qemu", "-name"},	    /* Debian's and Proxmox's */
	{"firecracker", true, true, "firecracker", "--id"},
	{"cloud-hypervisor", true, true, "cloud-hypervisor", "--name"},
	{"crosvm", true, false, "crosvm", "--name"}, /* also the name of its device processes */
	{"lkvm", false, false, "kvmtool", "--name"},
	{"openvmm", false, false, "openvmm", "--name"},
	{"VirtualBoxVM", false, true, "virtualbox", "--comment"}, /* own kernel module, not KVM */
	{"VBoxHeadless", false, true, "virtualbox", "--comment"},
	{"vmware-vmx", true, true, "vmware", NULL},
};
#define HYPERVISORS (sizeof(hypervisors) / sizeof(hypervisors[0]))

const struct hypervisor *hypervisor__find(const char *program)
{
	for (size_t i = 0; i < HYPERVISORS; i++) {
		const struct hypervisor *row = &hypervisors[i];

		if (row->prefix ? !strncmp(program, row->program, strlen(row->program))
				: !strcmp(program, row->program))
			return row;
	}
	return NULL;
}

/* "--id" is also written "-id", "--id=NAME" and "-id=NAME". *value is NULL when it comes next. */
static bool matches(const char *argument, const char *option, const char **value)
{
	size_t length;

	if (*argument != '-')
		return false;
	argument += strspn(argument, "-");
	option += strspn(option, "-");
	length = strlen(option);
	if (strncmp(argument, option, length) != 0 || (argument[length] && argument[length] != '='))
		return false;
	*value = argument[length] ? argument + length + 1 : NULL;
	return true;
}

/* QEMU: "NAME,key=value" or "key=value,guest=NAME"; ",," is a comma of the name. Others: all of it.
 */
static bool take_name(const char *value, bool qemu, char name[VM_NAME_SIZE])
{
	static const char key[] = "guest=";
	const char *guest = qemu ? strstr(value, key) : NULL;
	size_t length = 0;

	if (guest && (guest == value || guest[-1] == ','))
		value = guest + sizeof(key) - 1;
	else if (qemu && strcspn(value, "=") < strcspn(value, ","))
		return false;
	for (; *value && length < VM_NAME_SIZE - 1; value++) {
		if (qemu && *value == ',' && *++value != ',')
			break;
		name[length++] = *value;
	}
	name[length] = '\0';
	return length > 0;
}

bool hypervisor__vm_name(const struct hypervisor *hypervisor, const char *arguments, size_t length,
			 char name[VM_NAME_SIZE])
{
	const char *option = hypervisor ? hypervisor->option : "--name";
	bool qemu = hypervisor && !strcmp(hypervisor->name, "qemu"), next = false;

	for (size_t at = 0; option && at < length;) {
		const char *argument = arguments + at, *value = argument;
		size_t size = strnlen(argument, length - at);

		/* An argument without its end was cut: half a name would be another VM's. */
		if (at + size == length)
			return false;
		if (next || (at && matches(argument, option, &value))) {
			if (value)
				return take_name(value, qemu, name);
			next = true;
		}
		at += size + 1;
	}
	return false;
}
