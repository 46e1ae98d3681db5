/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Buffers of virtqueues, which bypass the DMA API without VIRTIO_F_ACCESS_PLATFORM. */
#ifndef DIRTYSCOPE_BPF_VIRTIO_H
#define DIRTYSCOPE_BPF_VIRTIO_H

#include "bpf/live_mappings.h"
#include "bpf/list.h"

#define VIRTIO_F_ACCESS_PLATFORM 33   /* include/uapi/linux/virtio_config.h */
#define DS_BUFFER_SEGMENTS 0x7fffffff /* lists of virtio end by themselves */

static __always_inline bool virtio__begin(struct dma_event *event, struct virtqueue *queue)
{
	struct virtio_device *vdev = DS_FIELD(queue, vdev);

	return dma_event__begin(event, DS_SENSOR_VIRTIO, device__slot(&vdev->dev),
				DS_LOST_DEVICES_FULL);
}

static __always_inline void buffer__unexpose(const struct ds_buffer *buffer)
{
	if (buffer->exposed)
		slot__unexpose(buffer->slot, buffer->pages, true);
}

static __always_inline void buffer__look_at(struct ds_buffer_list *list, struct list_walk *walk,
					    __s32 entries)
{
	__u64 bytes = walk->bytes, check = walk->check;
	__u32 segments = walk->segments;

	list__walk(walk, list->at, entries, 0);
	list->bytes = walk->bytes - bytes;
	list->segments = walk->segments - segments;
	if (list->segments != 1)
		return;
	list->at = walk->last;
	walk->check = check; /* it is not looked at again */
}

/* What the lists of a buffer hold now, of at most that many entries each. Returns enum ds_lost. */
__weak int buffer__look(struct ds_buffer *buffer, __s32 entries)
{
	struct list_walk walk = {.lost = DS_LOST_NOT};

	if (!buffer)
		return DS_LOST_NOT;
	for (__u32 i = 0; i < DS_BUFFER_LISTS; i++)
		if (buffer->lists[i].at)
			buffer__look_at(&buffer->lists[i], &walk, entries);
	buffer->size = walk.bytes;
	buffer->pages = walk.pages;
	buffer->check = walk.check;
	return walk.lost;
}

/*
 * A driver gave a buffer to its device: buffer->lists, of at most that many entries each, are for
 * the device to write. platform: the dma sensor has their exposure.
 */
static __always_inline int virtio__give(struct virtqueue *queue, __u64 token,
					struct ds_buffer *buffer, __s32 entries, bool platform)
{
	struct ds_buffer_key key = {.queue = (__u64)queue, .token = token};
	struct ds_buffer *old;
	struct dma_event event;
	long error;

	if (!virtio__begin(&event, queue))
		return 0;
	if (buffer->truncated)
		event__lose(event.lost, DS_LOST_TRUNCATED);
	event__lose(event.lost, buffer__look(buffer, entries));
	buffer->slot = event.slot;
	buffer->exposed = ds_ledger && !platform;
	ds_add(event.stats->virtio_buffers, 1);
	old = bpf_map_lookup_elem(&buffers, &key);
	if (old) /* given to a device that was reset meanwhile */
		buffer__unexpose(old);
	error = bpf_map_update_elem(&buffers, &key, buffer, BPF_ANY);
	if (error) {
		event__lose(event.lost, ledger__refused(error));
	} else if (buffer->exposed) {
		slot__expose(buffer->slot, buffer->pages);
	}
	return dma_event__end(&event);
}

/* Out of an array of lists those for the device to write; they come after the others. */
static __always_inline int virtio__give_lists(struct virtqueue *queue, __u64 token, __u64 lists,
					      __u32 out, __u32 in, bool platform)
{
	struct ds_buffer buffer = {.truncated = in > DS_BUFFER_LISTS};

	if (!in)
		return 0;
	for (__u32 i = 0; i < DS_BUFFER_LISTS; i++)
		if (i < in)
			bpf_probe_read_kernel(&buffer.lists[i].at, sizeof(buffer.lists[i].at),
					      (void *)(lists + (out + i) * sizeof(__u64)));
	return virtio__give(queue, token, &buffer, DS_BUFFER_SEGMENTS, platform);
}

static __always_inline int virtio__give_list(struct virtqueue *queue, __u64 token, __u64 list,
					     __u32 entries, bool platform)
{
	struct ds_buffer buffer = {.lists = {{.at = list}}};

	return virtio__give(queue, token, &buffer, entries, platform);
}

struct buffer_mark {
	__u64 check; /* as in struct ds_buffer */
	__u64 bytes; /* written, and not marked yet */
	__u64 pages; /* of what was written */
	__u64 marked;
	__u32 slot;
	__u32 lost;
};

/* Marks what the device wrote of one list. */
__weak int buffer__mark(struct buffer_mark *mark, const struct ds_buffer_list *list)
{
	struct list_walk walk = {};
	__u64 here, pages;
	__u32 lost;

	if (!mark || !list || !list->segments)
		return 0;
	here = mark->bytes < list->bytes ? mark->bytes : list->bytes;
	mark->bytes -= here;
	if (list->segments == 1) {
		pages = pages__spanned(list->at, here);
		/* Not page_set__mark(): on 6.1 the frames of all nested calls are 512 bytes. */
		lost = page_range__mark_all(mark->slot, list->at >> DS_PAGE_SHIFT, pages);
		mark->pages += pages;
		if (lost == DS_LOST_NOT)
			mark->marked += pages;
		else
			event__lose(mark->lost, lost);
		return 0;
	}
	walk.check = mark->check;
	walk.slot = mark->slot;
	walk.lost = mark->lost;
	list__walk(&walk, list->at, DS_BUFFER_SEGMENTS, here);
	mark->lost = walk.lost;
	mark->check = walk.check;
	mark->pages += walk.marked;
	mark->marked += walk.marked;
	return 0;
}

/* Marks what the device wrote: the first bytes of the buffer. Returns the pages of these. */
static __always_inline __u64 virtio__mark(struct dma_event *event, const struct ds_buffer *buffer,
					  __u64 bytes)
{
	struct buffer_mark mark = {.bytes = bytes, .slot = event->slot, .lost = event->lost};

	for (__u32 i = 0; i < DS_BUFFER_LISTS; i++)
		buffer__mark(&mark, &buffer->lists[i]);
	event->lost = mark.lost;
	ds_add(event->stats->completed_pages, mark.marked);
	if (mark.check != buffer->check) /* the driver has used its lists for another one */
		event__lose(event->lost, DS_LOST_TRUNCATED);
	return mark.pages;
}

/*
 * The device gave a buffer back; bytes: what it says that it wrote. virtqueue_get_buf() may be
 * built on virtqueue_get_buf_ctx(): the second of them finds nothing, and counts nothing.
 */
static __always_inline int virtio__take(struct virtqueue *queue, __u64 token, __u64 bytes)
{
	struct ds_buffer_key key = {.queue = (__u64)queue, .token = token};
	struct ds_buffer *found = bpf_map_lookup_elem(&buffers, &key), buffer;
	struct dma_event event;
	__u64 pages;

	if (!found)
		return 0;
	buffer = *found;
	if (bpf_map_delete_elem(&buffers, &key) || !virtio__begin(&event, queue))
		return 0;
	if (bytes > buffer.size) {
		bytes = buffer.size;
		if (buffer.truncated)
			event__lose(event.lost, DS_LOST_TRUNCATED);
	}
	buffer__unexpose(&buffer);
	pages = virtio__mark(&event, &buffer, bytes);
	ds_add(event.stats->virtio_used, 1);
	ds_add(event.stats->virtio_bytes, bytes);
	ds_add(event.stats->virtio_pages, pages);
	return dma_event__end(&event);
}

/* Taken back by the driver, unused: the device was reset or goes. */
static __always_inline int virtio__detach(struct virtqueue *queue, __u64 token)
{
	return token ? virtio__take(queue, token, 0) : 0;
}

#endif
