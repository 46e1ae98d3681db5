/* SPDX-License-Identifier: BSD-2-Clause */
/* Which processes run a virtual machine, by which hypervisor, and what the machine is called. */
#ifndef DIRTYSCOPE_AGENT_HOST_HYPERVISOR_H
#define DIRTYSCOPE_AGENT_HOST_HYPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

#define VM_NAME_SIZE 128

struct hypervisor {
	const char *program; /* the program's file name, or how it begins */
	bool prefix;	     /* it only begins so */
	bool certain;	     /* runs a VM even where no KVM descriptor can be seen */
	const char *name;    /* "qemu", ... */
	const char *option;  /* its argument names the VM; NULL: there is none */
};

/* By the program's file name; NULL when it is no known hypervisor. */
const struct hypervisor *hypervisor__find(const char *program);
/*
 * The VM's name out of the arguments (NUL-separated, length bytes; the last may be cut).
 * hypervisor: NULL for an unknown program that holds a KVM VM, where --name is tried.
 * False when they do not say.
 */
bool hypervisor__vm_name(const struct hypervisor *hypervisor, const char *arguments, size_t length,
			 char name[VM_NAME_SIZE]);

#endif
