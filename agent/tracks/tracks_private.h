/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of struct tracks, for its own files alone: tracks.c has the list, consumer.c the
 * consumer's calls, epoch.c what ends an epoch, members.c the processes and devices behind a track,
 * targets.c the processes that several tracks share, sharing.c who else writes their memory,
 * track_info.c what is told of one.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_TRACKS_PRIVATE_H
#define DIRTYSCOPE_AGENT_TRACKS_TRACKS_PRIVATE_H

#include <pthread.h>

#include "agent/tracks/cpu/backend_cost.h"
#include "agent/tracks/device/losses.h"
#include "agent/tracks/forecast.h"
#include "agent/tracks/target.h"
#include "agent/tracks/tracks.h"

/* A process and the tracks on it. */
struct shared_target {
	pthread_mutex_t lock;  /* while its target is made, widened or given up */
	struct target *target; /* NULL: not made yet, or given up */
	bool partial;	       /* it does not follow all of its memory */
	uint32_t pid;
	uint64_t start_ticks;
	unsigned users; /* under tracks->targets_lock, as is the next; with those who wait */
	struct shared_target *next;
};

struct member {
	struct shared_target *shared; /* NULL: a device's frames */
	uint32_t pid;
	struct owed_pages *owed;
	struct page_counts counts; /* of the last epoch */
	bool seen;		   /* still in the cgroup */
	struct span *spans;	   /* of objects that it mapped in the last epoch */
	size_t span_count;
	enum track_scope scope;
	const char *scope_reason;      /* static; why it is not the one that is looked for; NULL */
	struct address_ranges ranges;  /* what of it is told; none: all */
	struct not_covered *uncovered; /* of the last epoch: what others may have written */
	size_t uncovered_count, uncovered_room;
	struct member *next;
};

struct epoch_record {
	double seconds; /* that it lasted */
	uint64_t pages;
};

struct track {
	uint64_t id;
	unsigned references;		 /* under tracks->lock, as is the next */
	struct snapshot_track published; /* as of the last epoch: the sampler waits for nobody */
	struct track_info info;		 /* for everybody else who reads it */
	struct track_work work;		 /* of the call that has the lock below */
	struct track *next;
	enum track_kind kind;
	char target[128];
	char backend[16];	     /* asked for; "": any */
	struct address_ranges asked; /* none: what is best for the target */
	bool whole_process;	     /* also of a hypervisor */
	char vm[TRACK_VM_NAME];	     /* that it runs; "": none */
	pthread_mutex_t lock;	     /* what follows */
	struct backend_costs costs;  /* as of its start */
	bool has_costs;		     /* false: it has no CPU side */
	struct member *members;
	struct write_log *log; /* of TRACK_DEVICE, as are the next */
	struct losses losses;
	struct sharing *sharing; /* NULL: of TRACK_DEVICE, or not begun */
	bool ended;
	char reason[160];
	struct timespec started, collected;
	double epoch_begun, touched, ended_at; /* seconds, monotonic */
	uint64_t epoch, cursor, acknowledged;
	struct page_counts last, delivered;
	uint64_t missed_total;
	double epoch_seconds, collect_seconds;
	struct epoch_record history[TRACK_EPOCHS]; /* by epoch % TRACK_EPOCHS */
	uint64_t device_pages[PAGE_MAP_DEVICES];   /* of the last epoch */
};

struct tracks {
	const struct agent_config *config;
	struct events *events;
	struct snapshot_store *store;
	struct write_feed *feed;
	pthread_mutex_t lock; /* the list, and whether there is service */
	int host_lock;	      /* -1: not taken; under lock, as is the next */
	bool host_locked;
	pthread_mutex_t targets_lock; /* the list of targets; a leaf */
	bool stopping;		      /* atomic: tracks__interrupt */
	struct track *list;	      /* by id, the newest first */
	struct shared_target *targets;
	uint64_t next_id;
	struct track_sweeps sweeps;
	const struct kernel_tables *tables;
	pthread_mutex_t costs_lock; /* the next two; held while they are measured */
	struct backend_costs costs;
	double costs_at;  /* seconds, monotonic; 0: never */
	bool serving;	  /* false: not ready, or over */
	pthread_t keeper; /* ends tracks that nobody collects */
	int keeper_stop;  /* eventfd; -1: there is no keeper */
};

double tracks__now(void);

/* tracks.c. Fills in the sentence and returns err. */
__attribute__((format(printf, 3, 4))) int track_error__set(struct track_error *error, int err,
							   const char *format, ...);
/* With a reference; NULL: none. */
struct track *tracks__find(struct tracks *tracks, uint64_t id);
void tracks__put(struct tracks *tracks, struct track *track);
/* Under track->lock: it stays listed for a while, and costs nothing more. */
void track__end(struct tracks *tracks, struct track *track, const char *reason);
/* Under track->lock. -ENOSPC, or 0. */
int track__too_large(const struct tracks *tracks, const struct track *track,
		     struct track_error *error);

/* consumer.c; under track->lock. A call that may have taken long is over. */
void track__end_work(struct track *track);

/* targets.c; under track->lock */
/* What the backends cost here, measured now or not long ago. */
void track__measure(struct tracks *tracks, struct track *track);
/* A sentence about a process (0: about none); returns err. */
int track__refuse(struct track_error *error, int err, uint32_t pid, const char *why);
/* With a use more. want: of its memory; copied. */
int track__get_target(struct tracks *tracks, struct track *track, uint32_t pid,
		      const struct scope_want *want, struct shared_target **out,
		      struct track_error *error);
void track__put_target(struct tracks *tracks, struct shared_target *shared);

/* members.c; under track->lock */
/* The last of the list. pid 0: a device's frames. NULL: memory is short. */
struct member *track__new_member(struct track *track, uint32_t pid);
/* later: it came after the track began, so that all of it is new to the consumer. */
int track__add_process(struct tracks *tracks, struct track *track, uint32_t pid, bool later,
		       struct track_error *error);
void track__unlink_member(struct track *track, struct member *member);
void track__free_member(struct tracks *tracks, struct member *member);
void track__drop_members(struct tracks *tracks, struct track *track);

/* member_scope.c; under track->lock */
/* What is wanted of a process that the track has been told to follow, and what it runs. */
int track__want(const struct tracks *tracks, struct track *track, uint32_t pid,
		struct member *member, struct scope_want *want, struct track_error *error);
/* What of its target's memory the member is told of, as of the target's last epoch. */
int member__read_scope(struct member *member);
/* After the start: -EINVAL where a range that was asked for holds no mapping. */
int member__check_scope(const struct track *track, const struct member *member,
			struct track_error *error);
/* After an epoch: forgets what was found elsewhere. */
int member__keep_scope(struct member *member);
/* How many pages of a row the member has to do with. */
uint64_t member__not_covered(const struct member *member, const struct not_covered *row);

/* epoch.c; under track->lock */
int track__add_members(struct tracks *tracks, struct track *track, bool later,
		       struct track_error *error);
/* Ends an epoch of all members. -ESRCH: none is left. */
int track__run_epoch(struct tracks *tracks, struct track *track, struct track_error *error);

/* delivery.c; under track->lock. Calls `each` for all that is owed, and counts it. */
int track__owed(const struct tracks *tracks, struct track *track, enum ds_evidence evidence,
		int (*each)(void *context, const struct track_run *run), void *context);
/* The same under a new cursor, with what the epoch found. */
int track__deliver(struct tracks *tracks, struct track *track, enum ds_evidence evidence,
		   int (*each)(void *context, const struct track_run *run), void *context);

/* cgroup_members.c; under track->lock. Adds those that came, and drops those that left. */
int track__add_cgroup(struct tracks *tracks, struct track *track, bool later,
		      struct track_error *error);

/* sharing.c; under track->lock */
/* Finds who else maps what the members map, and follows them. -ENOMEM, or 0. */
int sharing__begin(struct tracks *tracks, struct track *track);
/* After the members' epochs: adds what others wrote, and lists what cannot be told. */
int sharing__epoch(struct tracks *tracks, struct track *track);
/* Before a member is dropped whose process ended: what it shared with others may be written. */
int sharing__member_gone(struct track *track, const struct member *member);
void sharing__free(struct tracks *tracks, struct track *track);
/* Fills in the sharers. */
void sharing__list(const struct track *track, struct track_info *info);

/* forecast.c; under track->lock. -ENODATA: no epoch has ended yet. */
int track__forecast(const struct tracks *tracks, struct track *track,
		    const struct forecast_options *options, struct forecast *forecast);

/* track_info.c; under track->lock */
/* Of memory: the agent's, and what page tables protecting its targets took. */
uint64_t track__bytes(const struct track *track);
void track__info(const struct track *track, struct track_info *info);
/* What is read of it from now on. */
void track__post(struct tracks *tracks, const struct track *track);

#endif
