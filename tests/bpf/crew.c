/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/crew.h"

#include <bpf/bpf.h>
#include <sched.h>
#include <unistd.h>

int online_cpus(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count < MAX_CPUS ? (int)count : MAX_CPUS;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct crew *crew = worker->crew;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(worker->cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	pthread_barrier_wait(&crew->start);
	harness__run(crew->program, worker->arguments);
	atomic_fetch_sub(&crew->running, 1);
	return NULL;
}

void crew__start(struct crew *crew, const struct bpf_program *program)
{
	crew->count = online_cpus();
	crew->program = bpf_program__fd(program);
	atomic_init(&crew->running, crew->count);
	pthread_barrier_init(&crew->start, NULL, crew->count + 1);
	for (int i = 0; i < crew->count; i++) {
		struct worker *worker = &crew->workers[i];

		worker->crew = crew;
		worker->cpu = i;
		assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
	}
	pthread_barrier_wait(&crew->start);
}

void crew__join(struct crew *crew)
{
	for (int i = 0; i < crew->count; i++)
		pthread_join(crew->workers[i].thread, NULL);
	pthread_barrier_destroy(&crew->start);
}

void storm__run(const struct bpf_program *program, uint64_t object, uint64_t step, uint64_t size,
		bool opposed)
{
	struct crew crew = {0};

	for (int i = 0; i < online_cpus(); i++) {
		uint64_t *arguments = crew.workers[i].arguments;

		bool backwards = opposed && i % 2;

		arguments[0] = KEY_BASE + (backwards ? KEYS - 1 : 0);
		arguments[1] = backwards ? UINT64_MAX : 1;
		arguments[2] = KEYS;
		arguments[3] = object + i * step;
		arguments[4] = size;
	}
	crew__start(&crew, program);
	crew__join(&crew);
}

void storm__identity(struct harness *h, enum ds_sensor sensor, uint64_t offered)
{
	struct ds_sensor_stats stats = harness__sensor(h, sensor);
	uint64_t closed = stats.counted;

	for (int reason = 0; reason < DS_LOST_COUNT; reason++)
		closed += stats.lost[reason];
	assert_int_equal(stats.offered, offered);
	assert_int_equal(closed, offered);
}

void storm__all_slots_taken(struct harness *h, enum table table)
{
	int map = harness__table(h, table);
	_Alignas(8) unsigned char key[KEY_MAX];
	uint32_t slot, taken = 0;
	void *last = NULL;

	for (; !bpf_map_get_next_key(map, last, key); last = key) {
		assert_int_equal(bpf_map_lookup_elem(map, key, &slot), 0);
		assert_uint_in_range(slot, 1, SLOTS - 1);
		assert_false(taken & 1u << slot);
		taken |= 1u << slot;
	}
	assert_int_equal(taken, (1u << SLOTS) - 2);
}

size_t storm__entries(struct harness *h, enum table table)
{
	_Alignas(8) unsigned char key[KEY_MAX];
	void *last = NULL;
	size_t entries = 0;

	for (; !bpf_map_get_next_key(harness__table(h, table), last, key); last = key)
		entries++;
	return entries;
}

struct ds_device_stats storm__all_devices(struct harness *h)
{
	struct ds_device_stats sum = {0};

	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		struct ds_device_stats device = harness__device(h, slot);

		for (size_t i = 0; i < sizeof(sum) / 8; i++)
			((__u64 *)&sum)[i] += ((__u64 *)&device)[i];
	}
	return sum;
}
