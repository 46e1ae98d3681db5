/* SPDX-License-Identifier: BSD-2-Clause */
/* Other processes that map what a track's processes map, followed for that memory alone. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/tracks/sharing_private.h"

#define MAPPERS_MAX 256 /* processes that are followed for one track */

/* ---- spans ---- */

int spans__add(struct span **spans, size_t *count, const struct map_region *region)
{
	struct span *more = reallocarray(*spans, *count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	*spans = more;
	more = &(*spans)[(*count)++];
	*more = (struct span){
		.key = map_region__object(region),
		.page = region->start / PAGE_BYTES,
		.pages = (region->end - region->start) / PAGE_BYTES,
		.offset = region->offset / PAGE_BYTES,
		.shared = region->shared,
	};
	memcpy(more->name, region->name, sizeof(more->name) - 1);
	return 0;
}

static bool is_in(const struct span *span, const struct span *spans, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(&spans[i].key, &span->key, sizeof(span->key)) == 0 &&
		    spans[i].page <= span->page &&
		    spans[i].page + spans[i].pages >= span->page + span->pages &&
		    spans[i].offset - spans[i].page == span->offset - span->page)
			return true;
	return false;
}

/* All of a mapping that is gone: nobody can tell any more what was written through it. */
static int take_whole(struct sharing *sharing, const struct span *span)
{
	struct object *object = objects__find(sharing->objects, &span->key);

	return object && span->shared ? page_map__add_cpu(object->pages, span->offset, span->pages)
				      : 0;
}

int sharing__take_lost(struct sharing *sharing, const struct span *old, size_t old_count,
		       const struct span *spans, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < old_count && !err; i++)
		if (!is_in(&old[i], spans, count))
			err = take_whole(sharing, &old[i]);
	return err;
}

/* What was written through its mappings, by the objects' offsets. Under its target's lock. */
int sharing__take_written(struct sharing *sharing, const struct span *spans, size_t count,
			  const struct page_map *map)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		struct object *object = objects__find(sharing->objects, &spans[i].key);

		if (object && spans[i].shared)
			err = page_map__copy(object->pages, spans[i].offset, map, spans[i].page,
					     spans[i].pages);
	}
	return err;
}

/* ---- mappers ---- */

static void free_mapper(struct tracks *tracks, struct mapper *mapper)
{
	if (mapper->shared) {
		if (mapper->map)
			target__leave(mapper->shared->target, mapper->map);
		track__put_target(tracks, mapper->shared);
	}
	page_map__free(mapper->map);
	free(mapper->spans);
	free(mapper);
}

void sharing__drop_mapper(struct tracks *tracks, struct sharing *sharing, struct mapper *mapper)
{
	for (struct mapper **at = &sharing->mappers; *at; at = &(*at)->next)
		if (*at == mapper) {
			*at = mapper->next;
			break;
		}
	sharing->count--;
	free_mapper(tracks, mapper);
}

static struct mapper *find_mapper(const struct sharing *sharing, uint32_t pid)
{
	struct mapper *mapper = sharing->mappers;

	while (mapper && mapper->pid != pid)
		mapper = mapper->next;
	return mapper;
}

/* later: the track had begun, and what it has in these mappings was written unseen. */
static int follow(struct tracks *tracks, struct track *track, struct mapper *mapper,
		  const struct object_key *key, bool later)
{
	const struct scope_want want = {.object = key};
	struct target_facts facts;
	struct track_error error;
	int err = -EOPNOTSUPP;

	if (track->sharing->count < MAPPERS_MAX)
		err = track__get_target(tracks, track, mapper->pid, &want, &mapper->shared, &error);
	else
		snprintf(error.message, sizeof(error.message), "there are %d already", MAPPERS_MAX);
	if (!err) {
		target__lock(mapper->shared->target);
		target__facts(mapper->shared->target, &facts);
		target__unlock(mapper->shared->target);
		if (facts.lower_bound) {
			snprintf(error.message, sizeof(error.message), "%s", facts.backend_reason);
			track__put_target(tracks, mapper->shared);
			mapper->shared = NULL;
			err = -EOPNOTSUPP;
		}
	}
	if (err == -ECANCELED)
		return err;
	if (err && err != -ENOMEM) {
		if (err != -ESRCH)
			log_warn("not followed", "track=%" PRIu64 " pid=%" PRIu32 " reason=\"%s\"",
				 track->id, mapper->pid, error.message);
		return 0;
	}
	mapper->map = err ? NULL : page_map__new();
	if (!mapper->map)
		return -ENOMEM;
	err = target__subscribe(mapper->shared->target, mapper->map);
	if (!err && later)
		err = target__fill(mapper->shared->target, mapper->map, &track->work);
	return err;
}

struct search {
	struct tracks *tracks;
	struct track *track;
	uint32_t pid;
	bool later;
};

static int look_at_region(void *context, const struct map_region *region)
{
	const struct search *search = context;
	struct sharing *sharing = search->track->sharing;
	const struct object_key key = map_region__object(region);
	struct mapper *mapper;
	int err = 0;

	if (!region->shared || !region->writable || !key.inode ||
	    !objects__find(sharing->objects, &key))
		return 0;
	mapper = find_mapper(sharing, search->pid);
	if (!mapper) {
		mapper = calloc(1, sizeof(*mapper));
		if (!mapper)
			return -ENOMEM;
		mapper->pid = search->pid;
		mapper->next = sharing->mappers;
		sharing->mappers = mapper;
		sharing->count++;
		err = follow(search->tracks, search->track, mapper, &key, search->later);
	}
	mapper->seen = true;
	if (!err && mapper->shared)
		return target__widen(mapper->shared->target, &(struct scope_want){.object = &key});
	/* Only those that cannot be followed keep what a search saw. */
	return err ? err : spans__add(&mapper->spans, &mapper->span_count, region);
}

static bool is_member(const struct track *track, uint32_t pid)
{
	for (const struct member *member = track->members; member; member = member->next)
		if (member->pid == pid)
			return true;
	return false;
}

static bool is_followed(const struct sharing *sharing, uint32_t pid)
{
	const struct mapper *mapper = find_mapper(sharing, pid);

	return mapper && mapper->shared;
}

int sharing__search(struct tracks *tracks, struct track *track, bool later)
{
	struct search search = {tracks, track, 0, later};
	DIR *directory = opendir(tracks->config->procfs);
	struct dirent *entry;
	int err = 0;

	if (!directory)
		return -errno;
	for (struct mapper *mapper = track->sharing->mappers; mapper; mapper = mapper->next) {
		mapper->seen = false;
		if (!mapper->shared)
			mapper->span_count = 0;
	}
	while (!err && (entry = readdir(directory))) {
		search.pid = (uint32_t)strtoul(entry->d_name, NULL, 10);
		if (!isdigit((unsigned char)entry->d_name[0]) || search.pid == (uint32_t)getpid() ||
		    is_member(track, search.pid))
			continue;
		err = maps__read(tracks->config->procfs, search.pid, look_at_region, &search);
		if (!is_followed(track->sharing, search.pid))
			objects__look_at_descriptors(track->sharing->objects,
						     tracks->config->procfs, search.pid);
		if (err != -ENOMEM && err != -ECANCELED)
			err = 0; /* gone, or not ours to read */
		if (!err)
			err = track_work__check(&track->work);
	}
	closedir(directory);
	return err;
}

int sharing__meet_mapper(struct sharing *sharing, struct mapper *mapper)
{
	struct span *old = mapper->spans;
	const struct map_region *regions;
	size_t old_count = mapper->span_count, count;
	int err = 0;

	mapper->spans = NULL;
	mapper->span_count = 0;
	target__lock(mapper->shared->target);
	regions = target__regions(mapper->shared->target, &count);
	for (size_t i = 0; i < count && !err; i++) {
		const struct object_key key = map_region__object(&regions[i]);

		if (objects__find(sharing->objects, &key))
			err = spans__add(&mapper->spans, &mapper->span_count, &regions[i]);
	}
	if (!err)
		err = sharing__take_written(sharing, mapper->spans, mapper->span_count,
					    mapper->map);
	page_map__clear(mapper->map);
	target__unlock(mapper->shared->target);
	if (!err)
		err = sharing__take_lost(sharing, old, old_count, mapper->spans,
					 mapper->span_count);
	free(old);
	return err;
}

int sharing__run_mappers(struct tracks *tracks, struct track *track)
{
	struct sharing *sharing = track->sharing;
	struct mapper *next;
	int err = 0;

	for (struct mapper *mapper = sharing->mappers; mapper && !err; mapper = next) {
		next = mapper->next;
		if (!mapper->shared) {
			if (!mapper->seen)
				sharing__drop_mapper(tracks, sharing, mapper);
			continue;
		}
		err = target__epoch(mapper->shared->target, &track->work);
		if (!err) {
			err = sharing__meet_mapper(sharing, mapper);
		} else if (err != -ENOMEM && err != -ECANCELED) {
			/* It ended, or cannot be read any more. */
			err = sharing__take_lost(sharing, mapper->spans, mapper->span_count, NULL,
						 0);
			sharing__drop_mapper(tracks, sharing, mapper);
			continue;
		}
		if (!err && !mapper->span_count)
			sharing__drop_mapper(tracks, sharing, mapper);
	}
	return err;
}
