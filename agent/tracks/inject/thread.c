/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/inject/thread.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/base/files.h"

#define LOOKED_AT 4096 /* threads */
#define VDSO_PAGES 4
#define PAGE 4096
#define START_TICKS 20 /* of stat: the field, after the state */

/* struct linux_dirent64, as getdents64(2) has it */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* ---- stat ---- */

/* From its state on: the name before it may hold anything. */
static const char *after_name(const char *stat)
{
	const char *end = strrchr(stat, ')');

	return end && end[1] == ' ' ? end + 2 : "";
}

static char state_of(int directory)
{
	char stat[1024];

	return files__read(directory, "stat", stat, sizeof(stat)) > 0 ? *after_name(stat) : '\0';
}

/* Of a zombie, or of one that is being reaped. */
static bool has_ended(char state)
{
	return !state || strchr("ZXx", state);
}

uint64_t thread__start_ticks(int process)
{
	char stat[1024];
	const char *at;

	if (files__read(process, "stat", stat, sizeof(stat)) <= 0)
		return 0;
	at = after_name(stat);
	for (int field = 1; field < START_TICKS && at; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

/* ---- choosing ---- */

/* True: better than what there was, which is then closed. */
static bool take(struct thread *best, int tasks, const char *name)
{
	struct thread thread = {.tid = (pid_t)strtol(name, NULL, 10)};
	bool better;

	if (thread.tid <= 0)
		return false;
	thread.directory = openat(tasks, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (thread.directory < 0)
		return false;
	thread.state = state_of(thread.directory);
	better = !has_ended(thread.state) &&
		 (best->directory < 0 || (best->state == 'D' && thread.state != 'D'));
	if (!better) {
		close(thread.directory);
		return false;
	}
	if (best->directory >= 0)
		close(best->directory);
	*best = thread;
	return true;
}

int thread__choose(int process, struct thread *thread)
{
	_Alignas(8) char buffer[4096];
	int tasks = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned seen = 0;
	long length = 0;

	*thread = (struct thread){.directory = -1};
	if (tasks < 0)
		return -ESRCH;
	while (seen < LOOKED_AT && (thread->directory < 0 || thread->state == 'D') &&
	       (length = syscall(SYS_getdents64, tasks, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < length; seen++) {
			const struct entry *entry = (const struct entry *)(buffer + at);

			at += entry->length;
			if (take(thread, tasks, entry->name) && thread->state != 'D')
				break;
		}
	close(tasks);
	return thread->directory < 0 ? -ESRCH : 0;
}

/* ---- what it is ---- */

char thread__state(const struct thread *thread)
{
	return state_of(thread->directory);
}

bool thread__has_ended(const struct thread *thread)
{
	return has_ended(state_of(thread->directory));
}

int thread__status(const struct thread *thread, const char *field, unsigned *value)
{
	char status[4096];
	const char *line = status;
	const size_t length = strlen(field);

	if (files__read(thread->directory, "status", status, sizeof(status)) <= 0)
		return -ESRCH;
	while ((line = strchr(line, '\n'))) {
		line++;
		if (strncmp(line, field, length) == 0 && line[length] == ':') {
			*value = (unsigned)strtoul(line + length + 1, NULL, 10);
			return 0;
		}
	}
	return -ENOENT;
}

/*
 * Version 2: do_freezer_trap(), inlined into get_signal() (kernel/signal.c), where nothing else
 * sleeps interruptibly. Version 1: __refrigerator() (kernel/freezer.c).
 */
bool thread__is_frozen(const struct thread *thread)
{
	char function[128];

	if (files__read(thread->directory, "wchan", function, sizeof(function)) <= 0)
		return false;
	return strstr(function, "refrigerator") || strstr(function, "do_freezer_trap") ||
	       (strcmp(function, "get_signal") == 0 && thread__state(thread) == 'S');
}

bool thread__is_narrow(const struct thread *thread)
{
	unsigned char ident[EI_NIDENT];
	int fd = openat(thread->directory, "exe", O_RDONLY | O_CLOEXEC);
	bool narrow = fd >= 0 && read(fd, ident, sizeof(ident)) == sizeof(ident) &&
		      ident[EI_CLASS] == ELFCLASS32;

	if (fd >= 0)
		close(fd);
	return narrow;
}

bool thread__is_in_vfork(const struct thread *thread)
{
	char call[256];

	if (files__read(thread->directory, "syscall", call, sizeof(call)) <= 0)
		return false;
	switch (strtol(call, NULL, 10)) {
	case SYS_vfork:
	case SYS_clone:
	case SYS_clone3:
		return true;
	default:
		return false;
	}
}

static uint64_t vdso_of(const struct thread *thread)
{
	Elf64_auxv_t entries[64];
	int fd = openat(thread->directory, "auxv", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, entries, sizeof(entries));

	if (fd >= 0)
		close(fd);
	for (size_t i = 0; (ssize_t)((i + 1) * sizeof(*entries)) <= length; i++)
		if (entries[i].a_type == AT_SYSINFO_EHDR)
			return entries[i].a_un.a_val;
	return 0;
}

uint64_t thread__find_instruction(const struct thread *thread)
{
	const uint64_t vdso = vdso_of(thread);
	unsigned char code[VDSO_PAGES * PAGE];
	struct iovec local = {code, sizeof(code)}, remote[VDSO_PAGES];
	ssize_t length;

	if (!vdso)
		return 0;
	/* One a page: what is read ends where its mapping does. */
	for (uint64_t i = 0; i < VDSO_PAGES; i++)
		remote[i] = (struct iovec){(void *)(vdso + i * PAGE), PAGE};
	length = process_vm_readv(thread->tid, &local, 1, remote, VDSO_PAGES, 0);
	for (ssize_t i = 0; i + 1 < length; i++)
		if (code[i] == 0x0f && code[i + 1] == 0x05)
			return vdso + (uint64_t)i;
	return 0;
}
