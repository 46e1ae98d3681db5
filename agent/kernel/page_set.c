/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/page_set.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_WORDS 8 /* of a cache line */

struct page_set {
	uint64_t *words;
	size_t count;
	int fd;
};

static size_t words_for(uint64_t pages)
{
	return (pages + 63) / 64;
}

uint64_t page_set__bytes(uint64_t pages)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);

	return (words_for(pages) * 8 + page - 1) / page * page;
}

int page_set__new(uint64_t pages, struct page_set **out)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct page_set *set = calloc(1, sizeof(*set));
	int err;

	*out = NULL;
	if (!set)
		return -ENOMEM;
	set->count = words_for(pages);
	set->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "page_set", 4, 8, set->count, &options);
	if (set->fd < 0) {
		err = set->fd;
		goto cleanup;
	}
	set->words =
		mmap(NULL, page_set__bytes(pages), PROT_READ | PROT_WRITE, MAP_SHARED, set->fd, 0);
	if (set->words == MAP_FAILED) {
		err = -errno;
		close(set->fd);
		goto cleanup;
	}
	*out = set;
	return 0;
cleanup:
	free(set);
	return err;
}

void page_set__free(struct page_set *set)
{
	if (!set)
		return;
	munmap(set->words, page_set__bytes(set->count * 64));
	close(set->fd);
	free(set);
}

int page_set__fd(const struct page_set *set)
{
	return set->fd;
}

static bool is_zero(const uint64_t line[LINE_WORDS])
{
	uint64_t any = 0;

	for (int i = 0; i < LINE_WORDS; i++)
		any |= __atomic_load_n(&line[i], __ATOMIC_RELAXED);
	return !any;
}

uint64_t page_words__sweep(uint64_t *words, size_t count, page_set__visit visit, void *context)
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
			visit(context, i * 64, bits);
		i++;
	}
	return found;
}

uint64_t page_set__sweep(struct page_set *set, page_set__visit visit, void *context)
{
	return page_words__sweep(set->words, set->count, visit, context);
}
