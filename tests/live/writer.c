// SPDX-License-Identifier: BSD-2-Clause
/*
 * A process that writes the pages it is told to, for the tests of tracks.
 *
 *   writer KIND PAGES THREADS [FILE]      KIND: private, huge, memfd, file-shared, file-private,
 * hugetlb writer attach PAGES 0 FILE            another process's memfd or file, by /proc/PID/fd/N
 *
 * It prints "PID ADDRESS FD" and obeys one command a line, each answered by one line:
 *
 *   write SEED PERMILLE   its threads store into the pages that chosen() names
 *   store P...            stores; alias P...: through a second mapping; pwrite P...: by pwrite(2)
 *   fork P...             a child stores, and has ended when the answer comes
 *   direct FILE P...      each page is filled by an O_DIRECT read; buffered: from the page cache
 *   churn SEED            maps, grows, moves, unmaps, protects, forks; answers what it wrote and
 * has drop                  unmaps the second mapping faults                minor faults so far
 *   touch N               maps N pages and stores into each of them
 *   look N                maps N pages, reads each, then stores into each
 *   spend N               maps N pages, stores into each, unmaps them
 *   read                  reads each of its pages
 *   cow N                 stores into its first N pages while a child has them, too
 *   exec                  becomes another program
 *   leave                 its first thread ends, another one goes on
 *   protect               protects its region by itself; scan: asks what it wrote
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/self_protect.h"

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define MOST_THREADS 128
#define CHURN 40

struct writer {
	size_t pages;
	int fd;
	unsigned char *region, *second;
	int threads;
	pthread_barrier_t begin, end;
	uint64_t seed, permille;
	struct self_protect self;
};

struct worker {
	struct writer *writer;
	size_t first;
	pthread_t thread;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

/* The test computes the same. */
static int chosen(uint64_t seed, uint64_t page, uint64_t permille)
{
	return mix((seed << 32) + page + 1) % 1000 < permille;
}

static void store(unsigned char *page, uint64_t value)
{
	*(volatile unsigned char *)(page + value % PAGE) = (unsigned char)(value >> 12);
}

static void *work(void *argument)
{
	const struct worker *worker = argument;
	struct writer *writer = worker->writer;

	for (;;) {
		pthread_barrier_wait(&writer->begin);
		for (size_t i = worker->first; i < writer->pages; i += (size_t)writer->threads)
			if (chosen(writer->seed, i, writer->permille))
				store(writer->region + i * PAGE, mix(writer->seed + i));
		pthread_barrier_wait(&writer->end);
	}
	return NULL;
}

static void *map(size_t bytes, int flags, int fd)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

/* Of small pages, whatever the system's setting: a test counts their faults. */
static unsigned char *map_small(size_t bytes)
{
	unsigned char *memory = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (madvise(memory, bytes, MADV_NOHUGEPAGE) && errno != EINVAL) /* a kernel without any */
		die("MADV_NOHUGEPAGE");
	return memory;
}

static unsigned char *map_huge(size_t bytes)
{
	unsigned char *memory = map(bytes + HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memory += HUGE - (uintptr_t)memory % HUGE;
	if (madvise(memory, bytes, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE");
	return memory;
}

static void make_region(struct writer *writer, const char *kind, const char *file)
{
	const size_t bytes = writer->pages * PAGE;
	int is_new = 1;

	writer->fd = -1;
	if (!strcmp(kind, "memfd"))
		writer->fd = memfd_create("writer", MFD_CLOEXEC);
	else if (!strcmp(kind, "hugetlb"))
		writer->fd = memfd_create("writer", MFD_CLOEXEC | MFD_HUGETLB);
	else if (!strncmp(kind, "file", 4))
		writer->fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	else if (!strcmp(kind, "attach"))
		writer->fd = open(file, O_RDWR | O_CLOEXEC), is_new = 0;
	if (writer->fd >= 0 && is_new && ftruncate(writer->fd, (off_t)bytes))
		die("ftruncate");
	if (!strcmp(kind, "private"))
		writer->region = map_small(bytes);
	else if (!strcmp(kind, "huge"))
		writer->region = map_huge(bytes);
	else if (writer->fd < 0)
		die(kind);
	else
		writer->region = map(bytes, strcmp(kind, "file-private") ? MAP_SHARED : MAP_PRIVATE,
				     writer->fd);
	writer->second = writer->fd >= 0 ? map(bytes, MAP_SHARED, writer->fd) : NULL;
	if (is_new)
		for (size_t i = 0; i < writer->pages; i++)
			store(writer->region + i * PAGE, 1);
}

/* Pages by number, on the rest of a line. */
static void each_page(struct writer *writer, unsigned char *region, int by_call)
{
	char *word;

	while ((word = strtok(NULL, " "))) {
		size_t page = strtoul(word, NULL, 10);

		if (by_call && pwrite(writer->fd, "w", 1, (off_t)(page * PAGE)) != 1)
			die("pwrite");
		else if (!by_call && region)
			store(region + page * PAGE, mix(page + writer->seed++));
	}
}

static void read_file(struct writer *writer, int flags)
{
	const char *path = strtok(NULL, " ");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | flags) : -1;
	char *word;

	if (fd < 0)
		die("open");
	while ((word = strtok(NULL, " "))) {
		size_t page = strtoul(word, NULL, 10);

		if (pread(fd, writer->region + page * PAGE, PAGE, (off_t)(page * PAGE)) !=
		    (ssize_t)PAGE)
			die("pread");
	}
	close(fd);
}

static void run_child(void (*run)(void *), void *argument)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child) {
		run(argument);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void child_stores(void *argument)
{
	struct writer *writer = argument;

	each_page(writer, writer->region, 0);
}

static void child_touches(void *argument)
{
	memset(argument, 9, 4 * PAGE);
}

/* Each step leaves memory behind that was written, and says where. */
static void churn(uint64_t seed)
{
	static unsigned char *kept[CHURN];

	for (int i = 0; i < CHURN; i++) {
		uint64_t dice = mix(seed * CHURN + (uint64_t)i);
		unsigned char *memory = map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

		memset(memory, (int)dice, 8 * PAGE);
		if (kept[i] && dice & 1)
			munmap(kept[i], 16 * PAGE);
		if (dice & 2) /* moved: into a place of its own */
			memory = mremap(memory, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
		if (memory == MAP_FAILED)
			die("mremap");
		if (dice & 4 && mprotect(memory + 4 * PAGE, 2 * PAGE, PROT_READ))
			die("mprotect");
		if (dice & 8)
			run_child(child_touches, memory);
		if (dice & 16) { /* given back, and taken anew in the same place */
			munmap(memory, 16 * PAGE);
			if (mmap(memory, 16 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != memory)
				die("mmap");
			memset(memory + 2 * PAGE, 3, 5 * PAGE);
		}
		store(memory + 3 * PAGE, dice);
		kept[i] = memory;
		printf("%lx ", (unsigned long)(memory + 3 * PAGE));
	}
	if (sbrk((intptr_t)(4 * PAGE)) == (void *)-1)
		die("sbrk");
	store((unsigned char *)sbrk(0) - PAGE - (uintptr_t)sbrk(0) % PAGE, seed);
	printf("%lx", ((unsigned long)sbrk(0) - PAGE) & ~(PAGE - 1));
}

static void leave(struct writer *writer, char **argv);

static size_t next_number(void)
{
	const char *word = strtok(NULL, " \n");

	return word ? strtoul(word, NULL, 10) : 0;
}

/* Fresh memory: each page is read first, or not, and stored into. */
static void touch(size_t pages, int read_first)
{
	unsigned char *memory = map(pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	for (size_t i = 0; i < pages && read_first; i++)
		(void)*(volatile unsigned char *)(memory + i * PAGE);
	for (size_t i = 0; i < pages; i++)
		store(memory + i * PAGE, i);
}

static void spend(size_t pages)
{
	unsigned char *memory = map_small(pages * PAGE);

	for (size_t i = 0; i < pages; i++)
		store(memory + i * PAGE, i);
	munmap(memory, pages * PAGE);
}

static void read_all(const struct writer *writer)
{
	for (size_t i = 0; i < writer->pages; i++)
		(void)*(volatile unsigned char *)(writer->region + i * PAGE);
}

static void store_shared_with_child(struct writer *writer, size_t pages)
{
	int ends[2];
	pid_t child;
	char byte;

	if (pipe(ends))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	for (size_t i = 0; i < pages; i++)
		store(writer->region + i * PAGE, mix(i));
	close(ends[0]);
	close(ends[1]);
	waitpid(child, NULL, 0);
}

static void obey(struct writer *writer, char *line, char **argv)
{
	const char *verb = strtok(line, " \n");
	struct rusage usage;

	if (!strcmp(verb, "write")) {
		writer->seed = strtoull(strtok(NULL, " "), NULL, 10);
		writer->permille = strtoull(strtok(NULL, " "), NULL, 10);
		pthread_barrier_wait(&writer->begin);
		pthread_barrier_wait(&writer->end);
	} else if (!strcmp(verb, "store")) {
		each_page(writer, writer->region, 0);
	} else if (!strcmp(verb, "alias")) {
		each_page(writer, writer->second, 0);
	} else if (!strcmp(verb, "pwrite")) {
		each_page(writer, NULL, 1);
	} else if (!strcmp(verb, "fork")) {
		run_child(child_stores, writer);
	} else if (!strcmp(verb, "direct")) {
		read_file(writer, O_DIRECT);
	} else if (!strcmp(verb, "buffered")) {
		read_file(writer, 0);
	} else if (!strcmp(verb, "churn")) {
		churn(strtoull(strtok(NULL, " "), NULL, 10));
	} else if (!strcmp(verb, "touch")) {
		touch(next_number(), 0);
	} else if (!strcmp(verb, "look")) {
		touch(next_number(), 1);
	} else if (!strcmp(verb, "spend")) {
		spend(next_number());
	} else if (!strcmp(verb, "read")) {
		read_all(writer);
	} else if (!strcmp(verb, "cow")) {
		store_shared_with_child(writer, next_number());
	} else if (!strcmp(verb, "drop")) {
		munmap(writer->second, writer->pages * PAGE);
	} else if (!strcmp(verb, "faults")) {
		getrusage(RUSAGE_SELF, &usage);
		printf("%ld", usage.ru_minflt);
	} else if (!strcmp(verb, "leave")) {
		leave(writer, argv);
	} else if (!strcmp(verb, "protect")) {
		if (self_protect__begin(&writer->self, writer->region, writer->pages * PAGE))
			die("protect");
	} else if (!strcmp(verb, "scan")) {
		if (self_protect__scan(&writer->self))
			die("scan");
	} else if (!strcmp(verb, "exec")) {
		execv("/proc/self/exe", argv);
		die("execv");
	} else {
		die(verb);
	}
	printf(".\n");
}

static void serve(struct writer *writer, char **argv)
{
	static char line[1 << 16];

	while (fgets(line, sizeof(line), stdin))
		obey(writer, line, argv);
	exit(0);
}

struct successor {
	struct writer *writer;
	char **argv;
};

static void *succeed(void *argument)
{
	const struct successor *successor = argument;
	char state = 0;

	/* Only when the first thread is a zombie. */
	while (state != 'Z') {
		FILE *file = fopen("/proc/self/stat", "r");

		if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
			die("/proc/self/stat");
		fclose(file);
	}
	printf(".\n");
	serve(successor->writer, successor->argv);
	return NULL;
}

/* The first thread ends, and another one does its work. */
static void leave(struct writer *writer, char **argv)
{
	static struct successor successor;
	pthread_t thread;

	successor = (struct successor){writer, argv};
	if (pthread_create(&thread, NULL, succeed, &successor))
		die("pthread_create");
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	static struct worker workers[MOST_THREADS];
	static struct writer writer;

	writer = (struct writer){.pages = argc > 3 ? strtoul(argv[2], NULL, 10) : 0};

	writer.threads = argc > 3 ? atoi(argv[3]) : -1;
	if (writer.threads < 0 || writer.threads > MOST_THREADS || !writer.pages) {
		fprintf(stderr, "usage: writer KIND PAGES THREADS [FILE]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 1 << 16);
	make_region(&writer, argv[1], argc > 4 ? argv[4] : "");
	pthread_barrier_init(&writer.begin, NULL, (unsigned)writer.threads + 1);
	pthread_barrier_init(&writer.end, NULL, (unsigned)writer.threads + 1);
	for (int i = 0; i < writer.threads; i++) {
		workers[i] = (struct worker){.writer = &writer, .first = (size_t)i};
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			die("pthread_create");
	}
	printf("%d %lx %d\n", getpid(), (unsigned long)writer.region, writer.fd);
	serve(&writer, argv);
	return 0;
}
