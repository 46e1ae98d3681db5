/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The track manager: precise sessions on processes, cgroups and devices. A track has one consumer:
 * what was delivered to it and not acknowledged comes again. Several tracks may follow the same
 * process; they share what that costs, and none takes another's pages. Thread-safe.
 *
 * Starting, collecting and what else works on a track's pages may take long: as long as its target
 * is slow or large. Such calls are for threads that may wait; they end with -ECANCELED once
 * *cancelled becomes true (atomic; NULL: never), and what an epoch found until then stays owed.
 * What reads a track (tracks__get, __list, __publish) gets what was last published, and never
 * waits.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_TRACKS_H
#define DIRTYSCOPE_AGENT_TRACKS_TRACKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "agent/base/config.h"
#include "agent/kernel/kernel_side.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/snapshot.h"
#include "agent/tracks/base/address_ranges.h"
#include "agent/tracks/base/not_covered.h"
#include "agent/tracks/base/work.h"
#include "agent/tracks/device/write_feed.h"
#include "agent/tracks/owed_pages.h"

struct tracks;

/* All are borrowed, and outlive it. store: whose snapshots have the flows. NULL: memory is short.
 */
struct tracks *tracks__new(const struct agent_config *config, struct events *events,
			   struct snapshot_store *store);
/* Ends all of them: no target keeps a write-protection of ours. */
void tracks__free(struct tracks *tracks);
/* What devices write, for devices__listen. */
const struct page_listener *tracks__listener(struct tracks *tracks);
/*
 * From here on tracks can be started. tables: borrowed; sweeps: copied. The tables, and what the
 * sweeps are asked through, live until tracks__free, or tracks__suspend.
 */
int tracks__serve(struct tracks *tracks, const struct kernel_tables *tables,
		  const struct track_sweeps *sweeps);
/* Ends what calls of other threads do, soon: they return -ECANCELED, those to come as well. */
void tracks__interrupt(struct tracks *tracks);
/* The sweeps will no longer work: ends all tracks, and takes no more. */
void tracks__suspend(struct tracks *tracks);
/* Copies into a snapshot that is being built. -ENOMEM, or 0. */
int tracks__publish(struct tracks *tracks, struct snapshot *snapshot);

enum track_kind { TRACK_PID, TRACK_CGROUP, TRACK_DEVICE, TRACK_KINDS };
extern const char *const track_kind_names[TRACK_KINDS];

/* Which of a process's memory is told. */
enum track_scope {
	TRACK_SCOPE_PROCESS, /* all of it */
	TRACK_SCOPE_GUEST,   /* of a hypervisor: its guest's memory */
	TRACK_SCOPE_RANGES,  /* what was asked for */
	TRACK_SCOPES,
};
extern const char *const track_scope_names[TRACK_SCOPES];

#define TRACK_RANGES 64 /* that may be asked for, and that are listed */
#define TRACK_VM_NAME 128

struct track_request {
	enum track_kind kind;
	/*
	 * TRACK_PID: which of its addresses; NULL: of a hypervisor its guest's memory, where that
	 * is found, else all. Borrowed.
	 */
	const struct address_ranges *ranges;
	bool whole_process; /* all, also of a hypervisor */
	uint32_t pid;	    /* TRACK_PID */
	const char *path; /* TRACK_CGROUP: below the cgroup file system, "/a/b"; TRACK_DEVICE: id */
	const char *backend; /* NULL: the best that works */
};

/* errno of a refusal, and one sentence. */
struct track_error {
	char message[320];
};

/* Memory of a member that is not followed, and why. */
struct track_gap {
	enum not_covered_kind kind;
	uint64_t start, pages;
	uint64_t events; /* of NOT_COVERED_LOST alone */
	char name[64];
	const char *reason; /* static */
};

/* Another process that maps members' memory for writing. */
struct track_sharer {
	uint32_t pid;
	bool followed;
};

struct track_member {
	uint32_t pid;
	enum track_scope scope;
	const char *scope_reason;		   /* static; why not another one; NULL */
	struct address_range ranges[TRACK_RANGES]; /* none: all of it */
	size_t range_count, range_more;
	const char *backend;	   /* static */
	bool lower_bound;	   /* the backend counts faults and finds no pages */
	bool device_side;	   /* devices' writes into it can be told */
	bool device_side_complete; /* all of the last epoch's were; else not_covered says why not */
	char backend_reason[256];  /* why it is not a better one; "" */
	uint64_t start_stopped_ns, stopped_ns; /* that it stood still */
	uint64_t lost_pages;		       /* of devices, for want of memory */
	uint64_t moved;			       /* told because their frame had changed meanwhile */
	struct track_gap not_covered[64];
	size_t not_covered_count, not_covered_more;
};

/* What an epoch costs by a backend here, as of the track's start, on memory of the agent's own. */
struct track_backend_cost {
	const char *backend;	 /* static */
	const char *unknown;	 /* static: why it was not measured; NULL: it was */
	double scan_ns_per_page; /* of reading it and beginning anew */
	double fault_ns;	 /* of the first write to a page after that, for the target */
};

struct track_info {
	uint64_t id;
	enum track_kind kind;
	char target[128];	/* the pid, the path, or the device's id */
	char vm[TRACK_VM_NAME]; /* that the process runs; "": none */
	bool starting;		/* it is not followed yet */
	bool ended;
	char reason[160];		    /* why it ended */
	struct track_progress progress;	    /* of what is being done */
	struct timespec started, collected; /* realtime; collected: 0 before the first */
	uint64_t epoch, cursor, acknowledged;
	struct page_counts last,
		delivered; /* of the last epoch; of the last answer, owed pages with it */
	uint64_t missed_total;
	double epoch_seconds;	/* how long the last epoch lasted */
	double collect_seconds; /* and how long it took to read */
	/* Of all members: more may have been written than was told, of which so much can be named.
	 */
	bool lower_bound;
	uint64_t not_covered_bytes;
	uint64_t bytes;
	uint64_t working_set[3]; /* distinct pages of the last 1, 10, 60 epochs */
	double rate;		 /* pages per second, of the last epoch */
	struct track_backend_cost backend_costs[2];
	size_t backend_cost_count; /* 0: it has no CPU side, or is not that far */
	struct track_member members[8];
	size_t member_count, member_more;
	struct track_sharer sharers[16];
	size_t sharer_count, sharer_more;
};

/* *info: the new track. -ENOENT, -ESRCH, -EINVAL, -EPERM, -EBUSY, -ENOSPC, -EOPNOTSUPP, -EAGAIN
 * (not ready), -ENOMEM, -ECANCELED, with *error. */
int tracks__start(struct tracks *tracks, const struct track_request *request, const bool *cancelled,
		  struct track_info *info, struct track_error *error);
/* -ENOENT */
int tracks__get(struct tracks *tracks, uint64_t id, struct track_info *info);
/* By id, into a new array that the caller frees. */
int tracks__list(struct tracks *tracks, struct track_info **infos, size_t *count);
/* -ENOENT */
int tracks__stop(struct tracks *tracks, uint64_t id);

struct track_run {
	uint32_t pid;	       /* whose; 0 for a device's frames */
	uint64_t start, pages; /* bytes: an address of the process, or of the host's memory */
	bool cpu;
	uint64_t devices; /* bits; tracks__device */
	uint32_t owner;	  /* of a device's frames: a process that has them; 0: nobody is known */
	uint64_t owner_address; /* where it has the first of them, bytes */
};
/*
 * Ends an epoch. Calls `each` (may be NULL) for all that is owed; -errno of it ends the call, and
 * nothing is forgotten. -ENOENT, -ESTALE (it has ended), or another with *error.
 */
int tracks__collect(struct tracks *tracks, uint64_t id, enum ds_evidence evidence,
		    int (*each)(void *context, const struct track_run *run), void *context,
		    const bool *cancelled, struct track_info *info, struct track_error *error);
/* The same pages again, without ending an epoch. */
int tracks__owed(struct tracks *tracks, uint64_t id, enum ds_evidence evidence,
		 int (*each)(void *context, const struct track_run *run), void *context,
		 const bool *cancelled, struct track_info *info, struct track_error *error);
/* -ENOENT, -ERANGE: no such cursor was given out yet. */
int tracks__acknowledge(struct tracks *tracks, uint64_t id, uint64_t cursor,
			struct track_info *info, struct track_error *error);
/* Id of the device behind a bit of track_run. */
const char *tracks__device(const struct tracks *tracks, unsigned bit);

/*
 * Calls `each` for the runs of pages of a member, from start to end (bytes), that none of the last
 * `epochs` epochs found written; nonzero ends it and is returned. -ENOENT, -ESTALE, -ESRCH (no such
 * member).
 */
int tracks__unwritten(struct tracks *tracks, uint64_t id, uint32_t pid, uint64_t start,
		      uint64_t end, uint32_t epochs,
		      int (*each)(void *context, uint64_t start, uint64_t pages), void *context);

/* What a pre-copy of the target would do: tracks/forecast.h. -ENOENT, -ENODATA (too few epochs). */
struct forecast_options;
struct forecast;
int tracks__forecast(struct tracks *tracks, uint64_t id, const struct forecast_options *options,
		     const bool *cancelled, struct forecast *forecast, struct track_error *error);

#endif
