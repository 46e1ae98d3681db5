/* SPDX-License-Identifier: BSD-2-Clause */
/* What a record holds of tracks as the API has them. */
#include "agent/record/field_tables.h"
#include "agent/tracks/tracks.h"

static const struct field record_page_counts_fields[] = {
	ROW(struct page_counts, cpu, FIELD_U64),    ROW(struct page_counts, dma, FIELD_U64),
	ROW(struct page_counts, both, FIELD_U64),   ROW(struct page_counts, all, FIELD_U64),
	ROW(struct page_counts, missed, FIELD_U64),
};
TABLE(record_page_counts, struct page_counts, NULL);

static const struct field record_track_gap_fields[] = {
	ROW(struct track_gap, kind, FIELD_ENUM, .most = NOT_COVERED_KINDS),
	ROW(struct track_gap, start, FIELD_U64),
	ROW(struct track_gap, pages, FIELD_U64),
	ROW(struct track_gap, events, FIELD_U64),
	ROW(struct track_gap, name, FIELD_CHARS),
	ROW(struct track_gap, reason, FIELD_STRING),
};
TABLE(record_track_gap, struct track_gap, NULL);

static const struct field record_track_progress_fields[] = {
	ROW(struct track_progress, step, FIELD_STRING_OR_NULL),
	ROW(struct track_progress, done, FIELD_U64),
	ROW(struct track_progress, of, FIELD_U64),
};
TABLE(record_track_progress, struct track_progress, NULL);

static const struct field record_track_backend_cost_fields[] = {
	ROW(struct track_backend_cost, backend, FIELD_STRING),
	ROW(struct track_backend_cost, unknown, FIELD_STRING_OR_NULL),
	ROW(struct track_backend_cost, scan_ns_per_page, FIELD_DOUBLE),
	ROW(struct track_backend_cost, fault_ns, FIELD_DOUBLE),
};
TABLE(record_track_backend_cost, struct track_backend_cost, NULL);

static const struct field record_track_sharer_fields[] = {
	ROW(struct track_sharer, pid, FIELD_U32),
	ROW(struct track_sharer, followed, FIELD_BOOL),
};
TABLE(record_track_sharer, struct track_sharer, NULL);

static const struct field record_track_range_fields[] = {
	ROW(struct address_range, start, FIELD_U64),
	ROW(struct address_range, end, FIELD_U64),
};
TABLE(record_track_range, struct address_range, NULL);

static const struct field record_track_member_fields[] = {
	ROW(struct track_member, pid, FIELD_U32),
	ROW(struct track_member, scope, FIELD_ENUM, .most = TRACK_SCOPES),
	ROW(struct track_member, scope_reason, FIELD_STRING_OR_NULL),
	COUNTED(struct track_member, ranges, FIELD_ROWS, range_count, .of = &record_track_range),
	ROW(struct track_member, range_more, FIELD_U64),
	ROW(struct track_member, backend, FIELD_STRING),
	ROW(struct track_member, lower_bound, FIELD_BOOL),
	ROW(struct track_member, device_side, FIELD_BOOL),
	ROW(struct track_member, device_side_complete, FIELD_BOOL),
	ROW(struct track_member, backend_reason, FIELD_CHARS),
	ROW(struct track_member, start_stopped_ns, FIELD_U64),
	ROW(struct track_member, stopped_ns, FIELD_U64),
	ROW(struct track_member, lost_pages, FIELD_U64),
	ROW(struct track_member, moved, FIELD_U64),
	COUNTED(struct track_member, not_covered, FIELD_ROWS, not_covered_count,
		.of = &record_track_gap),
	ROW(struct track_member, not_covered_more, FIELD_U64),
};
TABLE(record_track_member, struct track_member, NULL);

static const struct field record_track_fields[] = {
	ROW(struct track_info, id, FIELD_U64),
	ROW(struct track_info, kind, FIELD_ENUM, .most = TRACK_KINDS),
	ROW(struct track_info, target, FIELD_CHARS),
	ROW(struct track_info, vm, FIELD_CHARS),
	ROW(struct track_info, starting, FIELD_BOOL),
	ROW(struct track_info, ended, FIELD_BOOL),
	ROW(struct track_info, progress, FIELD_STRUCT, .of = &record_track_progress),
	ROW(struct track_info, reason, FIELD_CHARS),
	ROW(struct track_info, started, FIELD_TIME),
	ROW(struct track_info, collected, FIELD_TIME),
	ROW(struct track_info, epoch, FIELD_U64),
	ROW(struct track_info, cursor, FIELD_U64),
	ROW(struct track_info, acknowledged, FIELD_U64),
	ROW(struct track_info, last, FIELD_STRUCT, .of = &record_page_counts),
	ROW(struct track_info, delivered, FIELD_STRUCT, .of = &record_page_counts),
	ROW(struct track_info, missed_total, FIELD_U64),
	ROW(struct track_info, epoch_seconds, FIELD_DOUBLE),
	ROW(struct track_info, collect_seconds, FIELD_DOUBLE),
	ROW(struct track_info, lower_bound, FIELD_BOOL),
	ROW(struct track_info, not_covered_bytes, FIELD_U64),
	ROW(struct track_info, bytes, FIELD_U64),
	ROW(struct track_info, working_set, FIELD_U64),
	ROW(struct track_info, rate, FIELD_DOUBLE),
	COUNTED(struct track_info, backend_costs, FIELD_ROWS, backend_cost_count,
		.of = &record_track_backend_cost),
	COUNTED(struct track_info, members, FIELD_ROWS, member_count, .of = &record_track_member),
	ROW(struct track_info, member_more, FIELD_U64),
	COUNTED(struct track_info, sharers, FIELD_ROWS, sharer_count, .of = &record_track_sharer),
	ROW(struct track_info, sharer_more, FIELD_U64),
};
TABLE(record_track, struct track_info, NULL);
