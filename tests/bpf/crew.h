/* SPDX-License-Identifier: BSD-2-Clause */
/* One thread per CPU, let go together; each runs a program once, with its own arguments. */
#ifndef DIRTYSCOPE_TESTS_BPF_CREW_H
#define DIRTYSCOPE_TESTS_BPF_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/bpf/harness.h"

#define MAX_CPUS 64

struct crew;

struct worker {
	pthread_t thread;
	struct crew *crew;
	uint64_t arguments[12]; /* set before the start */
	int cpu;
};

struct crew {
	struct worker workers[MAX_CPUS];
	int count;
	int program;
	pthread_barrier_t start;
	atomic_int running; /* workers that have not ended yet */
};

int online_cpus(void);
void crew__start(struct crew *crew, const struct bpf_program *program);
void crew__join(struct crew *crew);

/* ---- storms: far more keys than the tables hold, from all CPUs at once ---- */

#define KEYS 10000ULL
#define KEY_BASE 1000ULL

/* All keys on every CPU; opposed: on every other one from the end. object: step more per CPU. */
void storm__run(const struct bpf_program *program, uint64_t object, uint64_t step, uint64_t size,
		bool opposed);
/* So many events, each of them counted or lost. */
void storm__identity(struct harness *h, enum ds_sensor sensor, uint64_t offered);
/* Every usable slot is taken, by one key each. */
void storm__all_slots_taken(struct harness *h, enum table table);
size_t storm__entries(struct harness *h, enum table table);
struct ds_device_stats storm__all_devices(struct harness *h);

#endif
