/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory tree made by a test, under a new directory in /tmp. */
#ifndef DIRTYSCOPE_TESTS_UNIT_TREE_H
#define DIRTYSCOPE_TESTS_UNIT_TREE_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree {
	char root[64];
};

static inline void tree__check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		abort();
	}
}

static inline void tree__new(struct tree *tree)
{
	snprintf(tree->root, sizeof(tree->root), "/tmp/dirtyscope-test-XXXXXX");
	tree__check(!mkdtemp(tree->root), "mkdtemp");
}

static inline int tree__remove_one(const char *path, const struct stat *stat, int type,
				   struct FTW *ftw)
{
	return remove(path);
}

static inline void tree__remove(const struct tree *tree, const char *below)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", tree->root, below);
	nftw(path, tree__remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the directories that lead to a path, and gives it whole. */
static inline char *tree__path(const struct tree *tree, const char *below, char path[PATH_MAX])
{
	int length = snprintf(path, PATH_MAX, "%s/%s", tree->root, below);

	tree__check(length < 0 || length >= PATH_MAX, below);
	for (char *slash = path + strlen(tree->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	return path;
}

static inline void tree__directory(const struct tree *tree, const char *below)
{
	char path[PATH_MAX];

	tree__check(mkdir(tree__path(tree, below, path), 0755) && access(path, F_OK), below);
}

static inline void tree__write(const struct tree *tree, const char *below, const void *data,
			       size_t length)
{
	char path[PATH_MAX];
	int fd =
		open(tree__path(tree, below, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	tree__check(fd < 0, below);
	tree__check(write(fd, data, length) != (ssize_t)length, below);
	close(fd);
}

static inline void tree__puts(const struct tree *tree, const char *below, const char *text)
{
	tree__write(tree, below, text, strlen(text));
}

static inline void tree__link(const struct tree *tree, const char *below, const char *target)
{
	char path[PATH_MAX];

	tree__check(symlink(target, tree__path(tree, below, path)), below);
}

/* For cmocka: *state is the tree. */
static inline int tree__set_up(void **state)
{
	struct tree *tree = malloc(sizeof(*tree));

	tree__new(tree);
	*state = tree;
	return 0;
}

static inline int tree__tear_down(void **state)
{
	tree__remove(*state, "");
	free(*state);
	return 0;
}

#endif
