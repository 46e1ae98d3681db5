/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsck: a process that changes its memory by one route, in one kind of mapping, when it is told to.
 * What has changed is judged from outside, by content (fsck.py); the program itself says only where
 * to look. A route is a row of `routes`, a kind of mapping a row of `kinds`, a state of the page
 * table in which a route meets the mapping a row of `placements`.
 *
 * Every step returns 0, -errno, or FSCK_SKIP after fsck__skip().
 */
#ifndef TESTS_FSCK_FSCK_H
#define TESTS_FSCK_FSCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FSCK_PAGE 4096UL
#define FSCK_HUGE (2UL << 20)
#define FSCK_PAGES 512UL /* of a mapping: one huge page */
#define FSCK_BYTES (FSCK_PAGES * FSCK_PAGE)
#define FSCK_CHOSEN 64U /* pages that a route changes, apart from each other */
#define FSCK_SKIP 1
#define FSCK_AREAS 4

/* What a mapping is, and what can be done with it. */
enum fsck_trait {
	FSCK_ANON = 1,	   /* private anonymous memory */
	FSCK_SHARED = 2,   /* others who map the object change it, too */
	FSCK_FD = 4,	   /* `fd` can be mapped again */
	FSCK_FILE = 8,	   /* `fd` takes write(2) */
	FSCK_DISK = 16,	   /* a file system on a disk is behind it */
	FSCK_HUGETLB = 32, /* its page is FSCK_HUGE */
	FSCK_READONLY = 64,
	FSCK_KERNEL = 128, /* the kernel's own memory, mapped by the route */
	FSCK_THP = 256,
};

struct fsck;

struct fsck_kind {
	const char *name;
	unsigned traits;
	int (*make)(struct fsck *fsck);
};

struct fsck_placement {
	const char *name;
	unsigned never; /* traits of mappings that cannot be brought there */
	unsigned needs;
	int (*before)(struct fsck *fsck); /* the route's `write`, in an epoch that has ended */
	int (*after)(struct fsck *fsck);  /* it, in the same epoch */
};

enum fsck_step {
	FSCK_PREPARE, /* takes what the route holds for long; before or after the track's begin */
	FSCK_ARRANGE, /* in an epoch of its own; changes no content */
	FSCK_WRITE,   /* changes content */
	FSCK_STEPS,
};

struct fsck_route {
	const char *name;
	unsigned needs, never; /* traits of mappings */
	bool ordered;	       /* FSCK_PREPARE counts: done before the track begins, and after */
	bool placed;	       /* in each placement */
	bool source;	       /* memory is only read: nothing may change */
	bool exact;	       /* where pages are small and present, nothing else is told */
	int (*steps[FSCK_STEPS])(struct fsck *fsck);
	/* What the helper, a process that was there before the mapping, does in FSCK_WRITE. */
	int (*assist)(struct fsck *fsck);
};

struct fsck_area {
	unsigned char *start;
	size_t pages;
};

/* The worker; the helper has one of its own, whose region and fd are the worker's. */
struct fsck {
	const struct fsck_kind *kind;
	const struct fsck_route *route;
	const struct fsck_placement *placement;
	const char *directory; /* on a disk's file system */
	const char *huge;      /* on a tmpfs with huge pages, or NULL */
	const char *disk;      /* what is read with O_DIRECT: a device or a file */
	const char *edu;       /* PCI address and group of the edu device, or NULL */
	unsigned char *region;
	int fd; /* -1: none */
	struct fsck_area areas[FSCK_AREAS];
	size_t area_count; /* 0: the region */
	void *state;	   /* the route's */
	int pid;	   /* the worker's */
	int helper;	   /* socket */
	char why[200];
};

/* Ended by a row without a name. */
extern const struct fsck_kind fsck_kinds[];
extern const struct fsck_route fsck_routes[];
extern const struct fsck_placement fsck_placements[];

int __attribute__((format(printf, 2, 3))) fsck__skip(struct fsck *fsck, const char *format, ...);

/* The i-th page that a route changes. */
unsigned char *fsck__chosen(const struct fsck *fsck, unsigned i);
/* Its number in the mapping, which is that in the file, too. */
size_t fsck__number(unsigned i);
/* Content that no page had before, of FSCK_PAGE bytes. */
void fsck__fresh(unsigned char *page, unsigned i);
void fsck__area(struct fsck *fsck, void *start, size_t pages);
/* The mapping's pages filled, each with its own content. */
void fsck__fill(unsigned char *start, size_t pages);
/* A second, shared mapping of the worker's object, also from the helper; NULL with errno. */
unsigned char *fsck__map_again(const struct fsck *fsck);
/* Has the helper do its part; what it returned. */
int fsck__assist(struct fsck *fsck);
/* Pages of the chosen ones that the page table has. */
unsigned fsck__present(const struct fsck *fsck);
int fsck__write_file(const char *path, const char *text);

enum fsck_source {
	FSCK_TMPFS,  /* a memfd */
	FSCK_CACHED, /* a file on disk, in the page cache */
	FSCK_DIRECT, /* the disk, O_DIRECT */
	FSCK_PIPE,   /* filled page by page */
};
/* A descriptor whose i-th page is content for the i-th chosen page, or -errno. */
int fsck__source(struct fsck *fsck, enum fsck_source source);

/* ---- routes, by file; what each does stands at its row in routes.c ---- */

#define FSCK_STEP(name) int name(struct fsck *fsck)

FSCK_STEP(cpu__store);
FSCK_STEP(cpu__child_store);
FSCK_STEP(cpu__fork);
FSCK_STEP(cpu__child_waits);
FSCK_STEP(cpu__waiting_child_stores);
FSCK_STEP(cpu__udmabuf);
FSCK_STEP(cpu__map_again);
FSCK_STEP(cpu__store_again);
FSCK_STEP(cpu__ask_helper);
FSCK_STEP(cpu__helper_stores);
FSCK_STEP(cpu__helper_stays);
FSCK_STEP(cpu__helper_child_stores);

FSCK_STEP(call__read_pipe);
FSCK_STEP(call__read_cached);
FSCK_STEP(call__read_direct);
FSCK_STEP(call__receive);
FSCK_STEP(call__vmsplice);
FSCK_STEP(call__aio_setup);
FSCK_STEP(call__aio);

FSCK_STEP(file__pwrite);
FSCK_STEP(file__helper_pwrite);
FSCK_STEP(file__direct);
FSCK_STEP(file__splice);
FSCK_STEP(file__sendfile);
FSCK_STEP(file__copy_range);
FSCK_STEP(file__truncate);
FSCK_STEP(file__punch);

FSCK_STEP(ring__setup);
FSCK_STEP(ring__register);
FSCK_STEP(ring__read_direct);
FSCK_STEP(ring__read_cached);
FSCK_STEP(ring__fixed_tmpfs);
FSCK_STEP(ring__fixed_cached);
FSCK_STEP(ring__fixed_direct);
FSCK_STEP(ring__fixed_pipe);
FSCK_STEP(ring__fixed_write);
FSCK_STEP(ring__hide);
FSCK_STEP(ring__give_child);
FSCK_STEP(ring__child_reads);
FSCK_STEP(ring__in_own_memory);
FSCK_STEP(ring__map_completions);
FSCK_STEP(ring__completions);

FSCK_STEP(remote__writev);
FSCK_STEP(remote__poke);
FSCK_STEP(remote__mem);
FSCK_STEP(remote__uffd);
FSCK_STEP(remote__uffd_copy);
FSCK_STEP(remote__uffd_zero);
FSCK_STEP(remote__uffd_move);

FSCK_STEP(map__move_over);
FSCK_STEP(map__move_away);
FSCK_STEP(map__leave_empty);
FSCK_STEP(map__unmap);
FSCK_STEP(map__other_file);
FSCK_STEP(map__dontneed);
FSCK_STEP(map__dontneed_read);
FSCK_STEP(map__free);
FSCK_STEP(map__collapse);
FSCK_STEP(map__store_collapse);
FSCK_STEP(map__alike);
FSCK_STEP(map__merge);

FSCK_STEP(kernel__packet_ring);
FSCK_STEP(kernel__packets);
FSCK_STEP(kernel__array);
FSCK_STEP(kernel__update);
FSCK_STEP(kernel__aio_ring);
FSCK_STEP(kernel__aio_complete);

FSCK_STEP(xdp__register);
FSCK_STEP(xdp__receive);
FSCK_STEP(rdma__register);
FSCK_STEP(rdma__write);
FSCK_STEP(vfio__map);
FSCK_STEP(vfio__write);

#endif
