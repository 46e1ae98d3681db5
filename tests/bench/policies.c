/* SPDX-License-Identifier: BSD-2-Clause */
/* What one look at a snapshot costs: 500 policies over 5,000 processes and 64 devices, of which one
 * in twenty crosses a threshold each time. */
#include <inttypes.h>
#include <time.h>

#include "tests/unit/policy_fixture.h"

#define PROCESSES 5000
#define DEVICES 64
#define RULES 500
#define LOOKS 200

static double now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void put_rule(struct text *out, int i)
{
	static const char *const process_when[] = {
		"{metric: rates.cpu, threshold: %d, clear: %d, for: 2s}",
		"{rate: written, over: 10s, threshold: %d, clear: %d}",
		"{all: [{metric: rates.cpu, threshold: %d, clear: %d}, {any: [{metric: "
		"written.dma, "
		"threshold: 10}, {metric: uid, comparison: '==', threshold: 3}]}]}",
		"{any: [{metric: rates, threshold: %d, clear: %d}, {rate: written.cpu, threshold: "
		"9e9}]}",
	};
	static const char *const where[] = {"comm ^= worker-%d", "comm = worker-%d",
					    "cmdline *= '*job-%d*'", "comm =~ ^worker-%d[0-9]"};
	const bool device = i % 10 == 9;
	char selector[64], when[256];

	snprintf(selector, sizeof(selector), where[i % 4], i % 90 + 10);
	snprintf(when, sizeof(when), process_when[i / 4 % 4], 900 + i % 50, 700);
	text__printf(out, "  - {name: r%d, for_each: %s, then: [log], dry_run: true, ", i,
		     device ? "device" : "process");
	text__printf(out, "cooldown: 0s, max_active: 1000, where: [\"%s\"], when: %s}\n",
		     device ? "bus = pci" : selector,
		     device ? "{metric: rate, threshold: 900, clear: 700}" : when);
}

static int by_value(const void *left, const void *right)
{
	const double one = *(const double *)left, other = *(const double *)right;

	return (one > other) - (one < other);
}

static uint32_t chance(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

static void fill(struct snapshot_process *processes, struct snapshot_device *devices,
		 char ids[DEVICES][24])
{
	char comm[16];

	for (uint32_t i = 0; i < PROCESSES; i++) {
		snprintf(comm, sizeof(comm), "worker-%u", i);
		processes[i].identity = host__identity(i + 1, i + 7, comm);
	}
	for (size_t i = 0; i < DEVICES; i++) {
		snprintf(ids[i], 24, "pci/0000:%02zx:00.0", i);
		devices[i].id = ids[i];
		devices[i].bus = "pci";
		devices[i].driver = "nvme";
	}
}

/* Of those that are chosen, the value goes to the other side. */
static void change(struct snapshot_process *processes, struct snapshot_device *devices)
{
	for (size_t i = 0; i < PROCESSES; i++) {
		double *rate = &processes[i].rates[DS_WRITER_CPU];

		if (chance() % 20 == 0)
			*rate = *rate > 800 ? 100 : 1000;
		processes[i].written[DS_WRITER_CPU] += (uint64_t)*rate;
		processes[i].written[DS_WRITER_DMA] += chance() % 3;
	}
	for (size_t i = 0; i < DEVICES; i++)
		if (chance() % 20 == 0)
			devices[i].rate = devices[i].rate > 800 ? 100 : 1000;
}

int main(void)
{
	static struct snapshot_process processes[PROCESSES];
	static struct snapshot_device devices[DEVICES];
	static char ids[DEVICES][24];
	struct text rules = {0};
	double took[LOOKS], first;
	struct snapshot *snapshot;
	struct host host;

	text__puts(&rules, "policies:\n");
	for (int i = 0; i < RULES; i++)
		put_rule(&rules, i);
	host__new(&host, rules.data);
	text__free(&rules);
	fill(processes, devices, ids);
	first = now_ms();
	host__look(&host, processes, PROCESSES, devices, DEVICES, 0);
	first = now_ms() - first;
	for (int i = 0; i < LOOKS; i++) {
		change(processes, devices);
		snapshot = host__snapshot(&host, processes, PROCESSES, devices, DEVICES);
		took[i] = -now_ms();
		engine__evaluate(host.policies, snapshot, i + 1);
		took[i] += now_ms();
		snapshot__put(snapshot);
	}
	qsort(took, LOOKS, sizeof(*took), by_value);
	printf("%.2f %.2f %.2f %.2f %zu %" PRIu64 "\n", first, took[LOOKS / 2],
	       took[LOOKS * 99 / 100], took[LOOKS - 1], host.policies->instances,
	       host__actions(&host, "log", "dry_run"));
	for (size_t i = 0; i < PROCESSES; i++)
		process_identity__put(processes[i].identity);
	host__free(&host);
	return 0;
}
