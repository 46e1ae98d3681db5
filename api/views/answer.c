/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/views/json.h"

struct body *body__new(struct text *text, const char *type, bool gzip)
{
	struct body *body = text->failed ? NULL : malloc(sizeof(*body));

	if (!body) {
		text__free(text);
		return NULL;
	}
	*body = (struct body){.references = 1, .type = type, .gzip = gzip, .text = *text};
	*text = (struct text){0};
	return body;
}

struct body *body__get(struct body *body)
{
	__atomic_add_fetch(&body->references, 1, __ATOMIC_RELAXED);
	return body;
}

void body__put(struct body *body)
{
	if (!body || __atomic_sub_fetch(&body->references, 1, __ATOMIC_ACQ_REL))
		return;
	text__free(&body->text);
	free(body);
}

void answer__error(struct answer *answer, unsigned status, const char *code, const char *format,
		   ...)
{
	struct json json = {.out = &answer->text};
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	answer__free(answer);
	answer->status = status;
	answer->type = TYPE_JSON;
	json__object(&json, NULL);
	json__object(&json, "error");
	json__string(&json, "code", code);
	json__string(&json, "message", message);
	json__end_object(&json);
	json__end_object(&json);
	text__putc(&answer->text, '\n');
}

void answer__free(struct answer *answer)
{
	text__free(&answer->text);
	body__put(answer->body);
	answer->body = NULL;
	answer->stream.wanted = false;
}
