/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/files.h"
#include "agent/host/pagemap_scan.h"
#include "agent/host/pins_private.h"
#include "agent/host/proc_status.h"

#define RING_TEXT_MAX (4u << 20) /* 16384 buffers (IORING_MAX_REG_BUFFERS) take some 700 KiB */
#define RING_TRIES 8
#define RING_LINK "anon_inode:[io_uring]"
#define SOCKET_LINK "socket:["
#define PROTOCOLS_MAX (64u << 10)
#define HUGE_BYTES (2u << 20)

static uint64_t round_down(uint64_t value, uint64_t unit)
{
	return value / unit * unit;
}

int pins__add(struct pins *pins, enum pin_kind kind, uint64_t start, uint64_t bytes)
{
	struct pin_range *more;
	size_t room;

	if (pins->range_count == pins->range_room) {
		room = pins->range_room ? 2 * pins->range_room : 16;
		more = reallocarray(pins->ranges, room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		pins->ranges = more;
		pins->range_room = room;
	}
	more = &pins->ranges[pins->range_count++];
	*more = (struct pin_range){
		.start = round_down(start, DS_PAGE_SIZE),
		.end = round_down(start + bytes + DS_PAGE_SIZE - 1, DS_PAGE_SIZE),
		.kind = kind};
	pins->by[kind] += more->end - more->start;
	return 0;
}

/* ---- io_uring ---- */

/* "    0: 0x7f2971200000/65536"; an empty place is "<none>", or an address of all ones before 6.14.
 */
static int parse_buffer(const char *line, struct pins *pins)
{
	unsigned index;
	uint64_t start, bytes;

	if (sscanf(line, " %u: 0x%" SCNx64 "/%" SCNu64, &index, &start, &bytes) != 3)
		return strstr(line, "<none>") ? 0 : -EINVAL;
	if (!bytes || start + bytes <= start || start + bytes > INT64_MAX)
		return 0;
	return pins__add(pins, PIN_IO_URING, start, bytes);
}

/*
 * The kernel shows the buffers only if it gets the ring's lock without waiting: else they, or the
 * whole section, are missing (mutex_trylock() in io_uring_show_fdinfo()).
 */
int pins__parse_ring(const char *text, struct pins *pins)
{
	const char *section = strstr(text, "\nUserBufs:");
	unsigned count;
	int err;

	if (!section)
		return strstr(text, "\nSqMask:") || strstr(text, "\npos:") ||
				       strncmp(text, "pos:", 4) == 0
			       ? -EAGAIN
			       : -EINVAL;
	if (sscanf(section + 1, "UserBufs: %u", &count) != 1)
		return -EINVAL;
	section = strchr(section + 1, '\n');
	for (unsigned i = 0; i < count; i++) {
		if (!section || (section[1] != ' ' && (section[1] < '0' || section[1] > '9')))
			return -EAGAIN;
		err = parse_buffer(section + 1, pins);
		if (err)
			return err;
		section = strchr(section + 1, '\n');
	}
	return 0;
}

/*
 * struct io_rings, an array and the completions, rounded up (rings_size(), io_uring/io_uring.c); no
 * more than with the larger completions of IORING_SETUP_CQE32.
 */
uint64_t pins__ring_bytes(const char *text)
{
	enum { HEAD_BYTES = 1024, INDEX_BYTES = 4, COMPLETION_BYTES = 32 };
	const char *submissions = strstr(text, "SqMask:"), *completions = strstr(text, "CqMask:");
	uint64_t sq, cq;

	if (!submissions || !completions || sscanf(submissions, "SqMask: %" SCNx64, &sq) != 1 ||
	    sscanf(completions, "CqMask: %" SCNx64, &cq) != 1 || sq > UINT32_MAX || cq > UINT32_MAX)
		return 0;
	return round_down(HEAD_BYTES + (sq + 1) * INDEX_BYTES + (cq + 1) * COMPLETION_BYTES +
				  2 * DS_PAGE_SIZE - 1,
			  DS_PAGE_SIZE);
}

/* *bytes: of the ring itself; 0: it is gone, or does not tell. */
static int read_ring(int process, const char *fd, struct pins *pins, uint64_t *bytes)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const struct pins before = *pins;
	char path[64], *text;
	size_t length;
	int err = -EAGAIN;

	*bytes = 0;
	snprintf(path, sizeof(path), "fdinfo/%.20s", fd);
	for (int i = 0; i < RING_TRIES && err == -EAGAIN; i++) {
		if (i)
			nanosleep(&pause, NULL);
		err = files__read_all(process, path, RING_TEXT_MAX, &text, &length);
		if (err)
			break;
		*bytes = pins__ring_bytes(text);
		err = pins__parse_ring(text, pins);
		free(text);
		if (err) { /* what was read of it is read again */
			pins->range_count = before.range_count;
			memcpy(pins->by, before.by, sizeof(pins->by));
		}
	}
	return err;
}

/* ---- descriptors ---- */

struct look {
	int process; /* its directory */
	const struct pins_options *options;
	struct pin_sources *sources;
	struct pins *pins;
	int fds;	     /* its directory of descriptors */
	bool xdp;	     /* there are AF_XDP sockets in its network namespace */
	size_t rings;	     /* descriptors of rings */
	uint64_t ring_bytes; /* of these */
};

/* anywhere: what is not known is in no sum either. */
static void partly(struct pins *pins, bool anywhere, const char *reason)
{
	if (pins->whole || (anywhere && !pins->anywhere))
		pins->reason = reason;
	pins->whole = false;
	pins->anywhere |= anywhere;
}

static int look_at_ring(struct look *look, const char *fd)
{
	uint64_t bytes;
	int err = read_ring(look->process, fd, look->pins, &bytes);

	if (err == -ENOMEM)
		return err;
	if (err == -ENOENT)
		return 0;
	look->rings++;
	look->ring_bytes += bytes;
	if (err)
		partly(look->pins, !look->options->rings_are_counted,
		       "a ring of io_uring is in use all the time, and does not tell its buffers");
	return 0;
}

/*
 * Whether there is any AF_XDP socket in its network namespace: proto_seq_printf(), net/core/sock.c.
 * True where nobody can tell.
 */
static bool may_have_xdp(int process)
{
	char *text;
	const char *line;
	size_t length;
	int sockets = 1;

	if (files__read_all(process, "net/protocols", PROTOCOLS_MAX, &text, &length))
		return true;
	line = strstr(text, "\nXDP ");
	if (!line || sscanf(line, " XDP %*u %d", &sockets) != 1)
		sockets = line != NULL;
	free(text);
	return sockets;
}

/* The name of a socket's protocol is an attribute of it: sockfs_xattr_get(), net/socket.c. */
static bool is_xdp(int fds, const char *fd)
{
	char path[64], name[8] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%.20s", fds, fd);
	return getxattr(path, "system.sockprotoname", name, sizeof(name) - 1) > 0 &&
	       strcmp(name, "XDP") == 0;
}

static void look_at_socket(struct look *look, const char *fd, const char *link)
{
	uint64_t inode, bytes;

	link += strlen(SOCKET_LINK);
	if (!is_xdp(look->fds, fd) || !files__parse_u64(link, strcspn(link, "]"), &inode))
		return;
	if (pin_sources__xdp(look->sources, look->options->pid, inode, &bytes))
		look->pins->by[PIN_XDP] += bytes;
	else
		partly(look->pins, true,
		       "it has a socket of AF_XDP, and the kernel does not tell its area");
}

static int look_at_fd(struct look *look, const char *fd)
{
	char link[64];

	if (files__read_link(look->fds, fd, link, sizeof(link)) < 0)
		return 0; /* it was closed meanwhile, or its name is long: no ring */
	if (strcmp(link, RING_LINK) == 0)
		return look_at_ring(look, fd);
	if (look->xdp && strncmp(link, SOCKET_LINK, strlen(SOCKET_LINK)) == 0)
		look_at_socket(look, fd, link);
	return 0;
}

static int look_at_fds(struct look *look)
{
	int err = 0, fd = files__open_directory(look->process, "fd");
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	unsigned seen = 0;

	if (!directory) {
		err = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	look->fds = fd;
	look->xdp = may_have_xdp(look->process);
	while (!err && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		if (++seen > PINS_FDS_MAX) {
			partly(look->pins, true, "it has more descriptors than are looked at");
			break;
		}
		err = look_at_fd(look, entry->d_name);
	}
	closedir(directory);
	return err;
}

/* ---- mappings ---- */

/* How many rings are mapped, at the place of their beginning: io_uring_mmap(). */
static int count_rings(struct look *look, size_t *rings)
{
	uint64_t start, end, offset;
	char flags[5], *line = NULL;
	size_t capacity = 0;
	int fd = openat(look->process, "maps", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	int err = file ? 0 : -errno;

	*rings = 0;
	if (!file) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (getline(&line, &capacity, file) > 0) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64, &start, &end, flags,
			   &offset) != 4)
			continue;
		if (strstr(line, RING_LINK))
			*rings += !offset;
		else if (flags[1] == 'w')
			look->pins->writable += end - start;
	}
	if (ferror(file))
		err = -EIO;
	free(line);
	fclose(file);
	return err;
}

/*
 * A ring that is not mapped may lie in the process's own memory, pinned: which of them does, the
 * kernel does not tell. One that is mapped, and has no descriptor, is registered with a thread.
 */
static int look_at_maps(struct look *look)
{
	struct pins *pins = look->pins;
	size_t mapped;
	int err;

	if (!look->rings && !pins->anywhere && look->options->rings_are_counted)
		return 0;
	err = count_rings(look, &mapped);
	if (!err && mapped < look->rings)
		pins->own_rings = look->ring_bytes;
	if (!err && mapped > look->rings && !look->options->rings_are_counted)
		partly(pins, true,
		       "a ring of io_uring has no descriptor, and does not tell its "
		       "buffers");
	return err;
}

/* ---- the sums ---- */

static int by_start(const void *a, const void *b)
{
	const struct pin_range *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/*
 * A buffer in a huge page pins, and is charged, the whole of it, once per registration
 * (io_buffer_account_pin(), io_uring/rsrc.c): the ends of ranges that lie in huge pages count as
 * far as those reach.
 */
static uint64_t charged(int pagemap, const struct pin_range *range)
{
	uint64_t start = range->start, end = range->end;

	if (pagemap_scan__is_huge(pagemap, start, start + DS_PAGE_SIZE))
		start = round_down(start, HUGE_BYTES);
	if (pagemap_scan__is_huge(pagemap, end - DS_PAGE_SIZE, end))
		end = round_down(end + HUGE_BYTES - 1, HUGE_BYTES);
	return end - start;
}

static void add_up(int process, struct pins *pins)
{
	int pagemap;

	if (pins->range_count)
		qsort(pins->ranges, pins->range_count, sizeof(*pins->ranges), by_start);
	pins->placed = pins->by[PIN_IO_URING];
	if (pins->placed >= pins->vm_pin)
		return;
	pagemap = openat(process, "pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return;
	pins->placed = 0;
	for (size_t i = 0; i < pins->range_count; i++)
		pins->placed += charged(pagemap, &pins->ranges[i]);
	close(pagemap);
	if (pins->placed > pins->vm_pin)
		pins->placed = pins->vm_pin;
}

static int read_vm_pin(int process, uint64_t *bytes)
{
	int err = proc_status__bytes(process, "status", "VmPin", bytes);

	return err == -ENODATA ? 0 : err; /* it has no memory of its own, as a kernel thread */
}

static int read_with(const struct pins_options *options, struct pin_sources *sources,
		     struct pins *pins)
{
	struct look look = {.options = options, .sources = sources, .pins = pins};
	char path[4096];
	int process, err;

	*pins = (struct pins){.whole = true};
	snprintf(path, sizeof(path), "%s/%" PRIu32, options->procfs, options->pid);
	process = files__open_directory(AT_FDCWD, path);
	if (process < 0)
		return process == -ENOENT ? -ESRCH : process;
	err = read_vm_pin(process, &pins->vm_pin);
	if (!err && pins->vm_pin)
		pins->by[PIN_RDMA] = pin_sources__rdma(sources, options->pid);
	look.process = process;
	if (!err)
		err = look_at_fds(&look);
	if (!err)
		err = look_at_maps(&look);
	if (!err)
		add_up(process, pins);
	close(process);
	return err == -ENOENT ? -ESRCH : err;
}

int pins__read(const struct pins_options *options, struct pins *pins)
{
	struct pin_sources own = {0};
	int err = read_with(options, options->sources ? options->sources : &own, pins);

	pin_sources__clear(&own);
	return err;
}

void pins__clear(struct pins *pins)
{
	free(pins->ranges);
	*pins = (struct pins){0};
}

uint64_t pins__unexplained(const struct pins *pins)
{
	uint64_t explained = pins->placed + pins->by[PIN_RDMA];

	return pins->vm_pin > explained ? pins->vm_pin - explained : 0;
}
