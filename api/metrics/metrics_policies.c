/* SPDX-License-Identifier: BSD-2-Clause */
/* The samples of policies. */
#include <inttypes.h>

#include "api/metrics/metrics_emit.h"

void metric__policies(struct metric_writer *writer, const struct metric_row *row)
{
	for (size_t i = 0; i < writer->snapshot->policy_count; i++)
		for (int state = 0; state < POLICY_STATES; state++) {
			text__printf(writer->out, "%s{policy=", row->name);
			text__label_value(writer->out, writer->snapshot->policies[i].name);
			text__printf(writer->out, ",state=\"%s\"} %" PRIu64 "\n",
				     policy_state_names[state],
				     writer->snapshot->policies[i].states[state]);
		}
}

void metric__policy_actions(struct metric_writer *writer, const struct metric_row *row)
{
	for (size_t i = 0; i < writer->snapshot->action_count; i++) {
		const struct snapshot_action *action = &writer->snapshot->actions[i];

		text__printf(writer->out, "%s{policy=", row->name);
		text__label_value(writer->out, action->policy);
		text__printf(writer->out, ",action=\"%s\",result=\"%s\"} %" PRIu64 "\n",
			     action->action, action->result, action->count);
	}
}
