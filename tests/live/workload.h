/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of `workload` share: workload.c has the table of routes and what they do,
 * workload_ready.c how they are made ready.
 */
#ifndef DIRTYSCOPE_TESTS_LIVE_WORKLOAD_H
#define DIRTYSCOPE_TESTS_LIVE_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096UL
#define MIB (1UL << 20)

struct work {
	size_t pages;
	int flags;	/* of open() or mmap(), as the route says */
	size_t at_once; /* bytes of one call */
	const char *argument;
	unsigned char *region; /* pages to write */
	unsigned char *buffer; /* 1 MiB, resident */
	int file;
	pid_t other;	  /* a second process that the route is about, or 0 */
	uint64_t written; /* the truth: pages */
};

/* All of them end the process where they fail. */
void work__die(const char *what);
void *work__map(size_t bytes, int flags, int fd);
/* Anonymous memory without huge pages. */
unsigned char *work__fresh(size_t pages, int flags);
void work__touch(unsigned char *memory, size_t pages, unsigned char value);
void work__look(const unsigned char *memory, size_t pages);
/* A process that has written its pages, is stopped, and dies with us; set_tid: its pid, or 0. */
pid_t work__stopped_child(size_t pages, pid_t set_tid);

void ready__fresh(struct work *work);
void ready__looked(struct work *work);
void ready__resident(struct work *work);
void ready__child(struct work *work);
void ready__parent(struct work *work);
void ready__remote(struct work *work);
void ready__huge(struct work *work);
void ready__hugetlb(struct work *work);
void ready__file(struct work *work);
void ready__cold(struct work *work);
void ready__mapped_file(struct work *work);
void ready__synced_file(struct work *work);
void ready__comm(struct work *work);
void ready__memory_file(struct work *work);
void ready__userfault(struct work *work);
void ready__new_file(struct work *work);

#endif
