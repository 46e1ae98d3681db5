// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Virtqueues by their functions, drivers/virtio/virtio_ring.c: no tracepoint tells of them. */
#include "bpf/virtio.h"
#include <bpf/bpf_tracing.h>

static __always_inline bool platform(struct virtqueue *queue)
{
	return queue->vdev->features >> VIRTIO_F_ACCESS_PLATFORM & 1;
}

SEC("fexit/virtqueue_add_sgs")
int BPF_PROG(virtqueue_add_sgs, struct virtqueue *queue, struct scatterlist **lists,
	     unsigned int out, unsigned int in, void *token, unsigned int gfp, int error)
{
	return error ? 0
		     : virtio__give_lists(queue, (__u64)token, func__argument(ctx, 1), out, in,
					  platform(queue));
}

SEC("fexit/virtqueue_add_inbuf")
int BPF_PROG(virtqueue_add_inbuf, struct virtqueue *queue, struct scatterlist *list,
	     unsigned int entries, void *token, unsigned int gfp, int error)
{
	return error ? 0
		     : virtio__give_list(queue, (__u64)token, (__u64)list, entries,
					 platform(queue));
}

SEC("fexit/virtqueue_add_inbuf_ctx")
int BPF_PROG(virtqueue_add_inbuf_ctx, struct virtqueue *queue, struct scatterlist *list,
	     unsigned int entries, void *token, void *context, unsigned int gfp, int error)
{
	return error ? 0
		     : virtio__give_list(queue, (__u64)token, (__u64)list, entries,
					 platform(queue));
}

/* After 6.12: the driver maps by itself, and its list holds DMA addresses. */
SEC("fexit/virtqueue_add_inbuf_premapped")
int BPF_PROG(virtqueue_add_inbuf_premapped, struct virtqueue *queue, struct scatterlist *list,
	     unsigned int entries, void *token, void *context, unsigned int gfp, int error)
{
	return error ? 0
		     : virtio__give_list(queue, (__u64)token, (__u64)list, entries,
					 platform(queue));
}

static __always_inline int take(struct virtqueue *queue, unsigned int *length, void *token)
{
	unsigned int bytes = 0;

	if (!token)
		return 0;
	bpf_probe_read_kernel(&bytes, sizeof(bytes), length);
	return virtio__take(queue, (__u64)token, bytes);
}

SEC("fexit/virtqueue_get_buf_ctx")
int BPF_PROG(virtqueue_get_buf_ctx, struct virtqueue *queue, unsigned int *length, void **context,
	     void *token)
{
	return take(queue, length, token);
}

SEC("fexit/virtqueue_get_buf")
int BPF_PROG(virtqueue_get_buf, struct virtqueue *queue, unsigned int *length, void *token)
{
	return take(queue, length, token);
}

SEC("fexit/virtqueue_detach_unused_buf")
int BPF_PROG(virtqueue_detach_unused_buf, struct virtqueue *queue, void *token)
{
	return virtio__detach(queue, (__u64)token);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
