/* SPDX-License-Identifier: BSD-2-Clause */
/* An exec queue, a directory that its programs may write into, and what came of them. After
 * cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_UNIT_EXEC_QUEUE_FIXTURE_H
#define DIRTYSCOPE_TESTS_UNIT_EXEC_QUEUE_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/reason.h"
#include "agent/policies/actions/exec_queue.h"

#define RESULTS 512
#define PATIENCE 20.0
#define NOBODY 65534

struct result {
	uintptr_t tag;
	char result[16], reason[512];
};

struct fixture {
	struct exec_queue *execs;
	char directory[64]; /* that the programs may write into */
	pthread_mutex_t lock;
	struct result results[RESULTS];
	size_t count;
};

static inline double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static inline void rest(double seconds)
{
	const struct timespec time = {(time_t)seconds,
				      (long)((seconds - (double)(time_t)seconds) * 1e9)};

	nanosleep(&time, NULL);
}

static inline void on_done(void *context, void *tag, const char *result, const char *reason)
{
	struct fixture *fixture = context;
	struct result *slot;

	pthread_mutex_lock(&fixture->lock);
	if (fixture->count < RESULTS) {
		slot = &fixture->results[fixture->count++];
		slot->tag = (uintptr_t)tag;
		snprintf(slot->result, sizeof(slot->result), "%s", result);
		snprintf(slot->reason, sizeof(slot->reason), "%s", reason);
	}
	pthread_mutex_unlock(&fixture->lock);
}

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	pthread_mutex_init(&fixture->lock, NULL);
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
	pthread_mutex_destroy(&fixture->lock);
	free(fixture);
	return 0;
}

/* As nobody, when this is root. */
static inline void begin(struct fixture *fixture, struct exec_queue_options options)
{
	struct reason error;

	options.uid = geteuid() ? geteuid() : NOBODY;
	options.gid = geteuid() ? getegid() : NOBODY;
	options.done = on_done;
	options.context = fixture;
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

static inline void await(struct fixture *fixture, size_t count)
{
	double until = now() + PATIENCE;
	size_t have = 0;

	while (have < count && now() < until) {
		rest(0.002);
		pthread_mutex_lock(&fixture->lock);
		have = fixture->count;
		pthread_mutex_unlock(&fixture->lock);
	}
	assert_int_equal(have, count);
}

static inline void end(struct fixture *fixture, double grace)
{
	exec_queue__free(fixture->execs, grace);
	fixture->execs = NULL;
}

static inline void expect(const struct fixture *fixture, uintptr_t tag, const char *result,
			  const char *part)
{
	static const struct result nothing = {.result = "nothing"};
	const struct result *found = &nothing;

	for (size_t i = 0; i < fixture->count; i++)
		if (fixture->results[i].tag == tag) {
			assert_ptr_equal(found, &nothing); /* once */
			found = &fixture->results[i];
		}
	if (strcmp(found->result, result) != 0 || !strstr(found->reason, part))
		fail_msg("%lu: %s (%s), not %s (%s)", tag, found->result, found->reason, result,
			 part);
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
