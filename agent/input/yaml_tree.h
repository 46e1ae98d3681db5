/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A YAML file as a JSON tree, so that one validation serves files and request bodies; and where
 * each node of it stands, for errors. Scalars are typed as YAML's core schema has it: null, true
 * and false, decimal numbers; all else, and what is quoted, is a string. Keys given twice, and
 * nesting or files beyond the limits are refused.
 */
#ifndef DIRTYSCOPE_AGENT_INPUT_YAML_TREE_H
#define DIRTYSCOPE_AGENT_INPUT_YAML_TREE_H

#include <jansson.h>
#include <stddef.h>

#include "agent/base/reason.h"

#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 100000

struct yaml_places;

/*
 * A new tree for the caller to json_decref, NULL for an empty file; *places to be freed. 0, or a
 * negative errno with one sentence that begins with FILE:LINE:COLUMN.
 */
int yaml_tree__read(const char *path, json_t **tree, struct yaml_places **places,
		    struct reason *message);
/* The same for text in memory; path is what errors call it. */
int yaml_tree__parse(const char *path, const char *text, size_t length, json_t **tree,
		     struct yaml_places **places, struct reason *message);
/*
 * Where a node stands, by its path: "policies[2].when.threshold"; of one that is not there, where
 * the innermost node around it stands. Counts from 1.
 */
void yaml_places__find(const struct yaml_places *places, const char *node, size_t *line,
		       size_t *column);
void yaml_places__free(struct yaml_places *places);

#endif
