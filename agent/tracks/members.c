/* SPDX-License-Identifier: BSD-2-Clause */
/* What a track follows: processes, or the frames that one device writes. */
#include <errno.h>
#include <stdlib.h>

#include "agent/tracks/tracks_private.h"

void track__free_member(struct tracks *tracks, struct member *member)
{
	if (member->shared) {
		target__leave(member->shared->target, owed_pages__fresh(member->owed));
		track__put_target(tracks, member->shared);
	}
	owed_pages__free(member->owed);
	free(member->spans);
	free(member->uncovered);
	address_ranges__free(&member->ranges);
	free(member);
}

void track__drop_members(struct tracks *tracks, struct track *track)
{
	sharing__free(tracks, track);
	while (track->members) {
		struct member *member = track->members;

		track->members = member->next;
		track__free_member(tracks, member);
	}
	write_log__free(track->log);
	track->log = NULL;
}

struct member *track__new_member(struct track *track, uint32_t pid)
{
	struct member *member = calloc(1, sizeof(*member)), **end = &track->members;

	if (!member)
		return NULL;
	member->pid = pid;
	member->seen = true;
	member->owed = owed_pages__new();
	if (!member->owed) {
		free(member);
		return NULL;
	}
	while (*end)
		end = &(*end)->next;
	*end = member;
	return member;
}

void track__unlink_member(struct track *track, struct member *member)
{
	for (struct member **at = &track->members; *at; at = &(*at)->next)
		if (*at == member) {
			*at = member->next;
			return;
		}
}

/* later: it came after the track began, so that all of it is new to the consumer. */
int track__add_process(struct tracks *tracks, struct track *track, uint32_t pid, bool later,
		       struct track_error *error)
{
	struct member *member = track__new_member(track, pid);
	struct scope_want want;
	int err;

	if (!member)
		return track__refuse(error, -ENOMEM, 0, "out of memory");
	err = track__want(tracks, track, pid, member, &want, error);
	if (!err)
		err = track__get_target(tracks, track, pid, &want, &member->shared, error);
	/* Of all of a hypervisor, too, its guest's memory is told from the rest. */
	if (!err && track->whole_process && *track->vm)
		err = target__widen(member->shared->target, &(struct scope_want){.guest = true});
	if (!err)
		err = member__read_scope(member);
	if (!err)
		err = member__check_scope(track, member, error);
	if (!err)
		err = target__subscribe(member->shared->target, owed_pages__fresh(member->owed));
	if (!err && later)
		err = target__fill(member->shared->target, owed_pages__fresh(member->owed),
				   &track->work);
	if (!err)
		return 0;
	track__unlink_member(track, member);
	track__free_member(tracks, member);
	return err;
}
