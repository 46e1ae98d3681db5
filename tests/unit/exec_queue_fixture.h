/* SPDX-License-Identifier: BSD-2-Clause */
/* An exec queue, a directory that its programs may write into, and what came of them. After
 * cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_EXEC_QUEUE_FIXTURE_H
#define DIRTYSCOPE_TESTS_UNIT_EXEC_QUEUE_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/reason.h"
#include "agent/policies/actions/exec_queue.h"
#include "tests/unit/queue_results.h"

#define NOBODY 65534

struct fixture {
	struct exec_queue *execs;
	char directory[64]; /* that the programs may write into */
	struct results results;
};

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	results__begin(&fixture->results);
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/dirtyscope-test-XXXXXX");
	if (!mkdtemp(fixture->directory) || chmod(fixture->directory, 0777))
		return -1;
	*state = fixture;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char path[512];
	struct dirent *entry;
	DIR *directory;

	exec_queue__free(fixture->execs, 0);
	directory = opendir(fixture->directory);
	while (directory && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, entry->d_name);
		unlink(path);
	}
	if (directory)
		closedir(directory);
	rmdir(fixture->directory);
	results__end(&fixture->results);
	free(fixture);
	return 0;
}

/* As nobody, when this is root. */
static inline void begin(struct fixture *fixture, struct exec_queue_options options)
{
	struct reason error;

	options.uid = geteuid() ? geteuid() : NOBODY;
	options.gid = geteuid() ? getegid() : NOBODY;
	options.done = results__take;
	options.context = &fixture->results;
	if (!options.timeout)
		options.timeout = PATIENCE;
	if (exec_queue__new(&options, &fixture->execs, &error))
		fail_msg("%s", error.text);
}

/* A script whose $1 is the directory. */
static inline int run(struct fixture *fixture, uintptr_t tag, const char *script)
{
	const char *const argv[] = {"/bin/sh", "-c", script, "test", fixture->directory, NULL};

	return exec_queue__run(fixture->execs, argv, NULL, (void *)tag);
}

static inline void end(struct fixture *fixture, double grace)
{
	exec_queue__free(fixture->execs, grace);
	fixture->execs = NULL;
}

/* What a program left in a file there; NULL: no such file, or an empty one. For the caller to free.
 */
static inline char *content(const struct fixture *fixture, const char *name, size_t *length)
{
	char path[128], *data = calloc(1, 65536);
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, data, 65535);
	if (fd >= 0)
		close(fd);
	if (length)
		*length = (size_t)got;
	if (got > 0)
		return data;
	free(data);
	return NULL;
}

static inline pid_t number_in(const struct fixture *fixture, const char *name)
{
	double until = now() + PATIENCE;
	char *data = NULL;
	pid_t pid;

	while (!data && now() < until) {
		rest(0.005);
		data = content(fixture, name, NULL);
	}
	pid = data ? atoi(data) : 0;
	free(data);
	assert_true(pid > 1);
	return pid;
}

/* A zombie that waits for init is gone, too. */
static inline bool is_gone(pid_t pid)
{
	char path[64], line[256] = "";
	FILE *file;
	bool gone;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	gone = !file || !fgets(line, sizeof(line), file) || strstr(line, ") Z ");
	if (file)
		fclose(file);
	return gone;
}

static inline void expect_gone(pid_t pid)
{
	double until = now() + 5;

	while (!is_gone(pid) && now() < until)
		rest(0.005);
	assert_true(is_gone(pid));
}

#endif
