/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the kernel side alone, in a guest, and tells which pages it says that devices wrote: every
 * source has a page set of its own. Takes a command per line of its input, answers with one line
 * of JSON each:
 *
 *   sweep      forgets what the page sets hold
 *   dump FILE  takes what they hold, and what the ledger exposes, into FILE
 *   missed     {program: calls that the kernel left out, since it ran on that CPU already}
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/kernel/kernel_side.h"
#include "agent/kernel/ledger.h"
#include "agent/kernel/page_sets.h"
#include "agent/option_table.h"

struct recorder {
	struct kernel_side *kernel;
	const struct kernel_tables *tables;
	struct page_sets *sets; /* of each slot: its number */
	uint64_t limit;
};

static int make_sets(struct recorder *recorder)
{
	int err = page_sets__new(recorder->tables, recorder->limit, &recorder->sets);

	for (uint32_t slot = 1; !err && slot <= recorder->tables->source_slots; slot++)
		page_sets__bind(recorder->sets, slot, slot);
	return err;
}

static uint64_t sweep(struct recorder *recorder)
{
	uint64_t pages = 0;

	for (uint32_t slot = 0; slot <= recorder->tables->source_slots; slot++)
		pages += page_sets__sweep(recorder->sets, slot, NULL, NULL);
	(void)page_sets__grow(recorder->sets);
	return pages;
}

/* ---- dump: one JSON object per line ---- */

static void print_frames(void *context, uint64_t first_pfn, uint64_t bits)
{
	FILE *file = context;

	for (; bits; bits &= bits - 1)
		fprintf(file, "%" PRIu64 ",", first_pfn + (unsigned)__builtin_ctzll(bits));
}

static int print_exposed(void *context, uint32_t slot, const struct ds_mapping *mapping,
			 enum ds_mapping_kind kind, uint64_t pfn, uint64_t pages)
{
	FILE *file = context;

	fprintf(file,
		"{\"exposed\": %" PRIu32 ", \"pfn\": %" PRIu64 ", \"pages\": %" PRIu64
		", \"coherent\": %s}\n",
		slot, pfn, pages, mapping && kind == DS_MAPPING_COHERENT ? "true" : "false");
	return 0;
}

static void print_source(const struct recorder *recorder, uint32_t slot, FILE *file)
{
	const struct kernel_tables *tables = recorder->tables;
	const struct ds_source_info info =
		*(const struct ds_source_info *)&tables->source_infos[slot];
	int64_t exposed = 0;
	uint64_t maps = 0, unmaps = 0;

	for (uint32_t row = 0; row < DS_DEVICE_ROWS; row++) {
		const volatile struct ds_device_stats *stats =
			&tables->device_stats[slot * DS_DEVICE_ROWS + row];

		exposed += stats->exposed_pages;
		/* Memory for both directions is a driver's own, made once: only I/O tells. */
		maps += stats->maps[DS_DMA_FROM_DEVICE];
		unmaps += stats->unmaps[DS_DMA_FROM_DEVICE];
	}
	/* Names in a guest are plain; they come from its drivers. */
	fprintf(file,
		"{\"source\": %" PRIu32 ", \"kind\": %" PRIu32 ", \"bus\": \"%.*s\", "
		"\"name\": \"%.*s\", \"flags\": %" PRIu32 ", \"exposed_pages\": %" PRId64
		", \"maps\": %" PRIu64 ", \"unmaps\": %" PRIu64 ", \"completed\": [",
		slot, info.key.kind, DS_BUS_LEN - 1, info.bus, DS_NAME_LEN - 1, info.name,
		info.flags, exposed, maps, unmaps);
	page_sets__sweep(recorder->sets, slot, print_frames, file);
	fputs("-1]}\n", file);
}

static int dump(struct recorder *recorder, const char *path)
{
	FILE *file = fopen(path, "w");
	int err;

	if (!file)
		return -errno;
	/* The ledger first: what is unmapped meanwhile is in a page set then. */
	err = ledger__walk(recorder->kernel, print_exposed, file);
	for (uint32_t slot = 0; slot <= recorder->tables->source_slots; slot++)
		if (!slot || recorder->tables->source_infos[slot].state == DS_SLOT_LIVE)
			print_source(recorder, slot, file);
	return fclose(file) ? -errno : err;
}

/* ---- missed ---- */

/* The whole name is in BTF; the kernel itself keeps 15 bytes of it. */
static void print_program(int fd, const struct bpf_prog_info *info, uint64_t value, int number)
{
	struct bpf_func_info function = {0};
	struct bpf_prog_info ask = {
		.func_info = (uintptr_t)&function,
		.func_info_rec_size = sizeof(function),
		.nr_func_info = 1,
	};
	struct btf *btf = info->btf_id ? btf__load_from_kernel_by_id(info->btf_id) : NULL;
	const struct btf_type *type = NULL;
	uint32_t size = sizeof(ask);

	if (btf && !bpf_obj_get_info_by_fd(fd, &ask, &size))
		type = btf__type_by_id(btf, function.type_id);
	printf("%s\"%s\": %" PRIu64, number ? ", " : "",
	       type ? btf__name_by_offset(btf, type->name_off) : info->name, value);
	btf__free(btf);
}

static void print_missed(void)
{
	uint32_t id = 0;
	int number = 0;

	printf("{");
	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		/* Nobody else in the guest has a program but systemd's and the kernel's own. */
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) &&
		    info.type == BPF_PROG_TYPE_TRACING)
			print_program(fd, &info, info.recursion_misses, number++);
		if (fd >= 0)
			close(fd);
	}
	printf("}\n");
}

static int answer(struct recorder *recorder, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "sweep") == 0)
		printf("%" PRIu64 "\n", sweep(recorder));
	else if (strncmp(line, "dump ", 5) == 0)
		printf("%d\n", dump(recorder, line + 5));
	else if (strcmp(line, "missed") == 0)
		print_missed();
	else
		return -EINVAL;
	return fflush(stdout) ? -errno : 0;
}

int main(int argc, char **argv)
{
	struct kernel_error error = {""};
	struct recorder recorder = {0};
	struct agent_config config;
	struct reason wrong;
	char line[4096];
	int err;

	if (agent_config__load(&config, argc, argv, &wrong)) {
		fprintf(stderr, "recorder: %s\n", wrong.text);
		return 2;
	}
	err = kernel_side__new(&(struct kernel_options){.config = &config}, &recorder.kernel,
			       &error);
	if (!err) {
		recorder.tables = kernel_side__tables(recorder.kernel);
		recorder.limit = config.page_set_memory;
		err = make_sets(&recorder);
	}
	if (!err)
		err = kernel_side__attach(recorder.kernel, &error);
	if (!err) {
		printf("\"ready\"\n");
		fflush(stdout);
		while (!err && fgets(line, sizeof(line), stdin))
			err = answer(&recorder, line);
	}
	if (err)
		fprintf(stderr, "recorder: %s %s\n", error.message, strerror(-err));
	page_sets__free(recorder.sets);
	kernel_side__free(recorder.kernel);
	agent_config__free(&config);
	return err != 0;
}
