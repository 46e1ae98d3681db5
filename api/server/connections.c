/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/connections.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <uthash.h>

/* One client: an IPv4 address, or an IPv6 /64, which is what one client is given. */
struct address {
	unsigned char bytes[16];
	uint32_t connections;
	UT_hash_handle hh;
};

enum phase {
	PHASE_WAITING,	 /* for a request, or for the rest of it */
	PHASE_ANSWERING, /* from the handler's call to the last byte */
	PHASE_STREAMING, /* an answer without a last byte */
};

struct connection {
	TAILQ_ENTRY(connection) entry;
	int fd;
	struct address *address; /* NULL: a Unix socket */
	enum phase phase;
	bool cut;	/* no longer in the list; waits for the library to close it */
	bool over;	/* came when there was no place */
	bool kept;	/* has had an answer */
	bool local;	/* of a Unix socket */
	bool root;	/* and its client was uid 0 when it connected */
	size_t bytes;	/* reserved for its answer */
	double expires; /* monotonic seconds */
};

TAILQ_HEAD(connection_list, connection);

struct connections {
	struct connections_options options;
	struct api_counters *counters;
	pthread_t reaper;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the list is no longer empty, or stop was set */
	bool stop;
	/* By expiry: whatever sets one sets it to now + deadline and moves to the end. */
	struct connection_list list;
	struct address *addresses;
	uint32_t count; /* in the list */
	uint32_t requests, streams;
	uint64_t bytes;
};

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void leave_list(struct connections *connections, struct connection *connection)
{
	TAILQ_REMOVE(&connections->list, connection, entry);
	connections->count--;
	if (connection->address && --connection->address->connections == 0) {
		HASH_DEL(connections->addresses, connection->address);
		free(connection->address);
	}
	connection->address = NULL;
}

static void cut(struct connections *connections, struct connection *connection,
		enum connection_result why)
{
	/* Without linger, unsent bytes would outlive close(2) until a dead client's TCP gives up.
	 */
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (connection->phase != PHASE_WAITING)
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	shutdown(connection->fd, SHUT_RDWR);
	leave_list(connections, connection);
	connection->cut = true;
	api_counters__connection(connections->counters, why);
}

static void restart_deadline(struct connections *connections, struct connection *connection)
{
	connection->expires = now_seconds() + connections->options.deadline;
	TAILQ_REMOVE(&connections->list, connection, entry);
	TAILQ_INSERT_TAIL(&connections->list, connection, entry);
}

static void *reap(void *argument)
{
	struct connections *connections = argument;

	pthread_mutex_lock(&connections->lock);
	while (!connections->stop) {
		struct connection *first = TAILQ_FIRST(&connections->list);
		struct timespec until;

		if (!first) {
			pthread_cond_wait(&connections->wake, &connections->lock);
			continue;
		}
		if (first->expires <= now_seconds()) {
			cut(connections, first, CONNECTION_DEADLINE);
			continue;
		}
		until.tv_sec = (time_t)first->expires;
		until.tv_nsec = (long)((first->expires - (double)until.tv_sec) * 1e9);
		pthread_cond_timedwait(&connections->wake, &connections->lock, &until);
	}
	pthread_mutex_unlock(&connections->lock);
	return NULL;
}

int connections__new(const struct connections_options *options, struct api_counters *counters,
		     struct connections **out)
{
	struct connections *connections = calloc(1, sizeof(*connections));
	pthread_condattr_t attributes;
	int err;

	if (!connections)
		return -ENOMEM;
	connections->options = *options;
	connections->counters = counters;
	TAILQ_INIT(&connections->list);
	pthread_mutex_init(&connections->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&connections->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	err = -pthread_create(&connections->reaper, NULL, reap, connections);
	if (err) {
		pthread_cond_destroy(&connections->wake);
		pthread_mutex_destroy(&connections->lock);
		free(connections);
		return err;
	}
	*out = connections;
	return 0;
}

void connections__free(struct connections *connections)
{
	if (!connections)
		return;
	pthread_mutex_lock(&connections->lock);
	connections->stop = true;
	pthread_cond_signal(&connections->wake);
	pthread_mutex_unlock(&connections->lock);
	pthread_join(connections->reaper, NULL);
	pthread_cond_destroy(&connections->wake);
	pthread_mutex_destroy(&connections->lock);
	free(connections);
}

/* False: a Unix socket, which has no address. */
static bool address_bytes(const struct sockaddr *address, unsigned char bytes[16])
{
	memset(bytes, 0, 16);
	if (address && address->sa_family == AF_INET) {
		memcpy(bytes, &((const struct sockaddr_in *)address)->sin_addr, 4);
		bytes[15] = 4; /* no /64 has this byte set */
		return true;
	}
	if (address && address->sa_family == AF_INET6) {
		memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 8);
		return true;
	}
	return false;
}

static int count_address(struct connections *connections, struct connection *connection,
			 const unsigned char bytes[16])
{
	struct address *address;

	HASH_FIND(hh, connections->addresses, bytes, sizeof(address->bytes), address);
	if (!address) {
		address = calloc(1, sizeof(*address));
		if (!address)
			return -ENOMEM;
		memcpy(address->bytes, bytes, sizeof(address->bytes));
		HASH_ADD(hh, connections->addresses, bytes, sizeof(address->bytes), address);
	}
	address->connections++;
	connection->address = address;
	return 0;
}

/* The oldest in that phase, of that address when one is given. */
static struct connection *oldest(struct connections *connections, enum phase phase,
				 const struct address *address, const struct connection *but)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &connections->list, entry)
	{
		if (connection != but && connection->phase == phase &&
		    (!address || connection->address == address))
			return connection;
	}
	return NULL;
}

/* Makes room for a newcomer, or marks it as one too many. */
static void make_room(struct connections *connections, struct connection *newcomer)
{
	const struct connections_options *options = &connections->options;
	const struct address *address = newcomer->address;
	struct connection *victim;

	if (address && address->connections > options->max_per_address)
		victim = oldest(connections, PHASE_WAITING, address, newcomer);
	else if (connections->count > options->max)
		victim = oldest(connections, PHASE_WAITING, NULL, newcomer);
	else
		return;
	newcomer->over = !victim;
	/* All are being answered, and slow readers must not fill the reserve. */
	if (!victim && connections->count > options->max + CONNECTIONS_RESERVE)
		victim = oldest(connections, PHASE_ANSWERING, NULL, newcomer);
	if (victim)
		cut(connections, victim, CONNECTION_EVICTED);
}

static bool peer_is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

struct connection *connections__open(struct connections *connections, int fd,
				     const struct sockaddr *address)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	unsigned char bytes[16];

	if (!connection)
		return NULL;
	connection->fd = fd;
	connection->phase = PHASE_WAITING;
	connection->local = !address_bytes(address, bytes);
	connection->root = connection->local && peer_is_root(fd);
	pthread_mutex_lock(&connections->lock);
	if (!connection->local && count_address(connections, connection, bytes)) {
		pthread_mutex_unlock(&connections->lock);
		free(connection);
		return NULL;
	}
	connection->expires = now_seconds() + connections->options.deadline;
	TAILQ_INSERT_TAIL(&connections->list, connection, entry);
	if (++connections->count == 1)
		pthread_cond_signal(&connections->wake);
	api_counters__connection(connections->counters, CONNECTION_ACCEPTED);
	make_room(connections, connection);
	pthread_mutex_unlock(&connections->lock);
	return connection;
}

bool connection__is_root(const struct connection *connection)
{
	return connection->root;
}

bool connection__is_local(const struct connection *connection)
{
	return connection->local;
}

static void end_answer(struct connections *connections, struct connection *connection)
{
	if (connection->phase == PHASE_ANSWERING)
		connections->requests--;
	else if (connection->phase == PHASE_STREAMING)
		connections->streams--;
	connection->phase = PHASE_WAITING;
	connections->bytes -= connection->bytes;
	connection->bytes = 0;
}

void connections__close(struct connections *connections, struct connection *connection)
{
	pthread_mutex_lock(&connections->lock);
	end_answer(connections, connection);
	if (!connection->cut)
		leave_list(connections, connection);
	pthread_mutex_unlock(&connections->lock);
	free(connection);
}

void connections__request(struct connections *connections, struct connection *connection)
{
	pthread_mutex_lock(&connections->lock);
	/* The first request's deadline runs since accept. */
	if (!connection->cut && connection->kept)
		restart_deadline(connections, connection);
	pthread_mutex_unlock(&connections->lock);
}

bool connections__begin(struct connections *connections, struct connection *connection)
{
	bool room;

	pthread_mutex_lock(&connections->lock);
	if (connection->phase != PHASE_ANSWERING) {
		connection->phase = PHASE_ANSWERING;
		connections->requests++;
	}
	room = !connection->over && connections->requests <= connections->options.max_requests;
	pthread_mutex_unlock(&connections->lock);
	return room;
}

bool connections__reserve(struct connections *connections, struct connection *connection,
			  size_t bytes)
{
	const struct connections_options *options = &connections->options;
	bool room;

	pthread_mutex_lock(&connections->lock);
	/* One alone may be larger than the limit. */
	room = !connections->bytes || connections->bytes + bytes <= options->max_bytes;
	if (room) {
		connection->bytes += bytes;
		connections->bytes += bytes;
	}
	pthread_mutex_unlock(&connections->lock);
	return room;
}

bool connections__stream(struct connections *connections, struct connection *connection)
{
	bool room;

	pthread_mutex_lock(&connections->lock);
	room = connections->streams < connections->options.max_streams;
	if (room && connection->phase == PHASE_ANSWERING) {
		connection->phase = PHASE_STREAMING;
		connections->requests--;
		connections->streams++;
	}
	pthread_mutex_unlock(&connections->lock);
	return room;
}

bool connections__stays(struct connections *connections, struct connection *connection, bool reads)
{
	bool stays;

	pthread_mutex_lock(&connections->lock);
	stays = !connection->cut;
	if (stays && reads)
		restart_deadline(connections, connection);
	pthread_mutex_unlock(&connections->lock);
	return stays;
}

void connections__end(struct connections *connections, struct connection *connection)
{
	pthread_mutex_lock(&connections->lock);
	end_answer(connections, connection);
	connection->kept = true;
	if (!connection->cut)
		restart_deadline(connections, connection);
	pthread_mutex_unlock(&connections->lock);
}
