/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/harness.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "twins.skel.h"

#define BANK_BYTES (DS_BANK_PIECES * DS_PIECE_BYTES)

#define must(condition)                             \
	do {                                        \
		if (!(condition)) {                 \
			perror(#condition);         \
			fail_msg("%s", #condition); \
		}                                   \
	} while (0)

static void *map_rows(struct bpf_map *map)
{
	size_t value = (bpf_map__value_size(map) + 7) & ~7u;
	size_t bytes = (value * bpf_map__max_entries(map) + 4095) & ~4095UL;
	void *rows = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	must(rows != MAP_FAILED);
	return rows;
}

static void unmap_rows(void *rows, struct bpf_map *map)
{
	size_t value = (bpf_map__value_size(map) + 7) & ~7u;

	munmap(rows, (value * bpf_map__max_entries(map) + 4095) & ~4095UL);
}

/* The direct map must seem to hold the fake memory, so its address is needed before the load. */
static void make_fake_memory(struct harness *h, struct twins *twins)
{
	struct twins *first = twins__open();
	struct bpf_program *program;

	must(first);
	bpf_object__for_each_program(program, first->obj)
		bpf_program__set_autoload(program, program == first->progs.twin_where);
	must(!twins__load(first));
	harness__run(bpf_program__fd(first->progs.twin_where), (uint64_t[12]){0});
	h->base = first->bss->fake_address;
	must(!bpf_map__reuse_fd(twins->maps.fake, bpf_map__fd(first->maps.fake)));
	twins__destroy(first);
}

static void make_banks(struct harness *h)
{
	LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);

	for (int i = 0; i < 2; i++) {
		h->bank_fds[i] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "page_bank", 4, 8,
						DS_BANK_PIECES * DS_PIECE_WORDS, &mappable);
		must(h->bank_fds[i] >= 0);
		h->banks[i] = mmap(NULL, BANK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				   h->bank_fds[i], 0);
		must(h->banks[i] != MAP_FAILED);
	}
	for (int i = 0; i < SETS; i++)
		h->sets[i] = h->banks[0] + (size_t)i * SET_WORDS;
}

struct harness *harness__new(bool ledger, uint32_t entries)
{
	struct harness *h = calloc(1, sizeof(*h));
	struct twins *twins;

	must(h);
	h->cpus = libbpf_num_possible_cpus();
	h->kernel = btf__load_vmlinux_btf();
	must(h->kernel);
	h->twins = twins = twins__open();
	must(twins);
	make_fake_memory(h, twins);
	twins->rodata->ds_nr_cpus = h->cpus;
	twins->rodata->ds_ledger = ledger;
	twins->rodata->ds_vmemmap_base = FAKE_VMEMMAP;
	twins->rodata->ds_page_offset = (h->base & ~4095ULL) - (FAKE_PFN << 12);
	make_banks(h);
	twins->rodata->ds_regions = REGIONS;
	bpf_map__set_inner_map_fd(twins->maps.page_banks, h->bank_fds[0]);
	bpf_map__set_max_entries(twins->maps.page_banks, 2);
	bpf_map__set_max_entries(twins->maps.page_entries, SETS * REGIONS * DS_REGION_PIECES);
	bpf_map__set_max_entries(twins->maps.free_regions, REGIONS);
	bpf_map__set_max_entries(twins->maps.free_pieces, 2 * DS_BANK_PIECES);
	bpf_map__set_max_entries(twins->maps.processes, SLOTS);
	bpf_map__set_max_entries(twins->maps.process_slots, SLOTS);
	bpf_map__set_max_entries(twins->maps.watched, SLOTS);
	bpf_map__set_max_entries(twins->maps.process_infos, SLOTS);
	bpf_map__set_max_entries(twins->maps.process_stats, SLOTS);
	bpf_map__set_max_entries(twins->maps.tracked, SLOTS);
	bpf_map__set_max_entries(twins->maps.sources, SLOTS);
	bpf_map__set_max_entries(twins->maps.source_slots, SLOTS);
	bpf_map__set_max_entries(twins->maps.source_infos, SLOTS);
	bpf_map__set_max_entries(twins->maps.device_stats, SLOTS * DS_DEVICE_ROWS);
	bpf_map__set_max_entries(twins->maps.sensor_stats, DS_SENSOR_COUNT * h->cpus);
	bpf_map__set_max_entries(twins->maps.pagecache_devices, PAGECACHE_DEVICES);
	bpf_map__set_max_entries(twins->maps.flows, TABLE_ENTRIES);
	bpf_map__set_max_entries(twins->maps.charges, TABLE_ENTRIES);
	bpf_map__set_max_entries(twins->maps.requests, TABLE_ENTRIES);
	bpf_map__set_max_entries(twins->maps.mappings, entries);
	bpf_map__set_max_entries(twins->maps.buffers, LEDGER_ENTRIES);
	bpf_map__set_max_entries(twins->maps.domains, DOMAINS);
	must(!twins__load(twins));
	for (uint32_t i = 0; i < 2; i++)
		must(!bpf_map_update_elem(bpf_map__fd(twins->maps.page_banks), &i, &h->bank_fds[i],
					  BPF_ANY));
	h->entries = map_rows(twins->maps.page_entries);
	h->fake = map_rows(twins->maps.fake);
	h->sensors = map_rows(twins->maps.sensor_stats);
	h->process_infos = map_rows(twins->maps.process_infos);
	h->processes = map_rows(twins->maps.process_stats);
	h->source_infos = map_rows(twins->maps.source_infos);
	h->devices = map_rows(twins->maps.device_stats);
	must(!process_counts__new(&(struct process_counts_tables){.rows = h->processes,
								  .sensors = h->sensors,
								  .slots = SLOTS - 1,
								  .cpus = h->cpus},
				  &h->counts));
	harness__reset(h);
	return h;
}

void harness__free(struct harness *h)
{
	if (!h)
		return;
	process_counts__free(h->counts);
	unmap_rows(h->fake, h->twins->maps.fake);
	unmap_rows(h->sensors, h->twins->maps.sensor_stats);
	unmap_rows(h->process_infos, h->twins->maps.process_infos);
	unmap_rows(h->processes, h->twins->maps.process_stats);
	unmap_rows(h->source_infos, h->twins->maps.source_infos);
	unmap_rows(h->devices, h->twins->maps.device_stats);
	unmap_rows(h->entries, h->twins->maps.page_entries);
	for (int i = 0; i < 2; i++) {
		munmap(h->banks[i], BANK_BYTES);
		close(h->bank_fds[i]);
	}
	twins__destroy(h->twins);
	btf__free(h->kernel);
	free(h);
}

static void empty_stack(struct bpf_map *map)
{
	uint32_t value;

	while (!bpf_map_lookup_and_delete_elem(bpf_map__fd(map), NULL, &value))
		;
}

uint64_t *harness__entry(struct harness *h, uint32_t set, uint64_t pfn)
{
	uint32_t region = h->twins->bss->ds_region_of[pfn >> DS_REGION_SHIFT];

	return &h->entries[(set * REGIONS + region) * DS_REGION_PIECES +
			   (pfn >> DS_PIECE_SHIFT) % DS_REGION_PIECES];
}

void harness__free_pieces(struct harness *h, uint32_t count)
{
	empty_stack(h->twins->maps.free_pieces);
	for (uint32_t piece = DS_BANK_PIECES + count; piece-- > DS_BANK_PIECES;)
		must(!bpf_map_update_elem(bpf_map__fd(h->twins->maps.free_pieces), NULL, &piece,
					  BPF_ANY));
}

/* Each set has its first pieces; there are no others, and memory for no more pages. */
static void reset_sets(struct harness *h)
{
	const uint32_t spare = REGIONS - 1;

	memset(h->banks[0], 0, BANK_BYTES);
	memset(h->banks[1], 0, BANK_BYTES);
	memset(h->entries, 0, sizeof(*h->entries) * SETS * REGIONS * DS_REGION_PIECES);
	memset(h->twins->bss->ds_region_of, 0, sizeof(h->twins->bss->ds_region_of));
	memset(h->twins->bss->ds_set_of, 0, sizeof(h->twins->bss->ds_set_of));
	h->twins->bss->ds_region_of[0] = 1;
	h->twins->bss->ds_memory_pages = SET_PAGES;
	for (uint32_t set = 0; set < SETS; set++) {
		h->twins->bss->ds_set_of[set] = set;
		for (uint64_t gib = 0; gib < SET_PIECES; gib++)
			*harness__entry(h, set, gib << DS_PIECE_SHIFT) = set * SET_PIECES + gib + 1;
	}
	harness__free_pieces(h, 0);
	empty_stack(h->twins->maps.free_regions);
	must(!bpf_map_update_elem(bpf_map__fd(h->twins->maps.free_regions), NULL, &spare, BPF_ANY));
}

static void fill_slots(struct bpf_map *map)
{
	uint32_t slot;

	empty_stack(map);
	for (slot = SLOTS - 1; slot > 0; slot--)
		must(!bpf_map_update_elem(bpf_map__fd(map), NULL, &slot, BPF_ANY));
}

void harness__reset(struct harness *h)
{
	unsigned char key[KEY_MAX];

	for (enum table table = 0; table < TABLE_COUNT; table++) {
		int map = harness__table(h, table);

		while (!bpf_map_get_next_key(map, NULL, key))
			bpf_map_delete_elem(map, key);
	}
	fill_slots(h->twins->maps.process_slots);
	fill_slots(h->twins->maps.source_slots);
	memset(h->sensors, 0, sizeof(*h->sensors) * DS_SENSOR_COUNT * h->cpus);
	memset(h->process_infos, 0, sizeof(*h->process_infos) * SLOTS);
	memset(h->processes, 0, sizeof(*h->processes) * SLOTS);
	memset(h->source_infos, 0, sizeof(*h->source_infos) * SLOTS);
	memset(h->devices, 0, sizeof(*h->devices) * SLOTS * DS_DEVICE_ROWS);
	reset_sets(h);
	memset(&h->want, 0, sizeof(h->want));
	memset(h->fake, 0, h->fake_used);
	h->fake_used = 64; /* so that no object begins where a page does */
}

void harness__run(int program, uint64_t *arguments)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arguments,
		    .ctx_size_in = 12 * sizeof(*arguments));

	must(!bpf_prog_test_run_opts(program, &opts));
}

int harness__table(struct harness *h, enum table table)
{
	struct bpf_map *maps[TABLE_COUNT] = {
		[TABLE_PROCESSES] = h->twins->maps.processes,
		[TABLE_SOURCES] = h->twins->maps.sources,
		[TABLE_PAGECACHE] = h->twins->maps.pagecache_devices,
		[TABLE_FLOWS] = h->twins->maps.flows,
		[TABLE_REQUESTS] = h->twins->maps.requests,
		[TABLE_MAPPINGS] = h->twins->maps.mappings,
		[TABLE_BUFFERS] = h->twins->maps.buffers,
		[TABLE_DOMAINS] = h->twins->maps.domains,
		[TABLE_CHARGES] = h->twins->maps.charges,
	};

	return bpf_map__fd(maps[table]);
}

/* ---- what is there, against what is wanted ---- */

static const struct {
	const char *name;
	size_t key;
	size_t value;
} tables[TABLE_COUNT] = {
	[TABLE_PROCESSES] = {"processes", sizeof(struct ds_process_key), sizeof(uint32_t)},
	[TABLE_SOURCES] = {"sources", sizeof(struct ds_source_key), sizeof(uint32_t)},
	[TABLE_PAGECACHE] = {"pagecache_devices", sizeof(uint32_t),
			     sizeof(struct ds_pagecache_stats)},
	[TABLE_FLOWS] = {"flows", sizeof(struct ds_flow_key), sizeof(struct ds_flow_stats)},
	[TABLE_REQUESTS] = {"requests", sizeof(uint64_t), sizeof(struct ds_process_key)},
	[TABLE_MAPPINGS] = {"mappings", sizeof(struct ds_mapping_key), sizeof(struct ds_mapping)},
	[TABLE_BUFFERS] = {"buffers", sizeof(struct ds_buffer_key), sizeof(struct ds_buffer)},
	[TABLE_DOMAINS] = {"domains", sizeof(uint64_t), sizeof(uint32_t)},
	[TABLE_CHARGES] = {"charges", sizeof(struct ds_charge_key),
			   sizeof(struct ds_pagecache_stats)},
};

static void add_rows(__u64 *sum, const void *rows, size_t row, size_t bytes, uint32_t per_row)
{
	const __u64 *words = rows;

	memset(sum, 0, bytes);
	for (uint32_t one = 0; one < per_row; one++)
		for (size_t i = 0; i < bytes / 8; i++)
			sum[i] += words[(row * per_row + one) * (bytes / 8) + i];
}

struct ds_sensor_stats harness__sensor(struct harness *h, enum ds_sensor sensor)
{
	struct ds_sensor_stats sum;

	add_rows((__u64 *)&sum, h->sensors, sensor, sizeof(sum), h->cpus);
	sum.last_slot = sum.switches = sum.hint =
		0; /* no counters, and processes have what is kept */
	memset(&sum.kept, 0, sizeof(sum.kept));
	return sum;
}

struct ds_process_stats harness__process(struct harness *h, uint32_t slot)
{
	struct ds_process_stats sum = {0};

	process_counts__look(h->counts);
	assert_true(process_counts__read(h->counts, slot, &sum));
	return sum;
}

struct ds_device_stats harness__device(struct harness *h, uint32_t slot)
{
	struct ds_device_stats sum;

	add_rows((__u64 *)&sum, h->devices, slot, sizeof(sum), DS_DEVICE_ROWS);
	return sum;
}

static int same_words(const char *name, int row, const void *have, const void *want, size_t bytes)
{
	const __u64 *a = have, *b = want;
	int differences = 0;

	for (size_t i = 0; i < bytes / 8; i++)
		if (a[i] != b[i]) {
			print_error("%s[%d] word %zu: %lld, wanted %lld\n", name, row, i,
				    (long long)a[i], (long long)b[i]);
			differences++;
		}
	return differences;
}

static struct want_row *find_wanted(struct harness *h, enum table table, const void *key)
{
	for (size_t i = 0; i < h->want.count[table]; i++)
		if (memcmp(h->want.rows[table][i].key, key, tables[table].key) == 0)
			return &h->want.rows[table][i];
	return NULL;
}

static int check_table(struct harness *h, enum table table)
{
	_Alignas(8) unsigned char key[KEY_MAX] = {0}, value[VALUE_MAX] = {0};
	int map = harness__table(h, table), differences = 0;
	const struct want_row *row;
	void *last = NULL;
	size_t count = 0;

	for (; !bpf_map_get_next_key(map, last, key); last = key, count++) {
		must(!bpf_map_lookup_elem(map, key, value));
		if (table == TABLE_MAPPINGS) { /* what cannot be known beforehand */
			struct ds_mapping *mapping = (void *)value;

			assert_int_equal(mapping->tgid, getpid());
			assert_true(mapping->when_ns);
			mapping->tgid = 0;
			mapping->when_ns = 0;
		}
		row = find_wanted(h, table, key);
		if (!row || memcmp(row->value, value, tables[table].value) != 0) {
			print_error("%s: row %zu is %s\n", tables[table].name, count,
				    row ? "different" : "unwanted");
			if (row)
				same_words("  value", 0, value, row->value,
					   (tables[table].value + 7) & ~7UL);
			differences++;
		}
	}
	if (count != h->want.count[table]) {
		print_error("%s: %zu rows, wanted %zu\n", tables[table].name, count,
			    h->want.count[table]);
		differences++;
	}
	return differences;
}

static int check_set(struct harness *h, int slot)
{
	for (uint64_t i = 0; i < SET_WORDS; i++)
		if (h->sets[slot][i] != h->want.sets[slot][i]) {
			print_error("set %d, pages from %#llx: %016llx, wanted %016llx\n", slot,
				    (unsigned long long)i * 64,
				    (unsigned long long)h->sets[slot][i],
				    (unsigned long long)h->want.sets[slot][i]);
			return 1;
		}
	return 0;
}

void harness__check(struct harness *h)
{
	int differences = 0;

	for (int i = 0; i < DS_SENSOR_COUNT; i++) {
		struct ds_sensor_stats sensor = harness__sensor(h, i);
		uint64_t closed = sensor.counted;

		for (int reason = 0; reason < DS_LOST_COUNT; reason++)
			closed += sensor.lost[reason];
		assert_int_equal(sensor.offered, closed);
		differences +=
			same_words("sensor_stats", i, &sensor, &h->want.sensors[i], sizeof(sensor));
	}
	for (int i = 0; i < SLOTS; i++) {
		struct ds_process_stats process = harness__process(h, i);
		struct ds_device_stats device = harness__device(h, i);

		differences += same_words("process_stats", i, &process, &h->want.processes[i],
					  sizeof(process));
		differences +=
			same_words("device_stats", i, &device, &h->want.devices[i], sizeof(device));
	}
	for (enum table table = 0; table < TABLE_COUNT; table++)
		differences += check_table(h, table);
	for (int i = 0; i < SETS; i++)
		differences += check_set(h, i);
	if (differences)
		fail_msg("%d differences", differences);
}

void want__row(struct harness *h, enum table table, const void *key, const void *value)
{
	struct want_row *row = find_wanted(h, table, key);
	size_t *count = &h->want.count[table];

	if (!value) {
		assert_non_null(row);
		*row = h->want.rows[table][--*count];
		return;
	}
	if (!row) {
		assert_true(*count < TABLE_ENTRIES);
		row = &h->want.rows[table][(*count)++];
	}
	memcpy(row->key, key, tables[table].key);
	memcpy(row->value, value, tables[table].value);
}

/* ---- groups ---- */

int harness__group(void **state)
{
	*state = harness__new(true, LEDGER_ENTRIES);
	return 0;
}

int harness__group_end(void **state)
{
	harness__free(*state);
	return 0;
}

int harness__each(void **state)
{
	harness__reset(*state);
	return 0;
}
