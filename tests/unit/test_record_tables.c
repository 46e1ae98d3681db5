/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of a record against the structs' BTF. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/btf.h>

#include "agent/record/codec.h"

static struct btf *load_layouts(void)
{
	char path[4096 + 32];
	ssize_t length = readlink("/proc/self/exe", path, 4096);
	struct btf *btf;

	assert_true(length > 0);
	path[length] = '\0';
	/* build/tests/unit/test_record and build/tests/plain/test_record have it beside them. */
	snprintf(strrchr(path, '/'), 32, "/../unit/layouts.o");
	btf = btf__parse_elf(path, NULL);
	if (!btf)
		fail_msg("%s: no BTF", path);
	return btf;
}

static const struct field *row_of(const struct record_struct *type, const char *name)
{
	for (size_t i = 0; i < type->count; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return &type->fields[i];
	return NULL;
}

static bool is_counter(const struct record_struct *type, uint32_t offset)
{
	for (size_t i = 0; i < type->count; i++)
		if ((type->fields[i].kind == FIELD_STRINGS || type->fields[i].kind == FIELD_ARRAY ||
		     type->fields[i].kind == FIELD_ROWS) &&
		    type->fields[i].count_offset == offset)
			return true;
	return false;
}

static bool is_named(const struct btf *btf, const struct btf_type *type, const char *name)
{
	return btf_is_struct(type) && strcmp(btf__name_by_offset(btf, type->name_off), name) == 0;
}

/* Of what the member is, through arrays and typedefs. */
static const struct btf_type *base_type(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (btf_is_typedef(type) || btf_is_mod(type) || btf_is_array(type))
		type = btf__type_by_id(btf,
				       btf_is_array(type) ? btf_array(type)->type : type->type);
	return type;
}

static bool fits(const struct btf *btf, const struct btf_type *type, const struct field *field)
{
	const bool is_int = btf_is_int(type);

	switch (field->kind) {
	case FIELD_SKIPPED:
		return strcmp(field->name, "references") == 0 ||
		       strcmp(field->name, "arena") == 0 || strcmp(field->name, "replay") == 0 ||
		       strcmp(field->name, "pad") == 0;
	case FIELD_BOOL:
		return is_int && btf_int_encoding(type) & BTF_INT_BOOL && field->size == 1;
	case FIELD_U32:
		return is_int && type->size == 4 && !(btf_int_encoding(type) & BTF_INT_SIGNED);
	case FIELD_U64:
		return is_int && type->size == 8 && !(btf_int_encoding(type) & BTF_INT_SIGNED);
	case FIELD_S64:
		return is_int && type->size == 8 && btf_int_encoding(type) & BTF_INT_SIGNED;
	case FIELD_DOUBLE:
		return btf_is_float(type) && type->size == 8;
	case FIELD_CHARS:
		return is_int && type->size == 1;
	case FIELD_ENUM:
		/* Its values count from 0; the last one may be their number. */
		return btf_is_enum(type) && field->most <= btf_vlen(type) &&
		       field->most + 1 >= btf_vlen(type);
	case FIELD_TIME:
		return is_named(btf, type, "timespec");
	case FIELD_STRUCT:
	case FIELD_ROWS:
		return is_named(btf, type, field->of->name + strlen("struct "));
	case FIELD_ARRAY:
		return btf_is_ptr(type) && is_named(btf, base_type(btf, type->type),
						    field->of->name + strlen("struct "));
	case FIELD_STRINGS:
		return btf_is_ptr(type) && btf_is_ptr(base_type(btf, type->type));
	case FIELD_STRING:
	case FIELD_STRING_OR_NULL:
		return btf_is_ptr(type) && base_type(btf, type->type)->size == 1;
	case FIELD_IDENTITY:
	case FIELD_IDENTITY_OR_NULL:
		return btf_is_ptr(type) &&
		       is_named(btf, base_type(btf, type->type), "process_identity");
	}
	return false;
}

static void tables_cover_structs(void **state)
{
	struct btf *btf = load_layouts();
	size_t members = 0;

	for (const struct record_struct *const *each = record_structs; *each; each++) {
		const struct record_struct *type = *each;
		int id = btf__find_by_name_kind(btf, type->name + strlen("struct "),
						BTF_KIND_STRUCT);
		const struct btf_type *layout = btf__type_by_id(btf, (uint32_t)id);

		if (id <= 0 || layout->size != type->size)
			fail_msg("%s: BTF %d", type->name, id);
		for (unsigned i = 0; i < btf_vlen(layout); i++, members++) {
			const struct btf_member *member = &btf_members(layout)[i];
			const char *name = btf__name_by_offset(btf, member->name_off);
			const uint32_t offset = btf_member_bit_offset(layout, i) / 8;
			const struct field *row = row_of(type, name);

			if (!row && !is_counter(type, offset))
				fail_msg("%s.%s has no row", type->name, name);
			if (row && (row->offset != offset ||
				    row->size != btf__resolve_size(btf, member->type) ||
				    !fits(btf, base_type(btf, member->type), row)))
				fail_msg("%s.%s is not what its row says", type->name, name);
		}
	}
	assert_true(members > 200);
	btf__free(btf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_cover_structs),
	};

	return cmocka_run_group_tests_name("record_tables", tests, NULL, NULL);
}
