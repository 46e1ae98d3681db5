/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/lists.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const list_orders[] = {"asc", "desc", NULL};
enum { ORDER_ASC, ORDER_DESC };
const char *const list_steps[] = {"next", "previous", "here", NULL};
enum { STEP_NEXT, STEP_PREVIOUS, STEP_HERE };

struct sort_item {
	union {
		uint64_t number;
		const char *string;
	} key;
	uint32_t index;
};

static const void *item_at(const struct list *list, uint32_t index)
{
	return (const char *)list->items + (size_t)index * list->size;
}

/* Doubles that are not negative sort like their bits. */
static uint64_t rate_bits(double rate)
{
	uint64_t bits;

	if (!(rate > 0))
		return 0;
	memcpy(&bits, &rate, sizeof(bits));
	return bits;
}

static void set_key(struct sort_item *item, const struct column *column, const void *entry)
{
	if (column->string)
		item->key.string = column->string(entry);
	else if (column->rate)
		item->key.number = rate_bits(column->rate(entry));
	else
		item->key.number = column->count(entry);
}

static int by_number(const void *a, const void *b)
{
	const struct sort_item *left = a, *right = b;

	if (left->key.number != right->key.number)
		return left->key.number < right->key.number ? -1 : 1;
	return left->index < right->index ? -1 : left->index > right->index;
}

static int by_number_falling(const void *a, const void *b)
{
	const struct sort_item *left = a, *right = b;

	if (left->key.number != right->key.number)
		return left->key.number > right->key.number ? -1 : 1;
	return left->index < right->index ? -1 : left->index > right->index;
}

static int by_string(const void *a, const void *b)
{
	const struct sort_item *left = a, *right = b;
	int order = strcmp(left->key.string, right->key.string);

	return order ? order : left->index < right->index ? -1 : left->index > right->index;
}

static int by_string_falling(const void *a, const void *b)
{
	const struct sort_item *left = a, *right = b;
	int order = strcmp(right->key.string, left->key.string);

	return order ? order : left->index < right->index ? -1 : left->index > right->index;
}

/* The entries that match, sorted. Returns their number. */
static size_t gather(const struct list *list, const struct query *query, struct sort_item *items)
{
	const struct column *column = &list->columns[query__get(query, "sort")->number];
	bool falling = query__get(query, "order")->number == ORDER_DESC;
	const struct query_value *filter = query__get(query, "filter");
	size_t count = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		const void *entry = item_at(list, i);

		if ((list->match && !list->match(entry, query)) ||
		    (filter && !list->holds(entry, filter->text)))
			continue;
		items[count].index = i;
		set_key(&items[count++], column, entry);
	}
	if (count > 1 && query__get(query, "limit")->number)
		qsort(items, count, sizeof(*items),
		      column->string ? (falling ? by_string_falling : by_string)
				     : (falling ? by_number_falling : by_number));
	return count;
}

/* Index of the entry that "around" names, or NONE. */
#define NONE SIZE_MAX
static size_t locate(const struct list *list, const struct query *query,
		     const struct sort_item *items, size_t count)
{
	const struct query_value *around = query__get(query, "around");

	for (size_t i = 0; around && i < count; i++)
		if (list->is(item_at(list, items[i].index), around->text))
			return i;
	return NONE;
}

/* Index of what "find" finds from `around` on, or NONE. */
static size_t seek(const struct list *list, const struct query *query,
		   const struct sort_item *items, size_t count, size_t around)
{
	const char *text = query__get(query, "find")->text;
	uint64_t step = query__get(query, "which")->number;
	size_t at = 0;

	if (around != NONE)
		at = step == STEP_NEXT	 ? around + 1
		     : step == STEP_HERE ? around
					 : around + count - 1;
	else if (step == STEP_PREVIOUS)
		at = count - 1; /* wraps where there is none: nothing is looked at then */
	for (size_t i = 0; i < count; i++) {
		if (list->holds(item_at(list, items[at % count].index), text))
			return at % count;
		at += step == STEP_PREVIOUS ? count - 1 : 1;
	}
	return NONE;
}

int list__write(const struct list *list, const struct request *request, struct json *json)
{
	const struct query *query = &request->query;
	size_t limit = query__get(query, "limit")->number;
	size_t offset = query__get(query, "offset")->number;
	size_t count = 0, around, found = NONE;
	struct sort_item *items = NULL;

	if (list->count) {
		items = malloc(list->count * sizeof(*items));
		if (!items)
			return -ENOMEM;
		count = gather(list, query, items);
	}
	around = locate(list, query, items, count);
	if (query__get(query, "find"))
		found = seek(list, query, items, count, around);
	if (found != NONE)
		around = found;
	if (around != NONE && limit && around < offset)
		offset = around;
	else if (around != NONE && limit && around - offset >= limit)
		offset = around - limit + 1;
	json__u64(json, "total", count);
	json__u64(json, "offset", offset);
	if (found != NONE)
		json__u64(json, "found", found);
	else if (query__get(query, "find"))
		json__null(json, "found");
	json__array(json, list->key);
	for (size_t i = offset; i < count && i - offset < limit; i++)
		list->write(json, item_at(list, items[i].index), request->snapshot);
	json__end_array(json);
	free(items);
	return 0;
}

bool list__holds(const char *name, const char *text)
{
	return name && strcasestr(name, text);
}
