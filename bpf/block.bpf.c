// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Pages that block devices wrote, on any driver. Every bio of a request passes one of the three
 * submission points, after splitting and in the submitter's context (blk_mq_submit_bio());
 * block_rq_issue would not do: it fires again after a requeue, and from kworkers.
 */
#include "bpf/block.h"
#include <bpf/bpf_tracing.h>

static __always_inline int submit(struct bio *bio)
{
	struct ds_process_key process;

	if (!bio || !block__is_read(bio->bi_opf))
		return 0;
	process = process__current();
	return block__submit(&process, (__u64)bio);
}

SEC("tp_btf/block_getrq")
int BPF_PROG(block_getrq, struct bio *bio)
{
	return submit(bio);
}

SEC("tp_btf/block_bio_backmerge")
int BPF_PROG(block_bio_backmerge, struct bio *bio)
{
	return submit(bio);
}

SEC("tp_btf/block_bio_frontmerge")
int BPF_PROG(block_bio_frontmerge, struct bio *bio)
{
	return submit(bio);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *rq, int error, unsigned int nr_bytes)
{
	struct gendisk *disk;

	if (!block__is_read(rq->cmd_flags))
		return 0;
	disk = rq->q->disk;
	return block__complete((__u64)disk, disk ? disk->diskseq : 0, (__u64)rq->bio, nr_bytes,
			       error != 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
