/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot: everything known at one instant, immutable once published.
 *
 * The sampler builds one each interval; HTTP threads, history and the dashboards only ever read
 * snapshots. Whoever holds a reference may read every field without a lock; nobody may write.
 *
 * Counters are pages of 4 KiB since the agent's start unless a name says otherwise and never
 * fall while their process or device is listed; rates are per second over the last interval.
 * Strings are never NULL unless said, and may hold any bytes: sanitise on the way out.
 */
#ifndef DIRTYSCOPE_AGENT_SNAPSHOT_SNAPSHOT_H
#define DIRTYSCOPE_AGENT_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "agent/base/listener.h"
#include "bpf/dirtyscope.h"

/* Who wrote. The order is that of the label values "cpu", "pagecache", "blockdev", "dma". */
enum ds_writer {
	DS_WRITER_CPU,	     /* write faults: first touch + rewrite + kernel */
	DS_WRITER_PAGECACHE, /* page-cache pages of files that became dirty */
	DS_WRITER_BLOCKDEV,  /* the same of block devices themselves: metadata, raw writes */
	DS_WRITER_DMA,	     /* pages that devices wrote for it */
	DS_WRITERS,
};
extern const char *const ds_writer_names[DS_WRITERS];

enum process_state {
	PROCESS_RUNNING, /* it lives; running or asleep */
	PROCESS_EXITED,	 /* listed for a while after its end */
};

/* What a process is: immutable, shared by the snapshots of its whole life. */
struct process_identity {
	uint32_t tgid;
	uint64_t start_boottime_ns;
	char comm[DS_COMM_LEN];
	uint32_t uid;
	bool nameless;	  /* it was never seen itself: comm and uid are not known */
	const char *user; /* the number when the uid has no name; "" when it is not known */
	const char *
		cmdline; /* arguments joined by blanks, at most 4096 bytes; "" for kernel threads */
	const char *cgroup;    /* "" when not known */
	const char *container; /* NULL: not in a container */
	/* Its Kubernetes pod: all NULL when in none; the container's name may be unknown. */
	const char *pod_namespace, *pod_name, *pod_container;
	const char *vm_name;	/* NULL: not a VM */
	const char *hypervisor; /* set with vm_name */
	int references;		/* the last; atomic; process_identity__get, __put */
};

struct snapshot_process {
	struct process_identity *identity; /* a reference is held */
	enum process_state state;
	uint64_t first_touch, rewrite, kernel; /* the parts of DS_WRITER_CPU */
	uint64_t tracked; /* faults that a track of ours caused; in none of the others */
	uint64_t written[DS_WRITERS];
	double rates[DS_WRITERS];
	/* promoted: it has a series of its own; base: what it had written when it got that. */
	bool promoted;
	uint64_t base[DS_WRITERS];
};

/* Names of two rows that are no group: the sum of those that have gone, and of what is in none. */
#define SNAPSHOT_EXITED "(exited)"
#define SNAPSHOT_OTHER "(other)"

/*
 * A sum over processes: per cgroup, pod, VM or command name. Includes those that have ended. A pod
 * is named NAMESPACE/POD.
 */
struct snapshot_group {
	const char *name;
	uint32_t processes; /* now living */
	uint64_t written[DS_WRITERS];
	double rates[DS_WRITERS];
	bool promoted;
	uint64_t base[DS_WRITERS];
};

/* Why we say that a device wrote a page, weakest first. */
enum ds_evidence {
	DS_EVIDENCE_EXPOSED,   /* it holds a live mapping through which it may write the page */
	DS_EVIDENCE_COMPLETED, /* the kernel saw a write of it end there */
	DS_EVIDENCE_REPORTED,  /* the hardware reported the page */
	DS_EVIDENCES,
};
extern const char *const ds_evidence_names[DS_EVIDENCES];

/* A sensor that sees a device's writes, on this kernel and in this IOMMU mode. */
struct snapshot_coverage {
	enum ds_sensor sensor;
	enum ds_evidence evidence;
	struct timespec since; /* realtime */
};

/* Who gave a device memory of its own to write: the owner of a VFIO mapping. */
struct snapshot_exposure {
	uint32_t pid;
	const char *comm; /* "" when it has ended */
	uint64_t pages;
};

/* A virtual disk (dm, md, loop) that stands on a device's disks, if only in part. */
struct snapshot_stack {
	const char *name;
	const char *const *on; /* disks and partitions, sorted; on_count of them */
	size_t on_count;
};

struct snapshot_device {
	const char *id;		  /* "pci/0000:00:04.0", "virtio/virtio1" */
	const char *bus;	  /* "pci", "virtio", ... */
	const char *driver;	  /* "" when none is bound */
	const char *parent;	  /* id of the device it sits on; NULL */
	const char *const *names; /* disks and netdevs, sorted; name_count of them */
	size_t name_count;
	const struct snapshot_stack *stacks; /* sorted by name */
	size_t stack_count;
	const char *iommu_group;	/* NULL: no IOMMU translates for it */
	const char *iommu_domain;	/* set with iommu_group: "DMA", "DMA-FQ", "identity", ... */
	struct timespec coverage_since; /* realtime */
	uint32_t sensors;		/* bit per enum ds_sensor: has seen it */
	bool gone;			/* unplugged; listed for 60 s */
	bool has_page_set;    /* false: its pages are in the shared set, dirty_pages is not known */
	uint64_t dirty_pages; /* distinct, in the last interval */
	uint64_t dirty_pages_total; /* distinct per interval, added up */
	uint64_t exposed_pages;
	bool exposed_known;	    /* false: see exposed_reason */
	const char *exposed_reason; /* NULL when known; else a sentence without its end */
	uint64_t live_mappings;	    /* of it, in the ledger */
	const struct snapshot_exposure *exposures; /* of VFIO, the largest first */
	size_t exposure_count;
	const struct snapshot_coverage *coverage;
	size_t coverage_count;
	const char *const *not_seen; /* what of its writes no sensor sees; not_seen_count of them */
	size_t not_seen_count;
	bool virtio; /* it is a virtio device */
	bool vfio;   /* it is, or was since the agent's start, in the hands of VFIO */
	double rate; /* dirty pages per second */
	struct ds_device_stats stats; /* summed over CPUs and sources */
	uint64_t pagecache, blockdev; /* page-cache pages dirtied that belong on it */
	uint64_t lost; /* flows and pages of it that were counted as lost; from pages beyond its set
			*/
};

struct snapshot_flow {
	struct process_identity *identity; /* NULL: the submitter is not known */
	const char *device;		   /* id */
	uint64_t pages, bytes, requests;
	double rate; /* pages per second */
};

enum program_state {
	PROGRAM_ACTIVE,
	PROGRAM_REPLACED,    /* another one does its work on this kernel */
	PROGRAM_UNAVAILABLE, /* see reason */
};

struct snapshot_program {
	const char *name;
	const char *hook; /* "tp_btf:page_fault_user" */
	enum program_state state;
	const char *reason;	    /* "" when active */
	uint64_t runs, run_time_ns; /* 0 unless kernel.bpf_stats_enabled */
	uint64_t missed;	    /* runs the kernel skipped because of recursion */
	uint32_t verified_instructions;
	bool absent; /* the kernel has no function that it could be put on */
};

enum sensor_state {
	SENSOR_ACTIVE,
	SENSOR_PARTIAL,	    /* some of its programs cannot run, or it loses events */
	SENSOR_UNAVAILABLE, /* none can */
};
extern const char *const ds_sensor_names[DS_SENSOR_COUNT];
extern const char *const ds_lost_names[DS_LOST_COUNT + 1]; /* the last is "recursion" */
#define DS_LOST_RECURSION DS_LOST_COUNT
#define DS_LOST_REASONS (DS_LOST_COUNT + 1)

/* A loss is told for that long; its counters stay. */
#define SENSOR_LOSING_SECONDS 60

struct snapshot_sensor {
	enum ds_sensor id;
	enum sensor_state state;
	char reason[256];   /* why it is not active; "" when it is */
	bool losing;	    /* it lost events within the last SENSOR_LOSING_SECONDS */
	const char *yields; /* what it counts */
	const char *blind;  /* what it cannot see on this kernel */
	uint64_t offered, counted, lost[DS_LOST_REASONS];
	const struct snapshot_program *programs;
	size_t program_count;
};

/* A way to attach programs: "tp_btf", "fentry". */
struct snapshot_tier {
	const char *name;
	bool available;
	const char *reason; /* the kernel's own, "" when available */
};

enum ds_track_writer { DS_TRACK_CPU, DS_TRACK_DMA, DS_TRACK_BOTH, DS_TRACK_WRITERS };
extern const char *const ds_track_writer_names[DS_TRACK_WRITERS];

/* A precise session, as of its last epoch; agent/tracks/tracks.h. */
struct snapshot_track {
	uint64_t id;
	uint32_t pid; /* 0: it does not follow one process, or no longer */
	bool ended;
	uint64_t pages[DS_TRACK_WRITERS];
	uint64_t missed_total, bytes;
};

/* Who holds memory pinned that it may write at any time; agent/host/pins.h. */
enum pin_kind {
	PIN_IO_URING, /* buffers registered with a ring */
	PIN_VFIO,     /* memory given to a device */
	PIN_RDMA,     /* memory regions */
	PIN_XDP,      /* areas of AF_XDP sockets */
	PIN_KINDS,
};
extern const char *const pin_kind_names[PIN_KINDS];

/* A process with pinned memory; bytes. */
struct snapshot_pins {
	uint32_t pid;
	uint64_t start_boottime_ns;
	char comm[DS_COMM_LEN];
	uint64_t pinned_bytes; /* all of it */
	uint64_t by[PIN_KINDS];
	uint64_t unexplained_bytes; /* of pinned_bytes, what nothing above explains */
	char reason[96];	    /* why not all of it could be looked at; "" when all was */
};

struct snapshot_limits {
	uint32_t processes, processes_used;
	uint32_t devices, devices_used;
	uint32_t flows, flows_used;
	uint32_t requests, mappings;
	uint64_t mappings_used, mapping_bytes_used; /* live entries of the ledger; their memory */
	uint64_t page_set_bytes, page_set_bytes_used;
	uint64_t map_memory_bytes; /* all BPF maps */
};

/* Series of processes without one of their own, and of those that have left the list. */
struct snapshot_rest {
	uint64_t other[DS_WRITERS];
	uint64_t exited[DS_WRITERS];
};

enum policy_state {
	POLICY_INACTIVE,
	POLICY_PENDING,
	POLICY_FIRING,
	POLICY_RESOLVED,
	POLICY_STATES
};
extern const char *const policy_state_names[POLICY_STATES];

/* How many targets of a policy are in which state; agent/policies/policies.h. */
struct snapshot_policy {
	char name[64];
	uint64_t states[POLICY_STATES];
};

/* How often an action of a policy came to what, since the agent's start. */
struct snapshot_action {
	char policy[64], action[16], result[16];
	uint64_t count;
};

/*
 * The page cache that waits to be written back, by /proc/vmstat; pages. Beyond throttle_at, half
 * way between the two thresholds, writers are slowed down: mm/page-writeback.c,
 * dirty_freerun_ceiling().
 */
struct snapshot_writeback {
	bool known;
	uint64_t waiting, under_writeback, throttle_at;
};

enum record_state {
	RECORD_OFF,
	RECORD_WRITING,
	RECORD_STOPPED, /* before the agent's end: see reason */
	RECORD_STATES
};
extern const char *const record_state_names[RECORD_STATES];

/* What --record has written, as of the snapshot before; agent/record/recorder.h. */
struct snapshot_record {
	enum record_state state;
	char reason[200];      /* why it stopped; "" */
	uint64_t bytes, limit; /* of the file; the most that it may become */
	uint64_t snapshots;    /* written */
	uint64_t missed;       /* not written, because the disk was slower than the interval */
};

/* Where a snapshot of a replay comes from, and what the record holds beside it. */
struct track_info;
struct snapshot_replay {
	const char *file;		/* as it was given */
	const char *version, *revision; /* of the dirtyscope that recorded it */
	struct timespec recorded;	/* realtime, when it began */
	uint64_t position, snapshots;	/* this is the position-th of so many; the first is 1 */
	uint64_t rounds;		/* how often it has begun again: --replay-loop */
	bool truncated;			/* the file ends within a record: its agent was killed */
	bool ended;			/* no other one follows */
	const struct track_info *tracks;
	size_t track_count;
	const char *policies; /* the answer of /api/v1/policies, JSON; "" when not recorded */
};
/* The parts of DS_WRITER_CPU. */
enum cpu_kind { CPU_FIRST_TOUCH, CPU_REWRITE, CPU_KERNEL, CPU_KINDS };
extern const char *const cpu_kind_names[CPU_KINDS];

struct snapshot {
	int references;		/* atomic */
	uint64_t sequence;	/* 1 for the first */
	struct timespec time;	/* realtime, when the counters were read */
	double interval;	/* seconds since the one before; the configured one at first */
	double uptime;		/* of the agent, seconds */
	double sample_duration; /* seconds that it took to build */
	const char *hostname, *kernel; /* live as long as the snapshot */
	uint64_t memory_pages;	       /* of the host */

	/* Sums over all processes, those that have left the list included. */
	uint64_t totals[DS_WRITERS];
	double rates[DS_WRITERS];
	uint64_t cpu_totals[CPU_KINDS];
	double cpu_rates[CPU_KINDS];
	uint64_t tracked_faults; /* sum of all processes' `tracked`, in none of these */
	/* Distinct pages that devices wrote, per interval added up, and in the last interval. */
	uint64_t dirty_pages_total, dirty_pages;
	uint64_t exposed_pages;
	struct snapshot_writeback writeback;

	struct snapshot_process *processes; /* by pid, start */
	size_t process_count;
	struct snapshot_device *devices; /* by id; "unattributed" is the shared set */
	size_t device_count;
	struct snapshot_flow *flows;
	size_t flow_count;
	bool pins_known; /* false: see pins_reason */
	const char *pins_reason;
	struct snapshot_pins *pins; /* by pid */
	size_t pin_count;
	struct snapshot_group *cgroups; /* by name; their sum is the host's */
	size_t cgroup_count;
	struct snapshot_group *vms;
	size_t vm_count;
	struct snapshot_group *pods;
	size_t pod_count;
	struct snapshot_group *comms;
	size_t comm_count;
	struct snapshot_sensor sensors[DS_SENSOR_COUNT];
	struct snapshot_track *tracks; /* by id */
	size_t track_count;
	struct snapshot_policy *policies;
	size_t policy_count;
	struct snapshot_action *actions; /* by policy, action, result */
	size_t action_count;
	const struct snapshot_tier *tiers;
	size_t tier_count;
	struct snapshot_limits limits;
	bool namespaces_known;
	uint32_t own_namespaces; /* DS_OWN_*_NAMESPACE: of the agent, not the host's */
	struct snapshot_rest process_rest, cgroup_rest, vm_rest, pod_rest, comm_rest;
	uint64_t net_virtual_packets; /* received by netdevs that do no DMA */
	uint64_t iommu_mapped_bytes;
	uint64_t reported_pages; /* that hardware reported: dirty bits of an IOMMU or a device */
	struct snapshot_record record;
	struct snapshot_replay *replay; /* NULL: this is no replay */

	struct arena *arena; /* owns every array and device string of this snapshot */
};

/* A new snapshot with one reference, or NULL when memory is short. Its arrays come from the arena.
 */
struct snapshot *snapshot__new(void);
struct snapshot *snapshot__get(struct snapshot *snapshot);
void snapshot__put(struct snapshot *snapshot);

/*
 * A copy with one reference that owns its strings; user, cmdline and cgroup become "" where they
 * are NULL. NULL when memory is short.
 */
struct process_identity *process_identity__new(const struct process_identity *from);
/* All but its references, which others may be changing; the strings stay its own. */
struct process_identity process_identity__facts(const struct process_identity *identity);
struct process_identity *process_identity__get(struct process_identity *identity);
void process_identity__put(struct process_identity *identity);

/*
 * Where the newest snapshot is found. Readers and the writer hold the lock only to swap a pointer.
 */
struct snapshot_store;
struct snapshot_store *snapshot_store__new(void);
void snapshot_store__free(struct snapshot_store *store);
/* Takes over the caller's reference. */
void snapshot_store__publish(struct snapshot_store *store, struct snapshot *snapshot);
/* The newest, with a reference for the caller; NULL before the first. */
struct snapshot *snapshot_store__latest(struct snapshot_store *store);
/*
 * The newest once its sequence is above after_sequence, with a reference for the caller; NULL when
 * that takes longer than the time-out, or after snapshot_store__wake.
 */
struct snapshot *snapshot_store__wait(struct snapshot_store *store, uint64_t after_sequence,
				      double timeout_seconds);
/* Ends all waits, those to come as well: for shutdown. */
void snapshot_store__wake(struct snapshot_store *store);
/* The listener is called with every snapshot; once it is taken off, no more. */
void snapshot_store__listen(struct snapshot_store *store, struct listener *listener);
void snapshot_store__unlisten(struct snapshot_store *store, struct listener *listener);

#endif
