/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host/cgroups.h"
#include "agent/base/files.h"

#define STAT_SIZE 2048		      /* 52 numbers and a name of at most 64 bytes */
#define ZONEINFO_LIMIT (64UL << 20)   /* grows with CPUs x zones x nodes */
#define ARGUMENTS_LIMIT (8UL << 20)   /* the kernel takes 6 MiB: bprm_stack_limits(), fs/exec.c */
#define FLAG_KERNEL_THREAD 0x00200000 /* PF_KTHREAD, include/linux/sched.h */
#define NS_PER_SECOND 1000000000ULL

/* Fields of PID/stat as proc_pid_stat(5) numbers them. */
enum stat_field {
	STAT_STATE = 3,
	STAT_FLAGS = 9,
	STAT_THREADS = 20,
	STAT_START = 22,
};

/* ---- PID/stat ---- */

int procfs__parse_stat(const char *text, size_t length, struct procfs_stat *stat)
{
	const char *open = memchr(text, '(', length), *close = memrchr(text, ')', length);
	const char *at, *end = text + length;
	size_t comm;

	*stat = (struct procfs_stat){};
	/* The name may hold blanks, parentheses and newlines: only the last ")" ends it. */
	if (!open || !close || close < open)
		return -EINVAL;
	comm = (size_t)(close - open - 1);
	if (comm >= sizeof(stat->comm))
		comm = sizeof(stat->comm) - 1;
	memcpy(stat->comm, open + 1, comm);
	at = close + 1;
	for (int field = STAT_STATE; field <= STAT_START; field++) {
		const char *start;
		uint64_t value = 0;

		while (at < end && *at == ' ')
			at++;
		for (start = at; at < end && *at != ' ' && *at != '\n';)
			at++;
		/* A field at the very end may be cut. */
		if (at == start || at == end)
			return -EINVAL;
		if (field == STAT_STATE) {
			stat->state = *start;
			continue;
		}
		if (field != STAT_FLAGS && field != STAT_THREADS && field != STAT_START)
			continue;
		if (!files__parse_u64(start, (size_t)(at - start), &value))
			return -EINVAL;
		if (field == STAT_FLAGS)
			stat->kernel_thread = value & FLAG_KERNEL_THREAD;
		else if (field == STAT_THREADS)
			stat->threads = value;
		else
			stat->start_ticks = value;
	}
	return 0;
}

static int open_process(const char *root, uint32_t tgid)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/%u", root, tgid);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	return files__open_directory(AT_FDCWD, path);
}

static int read_stat(int process, struct procfs_stat *stat)
{
	char text[STAT_SIZE];
	int length = files__read(process, "stat", text, sizeof(text));

	return length < 0 ? length : procfs__parse_stat(text, (size_t)length, stat);
}

int procfs__stat(const char *root, uint32_t tgid, struct procfs_stat *stat)
{
	int process = open_process(root, tgid), err;

	if (process < 0)
		return process;
	err = read_stat(process, stat);
	close(process);
	return err;
}

uint32_t procfs__reader(const char *root, uint32_t tgid)
{
	const struct dirent *entry;
	struct procfs_stat stat;
	uint32_t found = tgid;
	char path[PATH_MAX];
	DIR *threads;

	if (procfs__stat(root, tgid, &stat) || stat.state != 'Z' || stat.threads <= 1)
		return tgid;
	snprintf(path, sizeof(path), "%s/%u/task", root, tgid);
	threads = opendir(path);
	while (threads && found == tgid && (entry = readdir(threads))) {
		const uint32_t tid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (tid && procfs__stat(root, tid, &stat) == 0 && stat.state != 'Z' &&
		    stat.state != 'X')
			found = tid;
	}
	if (threads)
		closedir(threads);
	return found;
}

bool procfs__is_start(uint64_t start_ticks, uint64_t start_boottime_ns)
{
	long ticks = sysconf(_SC_CLK_TCK);
	uint64_t hz = ticks > 0 ? (uint64_t)ticks : 100;
	uint64_t seconds = start_boottime_ns / NS_PER_SECOND;
	uint64_t rest = start_boottime_ns % NS_PER_SECOND;

	return start_ticks == seconds * hz + rest * hz / NS_PER_SECOND;
}

bool procfs__is_alive(const char *root, const struct ds_process_key *key)
{
	struct procfs_stat stat;
	int err = procfs__stat(root, key->tgid, &stat);

	if (err)
		return err != -ENOENT && err != -ESRCH;
	if (!procfs__is_start(stat.start_ticks, key->start_boottime_ns))
		return false;
	/* A leader that ended while its other threads run on is a zombie too. */
	return !((stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1);
}

/* ---- who it is ---- */

/* Everything that an identity's strings point into while it is put together. */
struct identity_text {
	char arguments[PROCFS_CMDLINE_MAX + 1]; /* NUL-separated */
	size_t arguments_length;
	char cmdline[PROCFS_CMDLINE_MAX + 1];
	char program[NAME_MAX + 1]; /* the program's file name */
	char container[CONTAINER_ID_SIZE];
	char vm_name[VM_NAME_SIZE];
};

static void read_cmdline(int process, struct identity_text *text)
{
	int length = files__read(process, "cmdline", text->arguments, sizeof(text->arguments));
	size_t end;

	if (length <= 0)
		return;
	text->arguments_length = (size_t)length;
	for (end = (size_t)length; end > 0 && !text->arguments[end - 1];)
		end--;
	for (size_t i = 0; i < end; i++)
		text->cmdline[i] = text->arguments[i] ? text->arguments[i] : ' ';
	text->cmdline[end] = '\0';
}

/* The link of the running program; where that may not be read, what argv[0] says. */
static void read_program(int process, struct identity_text *text)
{
	static const char deleted[] = " (deleted)";
	const char *last;
	char *suffix;

	if (files__link_name(process, "exe", text->program, sizeof(text->program))) {
		last = strrchr(text->arguments, '/');
		last = last ? last + 1 : text->arguments;
		snprintf(text->program, sizeof(text->program), "%.*s", NAME_MAX, last);
	}
	suffix = strstr(text->program, deleted);
	if (suffix && !suffix[sizeof(deleted) - 1])
		*suffix = '\0';
}

/* Whether it holds a descriptor of a KVM virtual machine. No permission to look: not known, so no.
 */
static bool holds_kvm_vm(int process)
{
	static const char kvm_vm[] = "anon_inode:kvm-vm";
	int fd = files__open_directory(process, "fd");
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool found = false;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	for (int seen = 0; !found && seen < PROCFS_FDS_MAX && (entry = readdir(directory));
	     seen++) {
		char target[sizeof(kvm_vm) + 1];

		/* A longer target does not fit, and is none. */
		found = files__read_link(fd, entry->d_name, target, sizeof(target)) > 0 &&
			!strcmp(target, kvm_vm);
	}
	closedir(directory);
	return found;
}

/* Of a VM with many devices the arguments are long, and its name may come late. */
static bool named_in_all(int process, const struct hypervisor *hypervisor, char name[VM_NAME_SIZE])
{
	size_t length;
	char *all;
	bool found;

	if (files__read_all(process, "cmdline", ARGUMENTS_LIMIT, &all, &length))
		return false;
	found = hypervisor__vm_name(hypervisor, all, length, name);
	free(all);
	return found;
}

static void find_vm(int process, struct identity_text *text, struct process_identity *identity)
{
	const struct hypervisor *hypervisor = hypervisor__find(text->program);
	bool cut = text->arguments_length == PROCFS_CMDLINE_MAX;

	if (!(hypervisor && hypervisor->certain) && !holds_kvm_vm(process))
		return;
	if (!hypervisor__vm_name(hypervisor, text->arguments, text->arguments_length,
				 text->vm_name) &&
	    !(cut && named_in_all(process, hypervisor, text->vm_name)))
		snprintf(text->vm_name, sizeof(text->vm_name), "pid-%u", identity->tgid);
	identity->vm_name = text->vm_name;
	identity->hypervisor = hypervisor ? hypervisor->name : "kvm";
}

int procfs__vm(const char *root, uint32_t tgid, struct procfs_vm *vm)
{
	struct process_identity identity = {.tgid = tgid};
	struct identity_text *text;
	const int process = open_process(root, tgid);

	if (process < 0)
		return process == -ENOENT ? -ESRCH : process;
	text = calloc(1, sizeof(*text));
	if (text) {
		read_cmdline(process, text);
		read_program(process, text);
		find_vm(process, text, &identity);
	}
	if (identity.vm_name) {
		memcpy(vm->name, identity.vm_name, strlen(identity.vm_name) + 1);
		vm->hypervisor = identity.hypervisor;
	}
	close(process);
	free(text);
	return !text ? -ENOMEM : identity.vm_name ? 0 : -ENOENT;
}

int procfs__identify(const char *root, struct procfs_users *users,
		     const struct process_identity *known, struct process_identity **out)
{
	struct process_identity identity = process_identity__facts(known);
	struct identity_text *text = NULL;
	/* This directory stays the same process's, even when its pid is taken again. */
	int process = open_process(root, known->tgid), err;
	struct procfs_stat stat;

	*out = NULL;
	if (process < 0)
		return process == -ENOENT ? -ESRCH : process;
	err = read_stat(process, &stat);
	if (!err && !procfs__is_start(stat.start_ticks, known->start_boottime_ns))
		err = -ESRCH;
	if (err) {
		err = err == -ENOENT ? -ESRCH : err;
		goto cleanup;
	}
	text = calloc(1, sizeof(*text));
	if (!text) {
		err = -ENOMEM;
		goto cleanup;
	}
	/* The kernel side's name is preferred: a worker's name in procfs changes with its work. */
	if (!identity.comm[0])
		memcpy(identity.comm, stat.comm, sizeof(identity.comm));
	identity.user = known->nameless ? "" : procfs_users__name(users, known->uid);
	identity.container = known->cgroup && cgroup__container(known->cgroup, text->container)
				     ? text->container
				     : NULL;
	identity.vm_name = identity.hypervisor = NULL;
	if (!stat.kernel_thread) {
		read_cmdline(process, text);
		read_program(process, text);
		find_vm(process, text, &identity);
	}
	identity.cmdline = text->cmdline;
	*out = process_identity__new(&identity);
	err = *out ? 0 : -ENOMEM;
cleanup:
	free(text);
	close(process);
	return err;
}

/* ---- memory ---- */

/* "  name  N": true, and the number, when the line is of that name. */
static bool zone_value(const char *line, size_t length, const char *name, uint64_t *value)
{
	size_t name_length = strlen(name);
	const char *end = line + length;

	while (line < end && *line == ' ')
		line++;
	if ((size_t)(end - line) <= name_length || memcmp(line, name, name_length) != 0)
		return false;
	line += name_length;
	while (line < end && *line == ' ')
		line++;
	return files__parse_u64(line, (size_t)(end - line), value);
}

int procfs__parse_zoneinfo(const char *text, size_t length, uint64_t *pages)
{
	static const char node[] = "Node ", device[] = "Device";
	const char *end = text + length;
	uint64_t spanned = 0, highest = 0, start, last;
	bool is_memory = false;

	for (const char *line = text, *stop; line < end; line = stop + 1) {
		size_t size;

		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			stop = end;
		size = (size_t)(stop - line);
		if (size > sizeof(node) - 1 && !memcmp(line, node, sizeof(node) - 1)) {
			spanned = 0;
			is_memory = size < sizeof(device) - 1 ||
				    memcmp(stop - (sizeof(device) - 1), device,
					   sizeof(device) - 1) != 0;
		} else if (zone_value(line, size, "start_pfn:", &start)) {
			if (is_memory && spanned &&
			    !__builtin_add_overflow(start, spanned, &last) && last > highest)
				highest = last;
		} else {
			zone_value(line, size, "spanned", &spanned);
		}
	}
	*pages = highest;
	return highest ? 0 : -EINVAL;
}

int procfs__memory_span(const char *root, uint64_t *pages)
{
	char path[PATH_MAX], *text;
	int err, path_length = snprintf(path, sizeof(path), "%s/zoneinfo", root);
	size_t length;

	*pages = 0;
	if (path_length < 0 || (size_t)path_length >= sizeof(path))
		return -ENAMETOOLONG;
	err = files__read_all(AT_FDCWD, path, ZONEINFO_LIMIT, &text, &length);
	if (err)
		return err;
	err = procfs__parse_zoneinfo(text, length, pages);
	free(text);
	return err;
}
