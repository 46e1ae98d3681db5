/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/lists.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const list_orders[] = {"asc", "desc", NULL};
enum { ORDER_ASC, ORDER_DESC };

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

int list__write(const struct list *list, const struct request *request, struct json *json)
{
	const struct query *query = &request->query;
	const struct column *column = &list->columns[query__get(query, "sort")->number];
	bool falling = query__get(query, "order")->number == ORDER_DESC;
	size_t limit = query__get(query, "limit")->number;
	size_t offset = query__get(query, "offset")->number;
	struct sort_item *items = NULL;
	size_t count = 0;

	if (list->count) {
		items = malloc(list->count * sizeof(*items));
		if (!items)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < list->count; i++) {
		const void *entry = item_at(list, i);

		if (list->match && !list->match(entry, query))
			continue;
		items[count].index = i;
		set_key(&items[count++], column, entry);
	}
	if (count > 1 && limit)
		qsort(items, count, sizeof(*items),
		      column->string ? (falling ? by_string_falling : by_string)
				     : (falling ? by_number_falling : by_number));
	json__u64(json, "total", count);
	json__array(json, list->key);
	for (size_t i = offset; i < count && i - offset < limit; i++)
		list->write(json, item_at(list, items[i].index), request->snapshot);
	json__end_array(json);
	free(items);
	return 0;
}

bool list__holds(const struct query *query, const char *text)
{
	const struct query_value *filter = query__get(query, "filter");

	return !filter || (text && strcasestr(text, filter->text));
}
