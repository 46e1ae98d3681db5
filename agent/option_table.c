/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/option_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "agent/base/log.h"
#include "agent/kernel/choice.h"
#include "agent/policies/actions/action.h"

#define COMMAND_LINE_ONLY 2 /* the first rows: a file cannot name another file */
#define MEBIBYTE (1024.0 * 1024)
#define TEBIBYTE (1024.0 * 1024 * 1024 * 1024)

static const char *check_not_empty(const char *value)
{
	return *value ? NULL : "is empty";
}

static const char *check_level(const char *value)
{
	enum log_level level;

	return log__parse_level(value, &level) ? "is none of debug, info, warn, error" : NULL;
}

static const char *check_tier(const char *value)
{
	enum sensors_tier tier;

	return sensors_tier__parse(value, &tier) ? "is none of auto, base, fentry" : NULL;
}

static const char *check_port(const char *port)
{
	size_t digits = strspn(port, "0123456789");

	if (!digits || digits > 5 || port[digits] || strtoul(port, NULL, 10) > 65535)
		return "has no port from 0 to 65535 at its end";
	return NULL;
}

/* Only the form: whether the address can be bound is known at start. */
static const char *check_listen(const char *value)
{
	const struct sockaddr_un *un = NULL;
	const char *colon = strrchr(value, ':');
	size_t length;

	if (strncmp(value, "unix:", 5) == 0) {
		length = strlen(value + 5);
		if (!length)
			return "has no path";
		return length < sizeof(un->sun_path) ? NULL
						     : "is longer than a socket's path may be";
	}
	if (!colon)
		return "is neither ADDRESS:PORT nor unix:PATH";
	if (value[0] == '[') {
		if (colon == value || colon[-1] != ']' || colon - value < 4)
			return "is not [ADDRESS]:PORT";
	} else if (colon == value) {
		return "has no address; write 0.0.0.0 or [::] for all";
	} else if (memchr(value, ':', (size_t)(colon - value))) {
		return "is an IPv6 address without brackets; write [ADDRESS]:PORT";
	}
	return check_port(colon + 1);
}

static const char *check_absolute(const char *value)
{
	return *value == '/' ? NULL : "is not an absolute path";
}

static const char *check_allow(const char *value)
{
	const struct action_type *type = action_type__find(value);

	return type && type->is_gated ? NULL : "is none of limit, reclaim, exec";
}

/* "NAME=REST": NULL when the name is good, and *rest behind it. */
static const char *check_named(const char *value, const char **rest)
{
	const size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789-_.");

	*rest = value + length + 1;
	if (!length || length > 63 || value[length] != '=')
		return "does not begin with NAME=, a name of letters, digits, '-', '_' and '.'";
	return NULL;
}

static const char *check_webhook(const char *value)
{
	const char *url, *why = check_named(value, &url);

	if (why)
		return why;
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return "has no http:// or https:// URL";
	return NULL;
}

static const char *check_exec(const char *value)
{
	const char *command, *why = check_named(value, &command);
	struct json_member_error error;

	if (why)
		return why;
	if (*command != '/' || command[1] == ' ' || !command[1])
		return "has no absolute path of a program";
	if (memchr(command, '{', strcspn(command, " ")))
		return "has a { in the program's path, which is no template";
	if (expand__check_any(command, "", &error))
		return "has a {} without a field's name that policies know";
	return NULL;
}

#define FIELD(name) offsetof(struct agent_config, name)

const struct option_row agent_options[] = {
	{"help", 'h', OPTION_FLAG, FIELD(help), 0, 0, NULL, "show this help", NULL},
	{"config", 'c', OPTION_STRING, FIELD(file), 0, 0, "FILE",
	 "read options from a YAML file; the command line comes before it", check_not_empty},
	{"web.listen-address", 0, OPTION_LIST, FIELD(listen), 0, 0, "ADDRESS:PORT|unix:PATH",
	 "where to serve; may be repeated (127.0.0.1:7243)", check_listen},
	{"interval", 'i', OPTION_SECONDS, FIELD(interval), 0.1, 3600, "SECONDS",
	 "time between two snapshots (1)", NULL},
	{"path.procfs", 0, OPTION_STRING, FIELD(procfs), 0, 0, "DIR", "where procfs is (/proc)",
	 check_not_empty},
	{"path.sysfs", 0, OPTION_STRING, FIELD(sysfs), 0, 0, "DIR", "where sysfs is (/sys)",
	 check_not_empty},
	{"path.logs", 0, OPTION_STRING, FIELD(logs), 0, 0, "DIR",
	 "where the kubelet's folders pods and containers are, which name pods (/var/log)",
	 check_not_empty},
	{"max-processes", 0, OPTION_U32, FIELD(max_processes), 16, 1048576, "N",
	 "processes that are told apart (8192)", NULL},
	{"max-devices", 0, OPTION_U32, FIELD(max_devices), 2, 4096, "N",
	 "devices and disks that are told apart at most; tables are as large as the host needs "
	 "(4096)",
	 NULL},
	{"max-flows", 0, OPTION_U32, FIELD(max_flows), 16, 1048576, "N",
	 "pairs of process and device (16384)", NULL},
	{"max-requests", 0, OPTION_U32, FIELD(max_requests), 16, 1048576, "N",
	 "block reads in flight (16384)", NULL},
	{"max-mappings", 0, OPTION_U32, FIELD(max_mappings), 16, 16777216, "N",
	 "live DMA mappings in the ledger (65536)", NULL},
	{"no-ledger", 0, OPTION_FLAG, FIELD(no_ledger), 0, 0, NULL,
	 "keep no live DMA mappings; exposed pages are then not known", NULL},
	{"max-tracks", 0, OPTION_U32, FIELD(max_tracks), 0, 1024, "N", "tracks at once (16)", NULL},
	{"track-memory", 0, OPTION_SIZE, FIELD(track_memory), MEBIBYTE, TEBIBYTE, "BYTES",
	 "memory that one track may take (1G)", NULL},
	{"allow-second", 0, OPTION_FLAG, FIELD(allow_second), 0, 0, NULL,
	 "track although another agent of this host does; each gets what the other has left", NULL},
	{"track-idle", 0, OPTION_SECONDS, FIELD(track_idle), 0.5, 86400, "SECONDS",
	 "a track that is not collected for so long ends (300)", NULL},
	{"sensors.tier", 0, OPTION_STRING, FIELD(tier), 0, 0, "TIER",
	 "auto; base: tracepoints only; fentry: functions wherever one can replace them (auto)",
	 check_tier},
	{"page-set-memory", 0, OPTION_SIZE, FIELD(page_set_memory), 4096, TEBIBYTE, "BYTES",
	 "memory for the devices' page sets, taken where they write: 32 KiB for each device and "
	 "GiB (256M)",
	 NULL},
	{"metrics.max-processes", 0, OPTION_U32, FIELD(max_series), 0, 100000, "N",
	 "processes with metrics series of their own (1000)", NULL},
	{"metrics.series-after", 0, OPTION_SECONDS, FIELD(series_after), 0, 86400, "SECONDS",
	 "time among the busiest before a process, cgroup or the like gets series of its own (60)",
	 NULL},
	{"metrics.new-series", 0, OPTION_U32, FIELD(new_series), 0, 100000000, "N",
	 "new series of processes in any hour, and as many of cgroups, pods, VMs and names (2000)",
	 NULL},
	{"web.max-connections", 0, OPTION_U32, FIELD(max_connections), 1, 65536, "N",
	 "connections that are served at once (512)", NULL},
	{"web.max-connections-per-address", 0, OPTION_U32, FIELD(max_per_address), 1, 65536, "N",
	 "the same for one client address (256)", NULL},
	{"web.deadline", 0, OPTION_SECONDS, FIELD(deadline), 0.1, 3600, "SECONDS",
	 "total time that one request may take (15)", NULL},
	{"web.token-file", 0, OPTION_STRING, FIELD(token_file), 0, 0, "FILE",
	 "its content, as bearer token, allows what changes state; else only root on the Unix "
	 "socket",
	 check_not_empty},
	{"web.tls-cert-file", 0, OPTION_STRING, FIELD(tls_cert_file), 0, 0, "FILE",
	 "certificate and those between it and its CA, PEM: TCP is served as https",
	 check_not_empty},
	{"web.tls-key-file", 0, OPTION_STRING, FIELD(tls_key_file), 0, 0, "FILE",
	 "its private key, PEM, without a passphrase", check_not_empty},
	{"policies.directory", 0, OPTION_STRING, FIELD(policies), 0, 0, "DIR",
	 "policies: all its *.yaml and *.yml; read again at SIGHUP and POST /-/reload",
	 check_not_empty},
	{"policies.allow", 0, OPTION_LIST, FIELD(policies_allow), 0, 0, "ACTION",
	 "an action that changes the host, which policies may then use: limit, reclaim or exec; "
	 "may be repeated",
	 check_allow},
	{"policies.webhook", 0, OPTION_LIST, FIELD(policies_webhook), 0, 0, "NAME=URL",
	 "a receiver of policies' webhooks; may be repeated", check_webhook},
	{"policies.webhook-timeout", 0, OPTION_SECONDS, FIELD(policies_webhook_timeout), 0.1, 300,
	 "SECONDS", "of one attempt (10)", NULL},
	{"policies.exec", 0, OPTION_LIST, FIELD(policies_exec), 0, 0, "\"NAME=/PATH ARGUMENT...\"",
	 "a program for policies' exec; {pid} and the like are filled in; may be repeated",
	 check_exec},
	{"policies.exec-user", 0, OPTION_STRING, FIELD(policies_user), 0, 0, "USER",
	 "whom such programs run as, a name or a number (nobody)", check_not_empty},
	{"policies.exec-timeout", 0, OPTION_SECONDS, FIELD(policies_exec_timeout), 0.1, 3600,
	 "SECONDS", "that one of them may take (10)", NULL},
	{"policies.state-file", 0, OPTION_STRING, FIELD(policies_state), 0, 0, "FILE",
	 "where limits are written down until they are lifted (/run/dirtyscope/limits.json)",
	 check_absolute},
	{"record", 0, OPTION_STRING, FIELD(record), 0, 0, "FILE",
	 "write each snapshot to this file, for --replay; a record that is there is replaced",
	 check_not_empty},
	{"record-limit", 0, OPTION_SIZE, FIELD(record_limit), 4096, TEBIBYTE, "BYTES",
	 "recording ends where the file would become longer (1G), or the disk nearly full", NULL},
	{"replay", 0, OPTION_STRING, FIELD(replay), 0, 0, "FILE",
	 "serve what is recorded there in place of this host; needs no root, and no BPF",
	 check_not_empty},
	{"replay-interval", 0, OPTION_SECONDS, FIELD(replay_interval), 0.05, 86400, "SECONDS",
	 "time between two snapshots of the record (as they were recorded)", NULL},
	{"replay-loop", 0, OPTION_FLAG, FIELD(replay_loop), 0, 0, NULL,
	 "begin again where the record ends; else its last snapshot stays", NULL},
	{"log.level", 0, OPTION_STRING, FIELD(log_level), 0, 0, "LEVEL",
	 "debug, info, warn or error (info)", check_level},
	{0},
};

const struct option_row *const agent_file_options = agent_options + COMMAND_LINE_ONLY;

void agent_config__defaults(struct agent_config *config)
{
	*config = (struct agent_config){
		.listen = {.values = {"127.0.0.1:7243"}, .count = 1},
		.interval = 1,
		.procfs = "/proc",
		.sysfs = "/sys",
		.logs = "/var/log",
		.max_processes = 8192,
		.max_devices = 4096,
		.max_flows = 16384,
		.max_requests = 16384,
		.max_mappings = 65536,
		.page_set_memory = (uint64_t)(256 * MEBIBYTE),
		.max_series = 1000,
		.series_after = 60,
		.new_series = 2000,
		.max_connections = 512,
		.max_per_address = 256,
		.deadline = 15,
		.max_tracks = 16,
		.track_memory = (uint64_t)(1024 * MEBIBYTE),
		.track_idle = 300,
		.policies_user = "nobody",
		.policies_exec_timeout = 10,
		.policies_webhook_timeout = 10,
		.policies_state = "/run/dirtyscope/limits.json",
		.record_limit = (uint64_t)(1024 * MEBIBYTE),
		.tier = "auto",
		.log_level = "info",
	};
}

/* Of a file alone this cannot be said: the other one may be on the command line. */
static int check_together(const struct agent_config *config, struct reason *error)
{
	if (config->record && config->replay) {
		reason__set(error, "--record and --replay exclude each other");
		return -EINVAL;
	}
	if (!config->replay && (config->replay_loop || config->replay_interval > 0)) {
		reason__set(error, "--replay-%s needs --replay",
			    config->replay_loop ? "loop" : "interval");
		return -EINVAL;
	}
	if (!config->tls_cert_file == !config->tls_key_file)
		return 0;
	reason__set(error, "--web.tls-%s-file needs --web.tls-%s-file",
		    config->tls_cert_file ? "cert" : "key", config->tls_cert_file ? "key" : "cert");
	return -EINVAL;
}

int agent_config__load(struct agent_config *config, int argc, char *const *argv,
		       struct reason *error)
{
	struct agent_config first;
	int err;

	agent_config__defaults(config);
	agent_config__defaults(&first);
	/* Twice: once to find --config, once more over what the file says. */
	err = options__parse(agent_options, argc, argv, &first, NULL, 0, error);
	if (err)
		return err;
	if (first.help) {
		config->help = true;
		return 0;
	}
	if (first.file) {
		err = options__read_file(agent_file_options, first.file, config, &config->strings,
					 error);
		if (err)
			return err;
	}
	err = options__parse(agent_options, argc, argv, config, NULL, 0, error);
	return err ? err : check_together(config, error);
}

int agent_config__check_file(const char *path, struct reason *error)
{
	struct agent_config config;
	int err;

	agent_config__defaults(&config);
	err = options__read_file(agent_file_options, path, &config, &config.strings, error);
	agent_config__free(&config);
	return err;
}

void agent_config__free(struct agent_config *config)
{
	option_strings__free(&config->strings);
}
