/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/pins_private.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>
#include <rdma/rdma_netlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEVICES_MOST 1024
#define ANSWER_BYTES 32768

struct rdma_region {
	uint32_t pid;
	uint64_t bytes;
};

struct xdp_area {
	uint32_t inode, id;
	uint64_t bytes;
	uint32_t counted_for; /* the process that it was last counted for */
};

/* ---- one dump ---- */

/* Sends the request and hands each message of the answer to `each`; nothing waits for more than 1
 * s. */
static int dump(int protocol, struct nlmsghdr *request, mnl_cb_t each, void *context)
{
	const struct timeval patience = {.tv_sec = 1};
	struct mnl_socket *socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	char answer[ANSWER_BYTES];
	ssize_t length;
	int more = MNL_CB_OK, err = 0;

	if (!socket)
		return -errno;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 1;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) ||
	    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) ||
	    mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		err = -errno;
	while (!err && more > MNL_CB_STOP) {
		length = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		if (length < 0) {
			err = -errno;
			break;
		}
		more = mnl_cb_run(answer, length, 1, mnl_socket_get_portid(socket), each, context);
		if (more < MNL_CB_STOP)
			err = -errno;
	}
	mnl_socket_close(socket);
	return err;
}

/* ---- RDMA: drivers/infiniband/core/nldev.c ---- */

struct rdma_devices {
	uint32_t indices[DEVICES_MOST];
	size_t count;
};

static int take_device(const struct nlmsghdr *message, void *context)
{
	struct rdma_devices *devices = context;
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, 0)
	{
		if (mnl_attr_get_type(attribute) == RDMA_NLDEV_ATTR_DEV_INDEX &&
		    mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0 &&
		    devices->count < DEVICES_MOST)
			devices->indices[devices->count++] = mnl_attr_get_u32(attribute);
	}
	return MNL_CB_OK;
}

static int add_region(struct pin_sources *sources, uint32_t pid, uint64_t bytes)
{
	struct rdma_region *more =
		reallocarray(sources->rdma, sources->rdma_count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	sources->rdma = more;
	more[sources->rdma_count++] = (struct rdma_region){.pid = pid, .bytes = bytes};
	return 0;
}

static int take_region(const struct nlattr *entry, struct pin_sources *sources)
{
	const struct nlattr *attribute;
	uint64_t bytes = 0;
	uint32_t pid = 0;

	mnl_attr_for_each_nested(attribute, entry)
	{
		if (mnl_attr_get_type(attribute) == RDMA_NLDEV_ATTR_RES_MRLEN &&
		    mnl_attr_validate(attribute, MNL_TYPE_U64) >= 0)
			bytes = mnl_attr_get_u64(attribute);
		else if (mnl_attr_get_type(attribute) == RDMA_NLDEV_ATTR_RES_PID &&
			 mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
			pid = mnl_attr_get_u32(attribute);
	}
	return pid && bytes ? add_region(sources, pid, bytes) : 0;
}

static int take_regions(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attribute, *entry;

	mnl_attr_for_each(attribute, message, 0)
	{
		if (mnl_attr_get_type(attribute) != RDMA_NLDEV_ATTR_RES_MR)
			continue;
		mnl_attr_for_each_nested(entry, attribute)
		{
			if (mnl_attr_get_type(entry) == RDMA_NLDEV_ATTR_RES_MR_ENTRY &&
			    take_region(entry, context))
				return MNL_CB_ERROR;
		}
	}
	return MNL_CB_OK;
}

static void read_rdma(struct pin_sources *sources)
{
	struct rdma_devices *devices = calloc(1, sizeof(*devices));
	char buffer[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	if (!devices)
		return;
	request->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_GET);
	if (dump(NETLINK_RDMA, request, take_device, devices))
		devices->count = 0;
	for (size_t i = 0; i < devices->count; i++) {
		request = mnl_nlmsg_put_header(buffer);
		request->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_RES_MR_GET);
		mnl_attr_put_u32(request, RDMA_NLDEV_ATTR_DEV_INDEX, devices->indices[i]);
		(void)dump(NETLINK_RDMA, request, take_regions, sources);
	}
	free(devices);
}

uint64_t pin_sources__rdma(struct pin_sources *sources, uint32_t pid)
{
	uint64_t sum = 0;

	if (!sources->rdma_is_read)
		read_rdma(sources);
	sources->rdma_is_read = true;
	for (size_t i = 0; i < sources->rdma_count; i++)
		if (sources->rdma[i].pid == pid)
			sum += sources->rdma[i].bytes;
	return sum;
}

/* ---- AF_XDP: net/xdp/xsk_diag.c ---- */

/* A socket without an area has none of the attributes. */
static int take_area(const struct nlmsghdr *message, void *context)
{
	const struct xdp_diag_msg *head = mnl_nlmsg_get_payload(message);
	struct pin_sources *sources = context;
	const struct nlattr *attribute;
	struct xdp_area *more =
		reallocarray(sources->xdp, sources->xdp_count + 1, sizeof(*sources->xdp));

	if (!more)
		return MNL_CB_ERROR;
	sources->xdp = more;
	more += sources->xdp_count++;
	*more = (struct xdp_area){.inode = head->xdiag_ino};
	mnl_attr_for_each(attribute, message, sizeof(*head))
	{
		const struct xdp_diag_umem *area = mnl_attr_get_payload(attribute);

		if (mnl_attr_get_type(attribute) != XDP_DIAG_UMEM ||
		    mnl_attr_get_payload_len(attribute) < sizeof(*area))
			continue;
		more->id = area->id;
		more->bytes = area->size;
	}
	return MNL_CB_OK;
}

static void read_xdp(struct pin_sources *sources)
{
	char buffer[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct xdp_diag_req *what = mnl_nlmsg_put_extra_header(request, sizeof(*what));

	request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	what->sdiag_family = AF_XDP;
	what->xdiag_show = XDP_SHOW_UMEM;
	(void)dump(NETLINK_SOCK_DIAG, request, take_area, sources);
}

static bool is_counted(const struct pin_sources *sources, uint32_t id, uint32_t pid)
{
	for (size_t i = 0; i < sources->xdp_count; i++)
		if (sources->xdp[i].id == id && sources->xdp[i].counted_for == pid)
			return true;
	return false;
}

bool pin_sources__xdp(struct pin_sources *sources, uint32_t pid, uint64_t inode, uint64_t *bytes)
{
	*bytes = 0;
	if (!sources->xdp_is_read)
		read_xdp(sources);
	sources->xdp_is_read = true;
	for (size_t i = 0; i < sources->xdp_count; i++) {
		struct xdp_area *area = &sources->xdp[i];

		if (area->inode != inode)
			continue;
		if (area->bytes && !is_counted(sources, area->id, pid)) {
			area->counted_for = pid;
			*bytes = area->bytes;
		}
		return true;
	}
	return false;
}

/* ---- both ---- */

struct pin_sources *pin_sources__new(void)
{
	return calloc(1, sizeof(struct pin_sources));
}

void pin_sources__renew_xdp(struct pin_sources *sources)
{
	free(sources->xdp);
	sources->xdp = NULL;
	sources->xdp_count = 0;
	sources->xdp_is_read = false;
}

void pin_sources__clear(struct pin_sources *sources)
{
	free(sources->rdma);
	free(sources->xdp);
	*sources = (struct pin_sources){0};
}

void pin_sources__free(struct pin_sources *sources)
{
	if (sources)
		pin_sources__clear(sources);
	free(sources);
}
