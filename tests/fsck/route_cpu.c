/* SPDX-License-Identifier: BSD-2-Clause */
/* Stores: by the process, its child, another process, here and through another mapping. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

static void store_all(unsigned char *mapping)
{
	for (unsigned i = 0; i < FSCK_CHOSEN; i++)
		*(volatile uint64_t *)(mapping + fsck__number(i) * FSCK_PAGE + 64) = ~(uint64_t)i;
}

int cpu__store(struct fsck *fsck)
{
	store_all(fsck->region);
	return 0;
}

/* A child that stores, and has ended when this returns. */
static int child_stores(unsigned char *mapping)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		store_all(mapping);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -ECHILD;
}

int cpu__child_store(struct fsck *fsck)
{
	return child_stores(fsck->region);
}

/* A child that has the pages as they are now, and stays. */
int cpu__fork(struct fsck *fsck)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return 0;
}

int cpu__map_again(struct fsck *fsck)
{
	fsck->state = fsck__map_again(fsck);
	return fsck->state ? 0 : -errno;
}

int cpu__store_again(struct fsck *fsck)
{
	store_all(fsck->state);
	return 0;
}

/* ---- the helper ---- */

int cpu__ask_helper(struct fsck *fsck)
{
	return fsck__assist(fsck);
}

/* Asked twice: it maps, then it stores. */
int cpu__helper_stays(struct fsck *fsck)
{
	if (!fsck->state)
		return cpu__map_again(fsck);
	return cpu__store_again(fsck);
}

int cpu__helper_stores(struct fsck *fsck)
{
	unsigned char *mapping = fsck__map_again(fsck);

	if (!mapping)
		return -errno;
	store_all(mapping);
	return munmap(mapping, FSCK_BYTES) ? -errno : 0;
}

/* The one who maps and stores is gone. */
int cpu__helper_child_stores(struct fsck *fsck)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child)
		_exit(cpu__helper_stores(fsck) ? 1 : 0);
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -ECHILD;
}
