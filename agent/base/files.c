/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_FIRST 4096

static int open_retry(int directory, const char *path, int flags)
{
	int fd;

	do {
		fd = openat(directory, path, flags | O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int files__open_directory(int directory, const char *path)
{
	return open_retry(directory, path, O_DIRECTORY);
}

static int open_regular(int directory, const char *path)
{
	int fd = open_retry(directory, path, 0);
	struct stat stat;

	if (fd < 0)
		return fd;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* Until the end of the file or of the buffer. */
static ssize_t read_full(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(fd, buffer + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

int files__read(int directory, const char *path, char *buffer, size_t size)
{
	ssize_t length;
	int fd;

	if (!size || size > INT_MAX)
		return -EINVAL;
	buffer[0] = '\0';
	fd = open_regular(directory, path);
	if (fd < 0)
		return fd;
	length = read_full(fd, buffer, size - 1);
	close(fd);
	buffer[length > 0 ? length : 0] = '\0';
	return (int)length;
}

int files__read_all(int directory, const char *path, size_t limit, char **data, size_t *length)
{
	size_t capacity = READ_FIRST, used = 0;
	char *buffer = NULL;
	int err = 0, fd;

	*data = NULL;
	*length = 0;
	fd = open_regular(directory, path);
	if (fd < 0)
		return fd;
	for (;;) {
		char *larger = realloc(buffer, capacity + 1);
		ssize_t got;

		if (!larger) {
			err = -ENOMEM;
			break;
		}
		buffer = larger;
		got = read_full(fd, buffer + used, capacity - used);
		if (got < 0) {
			err = (int)got;
			break;
		}
		used += (size_t)got;
		if (used > limit) {
			err = -EFBIG;
			break;
		}
		if (used < capacity) {
			buffer[used] = '\0';
			*data = buffer;
			*length = used;
			buffer = NULL;
			break;
		}
		capacity *= 2;
	}
	close(fd);
	free(buffer);
	return err;
}

bool files__parse_u64(const char *text, size_t length, uint64_t *value)
{
	uint64_t number = 0;

	if (!length)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
			return false;
	}
	*value = number;
	return true;
}

int files__read_line(int directory, const char *path, char *line, size_t size)
{
	int length = files__read(directory, path, line, size);
	char *end;

	if (length < 0)
		return length;
	end = memchr(line, '\n', (size_t)length);
	if (!end)
		return (int)strlen(line);
	*end = '\0';
	return (int)strlen(line);
}

int files__read_u64(int directory, const char *path, uint64_t *value)
{
	char line[32];
	int length = files__read_line(directory, path, line, sizeof(line));

	if (length < 0)
		return length;
	return files__parse_u64(line, (size_t)length, value) ? 0 : -EINVAL;
}

int files__read_link(int directory, const char *path, char *target, size_t size)
{
	ssize_t length = readlinkat(directory, path, target, size);

	if (length < 0)
		return -errno;
	if ((size_t)length >= size)
		return -ENAMETOOLONG;
	target[length] = '\0';
	return (int)length;
}

int files__link_name(int directory, const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	const char *last;
	size_t length;
	int err = files__read_link(directory, path, target, sizeof(target));

	if (err < 0)
		return err;
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!files__is_component(last))
		return -EINVAL;
	length = strlen(last);
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(name, last, length + 1);
	return 0;
}

bool files__is_component(const char *name)
{
	return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}
