/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel objects in a BPF map: the kernel reads them as its own, the test writes them mapped. */
#include "tests/bpf/harness.h"

#include <stdio.h>
#include <string.h>

#include "twins.skel.h"

uint64_t fake__alloc(struct harness *h, size_t bytes)
{
	size_t at = h->fake_used;

	h->fake_used = (at + bytes + 63) & ~63UL;
	if (h->fake_used > bpf_map__value_size(h->twins->maps.fake))
		fail_msg("the fake memory is full");
	return h->base + at;
}

static uint32_t plain_type(const struct btf *btf, uint32_t id)
{
	for (;;) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (!btf_is_typedef(type) && !btf_is_mod(type))
			return id;
		id = type->type;
	}
}

/* A member by its name, also inside of unnamed members. Sets id to its type. */
static bool find_member(const struct btf *btf, uint32_t *id, const char *name, struct field *field)
{
	const struct btf_type *type = btf__type_by_id(btf, plain_type(btf, *id));
	const struct btf_member *member;

	if (!btf_is_composite(type))
		return false;
	member = btf_members(type);
	for (int i = 0; i < btf_vlen(type); i++, member++) {
		const char *found = btf__name_by_offset(btf, member->name_off);
		uint32_t inner = member->type, before = field->bit;

		field->bit += btf_member_bit_offset(type, i);
		if (strcmp(found, name) == 0) {
			field->bits = btf_member_bitfield_size(type, i);
			if (!field->bits)
				field->bits = btf__resolve_size(btf, inner) * 8;
			*id = inner;
			return true;
		}
		if (!*found && find_member(btf, &inner, name, field)) {
			*id = inner;
			return true;
		}
		field->bit = before;
	}
	return false;
}

static uint32_t find_struct(struct harness *h, const char *name)
{
	int id = btf__find_by_name_kind(h->kernel, name, BTF_KIND_STRUCT);

	if (id < 0)
		fail_msg("this kernel has no struct %s", name);
	return id;
}

static bool find_field(struct harness *h, const char *path, struct field *field)
{
	char names[64], *name, *rest;
	uint32_t id;

	memset(field, 0, sizeof(*field));
	snprintf(field->path, sizeof(field->path), "%s", path);
	snprintf(names, sizeof(names), "%s", path);
	id = find_struct(h, strtok_r(names, ".", &rest));
	while ((name = strtok_r(NULL, ".", &rest)))
		if (!find_member(h->kernel, &id, name, field))
			return false;
	return true;
}

bool fake__has(struct harness *h, const char *path)
{
	struct field field;

	return find_field(h, path, &field);
}

struct field fake__field(struct harness *h, const char *path)
{
	struct field field;

	for (size_t i = 0; i < h->field_count; i++)
		if (strcmp(h->fields[i].path, path) == 0)
			return h->fields[i];
	if (!find_field(h, path, &field))
		fail_msg("this kernel has no %s", path);
	assert_true(h->field_count < sizeof(h->fields) / sizeof(h->fields[0]));
	h->fields[h->field_count++] = field;
	return field;
}

uint64_t fake__set(struct harness *h, uint64_t object, const char *path, uint64_t value)
{
	struct field field = fake__field(h, path);
	unsigned char *at = h->fake + (object - h->base) + field.bit / 8;
	uint64_t mask = field.bits < 64 ? (1ULL << field.bits) - 1 : ~0ULL;
	uint32_t shift = field.bit % 8;
	uint64_t word = 0;
	size_t bytes = (shift + field.bits + 7) / 8;

	assert_true(bytes <= sizeof(word));
	assert_true((value & ~mask) == 0);
	memcpy(&word, at, bytes);
	word = (word & ~(mask << shift)) | value << shift;
	memcpy(at, &word, bytes);
	return object;
}

uint64_t fake__sizeof(struct harness *h, const char *type)
{
	return btf__type_by_id(h->kernel, find_struct(h, type))->size;
}

uint64_t fake__new(struct harness *h, const char *type, size_t entries)
{
	return fake__alloc(h, fake__sizeof(h, type) * entries);
}

uint64_t fake__string(struct harness *h, const char *text)
{
	uint64_t at = fake__alloc(h, strlen(text) + 1);

	memcpy(h->fake + (at - h->base), text, strlen(text) + 1);
	return at;
}

uint64_t fake__page(struct harness *h, uint64_t pfn)
{
	return FAKE_VMEMMAP + pfn * fake__sizeof(h, "page");
}

void fake__name_device(struct harness *h, uint64_t device, const char *name, const char *bus)
{
	uint64_t type;

	fake__set(h, device, "device.kobj.name", fake__string(h, name));
	if (bus) {
		type = fake__new(h, "bus_type", 1);
		fake__set(h, type, "bus_type.name", fake__string(h, bus));
		fake__set(h, device, "device.bus", type);
	}
}

uint64_t fake__device(struct harness *h, const char *name, const char *bus)
{
	uint64_t device = fake__new(h, "device", 1);

	fake__name_device(h, device, name, bus);
	return device;
}

void fake__put_in_sysfs(struct harness *h, uint64_t device, uint64_t id)
{
	uint64_t node = fake__new(h, "kernfs_node", 1);

	fake__set(h, node, "kernfs_node.id", id);
	fake__set(h, device, "device.kobj.sd", node);
}

uint64_t fake__queue(struct harness *h, const char *name)
{
	uint64_t queue = fake__new(h, "virtqueue", 1), vdev = fake__new(h, "virtio_device", 1);

	fake__set(h, queue, "virtqueue.vdev", vdev);
	fake__name_device(h, queue__device(h, queue), name, "virtio");
	return queue;
}

uint64_t queue__device(struct harness *h, uint64_t queue)
{
	uint64_t vdev;

	memcpy(&vdev, h->fake + (queue - h->base) + fake__field(h, "virtqueue.vdev").bit / 8,
	       sizeof(vdev));
	return vdev + fake__field(h, "virtio_device.dev").bit / 8;
}

uint64_t fake__disk(struct harness *h, const char *name, uint64_t parent)
{
	uint64_t disk = fake__new(h, "gendisk", 1), part = fake__new(h, "block_device", 1);
	struct field field = fake__field(h, "gendisk.disk_name");

	assert_true(strlen(name) < field.bits / 8);
	memcpy(h->fake + (disk - h->base) + field.bit / 8, name, strlen(name));
	fake__set(h, disk, "gendisk.part0", part);
	fake__set(h, part, "block_device.bd_device.parent", parent);
	return disk;
}

void fake__segments(struct harness *h, uint64_t array, const struct fake_segment *segments,
		    size_t count)
{
	for (size_t i = 0; i < count; i++, array += fake__sizeof(h, "bio_vec")) {
		fake__set(h, array, "bio_vec.bv_page", fake__page(h, segments[i].pfn));
		fake__set(h, array, "bio_vec.bv_len", segments[i].bytes);
		fake__set(h, array, "bio_vec.bv_offset", segments[i].offset);
	}
}

/* ---- scatterlists ---- */

void fake__list_entry(struct harness *h, uint64_t entry, uint64_t link,
		      const struct fake_segment *segment)
{
	fake__set(h, entry, "scatterlist.page_link", link);
	if (!segment)
		return;
	fake__set(h, entry, "scatterlist.offset", segment->offset);
	fake__set(h, entry, "scatterlist.length", segment->bytes);
}

uint64_t fake__list(struct harness *h, const struct fake_segment *segments, size_t count,
		    size_t per_array)
{
	uint64_t size = fake__sizeof(h, "scatterlist");
	uint64_t list = fake__new(h, "scatterlist", per_array), entry = list;
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t end = i + 1 == count ? SG_END : 0;

		if (used == per_array - 1 && !end) {
			uint64_t next = fake__new(h, "scatterlist", per_array);

			fake__list_entry(h, entry, next | SG_CHAIN, NULL);
			entry = next;
			used = 0;
		}
		fake__list_entry(h, entry, fake__page(h, segments[i].pfn) | end, &segments[i]);
		entry += size;
		used++;
	}
	return list;
}

uint64_t segments__pages(const struct fake_segment *segments, size_t count)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < count; i++)
		if (segments[i].bytes)
			pages += ((uint64_t)segments[i].offset % 4096 + segments[i].bytes + 4095) /
				 4096;
	return pages;
}

uint64_t segments__bytes(const struct fake_segment *segments, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += segments[i].bytes;
	return bytes;
}

void want__segments(struct harness *h, uint32_t slot, const struct fake_segment *segments,
		    size_t count)
{
	for (size_t i = 0; i < count; i++)
		want__pages(h, slot, segments[i].pfn + segments[i].offset / 4096,
			    segments__pages(&segments[i], 1));
}

uint64_t fake__page_flag(struct harness *h, const char *name)
{
	int id = btf__find_by_name_kind(h->kernel, "pageflags", BTF_KIND_ENUM);
	const struct btf_type *type = btf__type_by_id(h->kernel, id);

	assert_true(id > 0);
	for (int i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(h->kernel, btf_enum(type)[i].name_off), name))
			return 1ULL << btf_enum(type)[i].val;
	fail_msg("this kernel has no %s", name);
	return 0;
}

uint64_t fake__folio(struct harness *h, uint64_t id, uint32_t hierarchy, bool by_object)
{
	const int memory_controller =
		btf__find_by_name_kind(h->kernel, "cgroup_subsys_id", BTF_KIND_ENUM);
	const struct btf_type *type = btf__type_by_id(h->kernel, memory_controller);
	uint64_t memory = fake__new(h, "mem_cgroup", 1), cgroup = fake__new(h, "cgroup", 1);
	uint64_t node = fake__new(h, "kernfs_node", 1), root = fake__new(h, "cgroup_root", 1);
	uint64_t folio = fake__new(h, "folio", 1), object = fake__new(h, "obj_cgroup", 1);
	uint64_t css = memory + fake__field(h, "mem_cgroup.css").bit / 8;
	unsigned char *subsys =
		h->fake + (cgroup - h->base) + fake__field(h, "cgroup.subsys").bit / 8;

	for (int i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(h->kernel, btf_enum(type)[i].name_off),
			    "memory_cgrp_id"))
			memcpy(subsys + (size_t)btf_enum(type)[i].val * 8, &css, sizeof(css));
	fake__set(h, memory, "mem_cgroup.css.cgroup", cgroup);
	fake__set(h, cgroup, "cgroup.kn", node);
	fake__set(h, node, "kernfs_node.id", id);
	fake__set(h, cgroup, "cgroup.root", root);
	fake__set(h, root, "cgroup_root.hierarchy_id", hierarchy);
	fake__set(h, object, "obj_cgroup.memcg", memory);
	fake__set(h, folio, "folio.memcg_data", by_object ? object : memory);
	return folio;
}
