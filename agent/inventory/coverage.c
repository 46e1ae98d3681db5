/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/inventory/coverage.h"

#include <errno.h>
#include <string.h>

typedef bool (*coverage__condition)(const struct coverage_facts *facts);

/* ---- what the kernel lets us see ---- */

static bool is_up(const struct coverage_facts *facts, enum ds_sensor sensor)
{
	return facts->sensors[sensor].state != SENSOR_UNAVAILABLE;
}

/* A program that is hooked there: "dma_map_" takes all whose tracepoint or function begins so. */
static const struct snapshot_program *find_program(const struct coverage_facts *facts,
						   const char *tier, const char *prefix)
{
	for (int id = 0; id < DS_SENSOR_COUNT; id++) {
		const struct snapshot_sensor *sensor = &facts->sensors[id];

		for (size_t i = 0; i < sensor->program_count; i++) {
			const char *hook = sensor->programs[i].hook;
			const char *colon = strchr(hook, ':');

			if (colon && !strncmp(hook, tier, strlen(tier)) &&
			    !strncmp(colon + 1, prefix, strlen(prefix)))
				return &sensor->programs[i];
		}
	}
	return NULL;
}

static bool is_active(const struct snapshot_program *program)
{
	return program && program->state == PROGRAM_ACTIVE;
}

/* By tracepoints since 6.12, before that by functions; one of each group stands for it. */
static bool sees_maps(const struct coverage_facts *facts)
{
	return is_active(find_program(facts, "tp_btf", "dma_map_sg")) ||
	       is_active(find_program(facts, "fexit", "__dma_map_sg_attrs"));
}

static bool sees_foreign_maps(const struct coverage_facts *facts)
{
	return is_active(find_program(facts, "fexit", "iommu_map"));
}

/* With 6.12 that became an inline function, which calls nothing on coherent machines. */
static bool sees_syncs(const struct coverage_facts *facts)
{
	return is_active(find_program(facts, "fexit", "dma_sync_single_for_cpu"));
}

/*
 * dma_iova_link() maps without a dma event: only a trampoline sees it. Kernels that have it know
 * dma_map_phys, too; where trampolines are refused nobody has asked whether it is there.
 */
static bool is_iova_blind_kernel(const struct coverage_facts *facts)
{
	const struct snapshot_program *link = find_program(facts, "fexit", "dma_iova_link");

	return link && !is_active(link) && !link->absent &&
	       is_active(find_program(facts, "tp_btf", "dma_map_phys"));
}

/* ---- what the device is ---- */

static bool is_virtio(const struct coverage_facts *facts)
{
	return !strcmp(facts->bus, "virtio");
}

static bool is_device(const struct coverage_facts *facts)
{
	return !facts->unattributed;
}

static bool bypasses_dma_api(const struct coverage_facts *facts)
{
	return is_virtio(facts) && !facts->platform_dma;
}

static bool is_vfio(const struct coverage_facts *facts)
{
	return strstr(facts->driver, "vfio") || facts->flags & DS_SOURCE_FOREIGN;
}

static bool uses_dma_api(const struct coverage_facts *facts)
{
	return is_device(facts) && !bypasses_dma_api(facts) && !is_vfio(facts);
}

static bool is_translated(const struct coverage_facts *facts)
{
	return !strncmp(facts->iommu_domain, "DMA", 3);
}

static bool is_no_unmap(const struct coverage_facts *facts)
{
	return facts->flags & DS_SOURCE_NO_UNMAP;
}

/* Of the drivers that use dma_iova_link() NVMe is the one that this is known of for sure. */
static bool is_iova_blind(const struct coverage_facts *facts)
{
	return uses_dma_api(facts) && !strcmp(facts->driver, "nvme") && is_translated(facts) &&
	       is_iova_blind_kernel(facts);
}

static bool knows_vfio(const struct coverage_facts *facts)
{
	return facts->flags & DS_SOURCE_FOREIGN || facts->stats->foreign_maps;
}

/* ---- which sensors see it ---- */

static bool covered_by_block(const struct coverage_facts *facts)
{
	return facts->disks && is_up(facts, DS_SENSOR_BLOCK);
}

static bool covered_by_net(const struct coverage_facts *facts)
{
	return facts->netdevs && is_up(facts, DS_SENSOR_NET);
}

static bool covered_by_dma(const struct coverage_facts *facts)
{
	return uses_dma_api(facts) && sees_maps(facts) && !facts->no_ledger &&
	       !is_no_unmap(facts) && !is_iova_blind(facts);
}

static bool covered_by_virtio(const struct coverage_facts *facts)
{
	return is_virtio(facts) && is_up(facts, DS_SENSOR_VIRTIO);
}

static bool exposed_by_virtio(const struct coverage_facts *facts)
{
	return covered_by_virtio(facts) && bypasses_dma_api(facts) && !facts->no_ledger;
}

static bool exposed_by_iommu(const struct coverage_facts *facts)
{
	return is_vfio(facts) && knows_vfio(facts) && sees_foreign_maps(facts) && !facts->no_ledger;
}

static bool reported_by_hardware(const struct coverage_facts *facts)
{
	return is_vfio(facts) && is_up(facts, DS_SENSOR_HW);
}

static const struct {
	enum ds_sensor sensor;
	enum ds_evidence evidence;
	coverage__condition holds;
} coverage_rules[] = {
	{DS_SENSOR_BLOCK, DS_EVIDENCE_COMPLETED, covered_by_block},
	{DS_SENSOR_NET, DS_EVIDENCE_COMPLETED, covered_by_net},
	{DS_SENSOR_DMA, DS_EVIDENCE_EXPOSED, covered_by_dma},
	{DS_SENSOR_DMA, DS_EVIDENCE_COMPLETED, covered_by_dma},
	{DS_SENSOR_IOMMU, DS_EVIDENCE_EXPOSED, exposed_by_iommu},
	{DS_SENSOR_VIRTIO, DS_EVIDENCE_EXPOSED, exposed_by_virtio},
	{DS_SENSOR_VIRTIO, DS_EVIDENCE_COMPLETED, covered_by_virtio},
	{DS_SENSOR_HW, DS_EVIDENCE_REPORTED, reported_by_hardware},
};
#define COVERAGE_RULES (sizeof(coverage_rules) / sizeof(coverage_rules[0]))

/* ---- why its exposure is not known ---- */

static bool is_unattributed(const struct coverage_facts *facts)
{
	return facts->unattributed;
}

static bool has_no_ledger(const struct coverage_facts *facts)
{
	return facts->no_ledger;
}

static bool is_unseen_vfio(const struct coverage_facts *facts)
{
	return is_vfio(facts) && !sees_foreign_maps(facts);
}

static bool is_older_vfio(const struct coverage_facts *facts)
{
	return is_vfio(facts) && !knows_vfio(facts);
}

static bool lost_for(const struct coverage_facts *facts, enum ds_lost reason)
{
	uint64_t lost = 0;

	for (int id = 0; id < DS_SENSOR_COUNT; id++)
		lost += facts->sensors[id].lost[reason];
	return lost && facts->stats->lost; /* no reason is kept per device */
}

static bool lost_mappings(const struct coverage_facts *facts)
{
	return lost_for(facts, DS_LOST_MAPPINGS_FULL);
}

static bool lost_to_others(const struct coverage_facts *facts)
{
	return lost_for(facts, DS_LOST_CONTENDED);
}

static bool is_unseen_bypass(const struct coverage_facts *facts)
{
	return bypasses_dma_api(facts) && !is_up(facts, DS_SENSOR_VIRTIO);
}

static bool has_unseen_maps(const struct coverage_facts *facts)
{
	return uses_dma_api(facts) && !sees_maps(facts);
}

static bool never_mapped(const struct coverage_facts *facts)
{
	const struct ds_device_stats *stats = facts->stats;

	return !stats->maps[DS_DMA_FROM_DEVICE] && !stats->maps[DS_DMA_BIDIRECTIONAL] &&
	       !stats->maps[DS_DMA_TO_DEVICE] && !stats->virtio_buffers && !is_vfio(facts);
}

/* The first row whose condition holds gives the reason. */
static const struct {
	coverage__condition holds;
	const char *reason;
} exposure_rules[] = {
	{is_unattributed, "it is not one device"},
	{has_no_ledger, "the ledger is off (--no-ledger)"},
	{is_no_unmap, "its driver leaves direct mappings without an unmap (dma_need_unmap): what "
		      "it may write is not known"},
	{is_unseen_vfio, "it is in the hands of VFIO, and no sensor sees on this kernel what VFIO "
			 "maps"},
	{is_older_vfio,
	 "it is in the hands of VFIO, and was not seen to be given any memory since it is "
	 "watched"},
	{is_iova_blind, "its driver maps with dma_iova_link, which no sensor sees on this kernel"},
	{is_unseen_bypass, "a virtio device without VIRTIO_F_ACCESS_PLATFORM bypasses the DMA API, "
			   "and the virtio sensor is not available"},
	{has_unseen_maps, "no sensor sees DMA mappings on this kernel"},
	{lost_mappings, "mappings were lost because the ledger was full (--max-mappings)"},
	{lost_to_others, "mappings were lost because another CPU held the ledger for too long"},
	{never_mapped, "no mapping of it was ever seen since it is watched"},
};
#define EXPOSURE_RULES (sizeof(exposure_rules) / sizeof(exposure_rules[0]))

/* ---- what no sensor sees ---- */

static bool blocks_unseen(const struct coverage_facts *facts)
{
	return facts->disks && !is_up(facts, DS_SENSOR_BLOCK) && !covered_by_virtio(facts);
}

static bool packets_unseen(const struct coverage_facts *facts)
{
	return facts->netdevs && !is_up(facts, DS_SENSOR_NET) && !covered_by_virtio(facts);
}

static bool has_disks(const struct coverage_facts *facts)
{
	return facts->disks && !covered_by_virtio(facts);
}

static bool has_netdevs(const struct coverage_facts *facts)
{
	return facts->netdevs && !covered_by_virtio(facts);
}

static bool copies_packets(const struct coverage_facts *facts)
{
	return facts->netdevs && !covered_by_virtio(facts) &&
	       !(uses_dma_api(facts) && sees_syncs(facts));
}

static bool is_virtio_disk(const struct coverage_facts *facts)
{
	return is_virtio(facts) && facts->disks && !covered_by_virtio(facts);
}

static bool has_old_rings(const struct coverage_facts *facts)
{
	return facts->netdevs && facts->rings_premapped;
}

static bool has_old_mappings(const struct coverage_facts *facts)
{
	return is_device(facts) && facts->premapped && !has_old_rings(facts) && !is_vfio(facts);
}

static bool maps_unseen(const struct coverage_facts *facts)
{
	return uses_dma_api(facts) && !is_iova_blind(facts) && !is_no_unmap(facts) &&
	       !covered_by_dma(facts);
}

/* No "completed" of any kind: it is none of what we know how to look at. */
static bool nothing_completed(const struct coverage_facts *facts)
{
	for (size_t i = 0; i < COVERAGE_RULES; i++)
		if (coverage_rules[i].evidence != DS_EVIDENCE_EXPOSED &&
		    coverage_rules[i].holds(facts))
			return false;
	return is_device(facts) && !is_vfio(facts);
}

static bool has_coherent_rings(const struct coverage_facts *facts)
{
	return covered_by_dma(facts);
}

static bool is_bounced(const struct coverage_facts *facts)
{
	return facts->stats->swiotlb_bounces;
}

static bool has_no_page_set(const struct coverage_facts *facts)
{
	return is_device(facts) && !facts->has_page_set;
}

static const struct {
	coverage__condition holds;
	const char *sentence;
} blind_rules[] = {
	{nothing_completed, "which pages it writes: no sensor on this kernel sees its writes end"},
	{blocks_unseen, "pages that block reads fill: the block sensor is not available"},
	{packets_unseen, "pages that received packets fill: the net sensor is not available"},
	{maps_unseen, "its DMA mappings: no sensor sees them on this kernel, or the ledger is "
		      "off"},
	{is_no_unmap, "what it may write: its driver leaves direct mappings without an unmap "
		      "(dma_need_unmap)"},
	{is_iova_blind, "its mappings by dma_iova_link: they fire no event, and fentry does not "
			"load here"},
	{is_vfio, "writes inside the memory that VFIO gave to it: only that the memory is exposed"},
	{is_unseen_vfio, "which memory VFIO gives to it: that needs fentry, which does not load "
			 "here"},
	{is_older_vfio,
	 "memory that VFIO gave to it before the agent started, or through another device "
	 "of its IOMMU group"},
	{reported_by_hardware, "which of the pages that hardware reports are its own: they are "
			       "counted for the host"},
	{is_unseen_bypass, "what it may write: as a virtio device without "
			   "VIRTIO_F_ACCESS_PLATFORM it bypasses the DMA API"},
	{has_old_rings, "receive buffers mapped before the agent (rings filled when the interface "
			"came up) are not known: take the interface down and up to see them"},
	{has_old_mappings, "memory mapped for it before the agent started"},
	{copies_packets, "the page that a packet was received into, where the driver copies the "
			 "packet (small ones) and uses the page again"},
	{has_netdevs, "packets that XDP, AF_XDP, DPDK or RDMA take"},
	{has_disks, "commands that bypass the block layer: io_uring passthrough, SPDK"},
	{is_virtio_disk, "the status byte of each request, and answers to commands other than "
			 "reads"},
	{has_coherent_rings, "writes into its rings in coherent memory: they are only exposed"},
	{is_bounced, "the bounce buffers that it wrote: the pages shown are those that a CPU "
		     "copied to"},
	{has_no_page_set, "its pages as its own: no memory was left for its page set "
			  "(--page-set-memory), they are in unattributed"},
	{is_device, "its writes to memory of another device (peer-to-peer)"},
};
#define BLIND_RULES (sizeof(blind_rules) / sizeof(blind_rules[0]))

static int list_coverage(const struct coverage_facts *facts, struct arena *arena,
			 struct snapshot_device *row)
{
	struct snapshot_coverage *list = arena__alloc(arena, COVERAGE_RULES * sizeof(*list));

	if (!list)
		return -ENOMEM;
	row->coverage = list;
	row->coverage_count = 0;
	for (size_t i = 0; i < COVERAGE_RULES; i++) {
		bool exposed = coverage_rules[i].evidence == DS_EVIDENCE_EXPOSED;

		if (!coverage_rules[i].holds(facts))
			continue;
		list[row->coverage_count++] = (struct snapshot_coverage){
			.sensor = coverage_rules[i].sensor,
			.evidence = coverage_rules[i].evidence,
			.since = exposed ? facts->mapped_since : facts->since,
		};
	}
	return 0;
}

static int list_blind(const struct coverage_facts *facts, struct arena *arena,
		      struct snapshot_device *row)
{
	const char **list = arena__alloc(arena, BLIND_RULES * sizeof(*list));

	if (!list)
		return -ENOMEM;
	row->not_seen = list;
	row->not_seen_count = 0;
	for (size_t i = 0; i < BLIND_RULES; i++)
		if (blind_rules[i].holds(facts))
			list[row->not_seen_count++] = blind_rules[i].sentence;
	return 0;
}

int coverage__judge(const struct coverage_facts *facts, struct arena *arena,
		    struct snapshot_device *row)
{
	int err = list_coverage(facts, arena, row);

	row->virtio = is_virtio(facts);
	row->vfio = is_vfio(facts) || facts->stats->foreign_maps;
	row->exposed_reason = NULL;
	for (size_t i = 0; i < EXPOSURE_RULES && !row->exposed_reason; i++)
		if (exposure_rules[i].holds(facts))
			row->exposed_reason = exposure_rules[i].reason;
	row->exposed_known = !row->exposed_reason;
	return err ? err : list_blind(facts, arena, row);
}
