/* SPDX-License-Identifier: BSD-2-Clause */
/* One look at a snapshot: conditions are worked out over whole columns of targets. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/policies/policies_private.h"

#define MASKS_MAX (RULE_CONDITIONS_MAX + 1)

/* ---- conditions over columns ---- */

/*
 * NAN compares false; it is not unequal to anything either. Columns and masks have room for whole
 * blocks, of a size that the compiler knows: it makes vectors of these loops.
 */
#define BLOCK 64

/* Most policies choose few targets: blocks without any are not worth a look. */
static bool has_any(const uint8_t *selected)
{
	uint64_t words[BLOCK / sizeof(uint64_t)], any = 0;

	memcpy(words, selected, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		any |= words[i];
	return any;
}

#define EACH_BLOCK(body)                                         \
	for (size_t block = 0; block < count; block += BLOCK) {  \
		if (!has_any(selected + block))                  \
			continue;                                \
		for (size_t i = block; i < block + BLOCK; i++) { \
			body;                                    \
		}                                                \
	}

/* The mask is good where `selected` is set. */
static void compare(const struct condition *condition, const double *restrict values,
		    const uint8_t *restrict selected, size_t count, uint8_t *restrict mask)
{
	const double threshold = condition->threshold;

#define EACH(expression) EACH_BLOCK(const double v = values[i]; mask[i] = (expression))
	switch (condition->comparison) {
	case IS_ABOVE:
		EACH(v > threshold)
		break;
	case IS_AT_LEAST:
		EACH(v >= threshold)
		break;
	case IS_BELOW:
		EACH(v < threshold)
		break;
	case IS_AT_MOST:
		EACH(v <= threshold)
		break;
	case IS_EQUAL:
		EACH(v == threshold)
		break;
	case IS_NOT_EQUAL:
		EACH((v < threshold) | (v > threshold))
		break;
	}
#undef EACH
}

static void join(enum condition_type type, const uint8_t *restrict other,
		 const uint8_t *restrict selected, size_t count, uint8_t *restrict mask)
{
	if (type == CONDITION_ALL)
		EACH_BLOCK(mask[i] &= other[i])
	else
		EACH_BLOCK(mask[i] |= other[i])
}

static void keep_selected(const uint8_t *restrict selected, size_t count, uint8_t *restrict mask)
{
	for (size_t block = 0; block < count; block += BLOCK)
		for (size_t i = block; i < block + BLOCK; i++)
			mask[i] &= selected[i];
}

/* masks: the first gets the result, those behind it are free to use. */
static void work_out(const struct policy *policy, size_t index, size_t count, uint8_t *masks,
		     size_t stride)
{
	const struct condition *condition = &policy->rule->conditions[index];
	const size_t end = index + condition->span;
	uint8_t *next = masks + stride;

	if (condition->type == CONDITION_COMPARE) {
		compare(condition, policy->columns[index]->values, policy->selected, count, masks);
		return;
	}
	memset(masks, condition->type == CONDITION_ALL, count);
	for (size_t child = index + 1; child < end; child += policy->rule->conditions[child].span) {
		work_out(policy, child, count, next, stride);
		join(condition->type, next, policy->selected, count, masks);
	}
}

/* ---- conditions of one target ---- */

static bool holds(const struct condition *condition, double value, double threshold)
{
	switch (condition->comparison) {
	case IS_ABOVE:
		return value > threshold;
	case IS_AT_LEAST:
		return value >= threshold;
	case IS_BELOW:
		return value < threshold;
	case IS_AT_MOST:
		return value <= threshold;
	case IS_EQUAL:
		return value == threshold;
	case IS_NOT_EQUAL:
		return value < threshold || value > threshold;
	}
	return false;
}

/* Whether it is not clear yet: `clear` in the place of thresholds. */
static bool is_still(const struct policy *policy, size_t index, size_t slot)
{
	const struct condition *condition = &policy->rule->conditions[index];
	const size_t end = index + condition->span;
	const bool all = condition->type == CONDITION_ALL;

	if (condition->type == CONDITION_COMPARE)
		return holds(condition, policy->columns[index]->values[slot], condition->clear);
	for (size_t child = index + 1; child < end; child += policy->rule->conditions[child].span)
		if (is_still(policy, child, slot) != all)
			return !all;
	return all;
}

/* The number that an alert is about: of the first comparison that holds, or of the first. */
static double value_of(const struct policy *policy, size_t slot)
{
	double first = NAN;

	for (size_t i = 0; i < policy->rule->condition_count; i++) {
		const struct condition *condition = &policy->rule->conditions[i];
		double value;

		if (condition->type != CONDITION_COMPARE)
			continue;
		value = policy->columns[i]->values[slot];
		if (holds(condition, value, condition->threshold))
			return value;
		if (isnan(first))
			first = value;
	}
	return first;
}

/* ---- selectors ---- */

static void select_slot(struct policy *policy, size_t slot)
{
	const struct target_view view = target_table__view(policy->targets, slot);
	bool matches = view.item;

	for (size_t i = 0; matches && i < policy->rule->selector_count; i++)
		matches = selector__matches(policy->rule->selectors[i], &view);
	policy->chosen += matches;
	policy->chosen -= policy->selected[slot];
	policy->selected[slot] = matches;
}

static int choose(struct policy *policy)
{
	struct target_table *targets = policy->targets;

	if (policy->selected_capacity != targets->capacity) {
		uint8_t *selected = realloc(policy->selected, targets->capacity + 1);

		if (!selected)
			return -ENOMEM;
		policy->selected = selected;
	} else if (policy->fixed) {
		for (size_t i = 0; i < targets->changed_count; i++)
			select_slot(policy, targets->changed[i]);
		return 0;
	}
	policy->selected_capacity = targets->capacity;
	policy->chosen = 0;
	memset(policy->selected, 0, targets->capacity);
	for (size_t i = 0; i < targets->count; i++)
		select_slot(policy, i);
	return 0;
}

/* ---- the look ---- */

/* Calls instance__see for the slots whose byte is set; eight at a time are skipped. */
static void see_all(struct policies *policies, struct policy *policy, const uint8_t *mask,
		    size_t count, double now)
{
	for (size_t i = 0; i < count;) {
		uint64_t eight = 1;

		if (i + sizeof(eight) <= count)
			memcpy(&eight, mask + i, sizeof(eight));
		if (!eight) {
			i += sizeof(eight);
			continue;
		}
		if (mask[i])
			instance__see(policies, policy, (uint32_t)i, value_of(policy, i), now);
		i++;
	}
}

static void look_at(struct policies *policies, struct policy *policy, double now)
{
	const struct target_table *targets = policy->targets;
	const size_t count = targets->count;
	uint8_t *mask = policies->scratch;
	struct instance *instance, *next;

	if (choose(policy))
		return;
	work_out(policy, 0, count, mask, targets->capacity);
	keep_selected(policy->selected, count, mask);
	HASH_ITER (hh, policy->instances, instance, next) {
		const uint32_t slot = instance->slot;
		const bool there = policy->selected[slot];
		const bool on = there && mask[slot];

		/* Looked at here; see_all() is for the others. */
		mask[slot] = 0;
		instance__step(policies, policy, instance, on,
			       on || (there && is_still(policy, 0, slot)), value_of(policy, slot),
			       now);
	}
	see_all(policies, policy, mask, count, now);
}

static int make_room(struct policies *policies)
{
	size_t most = 64;

	for (int kind = 0; kind < TARGET_KINDS; kind++)
		if (policies->target_tables[kind] && policies->target_tables[kind]->capacity > most)
			most = policies->target_tables[kind]->capacity;
	if (policies->scratch_size < most * MASKS_MAX) {
		free(policies->scratch);
		policies->scratch = malloc(most * MASKS_MAX);
		policies->scratch_size = policies->scratch ? most * MASKS_MAX : 0;
	}
	return policies->scratch ? 0 : -ENOMEM;
}

void engine__evaluate(struct policies *policies, struct snapshot *snapshot, double now)
{
	int err = 0;

	for (int kind = 0; kind < TARGET_KINDS; kind++)
		if (policies->target_tables[kind] &&
		    target_table__update(policies->target_tables[kind], snapshot,
					 policies->policy_tracks, now))
			err = -ENOMEM;
	/* The slots point into it from now on. */
	snapshot__put(policies->snapshot);
	policies->snapshot = snapshot__get(snapshot);
	if (err || make_room(policies)) {
		log_error("policies not looked at in an interval", "error=ENOMEM");
		/* The next update does not name the slots that changed in this one, so all are
		 * looked at then. */
		for (size_t i = 0; i < policies->count; i++)
			policies->list[i].selected_capacity = 0;
		return;
	}
	for (size_t i = 0; i < policies->count; i++)
		look_at(policies, &policies->list[i], now);
}
