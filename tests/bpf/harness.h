/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The twins, loaded with small tables, and what a test wants to find in those afterwards.
 *
 * A test drives a twin with run(), notes in h->want what must come of it, and calls
 * harness__check(), which compares every counter of every table and every page of every set.
 */
#ifndef DIRTYSCOPE_TESTS_BPF_HARNESS_H
#define DIRTYSCOPE_TESTS_BPF_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "agent/kernel/process_counts.h"
#include "bpf/dirtyscope.h"
#include "tests/cmocka_names.h"

#define SLOTS 16     /* rows per table; one of them is slot 0 */
#define SETS 8	     /* slots that have a page set; the others share set 0 */
#define SET_PIECES 8 /* that each has from the start, for its first GiBs */
#define SET_WORDS (SET_PIECES * DS_PIECE_WORDS) /* 64 pages each */
#define SET_PAGES ((uint64_t)SET_WORDS * 64)
#define REGIONS 3 /* columns of a row: none, that of the pieces above, and one to be given out */
#define TABLE_ENTRIES 64  /* of flows, requests */
#define LEDGER_ENTRIES 16 /* of mappings, buffers */
#define DOMAINS 4
#define PAGECACHE_DEVICES 4

#define FAKE_VMEMMAP 0xffffea0000000000ULL
#define FAKE_PFN 0x400 /* of the fake memory, for what lies in the direct map */

#define USER 4ULL /* page fault error code: from user mode */
#define WRITE 2ULL
#define PRESENT 1ULL

enum table {
	TABLE_PROCESSES,
	TABLE_SOURCES,
	TABLE_PAGECACHE,
	TABLE_FLOWS,
	TABLE_REQUESTS,
	TABLE_MAPPINGS,
	TABLE_BUFFERS,
	TABLE_DOMAINS,
	TABLE_CHARGES,
	TABLE_COUNT,
};

#define KEY_MAX 24
#define VALUE_MAX sizeof(struct ds_buffer)

struct want_row {
	_Alignas(8) unsigned char key[KEY_MAX];
	_Alignas(8) unsigned char value[VALUE_MAX];
};

struct want {
	struct ds_sensor_stats sensors[DS_SENSOR_COUNT];
	struct ds_process_stats processes[SLOTS];
	struct ds_device_stats devices[SLOTS];
	struct want_row rows[TABLE_COUNT][TABLE_ENTRIES];
	size_t count[TABLE_COUNT];
	uint64_t sets[SETS][SET_WORDS];
};

struct field {
	char path[64];
	uint32_t bit;
	uint32_t bits;
};

struct harness {
	struct twins *twins;
	struct btf *kernel;
	struct field fields[128]; /* looked up so far */
	size_t field_count;
	uint32_t cpus;

	uint64_t base; /* kernel address of the fake memory */
	unsigned char *fake;
	size_t fake_used;

	struct ds_sensor_stats *sensors; /* rows, mapped */
	struct ds_process_info *process_infos;
	struct ds_process_stats *processes;
	struct process_counts *counts;
	struct ds_source_info *source_infos;
	struct ds_device_stats *devices;
	uint64_t *entries;    /* of page sets */
	uint64_t *banks[2];   /* the pieces that sets have; some that are given out */
	uint64_t *sets[SETS]; /* in the first of them */
	int bank_fds[2];

	struct want want;
};

/*
 * Loads the twins; ledger: ds_ledger, entries: that it holds. Fails the test program when they do
 * not load.
 */
struct harness *harness__new(bool ledger, uint32_t entries);
void harness__free(struct harness *h);

/* Pieces of the second bank that are free, from its first one on. */
void harness__free_pieces(struct harness *h, uint32_t count);
/* The entry for a page in a set. */
uint64_t *harness__entry(struct harness *h, uint32_t set, uint64_t pfn);

/* Empties all tables, sets and wants; slots are then given out from 1 up. */
void harness__reset(struct harness *h);

/* Compares everything with h->want, and each sensor's identity; fails the test on a difference. */
void harness__check(struct harness *h);

#define run(h, name, ...) \
	harness__run(bpf_program__fd((h)->twins->progs.twin_##name), (uint64_t[12]){__VA_ARGS__})
void harness__run(int program, uint64_t *arguments);

/* Sums over the CPUs. */
struct ds_sensor_stats harness__sensor(struct harness *h, enum ds_sensor sensor);
struct ds_process_stats harness__process(struct harness *h, uint32_t slot);
struct ds_device_stats harness__device(struct harness *h, uint32_t slot);
int harness__table(struct harness *h, enum table table);

/* What an event must become. */
void want__counted(struct harness *h, enum ds_sensor sensor);
void want__lost(struct harness *h, enum ds_sensor sensor, enum ds_lost reason);
/* The same of an event about a device: its own sum of the lost rises, too. */
void want__lost_of(struct harness *h, enum ds_sensor sensor, enum ds_lost reason, uint32_t slot);
void want__pages(struct harness *h, uint32_t slot, uint64_t pfn, uint64_t pages);
/* A row of a table, added or replaced; value NULL: gone. */
void want__row(struct harness *h, enum table table, const void *key, const void *value);
void want__process(struct harness *h, uint64_t start, uint32_t tgid, uint32_t slot);
void want__device(struct harness *h, uint64_t device, uint32_t slot);
void want__disk(struct harness *h, uint64_t diskseq, uint32_t slot);
void want__flow(struct harness *h, uint64_t start, uint32_t tgid, uint32_t slot, uint64_t pages,
		uint64_t bytes, uint64_t requests);
void want__request(struct harness *h, uint64_t bio, uint64_t start, uint32_t tgid);

/* ---- fake kernel objects; addresses are the kernel's. Offsets come from the kernel's BTF ---- */

uint64_t fake__alloc(struct harness *h, size_t bytes);
/* path: "bio.bi_iter.bi_size"; bitfields and anonymous members are found, too. */
struct field fake__field(struct harness *h, const char *path);
bool fake__has(struct harness *h, const char *path);
uint64_t fake__set(struct harness *h, uint64_t object, const char *path, uint64_t value);
uint64_t fake__new(struct harness *h, const char *type, size_t entries);
uint64_t fake__sizeof(struct harness *h, const char *type);
uint64_t fake__string(struct harness *h, const char *text);
uint64_t fake__page(struct harness *h, uint64_t pfn);
/* For which a living memory cgroup pays; by_object: it names that through a struct obj_cgroup. */
uint64_t fake__folio(struct harness *h, uint64_t id, uint32_t hierarchy, bool by_object);
/* The bit that enum pageflags of the running kernel gives it. */
uint64_t fake__page_flag(struct harness *h, const char *name);
uint64_t fake__device(struct harness *h, const char *name, const char *bus);
/* The same of a struct device that is part of another object. */
void fake__name_device(struct harness *h, uint64_t device, const char *name, const char *bus);
/* Its directory in sysfs, with that id. */
void fake__put_in_sysfs(struct harness *h, uint64_t device, uint64_t id);
/* A virtqueue of a virtio device with that name; and its struct device. */
uint64_t fake__queue(struct harness *h, const char *name);
uint64_t queue__device(struct harness *h, uint64_t queue);
/* parent 0: a virtual disk */
uint64_t fake__disk(struct harness *h, const char *name, uint64_t parent);

struct fake_segment {
	uint64_t pfn;
	uint32_t offset;
	uint32_t bytes;
};
#define SG_CHAIN 1ULL
#define SG_END 2ULL
/* A scatterlist in arrays of per_array entries, the last of each being the way to the next. */
uint64_t fake__list(struct harness *h, const struct fake_segment *segments, size_t count,
		    size_t per_array);
/* Sets an entry of one; link: its page or the next array, and the bits above. */
void fake__list_entry(struct harness *h, uint64_t entry, uint64_t link,
		      const struct fake_segment *segment);
/* What segments span and hold in all; and where they must be marked. */
uint64_t segments__pages(const struct fake_segment *segments, size_t count);
uint64_t segments__bytes(const struct fake_segment *segments, size_t count);
void want__segments(struct harness *h, uint32_t slot, const struct fake_segment *segments,
		    size_t count);
/* An array of bio_vec; also what an skb's fragments look like. */
void fake__segments(struct harness *h, uint64_t array, const struct fake_segment *segments,
		    size_t count);

/* ---- the suites: each runs one group of tests and returns how many failed ---- */

int cpu_tests(void);
int pagecache_tests(void);
int source_tests(void);
int dma_tests(void);
int ledger_tests(void);
int link_tests(void);
int list_tests(void);
int iommu_tests(void);
int virtio_tests(void);
int huge_tests(void);
int tracked_tests(void);
int block_tests(void);
int net_tests(void);
int storm_tests(void);
int ledger_storm_tests(void);
int page_tests(void);
int page_pool_tests(void);

/* Set-up of a group and of each of its tests. */
int harness__group(void **state);
int harness__group_end(void **state);
int harness__each(void **state);

#endif
