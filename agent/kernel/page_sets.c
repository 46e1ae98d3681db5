/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/page_sets.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/kernel/kernel_side.h"

#define LINE_WORDS 8	 /* of a cache line */
#define SPARE_REGIONS 16 /* for memory that is added: 1 TiB */
#define FREE_PIECES 64	 /* that are there at least, as long as the limit allows it */

struct page_sets {
	const struct kernel_tables *tables;
	uint64_t limit;	   /* pieces */
	uint64_t pieces;   /* made so far */
	uint64_t returned; /* put back by sets that were given back */
	uint64_t **banks;
	uint32_t bank_count, banks_at_most;
	uint32_t bank_pieces;
	int first_bank;	 /* descriptor; -1 */
	uint64_t *bases; /* by column: first PFN + 1; 0: not known yet */
	bool *taken;	 /* by set */
	uint32_t set_count;
};

/* ---- sizes ---- */

uint32_t page_sets__pieces(uint64_t bytes)
{
	const uint64_t pieces = (bytes + DS_PIECE_BYTES - 1) / DS_PIECE_BYTES;

	if (!pieces)
		return 1;
	return pieces < UINT32_MAX / 2 ? (uint32_t)pieces : UINT32_MAX / 2;
}

/* A limit below that of a whole bank makes the only one smaller. */
static uint32_t bank_pieces(uint64_t limit)
{
	const uint32_t pieces = page_sets__pieces(limit);

	return pieces < DS_BANK_PIECES ? pieces : DS_BANK_PIECES;
}

uint32_t page_sets__banks(uint64_t limit)
{
	return page_sets__pieces(limit) / bank_pieces(limit);
}

static uint64_t bank_bytes(const struct page_sets *sets)
{
	return sets->bank_pieces * DS_PIECE_BYTES;
}

int page_sets__make_bank(uint64_t limit)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "page_bank", 4, 8,
			      bank_pieces(limit) * DS_PIECE_WORDS, &options);
}

static uint64_t regions_for(uint64_t pages)
{
	return (pages + (1ULL << DS_REGION_SHIFT) - 1) >> DS_REGION_SHIFT;
}

uint32_t page_sets__regions(uint64_t memory_pages)
{
	const uint64_t regions = regions_for(memory_pages) + SPARE_REGIONS;

	/* Column 0 is nobody's. */
	return 1 + (uint32_t)(regions < DS_REGIONS_MAX ? regions : DS_REGIONS_MAX);
}

uint32_t page_sets__sets(uint32_t sources)
{
	return sources + 1;
}

/* ---- the pool ---- */

static uint64_t free_pieces(const struct page_sets *sets)
{
	const uint64_t taken = __atomic_load_n(sets->tables->pieces_taken, __ATOMIC_RELAXED);

	return sets->pieces + sets->returned - taken;
}

static void free_piece(const struct page_sets *sets, uint32_t piece)
{
	(void)bpf_map_update_elem(sets->tables->free_pieces_fd, NULL, &piece, BPF_ANY);
}

/* In a batch of one: else the kernel waits for a grace period with each. */
static int install_bank(const struct page_sets *sets, uint32_t bank, int fd)
{
	uint32_t count = 1;

	if (!bpf_map_update_batch(sets->tables->page_banks_fd, &bank, &fd, &count, NULL))
		return 0;
	return bpf_map_update_elem(sets->tables->page_banks_fd, &bank, &fd, BPF_ANY) ? -errno : 0;
}

static int add_bank(struct page_sets *sets)
{
	const uint32_t bank = sets->bank_count;
	void *words = MAP_FAILED;
	int err, fd = page_sets__make_bank(sets->limit * DS_PIECE_BYTES);

	if (fd < 0)
		return fd;
	words = mmap(NULL, bank_bytes(sets), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = words == MAP_FAILED ? -errno : install_bank(sets, bank, fd);
	if (err) {
		if (words != MAP_FAILED)
			munmap(words, bank_bytes(sets));
		close(fd);
		return err;
	}
	sets->banks[sets->bank_count++] = words;
	if (bank)
		close(fd); /* the table and the mapping keep it */
	else
		sets->first_bank = fd;
	for (uint32_t i = 0; i < sets->bank_pieces && sets->pieces < sets->limit; i++) {
		free_piece(sets, bank * DS_BANK_PIECES + i);
		sets->pieces++;
	}
	return 0;
}

/* One device may write all over memory before the next time that it grows. */
bool page_sets__grow(struct page_sets *sets)
{
	const uint64_t gibs = sets->tables->memory_pages >> DS_PIECE_SHIFT;
	const uint64_t wanted = gibs > FREE_PIECES ? gibs : FREE_PIECES;
	int err = 0;

	if (free_pieces(sets) < wanted / 2)
		while (!err && free_pieces(sets) < wanted && sets->bank_count < sets->banks_at_most)
			err = add_bank(sets);
	return !free_pieces(sets);
}

uint64_t page_sets__bytes(const struct page_sets *sets)
{
	return sets->bank_count * bank_bytes(sets);
}

/* ---- life ---- */

static int give_out_regions(const struct page_sets *sets)
{
	const struct kernel_tables *tables = sets->tables;
	const uint64_t present = regions_for(tables->memory_pages);
	uint32_t region = 1;

	for (; region <= present && region < tables->page_regions; region++)
		tables->region_of[region - 1] = region;
	for (; region < tables->page_regions; region++)
		if (bpf_map_update_elem(tables->free_regions_fd, NULL, &region, BPF_ANY))
			return -errno;
	return 0;
}

int page_sets__new(const struct kernel_tables *tables, uint64_t limit, struct page_sets **out)
{
	struct page_sets *sets = calloc(1, sizeof(*sets));
	int err = -ENOMEM;

	*out = NULL;
	if (!sets)
		return -ENOMEM;
	sets->tables = tables;
	sets->limit = page_sets__pieces(limit);
	sets->bank_pieces = bank_pieces(limit);
	sets->banks_at_most = page_sets__banks(limit);
	sets->set_count = page_sets__sets(tables->source_slots);
	sets->first_bank = -1;
	sets->banks = calloc(sets->banks_at_most, sizeof(*sets->banks));
	sets->bases = calloc(tables->page_regions, sizeof(*sets->bases));
	sets->taken = calloc(sets->set_count, sizeof(*sets->taken));
	if (!sets->banks || !sets->bases || !sets->taken)
		goto cleanup;
	sets->taken[PAGE_SET_SHARED] = true;
	err = give_out_regions(sets);
	if (!err)
		err = add_bank(sets);
	if (!err)
		(void)page_sets__grow(sets);
cleanup:
	if (err)
		page_sets__free(sets);
	else
		*out = sets;
	return err;
}

void page_sets__free(struct page_sets *sets)
{
	if (!sets)
		return;
	for (uint32_t i = 0; i < sets->bank_count; i++)
		munmap(sets->banks[i], bank_bytes(sets));
	if (sets->first_bank >= 0)
		close(sets->first_bank);
	free(sets->banks);
	free(sets->bases);
	free(sets->taken);
	free(sets);
}

uint32_t page_sets__take(struct page_sets *sets)
{
	for (uint32_t set = 0; set < sets->set_count; set++)
		if (!sets->taken[set]) {
			sets->taken[set] = true;
			return set;
		}
	return PAGE_SET_SHARED;
}

static uint64_t *row_of(const struct page_sets *sets, uint32_t set)
{
	return sets->tables->page_entries +
	       (size_t)set * sets->tables->page_regions * DS_REGION_PIECES;
}

void page_sets__give_back(struct page_sets *sets, uint32_t set)
{
	uint64_t *row = row_of(sets, set);

	if (set == PAGE_SET_SHARED)
		return;
	(void)page_sets__sweep(sets, set, NULL, NULL);
	for (size_t i = 0; i < (size_t)sets->tables->page_regions * DS_REGION_PIECES; i++) {
		const uint64_t entry = __atomic_exchange_n(&row[i], 0, __ATOMIC_ACQ_REL);

		if (!(entry & DS_ENTRY_PIECE))
			continue;
		free_piece(sets, (uint32_t)entry - 1);
		sets->returned++;
	}
	sets->taken[set] = false;
}

void page_sets__bind(struct page_sets *sets, uint32_t slot, uint32_t set)
{
	__atomic_store_n(&sets->tables->set_of[slot], set, __ATOMIC_RELEASE);
}

void page_sets__unbind(struct page_sets *sets, uint32_t slot)
{
	const uint32_t first = 0;

	page_sets__bind(sets, slot, PAGE_SET_SHARED);
	/*
	 * To put a map into a table of maps waits for the programs that run
	 * (maybe_wait_bpf_programs(), kernel/bpf/syscall.c); this one is there already.
	 */
	(void)bpf_map_update_elem(sets->tables->page_banks_fd, &first, &sets->first_bank, BPF_ANY);
}

/* ---- sweeping ---- */

static bool is_zero(const uint64_t line[LINE_WORDS])
{
	uint64_t any = 0;

	for (int i = 0; i < LINE_WORDS; i++)
		any |= __atomic_load_n(&line[i], __ATOMIC_RELAXED);
	return !any;
}

static uint64_t sweep_words(uint64_t *words, size_t count, uint64_t first_pfn,
			    page_set__visit visit, void *context)
{
	uint64_t found = 0;
	size_t i = 0;

	while (i < count) {
		uint64_t bits;

		/* Most of memory was not written: a line of the cache is passed over at once. */
		while (i % LINE_WORDS == 0 && i + LINE_WORDS <= count && is_zero(words + i))
			i += LINE_WORDS;
		if (i == count)
			break;
		/* A plain look first: nearly all words are zero, and an exchange takes the line. */
		bits = __atomic_load_n(&words[i], __ATOMIC_RELAXED)
			       ? __atomic_exchange_n(&words[i], 0, __ATOMIC_ACQ_REL)
			       : 0;
		found += __builtin_popcountll(bits);
		if (visit && bits)
			visit(context, first_pfn + i * 64, bits);
		i++;
	}
	return found;
}

uint64_t page_words__sweep(uint64_t *words, size_t count, page_set__visit visit, void *context)
{
	return sweep_words(words, count, 0, visit, context);
}

/* First PFN of a column. Programs give columns out, and tell nobody. */
static uint64_t region_base(struct page_sets *sets, uint32_t region)
{
	for (uint64_t at = 0; !sets->bases[region] && at < DS_REGIONS_MAX; at++)
		if (__atomic_load_n(&sets->tables->region_of[at], __ATOMIC_ACQUIRE) == region)
			sets->bases[region] = (at << DS_REGION_SHIFT) + 1;
	return sets->bases[region] - 1;
}

/* The blocks of an entry that have pages; first their marks, then the words. */
static uint64_t sweep_entry(struct page_sets *sets, uint64_t *entry, uint64_t first_pfn,
			    page_set__visit visit, void *context)
{
	const uint64_t value = __atomic_fetch_and(entry, DS_ENTRY_PIECE, __ATOMIC_ACQ_REL);
	const uint32_t piece = (uint32_t)value - 1;
	uint64_t *words = sets->banks[piece / DS_BANK_PIECES] +
			  (size_t)(piece % DS_BANK_PIECES) * DS_PIECE_WORDS;
	uint64_t found = 0;

	for (uint64_t blocks = value >> DS_ENTRY_BLOCKS; blocks; blocks &= blocks - 1) {
		const uint64_t block = (uint64_t)__builtin_ctzll(blocks);

		found += sweep_words(words + block * DS_BLOCK_WORDS, DS_BLOCK_WORDS,
				     first_pfn + (block << DS_BLOCK_SHIFT), visit, context);
	}
	return found;
}

uint64_t page_sets__sweep(struct page_sets *sets, uint32_t set, page_set__visit visit,
			  void *context)
{
	uint64_t *row = row_of(sets, set), found = 0;

	for (uint32_t region = 1; region < sets->tables->page_regions; region++)
		for (uint64_t gib = 0; gib < DS_REGION_PIECES; gib++) {
			uint64_t *entry = &row[region * DS_REGION_PIECES + gib];

			if (__atomic_load_n(entry, __ATOMIC_ACQUIRE) >> DS_ENTRY_BLOCKS)
				found += sweep_entry(sets, entry,
						     region_base(sets, region) +
							     (gib << DS_PIECE_SHIFT),
						     visit, context);
		}
	return found;
}
