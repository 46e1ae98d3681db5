/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/negotiate.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BLANKS " \t"

/* One element of a list header: "type;name=value;q=0.5", in pieces that are not terminated. */
struct element {
	const char *name;
	size_t name_length;
	const char *version;
	size_t version_length;
	int quality; /* thousandths; -1: unreadable */
};

static size_t trim(const char **start, const char *end)
{
	while (*start < end && strchr(BLANKS, **start))
		(*start)++;
	while (end > *start && strchr(BLANKS, end[-1]))
		end--;
	return (size_t)(end - *start);
}

/* "1", "0.25", "1.000"; RFC 9110 allows three decimals. */
static int parse_quality(const char *text, size_t length)
{
	int quality, unit = 100;

	if (length < 1 || length > 5 || (text[0] != '0' && text[0] != '1') ||
	    (length > 1 && text[1] != '.'))
		return -1;
	quality = (text[0] - '0') * 1000;
	for (size_t i = 2; i < length; i++, unit /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		quality += (text[i] - '0') * unit;
	}
	return quality <= 1000 ? quality : -1;
}

static void parse_parameter(struct element *element, const char *start, const char *end)
{
	const char *equals = memchr(start, '=', (size_t)(end - start));
	const char *value;
	size_t name_length, length;

	if (!equals)
		return;
	name_length = trim(&start, equals);
	value = equals + 1;
	length = trim(&value, end);
	if (name_length == 1 && (*start == 'q' || *start == 'Q')) {
		element->quality = parse_quality(value, length);
	} else if (name_length == 7 && strncasecmp(start, "version", 7) == 0) {
		if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
			value++;
			length -= 2;
		}
		element->version = value;
		element->version_length = length;
	}
}

/* Takes the next element off *list; false at the end. */
static bool next_element(const char **list, struct element *element)
{
	const char *start = *list, *end, *piece;

	if (!*start)
		return false;
	end = start + strcspn(start, ",");
	*list = *end ? end + 1 : end;
	*element = (struct element){.quality = 1000};
	piece = memchr(start, ';', (size_t)(end - start));
	element->name = start;
	element->name_length = trim(&element->name, piece ? piece : end);
	while (piece) {
		const char *next = memchr(piece + 1, ';', (size_t)(end - piece - 1));

		parse_parameter(element, piece + 1, next ? next : end);
		piece = next;
	}
	return true;
}

static bool is(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

bool accept__openmetrics(const char *accept)
{
	int openmetrics = 0, text = 0;
	struct element element;

	while (next_element(&accept, &element)) {
		const char *name = element.name;
		size_t length = element.name_length;

		if (is(name, length, "application/openmetrics-text")) {
			bool known = !element.version ||
				     is(element.version, element.version_length, "1.0.0") ||
				     is(element.version, element.version_length, "0.0.1");

			if (known && element.quality > openmetrics)
				openmetrics = element.quality;
		} else if (is(name, length, "text/plain") || is(name, length, "text/*") ||
			   is(name, length, "*/*")) {
			if (element.quality > text)
				text = element.quality;
		}
	}
	return openmetrics > 0 && openmetrics >= text;
}

bool accept__html(const char *accept)
{
	struct element element;
	int html = 0, json = 0;

	while (next_element(&accept, &element)) {
		if (is(element.name, element.name_length, "text/html"))
			html = element.quality;
		else if (is(element.name, element.name_length, "application/json"))
			json = element.quality;
	}
	return html > 0 && html >= json;
}

bool accept__gzip(const char *accept_encoding)
{
	int gzip = -1, any = -1;
	struct element element;

	while (next_element(&accept_encoding, &element)) {
		if (is(element.name, element.name_length, "gzip"))
			gzip = element.quality;
		else if (is(element.name, element.name_length, "*"))
			any = element.quality;
	}
	return gzip >= 0 ? gzip > 0 : any > 0;
}

/* The name without its port and brackets; false when it is no host at all. */
static bool split_host(const char *host, char name[256], bool *bracketed)
{
	const char *end;
	size_t length;

	*bracketed = host[0] == '[';
	if (*bracketed) {
		host++;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
	} else {
		end = host + strcspn(host, ":");
	}
	length = (size_t)(end - host);
	if (length == 0 || length >= 256)
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	if (*bracketed)
		end++;
	return !*end || strspn(end + 1, "0123456789") == strlen(end + 1);
}

bool host__allowed(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char name[256], own[256] = "";
	bool bracketed;

	if (!*host)
		return true;
	if (!split_host(host, name, &bracketed))
		return false;
	if (bracketed) {
		name[strcspn(name, "%")] = '\0';
		return inet_pton(AF_INET6, name, address) == 1;
	}
	if (inet_pton(AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0)
		return true;
	return gethostname(own, sizeof(own) - 1) == 0 && own[0] && strcasecmp(name, own) == 0;
}
