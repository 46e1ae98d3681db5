/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/tracks/base/not_covered.h"

const char *const not_covered_kind_names[NOT_COVERED_KINDS] = {"mapping", "pin", "mapper", "lost"};
