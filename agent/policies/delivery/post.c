/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/policies/delivery/post.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/text.h"
#include "agent/base/version.h"

#define ANSWER_MAX 65536
#define HEADERS_MAX 65536
#define EXCERPT_BYTES 100
#define SECRETS_MAX 9

struct post {
	CURL *easy;
	struct curl_slist *headers;
	struct text answer;
	size_t header_bytes;
	bool answered;	/* the head of the final answer is complete */
	bool too_large; /* its head is */
	char *secrets[SECRETS_MAX];
	size_t secret_count;
	char trouble[CURL_ERROR_SIZE];
};

/* ---- what must not be told ---- */

static char *base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strlen(text), at = 0;
	char *out = malloc((length + 2) / 3 * 4 + 1);

	for (size_t i = 0; out && i < length; i += 3) {
		unsigned bits = 0;

		for (size_t n = 0; n < 3; n++)
			bits = bits << 8 | (i + n < length ? (unsigned char)text[i + n] : 0);
		for (int n = 0; n < 4; n++)
			out[at++] =
				i + (size_t)n > length ? '=' : digits[bits >> (18 - 6 * n) & 63];
	}
	if (out)
		out[at] = '\0';
	return out;
}

/* Takes over *secret. */
static int add_secret(struct post *post, char *secret)
{
	if (!secret)
		return -ENOMEM;
	if (!*secret || strcmp(secret, "/") == 0)
		free(secret);
	else
		post->secrets[post->secret_count++] = secret;
	return 0;
}

/* *part: to be freed; NULL when the URL has none. */
static int get_part(CURLU *parts, CURLUPart what, unsigned flags, char **part)
{
	char *found = NULL;
	CURLUcode code = curl_url_get(parts, what, &found, flags);

	*part = NULL;
	if (code == CURLUE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (code) /* there is none, or it does not decode */
		return 0;
	*part = strdup(found);
	curl_free(found);
	return *part ? 0 : -ENOMEM;
}

/* What an answer may hold of the credentials: as they are sent, and as they are written. */
static int add_credentials(struct post *post, CURLU *parts)
{
	char *user = NULL, *password = NULL, *both = NULL;
	int err = get_part(parts, CURLUPART_USER, CURLU_URLDECODE, &user);

	if (!err)
		err = get_part(parts, CURLUPART_PASSWORD, CURLU_URLDECODE, &password);
	if (err || (!user && !password))
		goto cleanup;
	if (asprintf(&both, "%s:%s", user ? user : "", password ? password : "") < 0) {
		both = NULL;
		err = -ENOMEM;
		goto cleanup;
	}
	err = add_secret(post, base64(both));
	if (!err && user)
		err = add_secret(post, strdup(user));
	if (!err && password)
		err = add_secret(post, strdup(password));
cleanup:
	free(both);
	free(password);
	free(user);
	return err;
}

static int add_secrets(struct post *post, CURLU *parts)
{
	static const struct {
		CURLUPart part;
		unsigned flags;
	} rows[] = {
		{CURLUPART_USER, 0},  {CURLUPART_PASSWORD, 0},
		{CURLUPART_PATH, 0},  {CURLUPART_PATH, CURLU_URLDECODE},
		{CURLUPART_QUERY, 0}, {CURLUPART_QUERY, CURLU_URLDECODE},
	};
	int err = add_credentials(post, parts);

	_Static_assert(sizeof(rows) / sizeof(rows[0]) + 3 <= SECRETS_MAX, "all of them fit");
	for (size_t i = 0; !err && i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *part;

		err = get_part(parts, rows[i].part, rows[i].flags, &part);
		if (!err && part)
			err = add_secret(post, part);
	}
	return err;
}

/* Length of the longest secret that `data` begins with. */
static size_t secret_at(const struct post *post, const char *data, size_t length)
{
	size_t longest = 0;

	for (size_t i = 0; i < post->secret_count; i++) {
		size_t size = strlen(post->secrets[i]);

		if (size > longest && size <= length && memcmp(data, post->secrets[i], size) == 0)
			longest = size;
	}
	return longest;
}

/* The first printable bytes; a line break or a tab shows as a blank. size > EXCERPT_BYTES. */
static void take_excerpt(const struct post *post, const char *data, size_t length, char *out)
{
	static const char mask[] = "***";
	size_t at = 0;

	for (size_t i = 0; i < length && at < EXCERPT_BYTES;) {
		size_t secret = secret_at(post, data + i, length - i);
		char c = data[i];

		if (secret) {
			for (const char *m = mask; *m && at < EXCERPT_BYTES; m++)
				out[at++] = *m;
			i += secret;
			continue;
		}
		i++;
		if (c == '\n' || c == '\r' || c == '\t')
			c = ' ';
		if (c < ' ' || c > '~' || (c == ' ' && (at == 0 || out[at - 1] == ' ')))
			continue;
		out[at++] = c;
	}
	while (at > 0 && out[at - 1] == ' ')
		at--;
	out[at] = '\0';
}

/* ---- the transfer ---- */

/* Anything but `size` ends the transfer. */
static size_t post_take_body(char *data, size_t unit, size_t count, void *context)
{
	struct post *post = context;
	size_t size = unit * count, room = ANSWER_MAX - post->answer.length;

	text__append(&post->answer, data, size < room ? size : room);
	return post->answer.failed || size > room ? 0 : size;
}

static size_t take_header(char *data, size_t unit, size_t count, void *context)
{
	struct post *post = context;
	size_t size = unit * count;
	long status = 0;

	post->header_bytes += size;
	if (post->header_bytes > HEADERS_MAX) {
		post->too_large = true;
		return 0;
	}
	/* An empty line ends a head; 1xx is not the final answer. */
	if (size == 0 || data[0] == '\r' || data[0] == '\n') {
		curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
		post->answered = status >= 200;
	}
	return size;
}

static CURLcode set_options(struct post *post, const char *url, double timeout)
{
	CURL *easy = post->easy;
	char agent[64];
	CURLcode code = 0;

	snprintf(agent, sizeof(agent), "dirtyscope/%s", dirtyscope_version());
	code |= curl_easy_setopt(easy, CURLOPT_URL, url);
	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, agent);
	code |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, post->headers);
	code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout * 1000) + 1);
	code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Or a name server that does not answer would hold up the thread past the time-out. */
	code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	/* Messages are rare: no receiver is made to keep a connection for the next one. */
	code |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, post->trouble);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, post_take_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, post);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, post);
	return code;
}

static int set_headers(struct post *post)
{
	/* Without the second, a large body would wait for a "100 Continue". */
	static const char *const lines[] = {"Content-Type: application/json", "Expect:"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *more = curl_slist_append(post->headers, lines[i]);

		if (!more)
			return -ENOMEM;
		post->headers = more;
	}
	return 0;
}

static int check_url(CURLU *parts, const char *url, struct reason *error)
{
	CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
	char *scheme = NULL;
	bool known;

	if (code) {
		reason__set(error, "its URL is wrong: %s", curl_url_strerror(code));
		return -EINVAL;
	}
	if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0))
		return -ENOMEM;
	known = strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0;
	curl_free(scheme);
	if (known)
		return 0;
	reason__set(error, "its URL does not begin with http:// or https://");
	return -EINVAL;
}

int post__new(const char *url, double timeout, struct post **out, struct reason *error)
{
	struct post *post = calloc(1, sizeof(*post));
	CURLU *parts = curl_url();
	int err = -ENOMEM;

	reason__set(error, "out of memory");
	if (!post || !parts)
		goto cleanup;
	err = check_url(parts, url, error);
	if (!err)
		err = add_secrets(post, parts);
	if (!err)
		err = set_headers(post);
	if (err)
		goto cleanup;
	post->easy = curl_easy_init();
	if (!post->easy || set_options(post, url, timeout)) {
		reason__set(error, "libcurl cannot be set up for it");
		err = -ENOMEM;
		goto cleanup;
	}
	*out = post;
	post = NULL;
cleanup:
	curl_url_cleanup(parts);
	post__free(post);
	return err;
}

void post__free(struct post *post)
{
	if (!post)
		return;
	curl_easy_cleanup(post->easy);
	curl_slist_free_all(post->headers);
	text__free(&post->answer);
	for (size_t i = 0; i < post->secret_count; i++) {
		explicit_bzero(post->secrets[i], strlen(post->secrets[i]));
		free(post->secrets[i]);
	}
	free(post);
}

CURL *post__prepare(struct post *post, const char *body)
{
	text__free(&post->answer);
	post->header_bytes = 0;
	post->answered = post->too_large = false;
	post->trouble[0] = '\0';
	curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, body);
	return post->easy;
}

/* ---- what came of it ---- */

/* Without an answer: most troubles pass, but for those that come from how it is configured. */
static enum post_verdict judge_trouble(const struct post *post, CURLcode code,
				       char reason[POST_REASON_MAX])
{
	const char *trouble = *post->trouble ? post->trouble : curl_easy_strerror(code);
	char excerpt[EXCERPT_BYTES + 1];

	if (post->too_large)
		trouble = "its answer has too many headers";
	take_excerpt(post, trouble, strlen(trouble), excerpt);
	snprintf(reason, POST_REASON_MAX, "%s", excerpt);
	switch (code) {
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return POST_FAILED;
	default:
		return POST_AGAIN;
	}
}

enum post_verdict post__judge(struct post *post, CURLcode code, double *wait,
			      char reason[POST_REASON_MAX])
{
	char excerpt[EXCERPT_BYTES + 1];
	curl_off_t asked = 0;
	long status = 0;

	*wait = 0;
	if (!post->answered)
		return judge_trouble(post, code, reason);
	curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &asked);
	if (status >= 200 && status < 300) {
		snprintf(reason, POST_REASON_MAX, "status %ld", status);
		return POST_DELIVERED;
	}
	take_excerpt(post, post->answer.length ? post->answer.data : "", post->answer.length,
		     excerpt);
	snprintf(reason, POST_REASON_MAX, "status %ld%s%s%s", status,
		 status < 400 ? " (redirects are not followed)" : "", *excerpt ? ": " : "",
		 excerpt);
	if (status < 500 && status != 408 && status != 429)
		return POST_FAILED;
	if (asked > 0)
		*wait = (double)asked < POST_LONGEST_WAIT ? (double)asked : POST_LONGEST_WAIT;
	return POST_AGAIN;
}
