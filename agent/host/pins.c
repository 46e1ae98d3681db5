/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int read_ring(int process, const char *fd, struct pins *pins)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const struct pins before = *pins;
	char path[64], *text;
	size_t length;
	int err = -EAGAIN;

	snprintf(path, sizeof(path), "fdinfo/%.20s", fd);
	for (int i = 0; i < RING_TRIES && err == -EAGAIN; i++) {
		if (i)
			nanosleep(&pause, NULL);
		err = files__read_all(process, path, RING_TEXT_MAX, &text, &length);
		if (err)
			break;
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

static void partly(struct pins *pins, const char *reason)
{
	if (pins->whole)
		snprintf(pins->reason, sizeof(pins->reason), "%s", reason);
	pins->whole = false;
}

static int look_at_fd(int process, const char *fd, struct pin_sources *sources, uint32_t pid,
		      struct pins *pins)
{
	char path[64], link[64];
	uint64_t inode;
	int err;

	snprintf(path, sizeof(path), "fd/%.20s", fd);
	if (files__read_link(process, path, link, sizeof(link)) < 0)
		return 0; /* it was closed meanwhile, or its name is long: no ring */
	if (strcmp(link, RING_LINK) == 0) {
		err = read_ring(process, fd, pins);
		if (err == -ENOMEM)
			return err;
		if (err && err != -ENOENT)
			partly(pins, "a ring of io_uring is in use all the time, and does not tell "
				     "its buffers");
	} else if (pin_sources__has_xdp(sources) &&
		   strncmp(link, SOCKET_LINK, strlen(SOCKET_LINK)) == 0 &&
		   files__parse_u64(link + strlen(SOCKET_LINK),
				    strcspn(link + strlen(SOCKET_LINK), "]"), &inode)) {
		pins->by[PIN_XDP] += pin_sources__xdp(sources, pid, inode);
	}
	return 0;
}

static int look_at_fds(int process, struct pin_sources *sources, uint32_t pid, struct pins *pins)
{
	int err = 0, fd = files__open_directory(process, "fd");
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	unsigned seen = 0;

	if (!directory) {
		err = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		if (++seen > PINS_FDS_MAX) {
			partly(pins, "it has more descriptors than are looked at");
			break;
		}
		err = look_at_fd(process, entry->d_name, sources, pid, pins);
	}
	closedir(directory);
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
	if (!err && (!options->rings_are_counted || pins->vm_pin || pin_sources__has_xdp(sources)))
		err = look_at_fds(process, sources, options->pid, pins);
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
