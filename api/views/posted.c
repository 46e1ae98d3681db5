/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/posted.h"

#include <errno.h>
#include <string.h>

json_t *posted__parse(const struct request *request, struct answer *answer)
{
	json_error_t trouble;
	json_t *document;

	if (!request->body_length)
		return json_object();
	document =
		json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &trouble);
	if (!document)
		answer__error(answer, 400, "invalid_body",
			      "the body is not JSON: line %d, column %d: %s", trouble.line,
			      trouble.column, trouble.text);
	if (document && !json_is_object(document)) {
		answer__error(answer, 400, "invalid_body", "the body is not a JSON object");
		json_decref(document);
		return NULL;
	}
	return document;
}

int posted__read(json_t *object, const struct json_member_row *table, const char *where, void *out,
		 struct answer *answer)
{
	struct json_member_error error;
	int err = json_members__read(object, table, where, out, &error);

	if (err)
		answer__error(answer, 400, "invalid_body", "%s %s", error.path, error.reason);
	return err;
}
