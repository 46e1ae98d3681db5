/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP server. Its threads only read snapshots, so that no client can hold up sampling, and cut
 * whoever is slow. It answers literal addresses, localhost and the machine's own name as Host.
 */
#ifndef DIRTYSCOPE_API_SERVER_SERVER_H
#define DIRTYSCOPE_API_SERVER_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/snapshot/events.h"
#include "agent/snapshot/history.h"
#include "agent/input/options.h"
#include "agent/snapshot/snapshot.h"

struct startup;

struct api_options {
	/* Borrowed; alive until api_server__stop. */
	struct snapshot_store *store;
	struct history *history;
	struct events *events;
	struct tracks *tracks;	   /* NULL in a replay */
	struct policies *policies; /* NULL: there are none */
	struct startup *startup;   /* how far the agent's start is; NULL: not told */
	bool is_replay;		   /* snapshots have their `replay` */
	/* What must be presented for a change of state; NULL: only root on a Unix socket may.
	 * Copied. */
	const char *token;
	/* PEM files for the TCP addresses, both or neither: then they speak TLS 1.2 or newer, and
	 * nothing else. Read at start. */
	const char *tls_cert_file, *tls_key_file;
	/* "HOST:PORT" (an IPv4 address or localhost), "[v6]:PORT", "unix:PATH"; none:
	 * 127.0.0.1:7243. */
	struct option_list listen;
	uint32_t max_connections; /* 0: 512; cut to what the descriptor limit allows */
	uint32_t max_per_address; /* 0: 256 */
	double deadline;	  /* total seconds of a request; 0: 15 */
	uint32_t threads;	  /* per address, 2 to 4; 0: by the number of CPUs */
};

struct api_server;
struct api_counters;

/*
 * Listens and serves from threads of its own, which block all signals; ignores SIGPIPE and raises
 * the soft limit of descriptors for the process. 0, or -errno with one sentence in error[size].
 */
int api_server__start(const struct api_options *options, struct api_server **out,
		      struct reason *error);
/* Cuts all connections and waits for the threads. NULL is fine. */
void api_server__stop(struct api_server *server);
/* "https://", "http://", or "" of a Unix socket. */
const char *api_server__scheme(const struct api_server *server, size_t index);
/* The index-th address with its real port, "127.0.0.1:7243"; NULL behind the last. */
const char *api_server__address(const struct api_server *server, size_t index);
/* What it has counted; read with atomic loads. */
const struct api_counters *api_server__counters(const struct api_server *server);

#endif
