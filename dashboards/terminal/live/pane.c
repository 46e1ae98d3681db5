/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/pane.h"

#include <string.h>

#include "dashboards/terminal/tables/cells.h"

static void put_member(json_t *row, const char *name, struct text *out)
{
	json_t *value = json_object_get(row, name);

	if (json_is_string(value))
		text__puts(out, json_string_value(value));
	else if (json_is_integer(value))
		text__i64(out, json_integer_value(value));
}

static void identify_process(json_t *row, struct text *out)
{
	if (!json_is_integer(json_object_get(row, "pid"))) {
		text__putc(out, '-');
		return;
	}
	put_member(row, "pid", out);
	text__putc(out, '-');
	put_member(row, "start_boottime_ns", out);
}

static void identify_device(json_t *row, struct text *out)
{
	put_member(row, "id", out);
}

static void identify_flow(json_t *row, struct text *out)
{
	identify_process(row, out);
	text__putc(out, '/');
	put_member(row, "device", out);
}

static const struct pane_kind kinds[] = {
	{"Processes", "processes",
	 "pid,user,cpu_rate,pagecache_rate,blockdev_rate,dma_rate,rate,written,state,track,comm",
	 identify_process, "pid", "pid"},
	{"Devices", "devices",
	 "id,names,dirty_pages,rate,dirty_pages_total,exposed_pages,block_pages,net_pages,lost,"
	 "driver",
	 identify_device, "id", "device"},
	{"Flows", "flows", "pid,device,requests,pages,bytes,rate,comm", identify_flow, "pid",
	 "pid"},
};

const struct pane_kind *pane_kind__at(size_t index)
{
	return index < sizeof(kinds) / sizeof(*kinds) ? &kinds[index] : NULL;
}

int pane__init(struct pane *pane, const struct pane_kind *kind, const char *columns,
	       const char *sort, const char *order, bool reverse, struct reason *error)
{
	int err;

	*pane = (struct pane){.kind = kind};
	pane->listing.resource = resource__find(kind->resource);
	err = listing__set_columns(&pane->listing, columns ? columns : kind->shown, error);
	return err ? err : listing__set_sort(&pane->listing, sort, order, reverse, error);
}

void pane__free(struct pane *pane)
{
	json_decref(pane->answer);
	text__free(&pane->filter);
	text__free(&pane->id);
}

static const char *string_of(const struct text *text)
{
	return text->length ? text->data : "";
}

static struct listing page(const struct pane *pane, unsigned height)
{
	struct listing listing = pane->listing;

	listing.limit = height ? height : 1;
	listing.offset = pane->first;
	listing.filter = string_of(&pane->filter);
	listing.around = string_of(&pane->id);
	return listing;
}

void pane__path(const struct pane *pane, unsigned height, struct text *out)
{
	const struct listing listing = page(pane, height);

	listing__path(&listing, out);
}

void pane__find_path(const struct pane *pane, unsigned height, const char *text, const char *which,
		     struct text *out)
{
	struct listing listing = page(pane, height);
	struct text id = {0};

	/* At the top the selected row has an identity as well. */
	if (!pane->id.length && pane__row(pane, pane->index)) {
		pane->kind->identify(pane__row(pane, pane->index), &id);
		listing.around = string_of(&id);
	}
	listing.find = text;
	listing.which = which;
	listing__path(&listing, out);
	out->failed |= id.failed;
	text__free(&id);
}

static void measure(struct pane *pane)
{
	struct text value = {0}, safe = {0};
	struct cells_locale locale;
	size_t index;
	json_t *row;

	cells__enter(&locale);
	json_array_foreach(listing__rows(&pane->listing, pane->answer), index, row)
	{
		for (size_t i = 0; i < pane->listing.column_count; i++) {
			unsigned width;

			value.length = safe.length = 0;
			column__format(pane->listing.columns[i], row, &value);
			if (!value.failed)
				text__terminal(&safe, value.data);
			width = safe.length ? cells__measure(safe.data, safe.length) : 0;
			if (width > pane->widths[i])
				pane->widths[i] = width;
		}
	}
	text__free(&value);
	text__free(&safe);
	cells__leave(&locale);
}

static void select_row(struct pane *pane, size_t index)
{
	pane->index = index;
	pane->id.length = 0;
	if (index && pane__row(pane, index))
		pane->kind->identify(pane__row(pane, index), &pane->id);
}

/* Where the selected entry is now; one that is gone leaves its place to the next. */
static void follow(struct pane *pane)
{
	struct text id = {0};
	size_t index;
	json_t *row;
	bool there = false;

	json_array_foreach(listing__rows(&pane->listing, pane->answer), index, row)
	{
		id.length = 0;
		pane->kind->identify(row, &id);
		there = pane->id.length && id.length == pane->id.length &&
			memcmp(id.data, pane->id.data, id.length) == 0;
		if (there) {
			pane->index = pane->offset + index;
			break;
		}
	}
	text__free(&id);
	if (there)
		return;
	if (pane->index >= pane->total)
		pane->index = pane->total ? pane->total - 1 : 0;
	select_row(pane, pane->index);
}

bool pane__take(struct pane *pane, json_t *answer)
{
	if (!listing__rows(&pane->listing, answer)) {
		json_decref(answer);
		return false;
	}
	json_decref(pane->answer);
	pane->answer = answer;
	pane->offset = (size_t)json_integer_value(json_object_get(answer, "offset"));
	pane->total = (size_t)json_integer_value(json_object_get(answer, "total"));
	pane->first = pane->offset;
	measure(pane);
	follow(pane);
	return true;
}

bool pane__select_found(struct pane *pane)
{
	json_t *found = json_object_get(pane->answer, "found");

	if (!json_is_integer(found))
		return false;
	select_row(pane, (size_t)json_integer_value(found));
	return true;
}

json_t *pane__row(const struct pane *pane, size_t index)
{
	json_t *rows = listing__rows(&pane->listing, pane->answer);

	return index >= pane->offset ? json_array_get(rows, index - pane->offset) : NULL;
}

/* Are rows that shall be shown not there? */
static bool lacks(const struct pane *pane, unsigned height)
{
	size_t rows = json_array_size(listing__rows(&pane->listing, pane->answer));
	size_t end = pane->first + height < pane->total ? pane->first + height : pane->total;

	return pane->first < pane->offset || end > pane->offset + rows;
}

bool pane__move(struct pane *pane, int64_t by, unsigned height)
{
	int64_t last = pane->total ? (int64_t)pane->total - 1 : 0;
	int64_t index = (int64_t)pane->index;

	/* Not index + by: Home and End ask for more than there is. */
	index = by < -index ? 0 : by > last - index ? last : index + by;
	if (by)
		select_row(pane, (size_t)index);
	if ((size_t)index < pane->first)
		pane->first = (size_t)index;
	else if ((size_t)index - pane->first >= height)
		pane->first = (size_t)index - height + 1;
	if (pane->first + height > pane->total)
		pane->first = pane->total > height ? pane->total - height : 0;
	return lacks(pane, height);
}

void pane__restart(struct pane *pane)
{
	pane->first = pane->index = 0;
	pane->id.length = 0;
}
