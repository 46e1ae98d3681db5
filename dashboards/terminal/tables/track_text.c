/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/tables/track_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dashboards/terminal/tables/units.h"

static uint64_t number(json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static double real(json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* Which of its memory it is, where that is not all. */
static void put_scope(json_t *member, struct text *out)
{
	const char *scope = json_string_value(json_object_get(member, "scope"));
	const char *why = json_string_value(json_object_get(member, "scope_reason"));
	json_t *range;
	size_t i;

	if (why)
		text__printf(out, "    %s\n", why);
	if (!json_array_size(json_object_get(member, "ranges")))
		return;
	text__puts(out, scope && strcmp(scope, "guest") == 0 ? "    its guest's memory:"
							     : "    of it only");
	json_array_foreach(json_object_get(member, "ranges"), i, range)
		text__printf(out, " %s", json_string_value(range));
	if (number(member, "ranges_more"))
		text__printf(out, " and %" PRIu64 " ranges more", number(member, "ranges_more"));
	text__putc(out, '\n');
}

static void put_gap(json_t *gap, struct text *out)
{
	json_t *start = json_object_get(gap, "start");
	const char *name = json_string_value(json_object_get(gap, "name"));

	if (json_is_integer(json_object_get(gap, "events"))) {
		text__printf(out, "    lost: %s, %" PRIu64 " events: %s\n", name ? name : "",
			     number(gap, "events"),
			     json_string_value(json_object_get(gap, "reason")));
		return;
	}
	text__printf(out, "    not covered: %s, %" PRIu64 " pages%s",
		     json_is_string(start) ? json_string_value(start) : "place not known",
		     number(gap, "pages"), name && *name ? " of " : "");
	text__terminal(out, name ? name : "");
	text__printf(out, ": %s\n", json_string_value(json_object_get(gap, "reason")));
}

/* What else may have been written. */
static void put_doubts(json_t *answer, struct text *out)
{
	const char *why = json_string_value(json_object_get(answer, "lower_bound_reason"));
	json_t *gap;
	size_t i;

	if (json_is_true(json_object_get(answer, "lower_bound")))
		text__printf(out, "    more may have been written%s%s\n", why ? ": " : "",
			     why ? why : "");
	json_array_foreach(json_object_get(answer, "not_covered"), i, gap) put_gap(gap, out);
}

void track_text__track(json_t *track, struct text *out)
{
	json_t *members = json_object_get(track, "members"), *member, *gap;
	size_t i, j;

	text__printf(out, "track %s: %s", json_string_value(json_object_get(track, "id")),
		     json_string_value(json_object_get(track, "state")));
	if (json_is_string(json_object_get(track, "reason")))
		text__printf(out, ", %s", json_string_value(json_object_get(track, "reason")));
	text__putc(out, '\n');
	json_array_foreach(members, i, member)
	{
		const char *backend = json_string_value(json_object_get(member, "backend"));
		const char *why = json_string_value(json_object_get(member, "backend_reason"));

		if (!backend)
			continue;
		text__printf(out, "  process %" PRIu64 " by %s", number(member, "pid"), backend);
		if (real(member, "start_stopped_us") > 0)
			text__printf(out, ", stood still for %.0f us",
				     real(member, "start_stopped_us"));
		text__putc(out, '\n');
		put_scope(member, out);
		if (why)
			text__printf(out, "    not better, because %s\n", why);
		json_array_foreach(json_object_get(member, "not_covered"), j, gap)
			put_gap(gap, out);
	}
}

static void put_list(json_t *list, struct text *out)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		text__puts(out, i ? "," : "");
		text__terminal(out, json_string_value(item));
	}
	if (!json_array_size(list))
		text__putc(out, '-');
}

static void write_counts(json_t *answer, struct text *out)
{
	json_t *pages = json_object_get(answer, "pages"),
	       *epoch = json_object_get(answer, "epoch_pages");

	text__printf(out,
		     "epoch %" PRIu64 ", cursor %" PRIu64 ": %" PRIu64 " pages (cpu %" PRIu64
		     ", dma %" PRIu64 ", both %" PRIu64 "), %" PRIu64
		     " missed by CPU-only tracking; %" PRIu64 " owed in all\n",
		     number(answer, "epoch"), number(answer, "cursor"), number(epoch, "union"),
		     number(epoch, "cpu"), number(epoch, "dma"), number(epoch, "both"),
		     number(epoch, "missed_by_cpu_tracking"), number(pages, "union"));
}

void track_text__pages(json_t *answer, struct text *out)
{
	json_t *ranges = json_object_get(answer, "ranges"), *range, *owner;
	size_t i;

	write_counts(answer, out);
	put_doubts(answer, out);
	if (json_array_size(ranges))
		text__printf(out, "%7s  %-18s  %8s  %-7s  %s\n", "PID", "START", "PAGES", "WRITERS",
			     "DEVICES");
	json_array_foreach(ranges, i, range)
	{
		text__printf(out, "%7" PRIu64 "  %-18s  %8" PRIu64 "  ", number(range, "pid"),
			     json_string_value(json_object_get(range, "start")),
			     number(range, "pages"));
		put_list(json_object_get(range, "writers"), out);
		text__puts(out, "  ");
		put_list(json_object_get(range, "devices"), out);
		owner = json_object_get(range, "owner");
		if (json_is_object(owner))
			text__printf(out, "  of process %" PRIu64 " at %s", number(owner, "pid"),
				     json_string_value(json_object_get(owner, "address")));
		text__putc(out, '\n');
	}
}

void track_text__watch(json_t *answer, struct text *out)
{
	write_counts(answer, out);
	put_doubts(answer, out);
}

/* Of the pages that a round begins with. */
static void put_zero(json_t *answer, struct text *out)
{
	json_t *zero = json_object_get(answer, "zero_pages");

	if (json_is_object(zero))
		text__printf(out,
			     "of those %.0f (%.0f to %.0f) are zero, by a sample of %" PRIu64 "\n",
			     real(zero, "value"), real(zero, "low"), real(zero, "high"),
			     number(zero, "sample_pages"));
}

static void put_shares(json_t *answer, struct text *out)
{
	json_t *device;
	size_t i;

	text__printf(out, "of the last epoch's pages CPUs wrote %.0f %%",
		     real(answer, "cpu_share") * 100);
	json_array_foreach(json_object_get(answer, "devices"), i, device)
	{
		text__puts(out, ", ");
		text__terminal(out, json_string_value(json_object_get(device, "device")));
		text__printf(out, " %.0f %%", real(device, "share") * 100);
	}
	text__putc(out, '\n');
}

void track_text__forecast(json_t *answer, struct text *out)
{
	if (json_is_null(json_object_get(answer, "converges"))) {
		text__puts(out, "not known whether it converges: ");
		text__terminal(out, json_string_value(json_object_get(answer, "reason")));
		text__printf(out, "\na round begins with %" PRIu64 " pages\n",
			     number(answer, "pages"));
		put_zero(answer, out);
		put_shares(answer, out);
		return;
	}
	if (json_is_true(json_object_get(answer, "converges")))
		text__printf(out,
			     "converges in %" PRIu64 " rounds and %.1f s, with %.0f ms of downtime",
			     number(answer, "rounds"), real(answer, "seconds"),
			     real(answer, "downtime_seconds") * 1000);
	else
		text__printf(out,
			     "does not converge: after %" PRIu64
			     " rounds %.0f ms of downtime are left, "
			     "%.0f ms are allowed",
			     number(answer, "rounds"), real(answer, "downtime_seconds") * 1000,
			     real(answer, "downtime_allowed_seconds") * 1000);
	text__printf(out,
		     "\nsends %.1f MiB; a round begins with %" PRIu64
		     " pages, %.0f pages/s are dirtied\n",
		     real(answer, "bytes") / 1048576, number(answer, "pages"),
		     real(answer, "rate"));
	put_zero(answer, out);
	put_shares(answer, out);
}
