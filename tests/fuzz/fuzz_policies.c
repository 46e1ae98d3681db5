/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies of any bytes at all: nothing may crash, leak or take for ever. For libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/input/yaml_tree.h"
#include "agent/policies/rule_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_file(const char *text, size_t length)
{
	struct rule_set *set = rule_set__new();
	struct yaml_places *places;
	struct json_member_error error;
	struct reason message;
	size_t line, column;
	json_t *tree;

	if (yaml_tree__parse("fuzz.yaml", text, length, &tree, &places, &message) == 0) {
		if (tree &&
		    rule_set__add(set, tree, "fuzz.yaml", &(struct rule_world){NULL}, &error))
			yaml_places__find(places, error.path, &line, &column);
		json_decref(tree);
		yaml_places__free(places);
	}
	rule_set__free(set);
}

static void fuzz_selector(const char *text, size_t length)
{
	static const char *const names[] = {"vda", "nvme0n1"};
	const struct snapshot_device device = {
		.id = "pci/0000:00:04.0",
		.bus = "pci",
		.driver = "nvme",
		.names = names,
		.name_count = 2,
		.sensors = 5,
	};
	const struct target_view view = {.item = &device};
	struct selector *selector;
	struct reason reason;
	char *copy = strndup(text, length);

	if (copy && selector__parse(&target_kinds[TARGET_DEVICE], copy, &selector, &reason) == 0) {
		(void)selector__matches(selector, &view);
		selector__free(selector);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && *data == 's')
		fuzz_selector((const char *)data + 1, size - 1);
	else if (size)
		fuzz_file((const char *)data + 1, size - 1);
	return 0;
}
