/* SPDX-License-Identifier: BSD-2-Clause */
/* What the agent was told, on the command line or in --config FILE; agent/option_table.h fills it.
 */
#ifndef DIRTYSCOPE_AGENT_BASE_CONFIG_H
#define DIRTYSCOPE_AGENT_BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/option_values.h"

struct agent_config {
	bool help;
	const char *file;	   /* --config */
	struct option_list listen; /* --web.listen-address: "127.0.0.1:7243", "[::1]:7243",
				      "unix:/run/x.sock" */
	double interval;	   /* --interval, seconds: 0.1 to 3600, default 1 */
	const char *procfs;	   /* --path.procfs, default /proc */
	const char *sysfs;	   /* --path.sysfs, default /sys */
	const char *logs;	   /* --path.logs, default /var/log */
	uint32_t max_processes;	   /* --max-processes, default 8192 */
	uint32_t max_devices;	   /* --max-devices, default 4096: what the host has may take */
	uint32_t max_flows;	   /* --max-flows, default 16384 */
	uint32_t max_requests;	   /* --max-requests: block reads in flight, default 16384 */
	uint32_t max_mappings; /* --max-mappings: live DMA mappings in the ledger, default 65536 */
	bool no_ledger; /* --no-ledger: do not keep live mappings; exposure is then not known */
	uint64_t page_set_memory; /* --page-set-memory, bytes, default 256M */
	uint32_t max_series;	  /* --metrics.max-processes: series of their own, default 1000 */
	double series_after; /* --metrics.series-after: seconds among the busiest, default 60 */
	uint32_t new_series; /* --metrics.new-series: of each kind in an hour, default 2000 */
	uint32_t max_connections; /* --web.max-connections, default 512 */
	uint32_t max_per_address; /* --web.max-connections-per-address, default 256 */
	double deadline; /* --web.deadline: total seconds per connection's request, default 15 */
	uint32_t max_tracks;	/* --max-tracks, default 16 */
	uint64_t track_memory;	/* --track-memory: of one track, bytes, default 1G */
	bool allow_second;	/* --allow-second: track beside another agent of this host */
	double track_idle;	/* --track-idle: seconds without a collect, default 300 */
	const char *token_file; /* --web.token-file; NULL: none */
	/* --web.tls-cert-file, --web.tls-key-file: PEM; both or, without TLS, both NULL */
	const char *tls_cert_file, *tls_key_file;
	const char *policies;		     /* --policies.directory; NULL: none */
	struct option_list policies_allow;   /* --policies.allow: actions that change the host */
	struct option_list policies_webhook; /* --policies.webhook: "NAME=URL" */
	struct option_list policies_exec;    /* --policies.exec: "NAME=/PATH ARGUMENT..." */
	const char *policies_user;	     /* --policies.exec-user, default "nobody" */
	double policies_exec_timeout;	     /* --policies.exec-timeout, default 10 */
	double policies_webhook_timeout;     /* --policies.webhook-timeout, default 10 */
	const char *policies_state; /* --policies.state-file, default /run/dirtyscope/limits.json */
	const char *record;	    /* --record; NULL: none */
	uint64_t record_limit;	    /* --record-limit: of the file, bytes, default 1G */
	const char *replay;	    /* --replay; NULL: this host is looked at */
	double replay_interval;	    /* --replay-interval, seconds; 0: as recorded */
	bool replay_loop;	    /* --replay-loop */
	const char *tier;	    /* --sensors.tier, enum sensors_tier, default "auto" */
	const char *log_level;	    /* --log.level, default "info" */

	struct option_strings strings; /* what --config put into the fields above */
};

#endif
