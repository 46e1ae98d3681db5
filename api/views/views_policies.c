/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/views_policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policies/policies.h"
#include "api/views/posted.h"

/* What the record holds. */
static int write_recorded(const struct request *request, struct answer *answer)
{
	struct snapshot *snapshot = snapshot_store__latest(request->context->store);
	const char *text = snapshot && snapshot->replay ? snapshot->replay->policies : "";
	json_t *none = *text ? NULL : policies__describe(NULL);
	char *empty = none ? json_dumps(none, JSON_COMPACT) : NULL;

	answer->status = 200;
	answer->type = TYPE_JSON;
	if (*text || empty)
		text__puts(&answer->text, *text ? text : empty);
	else
		answer->text.failed = true;
	text__putc(&answer->text, '\n');
	json_decref(none);
	free(empty);
	snapshot__put(snapshot);
	return answer->text.failed ? -ENOMEM : 0;
}

static int write_all(const struct request *request, struct answer *answer)
{
	json_t *all = policies__describe(request->context->policies);
	char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;

	json_decref(all);
	if (!text)
		return -ENOMEM;
	answer->status = 200;
	answer->type = TYPE_JSON;
	text__puts(&answer->text, text);
	text__putc(&answer->text, '\n');
	free(text);
	return answer->text.failed ? -ENOMEM : 0;
}

int view__policies(const struct request *request, struct answer *answer)
{
	return request->context->is_replay ? write_recorded(request, answer)
					   : write_all(request, answer);
}

int view__policies_put(const struct request *request, struct answer *answer)
{
	json_t *document;
	struct json_member_error error;
	int err;

	if (!request->context->policies)
		return -ENOENT;
	document = posted__parse(request, answer);
	if (!document)
		return 0;
	err = policies__put(request->context->policies, document, &error);
	json_decref(document);
	if (err == -ENOMEM)
		return err;
	if (err) {
		answer__error(answer, 400, "invalid_policy", "%s %s",
			      *error.path ? error.path : "the body", error.reason);
		return 0;
	}
	return write_all(request, answer);
}

int view__reload(const struct request *request, struct answer *answer)
{
	struct reason message;
	int err;

	if (!request->context->policies)
		return -ENOENT;
	err = policies__reload(request->context->policies, &message);
	if (err == -ENOMEM)
		return err;
	if (err) {
		answer__error(answer, 400, "invalid_policy", "%s", message.text);
		return 0;
	}
	return write_all(request, answer);
}
