/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/base/token.h"

#define MAX_BYTES (64UL * 1024 * 1024)

struct client {
	char *url;     /* as the user wrote it, for messages */
	char *base;    /* what a path is put after */
	char *socket;  /* path of the Unix socket, or NULL */
	char *ca_file; /* or NULL */
	char *trouble; /* curl's own words on the last failure */
	bool direct;   /* never through a proxy */
	double total_timeout;
	size_t max_bytes;
	CURL *curl;
	struct curl_slist *headers;
	struct text body;
	bool too_large;
	int cancelled; /* atomic */
};

static __attribute__((format(printf, 3, 4))) int fail(struct client_error *error, int err,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return err;
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "[::1]") == 0;
}

static int bad_url(struct client_error *error, const char *url)
{
	return fail(error, -EINVAL,
		    "the URL '%s' is neither http://HOST:PORT, https://HOST:PORT nor unix:PATH",
		    url);
}

static int parse_http(struct client *client, const char *url, struct client_error *error)
{
	char *scheme = NULL, *host = NULL, *unwanted = NULL;
	CURLU *parts = curl_url();
	size_t length;
	int err = bad_url(error, url);

	if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		goto cleanup;
	if (!curl_url_get(parts, CURLUPART_USER, &unwanted, 0) ||
	    !curl_url_get(parts, CURLUPART_QUERY, &unwanted, 0) ||
	    !curl_url_get(parts, CURLUPART_FRAGMENT, &unwanted, 0))
		goto cleanup;
	client->direct = is_loopback(host);
	client->base = strdup(url);
	if (!client->base) {
		err = fail(error, -ENOMEM, "out of memory");
		goto cleanup;
	}
	length = strlen(client->base);
	while (length && client->base[length - 1] == '/')
		client->base[--length] = '\0';
	error->message[0] = '\0';
	err = 0;
cleanup:
	curl_free(unwanted);
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(parts);
	return err;
}

static int parse_url(struct client *client, const char *url, struct client_error *error)
{
	const struct sockaddr_un *un = NULL;

	client->url = strdup(url);
	if (!client->url)
		return fail(error, -ENOMEM, "out of memory");
	if (strncmp(url, "unix:", 5) != 0)
		return parse_http(client, url, error);
	if (!url[5])
		return bad_url(error, url);
	if (strlen(url + 5) >= sizeof(un->sun_path))
		return fail(error, -EINVAL, "the path in '%s' is longer than a socket's may be",
			    url);
	client->socket = strdup(url + 5);
	client->base = strdup("http://localhost");
	client->direct = true;
	return client->socket && client->base ? 0 : fail(error, -ENOMEM, "out of memory");
}

static size_t client_take_body(char *data, size_t size, size_t count, void *context)
{
	struct client *client = context;
	size_t length = size * count;

	if (length > client->max_bytes - client->body.length) {
		client->too_large = true;
		return 0;
	}
	text__append(&client->body, data, length);
	return client->body.failed ? 0 : length;
}

static int is_cancelled(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
			curl_off_t up_now)
{
	const struct client *client = context;

	return __atomic_load_n(&client->cancelled, __ATOMIC_RELAXED);
}

static int set_options(struct client *client, const struct client_options *options)
{
	double connect = options->connect_timeout > 0 ? options->connect_timeout : 3;
	CURL *curl = client->curl;
	int bad = 0;

	client->total_timeout = options->total_timeout > 0 ? options->total_timeout : 15;
	client->max_bytes = options->max_bytes ? options->max_bytes : MAX_BYTES;
	bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect * 1000));
	bad |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(client->total_timeout * 1000));
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, client_take_body);
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
	bad |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_cancelled);
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
	bad |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->trouble);
	bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "dirtyscope/" DS_VERSION);
	bad |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
	if (client->direct)
		bad |= curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (client->ca_file) {
		bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
		bad |= curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (client->socket)
		bad |= curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
	return bad ? -ENOMEM : 0;
}

static int set_token(struct client *client, const char *path, struct client_error *error)
{
	char header[TOKEN_MAX + 32] = "Authorization: Bearer ";
	size_t length = strlen(header);
	struct reason why;
	int err = token__read(path, header + length, &why);

	if (err)
		return fail(error, err, "%s", why.text);
	client->headers = curl_slist_append(NULL, header);
	explicit_bzero(header, sizeof(header));
	return client->headers ? 0 : fail(error, -ENOMEM, "out of memory");
}

/* Asked now: curl would say no more than that something is wrong with it. */
static int set_ca_file(struct client *client, const char *path, struct client_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), err = errno;

	if (fd < 0)
		return fail(error, -err, "cannot read the CA file %s: %s", path, strerror(err));
	close(fd);
	client->ca_file = strdup(path);
	return client->ca_file ? 0 : fail(error, -ENOMEM, "out of memory");
}

int client__new(const struct client_options *options, struct client **out,
		struct client_error *error)
{
	struct client *client = calloc(1, sizeof(*client));
	int err;

	error->message[0] = '\0';
	if (!client)
		return fail(error, -ENOMEM, "out of memory");
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(client);
		return fail(error, -ENOMEM, "libcurl cannot start");
	}
	err = parse_url(client, options->url ? options->url : CLIENT_DEFAULT_URL, error);
	if (!err && options->token_file)
		err = set_token(client, options->token_file, error);
	if (!err && options->ca_file)
		err = set_ca_file(client, options->ca_file, error);
	if (err)
		goto cleanup;
	client->trouble = calloc(1, CURL_ERROR_SIZE);
	client->curl = curl_easy_init();
	if (!client->trouble || !client->curl || set_options(client, options)) {
		err = fail(error, -ENOMEM, "libcurl cannot start");
		goto cleanup;
	}
	*out = client;
	return 0;
cleanup:
	client__free(client);
	return err;
}

void client__free(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	curl_global_cleanup();
	text__free(&client->body);
	free(client->trouble);
	free(client->ca_file);
	free(client->socket);
	free(client->base);
	free(client->url);
	free(client);
}

static int transfer_failed(struct client *client, CURLcode code, struct client_error *error)
{
	long os_error = 0, status = 0;
	const char *reason;

	if (code == CURLE_ABORTED_BY_CALLBACK)
		return fail(error, -ECANCELED, "cancelled");
	if (client->too_large)
		return fail(error, -EFBIG, "the answer of the agent at %s is larger than %zu bytes",
			    client->url, client->max_bytes);
	if (client->body.failed)
		return fail(error, -ENOMEM, "out of memory");
	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os_error);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return fail(error, -ETIMEDOUT, "the agent at %s did not answer in time",
			    client->url);
	reason = client->trouble[0] ? client->trouble : curl_easy_strerror(code);
	if (code == CURLE_COULDNT_CONNECT && os_error)
		reason = strerror((int)os_error);
	if (code == CURLE_COULDNT_CONNECT)
		return fail(error, -ECONNREFUSED,
			    "cannot reach the agent at %s: %s; is `dirtyscope agent` running?",
			    client->url, reason);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return fail(error, -ECONNREFUSED, "cannot trust the agent at %s: %s%s", client->url,
			    reason, client->ca_file ? "" : "; give its CA with --ca-file");
	if (code == CURLE_SSL_CACERT_BADFILE)
		return fail(error, -ECONNREFUSED, "the CA file %s holds no certificate in PEM",
			    client->ca_file ? client->ca_file : "of the system");
	return fail(error, status ? -EPROTO : -ECONNREFUSED, "cannot talk to the agent at %s: %s",
		    client->url, reason);
}

/* The agent's own sentence where it sent one. */
static int refused(struct client *client, long status, json_t *answer, struct client_error *error)
{
	const char *message =
		json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	int err = -EREMOTEIO;

	if (status == 401 || status == 403)
		err = -EPERM;
	else if (status == 404)
		err = -ENOENT;
	else if (status == 409)
		err = -EBUSY;
	else if (status == 410)
		err = -ESTALE;
	if (message && *message)
		return fail(error, err, "%s", message);
	return fail(error, err, "the agent at %s answered with status %ld", client->url, status);
}

static int perform(struct client *client, const char *path, long *status,
		   struct client_error *error)
{
	struct text url = {0};
	CURLcode code;

	text__puts(&url, client->base);
	text__puts(&url, path);
	client->body.length = 0;
	client->too_large = false;
	client->trouble[0] = '\0';
	if (url.failed || curl_easy_setopt(client->curl, CURLOPT_URL, url.data)) {
		text__free(&url);
		return fail(error, -ENOMEM, "out of memory");
	}
	text__free(&url);
	code = curl_easy_perform(client->curl);
	if (code)
		return transfer_failed(client, code, error);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, status);
	return 0;
}

static int exchange(struct client *client, const char *path, json_t **out,
		    struct client_error *error)
{
	json_error_t trouble;
	json_t *answer;
	long status = 0;
	int err;

	error->message[0] = '\0';
	err = perform(client, path, &status, error);
	if (err)
		return err;
	answer = json_loadb(client->body.length ? client->body.data : "", client->body.length, 0,
			    &trouble);
	if (status != 200 && status != 201)
		err = refused(client, status, answer, error);
	else if (!answer)
		err = fail(error, -EPROTO, "the agent at %s answered with invalid JSON: %s",
			   client->url, trouble.text);
	if (!err && out)
		*out = json_incref(answer);
	json_decref(answer);
	return err;
}

int client__get(struct client *client, const char *path, json_t **out, struct client_error *error)
{
	if (curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L))
		return fail(error, -ENOMEM, "out of memory");
	return exchange(client, path, out, error);
}

int client__send(struct client *client, const char *method, const char *path, const char *body,
		 json_t **out, struct client_error *error)
{
	int err = -ENOMEM;

	if (curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK &&
	    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body)) == CURLE_OK &&
	    curl_easy_setopt(client->curl, CURLOPT_COPYPOSTFIELDS, body) == CURLE_OK)
		err = exchange(client, path, out, error);
	else
		fail(error, err, "out of memory");
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, NULL);
	return err;
}

void client__cancel(struct client *client)
{
	__atomic_store_n(&client->cancelled, 1, __ATOMIC_RELAXED);
}

const char *client__body(const struct client *client, size_t *length)
{
	*length = client->body.length;
	return client->body.length ? client->body.data : "";
}
