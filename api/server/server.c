/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/metrics/scrape.h"
#include "api/server/connections.h"
#include "api/server/deferred.h"
#include "api/server/exchange.h"
#include "api/server/listen_socket.h"
#include "api/server/streams.h"
#include "api/server/tls.h"

#define DEFAULT_CONNECTIONS 512
#define DEFAULT_PER_ADDRESS 256
#define DEFAULT_DEADLINE 15
#define MAX_REQUESTS 128
#define MAX_STREAMS 64
#define MAX_ANSWER_BYTES (64u << 20)
/* Descriptors that are not connections: BPF objects, files, the server's own. */
#define OTHER_DESCRIPTORS 256

struct api_server {
	struct exchanges exchanges;
	struct api_counters counters;
	struct connections *connections;
	struct streams *streams;
	struct deferred *deferred;
	struct listen_socket listeners[OPTION_LIST_MAX];
	struct MHD_Daemon *daemons[OPTION_LIST_MAX];
	size_t count;
	struct tls *tls; /* NULL: plain HTTP */
	char *token;
};

/* All descriptors that we may have; returns how many connections that allows. */
static uint32_t raise_descriptor_limit(uint32_t wanted)
{
	struct rlimit limit;
	rlim_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return wanted;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
		return wanted;
	if (limit.rlim_cur == RLIM_INFINITY)
		return wanted;
	/* Cut connections keep theirs until the library has closed them. */
	room = limit.rlim_cur > 2 * OTHER_DESCRIPTORS ? limit.rlim_cur - OTHER_DESCRIPTORS
						      : limit.rlim_cur / 2;
	return room < wanted ? (uint32_t)room : wanted;
}

static uint32_t thread_count(uint32_t wanted)
{
	long threads = wanted ? (long)wanted : sysconf(_SC_NPROCESSORS_ONLN);

	return threads < 2 ? 2 : threads > 4 ? 4 : (uint32_t)threads;
}

/* Nobody is between us and a client on the same host. */
static bool has_tls(const struct api_server *server, size_t index)
{
	return server->tls && server->listeners[index].family != AF_UNIX;
}

static int start_daemon(struct api_server *server, size_t index, uint32_t max_connections,
			uint32_t threads)
{
	struct listen_socket *listener = &server->listeners[index];
	struct exchanges *exchanges = &server->exchanges;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;

	struct MHD_OptionItem tls[TLS_OPTIONS] = {{MHD_OPTION_END, 0, NULL}};

	if (listener->family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (has_tls(server, index)) {
		flags |= MHD_USE_TLS;
		tls__options(server->tls, tls);
	}
	server->daemons[index] = MHD_start_daemon(
		flags, 0, NULL, NULL, exchange__handle, exchanges, /* */
		MHD_OPTION_LISTEN_SOCKET, listener->fd,		   /* */
		MHD_OPTION_THREAD_POOL_SIZE, threads,		   /* */
		/* Above ours: the library would leave newcomers waiting, we let them in. */
		MHD_OPTION_CONNECTION_LIMIT, 2 * max_connections + 4 * CONNECTIONS_RESERVE,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_ARRAY,
		tls, /* */
		MHD_OPTION_NOTIFY_CONNECTION, exchange__connection, exchanges,
		MHD_OPTION_NOTIFY_COMPLETED, exchange__end, exchanges, /* */
		MHD_OPTION_URI_LOG_CALLBACK, exchange__begin, exchanges, MHD_OPTION_END);
	return server->daemons[index] ? 0 : -EIO;
}

/* The library's threads take no signals: those are for the agent's main thread. */
static int start_daemons(struct api_server *server, uint32_t max_connections, uint32_t threads)
{
	sigset_t all, before;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; !err && i < server->count; i++)
		err = start_daemon(server, i, max_connections, threads);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static int start_connections(struct api_server *server, const struct connections_options *limits,
			     const struct api_options *options)
{
	struct streams_options streams = {
		.store = options->store,
		.events = options->events,
		.deadline = limits->deadline,
	};
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = connections__new(limits, &server->counters, &server->connections);
	streams.connections = server->connections;
	if (!err)
		err = streams__new(&streams, &server->streams);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static int start_deferred(struct api_server *server)
{
	const struct deferred_options options = {
		.connections = server->connections,
		.context = &server->exchanges.context,
	};
	int err = deferred__new(&options, &server->deferred);

	server->exchanges.deferred = server->deferred;
	return err;
}

static int open_listeners(struct api_server *server, const struct option_list *addresses,
			  struct reason *error)
{
	const struct option_list standard = {.values = {LISTEN_DEFAULT}, .count = 1};

	if (!addresses->count)
		addresses = &standard;
	for (size_t i = 0; i < addresses->count; i++) {
		int err = listen_socket__open(&server->listeners[i], addresses->values[i], error);

		if (err)
			return err;
		server->count++;
	}
	return 0;
}

/* Its scrape is NULL when memory is short. */
static void fill_exchanges(struct api_server *server, const struct api_options *options)
{
	server->exchanges = (struct exchanges){
		.context = {.store = options->store,
			    .history = options->history,
			    .events = options->events,
			    .tracks = options->tracks,
			    .policies = options->policies,
			    .startup = options->startup,
			    .is_replay = options->is_replay,
			    .token = server->token,
			    .scrape = scrape__new(&server->counters)},
		.connections = server->connections,
		.streams = server->streams,
		.counters = &server->counters,
	};
}

int api_server__start(const struct api_options *options, struct api_server **out,
		      struct reason *error)
{
	struct connections_options limits = {
		.max = options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS,
		.max_per_address =
			options->max_per_address ? options->max_per_address : DEFAULT_PER_ADDRESS,
		.max_requests = MAX_REQUESTS,
		.max_bytes = MAX_ANSWER_BYTES,
		.deadline = options->deadline > 0 ? options->deadline : DEFAULT_DEADLINE,
	};
	struct api_server *server = calloc(1, sizeof(*server));
	int err = -ENOMEM;

	*out = NULL;
	error->text[0] = '\0';
	if (!server)
		goto cleanup;
	signal(SIGPIPE, SIG_IGN);
	server->token = options->token ? strdup(options->token) : NULL;
	if (options->token && !server->token)
		goto cleanup;
	limits.max = raise_descriptor_limit(limits.max);
	/* Streams stay open; half of the connections is left for requests that end. */
	limits.max_streams =
		(limits.max + 1) / 2 < MAX_STREAMS ? (limits.max + 1) / 2 : MAX_STREAMS;
	err = options->tls_cert_file ? tls__load(options->tls_cert_file, options->tls_key_file,
						 &server->tls, error)
				     : 0;
	if (err)
		goto cleanup;
	err = open_listeners(server, &options->listen, error);
	if (err)
		goto cleanup;
	err = start_connections(server, &limits, options);
	if (err)
		goto cleanup;
	fill_exchanges(server, options);
	err = server->exchanges.context.scrape ? start_deferred(server) : -ENOMEM;
	if (!err)
		err = start_daemons(server, limits.max, thread_count(options->threads));
	if (err)
		goto cleanup;
	*out = server;
	return 0;
cleanup:
	if (!error->text[0] && (err == -ENOMEM || err == -EIO || err == -EAGAIN))
		reason__set(error, "cannot start the HTTP server: %s", strerror(-err));
	api_server__stop(server);
	return err;
}

void api_server__stop(struct api_server *server)
{
	if (!server)
		return;
	streams__end(server->streams);
	deferred__end(server->deferred);
	for (size_t i = 0; i < server->count; i++) {
		bool stopped = server->daemons[i];

		if (stopped)
			MHD_stop_daemon(server->daemons[i]);
		/* The library has closed its listening socket. */
		listen_socket__close(&server->listeners[i], !stopped);
	}
	streams__free(server->streams);
	deferred__free(server->deferred);
	connections__free(server->connections);
	scrape__free(server->exchanges.context.scrape);
	tls__free(server->tls);
	if (server->token)
		explicit_bzero(server->token, strlen(server->token));
	free(server->token);
	free(server);
}

const char *api_server__scheme(const struct api_server *server, size_t index)
{
	if (index >= server->count || server->listeners[index].family == AF_UNIX)
		return "";
	return has_tls(server, index) ? "https://" : "http://";
}

const char *api_server__address(const struct api_server *server, size_t index)
{
	return index < server->count ? server->listeners[index].address : NULL;
}

const struct api_counters *api_server__counters(const struct api_server *server)
{
	return &server->counters;
}
