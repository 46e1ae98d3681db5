/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/host/cgroups.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"

/* A part of a path, or of one of its components. */
struct part {
	const char *text;
	size_t length;
};

static bool is_of(struct part part, const char *characters)
{
	for (size_t i = 0; i < part.length; i++)
		if (!strchr(characters, part.text[i]))
			return false;
	return part.length > 0;
}

static bool equals(struct part part, const char *text)
{
	return part.length == strlen(text) && !memcmp(part.text, text, part.length);
}

static bool cut_prefix(struct part *part, const char *prefix)
{
	size_t length = strlen(prefix);

	if (part->length <= length || memcmp(part->text, prefix, length) != 0)
		return false;
	part->text += length;
	part->length -= length;
	return true;
}

static bool cut_suffix(struct part *part, const char *suffix)
{
	size_t length = strlen(suffix);

	if (part->length <= length ||
	    memcmp(part->text + part->length - length, suffix, length) != 0)
		return false;
	part->length -= length;
	return true;
}

/* One component of a path, with those around it; empty where there is none. */
struct place {
	const char *path;
	struct part before, here, after;
};

/* "ID", "docker-ID.scope", "cri-containerd-ID.scope", "crio-ID", "pod.slice:cri-containerd:ID". */
static bool in_hash(const struct place *place, struct part *id)
{
	static const char monitor[] = "conmon-"; /* whose cgroup is not the container's */

	*id = place->here;
	cut_suffix(id, ".scope");
	if (id->length < CONTAINER_HASH_LENGTH ||
	    memmem(id->text, id->length, monitor, sizeof(monitor) - 1))
		return false;
	id->text += id->length - CONTAINER_HASH_LENGTH;
	id->length = CONTAINER_HASH_LENGTH;
	if (!is_of(*id, HEX))
		return false;
	return id->text == place->here.text || id->text[-1] == '-' || id->text[-1] == ':';
}

/* Amazon ECS on Fargate: "/ecs/TASK/TASK-NUMBER", a task of 32 hex digits. */
static bool in_ecs(const struct place *place, struct part *id)
{
	struct part number = place->here;
	const struct part task = place->before;

	*id = place->here;
	if (task.length != 32 || !is_of(task, HEX) || number.length <= 33 ||
	    memcmp(number.text, task.text, task.length) != 0 || number.text[32] != '-')
		return false;
	number.text += 33;
	number.length -= 33;
	return is_of(number, DIGITS);
}

/* BuildKit: "/buildkit/ID", or by systemd "docker-ID.scope"; 25 digits to the base 36. */
static bool in_buildkit(const struct place *place, struct part *id)
{
	*id = place->here;
	if (!equals(place->before, "buildkit") &&
	    !(cut_suffix(id, ".scope") &&
	      (cut_prefix(id, "docker-") || cut_prefix(id, "buildkit-"))))
		return false;
	return id->length == 25 && is_of(*id, DIGITS LOWER);
}

/* LXC, LXD and Incus: "/lxc.payload.NAME", before LXC 4 "/lxc/NAME". The monitor's is none. */
static bool in_lxc(const struct place *place, struct part *id)
{
	*id = place->here;
	return cut_prefix(id, "lxc.payload.") || equals(place->before, "lxc");
}

/* systemd-nspawn: its payload alone; virtual machines have a "machine-NAME.scope", too. */
static bool in_nspawn(const struct place *place, struct part *id)
{
	*id = place->here;
	if (cut_prefix(id, "systemd-nspawn@") && cut_suffix(id, ".service"))
		return !equals(place->after, "supervisor");
	return cut_prefix(id, "machine-") && cut_suffix(id, ".scope") &&
	       equals(place->after, "payload");
}

/* Garden of Cloud Foundry: "/garden/ID"; where it throttles, "/garden/good/ID" and
 * "/garden/bad/ID".
 */
static bool in_garden(const struct place *place, struct part *id)
{
	static const char above[] = "garden/";
	const size_t length = sizeof(above) - 1;
	const struct part before = place->before;

	*id = place->here;
	if (equals(before, "garden"))
		return !equals(*id, "good") && !equals(*id, "bad");
	return (equals(before, "good") || equals(before, "bad")) &&
	       (size_t)(before.text - place->path) >= length &&
	       !memcmp(before.text - length, above, length);
}

static bool (*const forms[])(const struct place *place, struct part *id) = {
	in_hash, in_ecs, in_buildkit, in_lxc, in_nspawn, in_garden,
};

static struct part component(const char *text)
{
	return (struct part){text, strcspn(text, "/")};
}

/* systemd writes what a unit's name may not hold as "\x2d": systemd.unit(5). */
static void copy_id(struct part id, char out[CONTAINER_ID_SIZE])
{
	unsigned int byte;

	while (id.length) {
		size_t taken = 1;

		*out = *id.text;
		if (id.length >= 4 && sscanf(id.text, "\\x%2x", &byte) == 1 && byte) {
			*out = (char)byte;
			taken = 4;
		}
		out++;
		id.text += taken;
		id.length -= taken;
	}
	*out = '\0';
}

bool cgroup__container(const char *path, char out[CONTAINER_ID_SIZE])
{
	struct place place = {.path = path};
	struct part found = {0}, id;

	for (place.here = component(path); *place.here.text; place.here = place.after) {
		const char *next = place.here.text + place.here.length;

		place.after = component(next + (*next == '/'));
		for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
			if (forms[i](&place, &id) && id.length < CONTAINER_ID_SIZE)
				found = id;
		place.before = place.here;
	}
	if (!found.length)
		return false;
	copy_id(found, out);
	return true;
}

const char *cgroup__choose(const char *path, const char *memory)
{
	char id[CONTAINER_ID_SIZE];

	if (cgroup__container(path, id))
		return path;
	if (cgroup__container(memory, id))
		return memory;
	return strcmp(path, "/") != 0 ? path : memory;
}

bool cgroup__is_path(const char *path)
{
	return path[0] == '/' && !strstr(path, "/..");
}

void cgroup__directory(const char *sysfs, const char *path, char *directory, size_t size)
{
	static const char alone[] = "/fs/cgroup", beside[] = "/fs/cgroup/unified";
	char procs[PATH_MAX];

	snprintf(procs, sizeof(procs), "%s%s/cgroup.procs", sysfs, alone);
	snprintf(directory, size, "%s%s%s", sysfs, access(procs, F_OK) ? beside : alone, path);
}
