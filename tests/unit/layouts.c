/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiled with BTF and never run: what the structs of a record look like, for
 * test_record_tables.c. */
#include "agent/record/record_fields.h"
#include "agent/tracks/tracks.h"

struct layouts {
	struct process_identity process_identity;
	struct record_beside record_beside;
	struct record_start record_start;
	struct snapshot snapshot;
	struct snapshot_process process;
	struct snapshot_group group;
	struct snapshot_device device;
	struct snapshot_coverage coverage;
	struct snapshot_exposure exposure;
	struct snapshot_flow flow;
	struct snapshot_pins pins;
	struct snapshot_program program;
	struct snapshot_track track;
	struct snapshot_policy policy;
	struct snapshot_action action;
	struct snapshot_tier tier;
	struct track_info info;
	struct event event;
};

extern struct layouts layouts;
struct layouts layouts;
