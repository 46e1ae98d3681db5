/* SPDX-License-Identifier: BSD-2-Clause */
/* RDMA: a queue pair writes into memory that another one of the same process has registered. */
#include <errno.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

#define PORT 1
#define ACCESS (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)
#define WAIT_SECONDS 20

struct rdma {
	struct ibv_context *device;
	struct ibv_pd *domain;
	struct ibv_mr *target, *source;
	struct ibv_cq *completions;
	struct ibv_qp *pairs[2];
	union ibv_gid gid;
	int gid_index;
	unsigned char *content;
};

/* The first device with a GID that is not zero. */
static int open_device(struct fsck *fsck, struct rdma *rdma)
{
	const union ibv_gid none = {0};
	int count = 0;
	struct ibv_device **devices = ibv_get_device_list(&count);

	if (!devices || !count) {
		if (devices)
			ibv_free_device_list(devices);
		return fsck__skip(fsck, "no RDMA device (rdma_rxe)");
	}
	rdma->device = ibv_open_device(devices[0]);
	ibv_free_device_list(devices);
	if (!rdma->device)
		return -errno;
	for (int i = 0; i < 8; i++)
		if (!ibv_query_gid(rdma->device, PORT, i, &rdma->gid) &&
		    memcmp(&rdma->gid, &none, sizeof(none)) != 0) {
			rdma->gid_index = i;
			return 0;
		}
	return fsck__skip(fsck, "the RDMA device has no address");
}

static int connect_pair(struct rdma *rdma, struct ibv_qp *pair, uint32_t to)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = PORT,
		.qp_access_flags = ACCESS,
	};
	int err = ibv_modify_qp(
		pair, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

	if (err)
		return -err;
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = to,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {.is_global = 1,
			    .port_num = PORT,
			    .grh = {.dgid = rdma->gid,
				    .sgid_index = (uint8_t)rdma->gid_index,
				    .hop_limit = 1}},
	};
	err = ibv_modify_qp(pair, &attr,
			    IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				    IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				    IBV_QP_MIN_RNR_TIMER);
	if (err)
		return -err;
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};
	return -ibv_modify_qp(pair, &attr,
			      IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				      IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

static int make_pairs(struct rdma *rdma)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = {.max_send_wr = 4, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	};
	int err;

	rdma->completions = ibv_create_cq(rdma->device, 8, NULL, NULL, 0);
	if (!rdma->completions)
		return -errno;
	init.send_cq = init.recv_cq = rdma->completions;
	for (int i = 0; i < 2; i++) {
		rdma->pairs[i] = ibv_create_qp(rdma->domain, &init);
		if (!rdma->pairs[i])
			return -errno;
	}
	err = connect_pair(rdma, rdma->pairs[0], rdma->pairs[1]->qp_num);
	return err ? err : connect_pair(rdma, rdma->pairs[1], rdma->pairs[0]->qp_num);
}

int rdma__register(struct fsck *fsck)
{
	struct rdma *rdma = calloc(1, sizeof(*rdma));
	int err;

	if (!rdma)
		return -ENOMEM;
	fsck->state = rdma;
	err = open_device(fsck, rdma);
	if (err)
		return err;
	rdma->content = aligned_alloc(FSCK_PAGE, FSCK_CHOSEN * FSCK_PAGE);
	rdma->domain = ibv_alloc_pd(rdma->device);
	if (!rdma->content || !rdma->domain)
		return -ENOMEM;
	for (unsigned i = 0; i < FSCK_CHOSEN; i++)
		fsck__fresh(rdma->content + i * FSCK_PAGE, i);
	rdma->source = ibv_reg_mr(rdma->domain, rdma->content, FSCK_CHOSEN * FSCK_PAGE, 0);
	if (!rdma->source)
		return -errno;
	rdma->target = ibv_reg_mr(rdma->domain, fsck->region, FSCK_BYTES, ACCESS);
	if (!rdma->target)
		return fsck__skip(fsck, "memory of this kind cannot be registered: %s",
				  strerror(errno));
	return make_pairs(rdma);
}

/* Until it is done: it is the network's loop that carries it. */
static int await(const struct rdma *rdma)
{
	const time_t end = time(NULL) + WAIT_SECONDS;
	struct ibv_wc done;
	int count;

	while (!(count = ibv_poll_cq(rdma->completions, 1, &done))) {
		if (time(NULL) > end)
			return -ETIMEDOUT;
		usleep(100);
	}
	return count == 1 && done.status == IBV_WC_SUCCESS ? 0 : -EIO;
}

int rdma__write(struct fsck *fsck)
{
	const struct rdma *rdma = fsck->state;
	int err = 0;

	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		struct ibv_sge piece = {
			.addr = (uintptr_t)(rdma->content + i * FSCK_PAGE),
			.length = FSCK_PAGE,
			.lkey = rdma->source->lkey,
		};
		struct ibv_send_wr work = {
			.opcode = IBV_WR_RDMA_WRITE,
			.send_flags = IBV_SEND_SIGNALED,
			.sg_list = &piece,
			.num_sge = 1,
			.wr.rdma = {.remote_addr = (uintptr_t)fsck__chosen(fsck, i),
				    .rkey = rdma->target->rkey},
		};
		struct ibv_send_wr *bad;

		err = -ibv_post_send(rdma->pairs[0], &work, &bad);
		if (!err)
			err = await(rdma);
	}
	return err;
}
