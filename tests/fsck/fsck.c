/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   fsck list                        every cell: ROUTE KIND ORDER PLACEMENT CHANGES BESIDE a line
 *   fsck KIND ROUTE PLACEMENT DIRECTORY DISK [HUGE [EDU...]]
 *
 * It prints "ready PID", and obeys prepare, arrange and write, one a line. Each is answered by "ok
 * START:PAGES...", which is where the content may have changed, by "skip WHY", or by "failed WHY".
 */
#include "tests/fsck/fsck.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

static const char *const step_names[FSCK_STEPS] = {"prepare", "arrange", "write"};

int fsck__skip(struct fsck *fsck, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fsck->why, sizeof(fsck->why), format, arguments);
	va_end(arguments);
	return FSCK_SKIP;
}

/* ---- the cells ---- */

static bool fits(unsigned traits, unsigned needs, unsigned never)
{
	return (traits & needs) == needs && !(traits & never);
}

static void list_placements(const struct fsck_route *route, const struct fsck_kind *kind)
{
	static const char *const orders[] = {"before", "after"};

	for (const struct fsck_placement *place = fsck_placements; place->name; place++) {
		if (place != fsck_placements &&
		    (!route->placed || !fits(kind->traits, place->needs, place->never)))
			continue;
		for (int i = 0; i < 1 + route->ordered; i++)
			printf("%s %s %s %s %s %s\n", route->name, kind->name,
			       route->ordered ? orders[i] : "-", place->name,
			       route->source ? "nothing" : "changes",
			       route->exact && place == fsck_placements &&
					       !(kind->traits & FSCK_HUGETLB)
				       ? "exact"
				       : "more");
	}
}

static int list(void)
{
	for (const struct fsck_route *route = fsck_routes; route->name; route++)
		for (const struct fsck_kind *kind = fsck_kinds; kind->name; kind++)
			if (fits(kind->traits, route->needs, route->never))
				list_placements(route, kind);
	return 0;
}

/* ---- the helper: a process that was there before the mapping ---- */

struct order {
	unsigned char *region;
	int fd;
};

static void help(struct fsck *fsck)
{
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(fsck->helper, &order, sizeof(order), 0) == sizeof(order)) {
		int err;

		fsck->region = order.region;
		fsck->fd = order.fd;
		err = fsck->route->assist(fsck);
		send(fsck->helper, &err, sizeof(err), 0);
	}
	_exit(0);
}

static int start_helper(struct fsck *fsck)
{
	int sockets[2];
	pid_t child;

	fsck->pid = getpid();
	if (!fsck->route->assist)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	fsck->helper = sockets[child ? 0 : 1];
	close(sockets[child ? 1 : 0]);
	if (!child)
		help(fsck);
	return 0;
}

int fsck__assist(struct fsck *fsck)
{
	const struct order order = {fsck->region, fsck->fd};
	int err;

	if (send(fsck->helper, &order, sizeof(order), 0) != sizeof(order))
		return -errno;
	return recv(fsck->helper, &err, sizeof(err), 0) == sizeof(err) ? err : -EPIPE;
}

/* ---- steps ---- */

static int run_step(struct fsck *fsck, enum fsck_step step)
{
	int err = 0;

	if (fsck->route->steps[step])
		err = fsck->route->steps[step](fsck);
	if (!err && step == FSCK_ARRANGE && fsck->placement->before)
		err = fsck->placement->before(fsck);
	if (!err && step == FSCK_WRITE && fsck->placement->after)
		err = fsck->placement->after(fsck);
	return err;
}

static void answer(const struct fsck *fsck, int err)
{
	if (err == FSCK_SKIP) {
		printf("skip %s\n", fsck->why);
	} else if (err) {
		printf("failed %s\n", strerror(-err));
	} else {
		printf("ok");
		for (size_t i = 0; i < fsck->area_count; i++)
			printf(" %lx:%zu", (unsigned long)fsck->areas[i].start,
			       fsck->areas[i].pages);
		if (!fsck->area_count && fsck->region)
			printf(" %lx:%lu", (unsigned long)fsck->region, FSCK_PAGES);
		printf("\n");
	}
}

static void obey(struct fsck *fsck)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		for (int step = 0; step < FSCK_STEPS; step++)
			if (strcmp(line, step_names[step]) == 0)
				answer(fsck, run_step(fsck, step));
	}
}

static const struct fsck_kind *find_kind(const char *name)
{
	const struct fsck_kind *kind = fsck_kinds;

	while (kind->name && strcmp(kind->name, name) != 0)
		kind++;
	return kind->name ? kind : NULL;
}

static const struct fsck_route *find_route(const char *name)
{
	const struct fsck_route *route = fsck_routes;

	while (route->name && strcmp(route->name, name) != 0)
		route++;
	return route->name ? route : NULL;
}

static const struct fsck_placement *find_placement(const char *name)
{
	const struct fsck_placement *placement = fsck_placements;

	while (placement->name && strcmp(placement->name, name) != 0)
		placement++;
	return placement->name ? placement : NULL;
}

int main(int argc, char **argv)
{
	struct fsck fsck = {.fd = -1, .helper = -1};
	int err;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list();
	if (argc >= 6) {
		fsck.kind = find_kind(argv[1]);
		fsck.route = find_route(argv[2]);
		fsck.placement = find_placement(argv[3]);
		fsck.directory = argv[4];
		fsck.disk = argv[5];
		fsck.huge = argc > 6 && *argv[6] ? argv[6] : NULL;
		fsck.edu = argc > 7 && *argv[7] ? argv[7] : NULL;
	}
	if (!fsck.kind || !fsck.route || !fsck.placement) {
		fprintf(stderr, "usage: fsck list | KIND ROUTE PLACEMENT DIRECTORY DISK [HUGE "
				"[EDU]]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	err = start_helper(&fsck);
	if (!err)
		err = fsck.kind->make(&fsck);
	if (err)
		answer(&fsck, err);
	else
		printf("ready %d\n", fsck.pid);
	if (!err)
		obey(&fsck);
	return 0;
}
