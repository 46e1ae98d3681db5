// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The accounting functions behind raw tracepoints: a tp_btf program cannot be test-run, a raw_tp
 * program can, with arguments of the test's choice. Nothing here attaches.
 */
#define DS_FIELD(pointer, field) BPF_CORE_READ(pointer, field)

#include "bpf/block.h"
#include "bpf/dma.h"
#include "bpf/fault.h"
#include "bpf/hw.h"
#include "bpf/iommu.h"
#include "bpf/net.h"
#include "bpf/pagecache.h"
#include "bpf/process.h"
#include "bpf/swiotlb.h"
#include "bpf/virtio.h"

#define FAKE_BYTES (1 << 20)

struct fake_memory {
	__u8 bytes[FAKE_BYTES];
};
DS_ROWS(fake, struct fake_memory); /* where the fake kernel objects live */

__u64 fake_address;		       /* out: where the kernel sees them */
__u64 storm_disk;		       /* in: the disk of the storms that read */
__u64 storm_device;		       /* in: the device of the storms on one ledger */
__u64 storm_queue;		       /* in: the queue of the storms of buffers */
__u64 storm_list;		       /* in: their list, of one segment */
__u64 storm_ns;			       /* out: duration of the last storm */
__u32 marked;			       /* out: answer of twin_mark */
__u64 page_count;		       /* out: answer of twin_table_pages, twin_may_be_huge */
__u64 verdict;			       /* out: answer of twin_held, twin_tracks, twin_protection */
struct ds_process_key current_process; /* out: answer of twin_current */

#define TWIN(name) SEC("raw_tp") int twin_##name(struct bpf_raw_tracepoint_args *ctx)
#define ARG(n) ((__u64)ctx->args[n])
#define DEVICE ((struct device *)ARG(0))
#define QUEUE ((struct virtqueue *)ARG(0))
#define PROCESS                                             \
	{                                                   \
		.start_boottime_ns = ARG(0), .tgid = ARG(1) \
	}

TWIN(where)
{
	__u32 zero = 0;

	fake_address = (__u64)bpf_map_lookup_elem(&fake, &zero);
	return 0;
}

TWIN(current)
{
	current_process = process__current();
	return 0;
}

TWIN(fault)
{
	struct ds_process_key process = PROCESS;

	return fault__account(&process, ARG(2), ARG(3));
}

TWIN(pagecache)
{
	struct ds_process_key process = PROCESS;

	return pagecache__account(&process, ARG(2), ARG(3), ARG(4));
}

TWIN(folio)
{
	struct ds_process_key process = PROCESS;

	return pagecache__account(&process, folio__pages((struct folio *)ARG(2)), ARG(3), 0);
}

TWIN(memory_file)
{
	struct ds_process_key process = PROCESS;

	return pagecache__account_memory(&process, ARG(2));
}

TWIN(userfault)
{
	return userfault__copied(ARG(0), ARG(1));
}

TWIN(exit)
{
	struct ds_process_key process = PROCESS;

	return process__exit(&process);
}

TWIN(exec)
{
	struct ds_process_key process = PROCESS;

	return process__exec(&process);
}

TWIN(move)
{
	struct ds_process_key process = PROCESS;

	return process__move(&process, bpf_get_current_task());
}

TWIN(cgroup)
{
	return cgroup__tell(ARG(0), ARG(1), ARG(2));
}

TWIN(submit)
{
	struct ds_process_key process = PROCESS;

	return block__submit(&process, ARG(2));
}

TWIN(complete)
{
	return block__complete(ARG(0), ARG(1), ARG(2), ARG(3), ARG(4));
}

TWIN(fault_pages)
{
	struct ds_process_key process = PROCESS;

	return fault__count(&process, bpf_get_current_task(), ARG(2), ARG(3));
}

TWIN(table_pages)
{
	page_count = table__pages((void *)ARG(0), ARG(1));
	return 0;
}

TWIN(may_be_huge)
{
	page_count = fault__may_be_huge((void *)ARG(0), ARG(1));
	return 0;
}

TWIN(held)
{
	struct protected_fault fault = {.how = ARG(0), .vma = ARG(3)};

	verdict = entry__is_held_by_track(&fault, ARG(1), ARG(2));
	return 0;
}

TWIN(tracks)
{
	struct protected_fault fault = {
		.mm = ARG(0), .address = ARG(1), .how = ARG(2), .present = ARG(3)};

	verdict = fault__is_tracks(&fault);
	return 0;
}

TWIN(protection)
{
	struct ds_sensor_stats *sensor = sensor__stats(DS_SENSOR_FAULT);
	struct ds_process_key process = PROCESS;

	verdict = sensor ? process__protection(sensor, &process) : ~0ULL;
	return 0;
}

TWIN(net)
{
	return net__account(DEVICE, ARG(1), ARG(2));
}

TWIN(map)
{
	return dma__map(DEVICE, ARG(1), ARG(2), ARG(3), ARG(4), DS_MAPPING_SINGLE);
}

TWIN(map_coherent)
{
	return dma__map(DEVICE, ARG(1), ARG(2), ARG(3), ARG(4), DS_MAPPING_COHERENT);
}

TWIN(alloc)
{
	return dma__alloc(DEVICE, ARG(1), ARG(2), ARG(3), ARG(4));
}

TWIN(unmap)
{
	return dma__unmap(DEVICE, ARG(1), ARG(2), ARG(3), DS_MAPPING_SINGLE);
}

TWIN(free)
{
	return dma__unmap(DEVICE, ARG(1), ARG(2), ARG(3), DS_MAPPING_COHERENT);
}

TWIN(sync)
{
	return dma__sync(DEVICE, ARG(1), ARG(2), ARG(3));
}

TWIN(link)
{
	return dma__link(DEVICE, ARG(1), ARG(2), ARG(3), ARG(4), ARG(5), ARG(6));
}

TWIN(unlink)
{
	return dma__unlink(DEVICE, ARG(1), ARG(2), ARG(3));
}

TWIN(map_list)
{
	return dma__map_list(DEVICE, ARG(1), ARG(2), ARG(3), ARG(4));
}

TWIN(unmap_list)
{
	return dma__unmap_list(DEVICE, ARG(1), ARG(2), ARG(3));
}

TWIN(sync_list)
{
	return dma__sync_list(DEVICE, ARG(1), ARG(2), ARG(3));
}

TWIN(iommu)
{
	return iommu__account(ARG(0), ARG(1), ARG(2));
}

TWIN(iommu_fault)
{
	return iommu__fault(DEVICE);
}

TWIN(domain_attach)
{
	return domain__attach(ARG(0), (void *)ARG(1));
}

TWIN(domain_free)
{
	return domain__free(ARG(0));
}

TWIN(domain_map)
{
	return domain__map(ARG(0), ARG(1), ARG(2), ARG(3), ARG(4), ARG(5));
}

TWIN(domain_unmap)
{
	return domain__unmap(ARG(0), ARG(1), ARG(2));
}

TWIN(give_lists)
{
	return virtio__give_lists(QUEUE, ARG(1), ARG(2), ARG(3), ARG(4), ARG(5));
}

TWIN(give_list)
{
	return virtio__give_list(QUEUE, ARG(1), ARG(2), ARG(3), ARG(4));
}

TWIN(take)
{
	return virtio__take(QUEUE, ARG(1), ARG(2));
}

TWIN(detach)
{
	return virtio__detach(QUEUE, ARG(1));
}

TWIN(hw)
{
	return hw__reported(ARG(0), ARG(1));
}

TWIN(swiotlb)
{
	return swiotlb__account(DEVICE, ARG(1));
}

TWIN(mark)
{
	marked = page_set__mark(ARG(0), ARG(1), ARG(2));
	return 0;
}

/* ---- storms: many events in one run, with keys first, first + stride, ... ---- */

/* 32 bytes: with what the step of the buffers calls, no more fits a stack of Linux 6.1. */
struct storm {
	__u64 key;
	__u64 stride;
	__u64 object; /* what the event is about: mapping, bio, skb, or a page set's slot */
	__u64 size;
};

#define STORM(name, ...)                                                                    \
	static long name##_step(__u32 index, struct storm *storm)                           \
	{                                                                                   \
		__u64 key = storm->key;                                                     \
		struct ds_process_key process = {.start_boottime_ns = key};                 \
                                                                                            \
		(void)process;                                                              \
		__VA_ARGS__;                                                                \
		storm->key = key + storm->stride;                                           \
		return 0;                                                                   \
	}                                                                                   \
	TWIN(storm_##name)                                                                  \
	{                                                                                   \
		struct storm storm = {                                                      \
			.key = ARG(0), .stride = ARG(1), .object = ARG(3), .size = ARG(4)}; \
		__u64 begin = bpf_ktime_get_ns();                                           \
                                                                                            \
		bpf_loop(ARG(2), name##_step, &storm, 0);                                   \
		storm_ns = bpf_ktime_get_ns() - begin;                                      \
		return 0;                                                                   \
	}

STORM(nothing, (void)0)
STORM(fault, fault__account(&process, 0x1000, PF_USER | PF_WRITE))
/* So many processes in turn. */
STORM(turns, process.start_boottime_ns = 1 + key % storm->size;
      fault__account(&process, 0x1000, PF_USER | PF_WRITE))
STORM(pagecache, pagecache__account(&process, storm->size, storm->object, 0))
STORM(map, dma__map((void *)key, key << DS_PAGE_SHIFT, key + storm->object, storm->size,
		    DS_DMA_FROM_DEVICE, DS_MAPPING_SINGLE))
STORM(unmap, dma__unmap((void *)key, key + storm->object, storm->size, DS_DMA_FROM_DEVICE,
			DS_MAPPING_SINGLE))
/* One device, mapping at the same addresses from all CPUs; object: the memory, 0: not translated */
STORM(cycle, dma__map((void *)storm_device, storm->object + (key << DS_PAGE_SHIFT),
		      key << DS_PAGE_SHIFT, storm->size, DS_DMA_FROM_DEVICE, DS_MAPPING_SINGLE);
      dma__unmap((void *)storm_device, key << DS_PAGE_SHIFT, storm->size, DS_DMA_FROM_DEVICE,
		 DS_MAPPING_SINGLE))
/* The first half of that: mappings that stay. */
STORM(burst, dma__map((void *)storm_device, storm->object + (key << DS_PAGE_SHIFT),
		      key << DS_PAGE_SHIFT, storm->size, DS_DMA_FROM_DEVICE, DS_MAPPING_SINGLE))
/* The same for the device to read: counted, and not in the ledger. */
STORM(read_cycle, dma__map((void *)storm_device, storm->object + (key << DS_PAGE_SHIFT),
			   key << DS_PAGE_SHIFT, storm->size, DS_DMA_TO_DEVICE, DS_MAPPING_SINGLE);
      dma__unmap((void *)storm_device, key << DS_PAGE_SHIFT, storm->size, DS_DMA_TO_DEVICE,
		 DS_MAPPING_SINGLE))
/* object: an address that makes the tokens this CPU's own, or those of all */
STORM(buffers, virtio__give_list((void *)storm_queue, key + storm->object, storm_list, 1, false);
      virtio__take((void *)storm_queue, key + storm->object, storm->size))
STORM(give, virtio__give_list((void *)storm_queue, key + storm->object, storm_list, 1, false))
STORM(take, virtio__take((void *)storm_queue, key + storm->object, storm->size))
STORM(complete, block__complete(storm_disk, key, storm->object, storm->size, false))
STORM(read, block__submit(&process, storm->object);
      block__complete(storm_disk, 1, storm->object, storm->size, false))
STORM(net, net__account((void *)key, storm->object, storm->size))
STORM(mark, page_set__mark(storm->object, key, storm->size))

char LICENSE[] SEC("license") = "Dual BSD/GPL";
