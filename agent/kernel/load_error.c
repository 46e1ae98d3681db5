/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/kernel/load_error.h"

#include <errno.h>
#include <gelf.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/errno_text.h"

#define INSN_BYTES sizeof(struct bpf_insn)

/* ---- .BTF.ext: Documentation/bpf/btf.rst ---- */

struct ext_header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t length;
	uint32_t functions_offset, functions_length;
	uint32_t lines_offset, lines_length;
	uint32_t relocations_offset, relocations_length;
};

/* A list of records, in parts: one a section of the object. */
struct ext_list {
	const char *data, *end;
	uint32_t record_size;
};
struct ext_part {
	uint32_t section; /* its name: offset in BTF's strings */
	uint32_t count;
};

static bool open_list(const char *data, size_t size, uint32_t offset, uint32_t length,
		      uint32_t least, struct ext_list *list)
{
	if (length < sizeof(list->record_size) || offset > size || length > size - offset)
		return false;
	memcpy(&list->record_size, data + offset, sizeof(list->record_size));
	list->data = data + offset + sizeof(list->record_size);
	list->end = data + offset + length;
	return list->record_size >= least;
}

/* The next part's records, or NULL behind the last. */
static const char *next_part(struct ext_list *list, struct ext_part *part)
{
	const char *records = list->data + sizeof(*part);

	if ((size_t)(list->end - list->data) < sizeof(*part))
		return NULL;
	memcpy(part, list->data, sizeof(*part));
	if (part->count > (size_t)(list->end - records) / list->record_size)
		return NULL;
	list->data = records + (size_t)part->count * list->record_size;
	return records;
}

/* Its content, which lives as long as elf; NULL when there is none. */
static const Elf_Data *find_section(Elf *elf, const char *wanted)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (name && strcmp(name, wanted) == 0)
			return elf_getdata(section, NULL);
	}
	return NULL;
}

/* Where in the object an instruction of a finished program comes from. */
struct origin {
	uint32_t section; /* its name: offset in BTF's strings */
	uint32_t offset;  /* bytes */
};

/* The function that the instruction is in, by its BTF id: functions follow each other. */
static int find_function(const struct program_code *code, uint32_t instruction,
			 struct bpf_func_info *function)
{
	const char *record = code->options.func_info;
	int err = -ENOENT;

	for (uint32_t i = 0; i < code->options.func_info_cnt; i++) {
		struct bpf_func_info info;

		memcpy(&info, record + (size_t)i * code->options.func_info_rec_size, sizeof(info));
		if (info.insn_off > instruction)
			continue;
		*function = info;
		err = 0;
	}
	return err;
}

static int find_origin(struct ext_list functions, const struct program_code *code,
		       uint32_t instruction, struct origin *origin)
{
	struct bpf_func_info function, info;
	struct ext_part part;
	const char *records;
	int err = find_function(code, instruction, &function);

	if (err)
		return err;
	while ((records = next_part(&functions, &part)))
		for (uint32_t i = 0; i < part.count; i++) {
			memcpy(&info, records + (size_t)i * functions.record_size, sizeof(info));
			if (info.type_id != function.type_id)
				continue;
			origin->section = part.section;
			origin->offset =
				info.insn_off + (instruction - function.insn_off) * INSN_BYTES;
			return 0;
		}
	return -ENOENT;
}

static int find_relocation(struct ext_list relocations, const struct origin *origin,
			   struct bpf_core_relo *relocation)
{
	struct ext_part part;
	const char *records;

	while ((records = next_part(&relocations, &part)))
		for (uint32_t i = 0; i < part.count && part.section == origin->section; i++) {
			memcpy(relocation, records + (size_t)i * relocations.record_size,
			       sizeof(*relocation));
			if (relocation->insn_off == origin->offset)
				return 0;
		}
	return -ENOENT;
}

/* ---- names ---- */

/* Without the flavor, "folio___memdesc": Documentation/bpf/libbpf/libbpf_overview.rst. */
static int plain_length(const char *name)
{
	const char *flavor = strstr(name, "___");

	return flavor ? (int)(flavor - name) : (int)strlen(name);
}

static const struct btf_type *type_of(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	return type;
}

/* Follows "0:1:2": of an array of the type, its members' members; appends ".member" for each. */
static void append_members(const struct btf *btf, const struct btf_type *type, const char *access,
			   char *name, size_t size)
{
	size_t length = strlen(name);

	access = strchr(access, ':');
	while (access && type && length < size) {
		unsigned long index = strtoul(access + 1, NULL, 10);

		if (btf_is_composite(type)) {
			const struct btf_member *member = btf_members(type) + index;
			const char *field;

			if (index >= btf_vlen(type))
				return;
			field = btf__name_by_offset(btf, member->name_off);
			if (field && *field)
				length += (size_t)snprintf(name + length, size - length, ".%s",
							   field);
			type = type_of(btf, member->type);
		} else if (btf_is_array(type)) {
			type = type_of(btf, btf_array(type)->type);
		} else {
			return;
		}
		access = strchr(access + 1, ':');
	}
}

static void name_it(const struct btf *btf, const struct bpf_core_relo *relocation, char *name,
		    size_t size)
{
	const struct btf_type *type = type_of(btf, relocation->type_id);
	const char *type_name = type ? btf__name_by_offset(btf, type->name_off) : NULL;
	const char *access = btf__name_by_offset(btf, relocation->access_str_off);

	if (!type_name || !*type_name)
		type_name = "(anonymous)";
	if (type && btf_is_enum(type) && access) {
		unsigned long index = strtoul(access, NULL, 10);

		snprintf(name, size, "enumerator %s",
			 index < btf_vlen(type)
				 ? btf__name_by_offset(btf, btf_enum(type)[index].name_off)
				 : type_name);
		return;
	}
	if (relocation->kind > BPF_CORE_FIELD_RSHIFT_U64) {
		snprintf(name, size, "struct %.*s", plain_length(type_name), type_name);
		return;
	}
	snprintf(name, size, "%.*s", plain_length(type_name), type_name);
	if (access)
		append_members(btf, type, access, name, size);
}

int load_error__name_relocation(const struct load_error *load_error, uint32_t instruction,
				char *name, size_t size)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE
			   ? NULL
			   : elf_memory((char *)load_error->object->data, load_error->object->size);
	const Elf_Data *section = elf ? find_section(elf, ".BTF.ext") : NULL;
	struct ext_list functions, relocations;
	struct bpf_core_relo relocation;
	struct ext_header header;
	struct origin origin;
	int err = -ENOENT;

	if (!section || section->d_size < sizeof(header))
		goto cleanup;
	memcpy(&header, section->d_buf, sizeof(header));
	if (header.length > section->d_size)
		goto cleanup;
	if (!open_list((char *)section->d_buf + header.length, section->d_size - header.length,
		       header.functions_offset, header.functions_length,
		       sizeof(struct bpf_func_info), &functions) ||
	    !open_list((char *)section->d_buf + header.length, section->d_size - header.length,
		       header.relocations_offset, header.relocations_length,
		       sizeof(struct bpf_core_relo), &relocations))
		goto cleanup;
	err = find_origin(functions, load_error->code, instruction, &origin);
	if (!err)
		err = find_relocation(relocations, &origin, &relocation);
	if (!err)
		name_it(load_error->btf, &relocation, name, size);
cleanup:
	if (elf)
		elf_end(elf);
	return err;
}

/* ---- the verifier's log ---- */

int load_error__unresolved_at(const char *log)
{
	char wanted[48];
	const char *line, *found;

	snprintf(wanted, sizeof(wanted), "call unknown#%d", UNRESOLVED_CALL);
	found = strstr(log, wanted); /* "46: (85) call unknown#195896080" */
	if (!found)
		return -ENOENT;
	for (line = found; line > log && line[-1] != '\n'; line--)
		;
	return *line >= '0' && *line <= '9' ? atoi(line) : -ENOENT;
}

/* What the verifier said last, its statistics left out. Lines of it stay as they are. */
static void last_words(const char *log, char *words, size_t size)
{
	const char *end = log + strlen(log);

	*words = 0;
	while (end > log) {
		const char *line = end;

		while (line > log && line[-1] != '\n')
			line--;
		if (end > line && strncmp(line, "processed ", 10) != 0 &&
		    strncmp(line, "verification time", 17) != 0 &&
		    strncmp(line, "stack depth", 11) != 0 && strncmp(line, "max_states", 10) != 0) {
			snprintf(words, size, "%.*s", (int)(end - line), line);
			return;
		}
		end = line > log ? line - 1 : log;
	}
}

void load_error__explain(const struct load_error *load_error, struct reason *reason)
{
	int at = load_error__unresolved_at(load_error->log);
	char words[96];

	if (at >= 0 &&
	    !load_error__name_relocation(load_error, (uint32_t)at, words, sizeof(words))) {
		reason__set(reason, "this kernel has no %s", words);
		return;
	}
	if (load_error->error == -E2BIG) { /* kernel/bpf/verifier.c, BPF_COMPLEXITY_LIMIT_INSNS */
		reason__set(reason,
			    "the kernel refused to load it: E2BIG (its verifier gave up after a "
			    "million instructions)");
		return;
	}
	last_words(load_error->log, words, sizeof(words));
	reason__set(reason, "the kernel refused to load it: %s%s%s",
		    errno_text(load_error->error).text, *words ? ": " : "", words);
}
