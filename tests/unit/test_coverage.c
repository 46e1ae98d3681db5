/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said of a device, kernel by kernel: which sensors see its writes, why its exposure is not
 * known, what nobody sees. The kernels are those that tests/vm runs, and one without trampolines.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/inventory/coverage.h"

enum kernel {
	LINUX_6_1,
	LINUX_6_1_BASE,
	LINUX_6_12,
	LINUX_6_12_BASE,
	LINUX_7_2,
	LINUX_7_2_BASE,
	KERNELS,
};

/* What of it each kernel has: a bit per kernel, active, or there but refused. */
#define ON(kernel) (1U << (kernel))
#define FENTRY_ALL (ON(LINUX_6_1) | ON(LINUX_6_12) | ON(LINUX_7_2))
#define DMA_EVENTS (ON(LINUX_6_12) | ON(LINUX_6_12_BASE) | ON(LINUX_7_2) | ON(LINUX_7_2_BASE))

static const struct {
	enum ds_sensor sensor;
	const char *hook;
	unsigned active;
	const char *reason; /* where it is not */
} hooks[] = {
	{DS_SENSOR_BLOCK, "tp_btf:block_rq_complete", ~0U, ""},
	{DS_SENSOR_NET, "tp_btf:netif_receive_skb", ~0U, ""},
	{DS_SENSOR_DMA, "tp_btf:dma_map_sg", DMA_EVENTS,
	 "this kernel has no tracepoint dma_map_sg"},
	{DS_SENSOR_DMA, "tp_btf:dma_map_phys", ON(LINUX_7_2) | ON(LINUX_7_2_BASE),
	 "dma_map_page does"},
	{DS_SENSOR_DMA, "fexit:__dma_map_sg_attrs", ON(LINUX_6_1), "refused"},
	{DS_SENSOR_DMA, "fexit:dma_sync_single_for_cpu", ON(LINUX_6_1), "refused"},
	{DS_SENSOR_IOMMU, "tp_btf:map", ~0U, ""},
	{DS_SENSOR_IOMMU, "fexit:iommu_map", FENTRY_ALL, "refused"},
	{DS_SENSOR_VIRTIO, "fexit:virtqueue_get_buf", FENTRY_ALL, "refused"},
};
#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

struct host {
	struct snapshot_sensor sensors[DS_SENSOR_COUNT];
	struct snapshot_program programs[DS_SENSOR_COUNT][HOOKS + 1];
};

static void add_program(struct host *host, enum ds_sensor id, const char *hook, bool active,
			const char *reason)
{
	struct snapshot_sensor *sensor = &host->sensors[id];

	host->programs[id][sensor->program_count++] = (struct snapshot_program){
		.absent = !active && strstr(reason, "has no function"),
		.name = hook,
		.hook = hook,
		.state = active ? PROGRAM_ACTIVE : PROGRAM_UNAVAILABLE,
		.reason = active ? "" : reason,
	};
	if (active)
		sensor->state = SENSOR_ACTIVE;
}

static void make_host(struct host *host, enum kernel kernel)
{
	memset(host, 0, sizeof(*host));
	for (int id = 0; id < DS_SENSOR_COUNT; id++) {
		host->sensors[id].state = SENSOR_UNAVAILABLE;
		host->sensors[id].programs = host->programs[id];
	}
	for (size_t i = 0; i < HOOKS; i++)
		add_program(host, hooks[i].sensor, hooks[i].hook, hooks[i].active & ON(kernel),
			    hooks[i].reason);
	add_program(host, DS_SENSOR_DMA, "fexit:dma_iova_link", kernel == LINUX_7_2,
		    kernel == LINUX_6_12 || kernel == LINUX_6_1
			    ? "this kernel has no function dma_iova_link"
			    : "the kernel refuses trampolines");
}

struct judged {
	struct arena *arena;
	struct snapshot_device row;
	char coverage[256]; /* "block+ dma=" : "=" exposed, "+" completed, "*" reported */
};

static void judge(const struct coverage_facts *facts, struct judged *judged)
{
	static const char marks[] = "=+*";

	memset(judged, 0, sizeof(*judged));
	judged->arena = arena__new(4096);
	assert_int_equal(coverage__judge(facts, judged->arena, &judged->row), 0);
	for (size_t i = 0; i < judged->row.coverage_count; i++) {
		const struct snapshot_coverage *one = &judged->row.coverage[i];
		size_t length = strlen(judged->coverage);

		snprintf(judged->coverage + length, sizeof(judged->coverage) - length, "%s%s%c",
			 i ? " " : "", ds_sensor_names[one->sensor], marks[one->evidence]);
		assert_int_equal(one->since.tv_sec, one->evidence == DS_EVIDENCE_EXPOSED
							    ? facts->mapped_since.tv_sec
							    : facts->since.tv_sec);
	}
	/* A reason, or a number; plain sentences, none twice. */
	assert_int_equal(judged->row.exposed_known, judged->row.exposed_reason == NULL);
	for (size_t i = 0; i < judged->row.not_seen_count; i++) {
		const char *sentence = judged->row.not_seen[i];

		assert_true(strlen(sentence) > 10 && sentence[strlen(sentence) - 1] != '.');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(sentence, judged->row.not_seen[j]);
	}
}

static bool is_blind_to(const struct judged *judged, const char *part)
{
	for (size_t i = 0; i < judged->row.not_seen_count; i++)
		if (strstr(judged->row.not_seen[i], part))
			return true;
	return false;
}

struct device_case {
	const char *name;
	unsigned kernels;
	const char *bus, *driver, *domain;
	int disks, netdevs;
	bool platform_dma;
	uint32_t flags;
	bool never_mapped;
	const char *coverage;
	const char *unknown_because; /* NULL: its exposure is known */
	const char *blind_to, *not_blind_to;
};

#define NVME "pci", "nvme"
#define ALL (ON(KERNELS) - 1)
#define NEW_DIRECT (ON(LINUX_6_12) | ON(LINUX_6_12_BASE))

static const struct device_case cases[] = {
	{"nvme, translated", ON(LINUX_6_1), NVME, "DMA-FQ", 1, 0, false, DS_SOURCE_TRANSLATED,
	 false, "block+ dma= dma+", NULL, "peer-to-peer", "dma_iova_link"},
	{"nvme, translated", NEW_DIRECT, NVME, "DMA", 1, 0, false, DS_SOURCE_TRANSLATED, false,
	 "block+ dma= dma+", NULL, "coherent", "dma_iova_link"},
	{"nvme, translated", ON(LINUX_7_2), NVME, "DMA", 1, 0, false, 0, false, "block+ dma= dma+",
	 NULL, "io_uring passthrough", "dma_iova_link"},
	{"nvme, translated, no trampolines", ON(LINUX_7_2_BASE), NVME, "DMA", 1, 0, false, 0, false,
	 "block+", "dma_iova_link", "dma_iova_link", "dma_need_unmap"},
	{"nvme, direct, no unmaps", ON(LINUX_7_2) | ON(LINUX_7_2_BASE), NVME, "identity", 1, 0,
	 false, DS_SOURCE_DIRECT | DS_SOURCE_NO_UNMAP, false, "block+", "dma_need_unmap",
	 "dma_need_unmap", "dma_iova_link"},
	{"nvme before 6.12, no trampolines", ON(LINUX_6_1_BASE), NVME, "DMA", 1, 0, false, 0, false,
	 "block+", "no sensor sees DMA mappings", "its DMA mappings", "dma_iova_link"},
	{"e1000e, syncs seen", ON(LINUX_6_1), "pci", "e1000e", "DMA", 0, 1, false, 0, false,
	 "net+ dma= dma+", NULL, "AF_XDP", "copies the packet"},
	{"e1000e, syncs not seen", DMA_EVENTS, "pci", "e1000e", "DMA", 0, 1, false, 0, false,
	 "net+ dma= dma+", NULL, "copies the packet", "which pages it writes"},
	{"virtio-blk past the DMA API", FENTRY_ALL, "virtio", "virtio_blk", "", 1, 0, false, 0,
	 false, "block+ virtio= virtio+", NULL, "peer-to-peer", "status byte"},
	{"virtio-blk past the DMA API", ALL & ~FENTRY_ALL, "virtio", "virtio_blk", "", 1, 0, false,
	 0, false, "block+", "VIRTIO_F_ACCESS_PLATFORM", "status byte", "its DMA mappings"},
	{"virtio-blk with the platform's DMA", ON(LINUX_6_12), "virtio", "virtio_blk", "DMA", 1, 0,
	 true, 0, false, "block+ dma= dma+ virtio+", NULL, "coherent", "VIRTIO_F_ACCESS_PLATFORM"},
	{"virtio-balloon", ALL & ~FENTRY_ALL, "virtio", "virtio_balloon", "", 0, 0, false, 0, false,
	 "", "VIRTIO_F_ACCESS_PLATFORM", "which pages it writes", "block"},
	{"vfio, seen", FENTRY_ALL, "pci", "vfio-pci", "unmanaged", 0, 0, false, DS_SOURCE_FOREIGN,
	 false, "iommu=", NULL, "writes inside the memory that VFIO", "before the agent"},
	{"vfio, older", FENTRY_ALL, "pci", "vfio-pci", "unmanaged", 0, 0, false, 0, true, "",
	 "not seen to be given any memory", "before the agent started", "needs fentry"},
	{"vfio, no trampolines", ALL & ~FENTRY_ALL, "pci", "vfio-pci", "unmanaged", 0, 0, false, 0,
	 true, "", "no sensor sees on this kernel what VFIO", "needs fentry", "its DMA mappings"},
	{"never mapped", DMA_EVENTS, "pci", "ahci", "DMA", 1, 0, false, 0, true, "block+ dma= dma+",
	 "no mapping of it was ever seen", "coherent", "which pages"},
};

static void check(const struct device_case *one, enum kernel kernel)
{
	struct ds_device_stats stats = {.maps = {[DS_DMA_FROM_DEVICE] = !one->never_mapped}};
	struct host host;
	struct judged judged;
	struct coverage_facts facts = {
		.sensors = host.sensors,
		.stats = &stats,
		.flags = one->flags,
		.bus = one->bus,
		.driver = one->driver,
		.iommu_domain = one->domain,
		.disks = (size_t)one->disks,
		.netdevs = (size_t)one->netdevs,
		.platform_dma = one->platform_dma,
		.has_page_set = true,
		.since = {.tv_sec = 100},
		.mapped_since = {.tv_sec = 200},
	};

	make_host(&host, kernel);
	judge(&facts, &judged);
	if (strcmp(judged.coverage, one->coverage) != 0)
		fail_msg("%s on %d: covered by \"%s\"", one->name, kernel, judged.coverage);
	if (!one->unknown_because != judged.row.exposed_known ||
	    (one->unknown_because && !strstr(judged.row.exposed_reason, one->unknown_because)))
		fail_msg("%s on %d: exposure %s", one->name, kernel, judged.row.exposed_reason);
	if (!is_blind_to(&judged, one->blind_to))
		fail_msg("%s on %d: not said: %s", one->name, kernel, one->blind_to);
	if (is_blind_to(&judged, one->not_blind_to))
		fail_msg("%s on %d: said: %s", one->name, kernel, one->not_blind_to);
	arena__free(judged.arena);
}

static void devices_and_kernels(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int kernel = 0; kernel < KERNELS; kernel++)
			if (cases[i].kernels & ON(kernel))
				check(&cases[i], (enum kernel)kernel);
}

/* Facts that change while the agent runs, on one device. */
static void circumstances(void **state)
{
	struct ds_device_stats stats = {.maps = {[DS_DMA_FROM_DEVICE] = 1}};
	struct host host;
	struct judged judged;
	struct coverage_facts facts = {
		.sensors = host.sensors,
		.stats = &stats,
		.bus = "pci",
		.driver = "e1000e",
		.iommu_domain = "DMA",
		.netdevs = 1,
		.has_page_set = true,
		.premapped = true,
		.rings_premapped = true,
	};

	make_host(&host, LINUX_6_12);
	judge(&facts, &judged);
	assert_true(is_blind_to(&judged, "take the interface down and up"));
	assert_false(is_blind_to(&judged, "memory mapped for it before"));
	arena__free(judged.arena);

	facts.rings_premapped = false;
	judge(&facts, &judged);
	assert_false(is_blind_to(&judged, "take the interface down and up"));
	assert_true(is_blind_to(&judged, "memory mapped for it before"));
	assert_false(is_blind_to(&judged, "bounce"));
	arena__free(judged.arena);

	facts.premapped = facts.has_page_set = false;
	stats.swiotlb_bounces = 1;
	judge(&facts, &judged);
	assert_false(is_blind_to(&judged, "before the agent"));
	assert_true(is_blind_to(&judged, "bounce"));
	assert_true(is_blind_to(&judged, "--page-set-memory"));
	assert_true(judged.row.exposed_known);
	arena__free(judged.arena);

	/* The ledger was full, and it is one of those that lost. */
	host.sensors[DS_SENSOR_DMA].lost[DS_LOST_MAPPINGS_FULL] = 5;
	judge(&facts, &judged);
	assert_true(judged.row.exposed_known);
	arena__free(judged.arena);
	stats.lost = 5;
	judge(&facts, &judged);
	assert_non_null(strstr(judged.row.exposed_reason, "--max-mappings"));
	arena__free(judged.arena);

	/* It had room, and another CPU was in the way. */
	host.sensors[DS_SENSOR_DMA].lost[DS_LOST_MAPPINGS_FULL] = 0;
	host.sensors[DS_SENSOR_DMA].lost[DS_LOST_CONTENDED] = 5;
	judge(&facts, &judged);
	assert_non_null(strstr(judged.row.exposed_reason, "another CPU"));
	arena__free(judged.arena);

	facts.no_ledger = true;
	judge(&facts, &judged);
	assert_string_equal(judged.coverage, "net+");
	assert_non_null(strstr(judged.row.exposed_reason, "--no-ledger"));
	arena__free(judged.arena);
}

/* The shared set is no device: nothing is promised of it, and nothing is missing. */
static void unattributed(void **state)
{
	const struct ds_device_stats stats = {0};
	struct host host;
	struct judged judged;
	const struct coverage_facts facts = {.sensors = host.sensors,
					     .stats = &stats,
					     .bus = "",
					     .driver = "",
					     .iommu_domain = "",
					     .unattributed = true,
					     .has_page_set = true};

	make_host(&host, LINUX_7_2);
	judge(&facts, &judged);
	assert_string_equal(judged.coverage, "");
	assert_int_equal(judged.row.not_seen_count, 0);
	assert_string_equal(judged.row.exposed_reason, "it is not one device");
	assert_false(judged.row.vfio);
	arena__free(judged.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_and_kernels),
		cmocka_unit_test(circumstances),
		cmocka_unit_test(unattributed),
	};

	return cmocka_run_group_tests_name("coverage", tests, NULL, NULL);
}
