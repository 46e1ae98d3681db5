/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which targets a rule is about: "FIELD OPERATOR VALUE", as in
 *
 *   comm = qemu-system-x86     equal            comm != bash
 *   cgroup ^= /machine.slice/  begins with      cgroup !^= /system.slice/
 *   comm *= "postgres: *"      glob (fnmatch)   comm !*= kworker*
 *   names =~ ^nvme[0-9]        regular expression (POSIX extended), found anywhere; !~
 *
 * Blanks around the operator do not matter; a value that begins or ends with one, or with a quote,
 * is quoted, with \" and \\ inside. Numbers can be equal or not. Of a list, one item has to match.
 * What has no such field (a process without a container) matches no operator but a negated one.
 */
#ifndef DIRTYSCOPE_AGENT_POLICIES_RULES_SELECTOR_H
#define DIRTYSCOPE_AGENT_POLICIES_RULES_SELECTOR_H

#include "agent/base/reason.h"
#include "agent/policies/rules/kinds.h"

#define SELECTOR_VALUE_MAX 256 /* bytes */

struct selector;

/* 0; -EINVAL with a reason that begins with a verb: "has no operator"; or -ENOMEM. */
int selector__parse(const struct kind *kind, const char *text, struct selector **out,
		    struct reason *reason);
void selector__free(struct selector *selector);
bool selector__matches(const struct selector *selector, const struct target_view *view);
/* Its answer stays the same for as long as kind->facts() does. */
bool selector__is_fixed(const struct selector *selector);

#endif
