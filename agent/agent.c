/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/base/exit_status.h"
#include "agent/base/log.h"
#include "agent/base/start_thread.h"
#include "agent/base/startup.h"
#include "agent/base/text.h"
#include "agent/base/token.h"
#include "agent/base/version.h"
#include "agent/inventory/sampler.h"
#include "agent/kernel/kernel_side.h"
#include "agent/kernel/ledger.h"
#include "agent/kernel/page_sets.h"
#include "agent/kernel/probe.h"
#include "agent/option_table.h"
#include "agent/policies/policies.h"
#include "agent/record/player.h"
#include "agent/record/recorder.h"
#include "agent/snapshot/events.h"
#include "agent/snapshot/history.h"
#include "agent/tracks/tracks.h"
#include "api/server/server.h"

/* A start that is ended has that long to clean up behind itself. */
#define CANCEL_MS 500

struct agent {
	struct agent_config config;
	struct kernel_side *kernel;
	struct snapshot_store *store;
	struct history *history;
	struct events *events;
	struct tracks *tracks;
	struct policies *policies;
	struct recorder *recorder; /* NULL: nothing is recorded */
	struct sampler *sampler;
	struct player *player; /* of a replay, which has none of kernel, tracks, policies, sampler
				*/
	struct api_server *server;
	struct startup *startup;     /* how far the start is, for those who ask */
	struct start_thread *loader; /* NULL once it has started */
};

static int fail(const char *message)
{
	(void)fprintf(stderr, "dirtyscope: %s\n", message);
	return STATUS_FAILED;
}

static int show_help(void)
{
	struct text text = {0};

	text__puts(
		&text,
		"Usage: dirtyscope agent [options]\n\n"
		"Counts the memory pages that get written, by CPUs and by devices, and serves "
		"the numbers\nover HTTP, until SIGINT or SIGTERM. Needs CAP_BPF and CAP_PERFMON, "
		"or root.\n\n");
	options__help(agent_options, &text);
	(void)fputs(text.failed ? "dirtyscope: out of memory\n" : text.data, stdout);
	text__free(&text);
	return STATUS_DONE;
}

/* What the limits cost, before anything is counted. */
static void log_limits(const struct agent *agent)
{
	const struct agent_config *config = &agent->config;

	log_info("limits",
		 "processes=%" PRIu32 " devices=%" PRIu32 " flows=%" PRIu32 " requests=%" PRIu32
		 " mappings=%" PRIu32 " ledger_bytes_at_most=%" PRIu64 " page_set_memory=%" PRIu64
		 " tables_bytes=%" PRIu64,
		 config->max_processes, kernel_side__tables(agent->kernel)->source_slots,
		 config->max_flows, config->max_requests,
		 config->no_ledger ? 0 : config->max_mappings,
		 config->no_ledger ? 0 : (uint64_t)config->max_mappings * LEDGER_ENTRY_BYTES,
		 config->page_set_memory, kernel_side__map_memory(agent->kernel));
}

/* *status: of the exit, where they cannot be. */
static int prepare_policies(struct agent *agent, int *status)
{
	const struct policies_options options = {
		.config = &agent->config,
		.events = agent->events,
		.tracks = agent->tracks,
		.store = agent->store,
	};
	struct reason message;
	int err = policies__new(&options, &agent->policies, &message);

	if (!err)
		return 0;
	fail(*message.text ? message.text : strerror(-err));
	*status = err == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	return err;
}

static int fail_with(const char *message, int err)
{
	return fail(*message ? message : strerror(-err));
}

/* Addresses first: a taken port is told at once, and nothing was loaded for nothing. */
static int serve(struct agent *agent)
{
	const struct agent_config *config = &agent->config;
	struct reason error = {""};
	char token[TOKEN_MAX];
	struct api_options api = {
		.store = agent->store,
		.history = agent->history,
		.events = agent->events,
		.tracks = agent->tracks,
		.policies = agent->policies,
		.startup = agent->startup,
		.is_replay = config->replay != NULL,
		.token = config->token_file ? token : NULL,
		.tls_cert_file = config->tls_cert_file,
		.tls_key_file = config->tls_key_file,
		.listen = config->listen,
		.max_connections = config->max_connections,
		.max_per_address = config->max_per_address,
		.deadline = config->deadline,
	};
	int err = 0;

	if (config->token_file)
		err = token__read(config->token_file, token, &error);
	if (!err)
		err = api_server__start(&api, &agent->server, &error);
	explicit_bzero(token, sizeof(token));
	return err ? fail_with(error.text, err) : STATUS_DONE;
}

/* What all that is published goes through. interval: of the snapshots, seconds. */
static int prepare_stores(struct agent *agent, double interval)
{
	agent->store = snapshot_store__new();
	agent->history = history__new((size_t)(HISTORY_SECONDS / interval) + 1);
	agent->events = events__new();
	agent->startup = startup__new();
	return agent->store && agent->history && agent->events && agent->startup
		       ? STATUS_DONE
		       : fail("out of memory");
}

static void log_addresses(const struct agent *agent)
{
	for (size_t i = 0; api_server__address(agent->server, i); i++)
		log_info("listening", "address=%s%s", api_server__scheme(agent->server, i),
			 api_server__address(agent->server, i));
}

static int prepare_recorder(struct agent *agent)
{
	const struct recorder_options options = {
		.path = agent->config.record,
		.limit = agent->config.record_limit,
		.interval = agent->config.interval,
		.store = agent->store,
		.events = agent->events,
		.tracks = agent->tracks,
		.policies = agent->policies,
	};
	struct reason message;
	int err;

	if (!options.path)
		return STATUS_DONE;
	err = recorder__new(&options, &agent->recorder, &message);
	return err ? fail_with(message.text, err) : STATUS_DONE;
}

static int publish_record(void *recorder, struct snapshot *snapshot)
{
	recorder__publish(recorder, snapshot);
	return 0;
}

static int publish_tracks(void *tracks, struct snapshot *snapshot)
{
	return tracks__publish(tracks, snapshot);
}

static int publish_policies(void *policies, struct snapshot *snapshot)
{
	return policies__publish(policies, snapshot);
}

/* Attaches the BPF programs: events are counted from here on. */
static int start_sampling(struct agent *agent, struct kernel_error *error)
{
	const struct sampler_options sampler = {
		.config = &agent->config,
		.kernel = agent->kernel,
		.store = agent->store,
		.history = agent->history,
		.events = agent->events,
		.listener = tracks__listener(agent->tracks),
		.parts = {{publish_record, agent->recorder},
			  {publish_tracks, agent->tracks},
			  {publish_policies, agent->policies}},
		.part_count = 3,
	};
	struct track_sweeps sweeps = {
		.idle = sampler__is_idle, .ask = sampler__ask, .await = sampler__await};
	int err;

	log_info("starting", "version=%s revision=%s pid=%d", dirtyscope_version(),
		 dirtyscope_revision(), (int)getpid());
	log_limits(agent);
	if (agent->recorder) {
		log_info("recording", "file=\"%s\" limit=%" PRIu64, agent->config.record,
			 agent->config.record_limit);
		err = recorder__start(agent->recorder);
		if (err)
			return err;
	}
	err = sampler__start(&sampler, &agent->sampler, error);
	sweeps.context = agent->sampler;
	if (!err)
		err = tracks__serve(agent->tracks, kernel_side__tables(agent->kernel), &sweeps);
	return err ? err : policies__start(agent->policies);
}

static int end_of(int err)
{
	return err == -ENOSYS || err == -EPERM ? STATUS_UNABLE : STATUS_FAILED;
}

/* The part that takes long, in the loader's thread. Returns the exit status. */
static int agent_load(void *context)
{
	struct agent *agent = context;
	const struct kernel_options options = {
		.config = &agent->config,
		.startup = agent->startup,
	};
	struct kernel_error error = {""};
	int status, err = kernel_side__new(&options, &agent->kernel, &error);

	/* Whoever cannot load anything replaces no record. */
	status = err ? STATUS_DONE : prepare_recorder(agent);
	if (status)
		return status;
	if (!err)
		err = start_sampling(agent, &error);
	if (startup__cancelled(agent->startup))
		return STATUS_DONE;
	if (err) {
		fail_with(error.message, err);
		return end_of(err);
	}
	startup__tell(agent->startup, "waiting for the first snapshot", 0, 0);
	events__add(agent->events, "agent", "info", "agent", "started, version %s",
		    dirtyscope_version());
	return STATUS_DONE;
}

/* Why this host cannot run it is told at once, and in one line. */
static int check_host(void)
{
	struct kernel_error error;
	struct host_facts facts;
	int err;

	host_facts__read(&facts);
	err = host_facts__judge(&facts, &error);
	if (!err)
		return STATUS_DONE;
	fail(error.message);
	return end_of(err);
}

static int start(struct agent *agent)
{
	int err, status = prepare_stores(agent, agent->config.interval);

	if (status)
		return status;
	agent->tracks = tracks__new(&agent->config, agent->events, agent->store);
	if (!agent->tracks)
		return fail("out of memory");
	if (prepare_policies(agent, &status))
		return status;
	status = check_host();
	startup__tell(agent->startup, "looking at the kernel", 0, 0);
	if (!status)
		status = serve(agent);
	if (status)
		return status;
	log_addresses(agent);
	err = start_thread__new(agent_load, agent, agent->startup, &agent->loader);
	return err ? fail_with("", err) : STATUS_DONE;
}

/* No kernel side, no tracks and no policies: a record says what they said. */
static int start_replay(struct agent *agent)
{
	const struct agent_config *config = &agent->config;
	struct player_options options = {
		.interval = config->replay_interval,
		.loop = config->replay_loop,
	};
	struct reason message;
	int status, err = player__new(config->replay, &agent->player, &message);

	if (err)
		return fail_with(message.text, err);
	status = prepare_stores(agent, player__interval(agent->player));
	startup__tell(agent->startup, "waiting for the first snapshot", 0, 0);
	if (!status)
		status = serve(agent);
	if (status)
		return status;
	options.store = agent->store;
	options.history = agent->history;
	options.events = agent->events;
	err = player__start(agent->player, &options, &message);
	if (err)
		return fail_with(message.text, err);
	log_addresses(agent);
	return STATUS_DONE;
}

static void stop(struct agent *agent)
{
	tracks__interrupt(agent->tracks);
	if (agent->loader && start_thread__cancel(agent->loader, CANCEL_MS)) {
		/* What it holds are descriptors: they, and what they keep attached, go with us. */
		api_server__stop(agent->server);
		_exit(STATUS_DONE);
	}
	if (agent->loader)
		start_thread__join(agent->loader);
	api_server__stop(agent->server);
	player__stop(agent->player);
	recorder__stop(agent->recorder);
	policies__stop(agent->policies);
	tracks__suspend(agent->tracks);
	sampler__stop(agent->sampler);
	recorder__free(agent->recorder);
	policies__free(agent->policies);
	tracks__free(agent->tracks);
	kernel_side__free(agent->kernel);
	events__free(agent->events);
	history__free(agent->history);
	snapshot_store__free(agent->store);
	player__free(agent->player);
	startup__free(agent->startup);
	agent_config__free(&agent->config);
}

static void reload(struct agent *agent)
{
	struct reason message;

	if (!agent->policies) {
		log_info("a replay has no policies to reload", "");
		return;
	}
	if (policies__reload(agent->policies, &message))
		log_error("policies not reloaded; those before stay", "reason=\"%s\"",
			  message.text);
	else
		log_info("policies reloaded", "");
}

/* The loader has ended. Returns its exit status. */
static int started(struct agent *agent)
{
	int status = start_thread__join(agent->loader);

	agent->loader = NULL;
	return status;
}

/* Until a signal ends it, or the start fails. Returns the exit status. */
static int serve_until_signal(struct agent *agent, const sigset_t *signals)
{
	struct signalfd_siginfo info = {.ssi_signo = 0};
	struct pollfd wait[] = {{.events = POLLIN}, {.events = POLLIN}};
	int status = STATUS_DONE;

	wait[0].fd = signalfd(-1, signals, SFD_CLOEXEC);
	if (wait[0].fd < 0)
		return fail_with("", -errno);
	while (!status && (info.ssi_signo == 0 || info.ssi_signo == SIGHUP)) {
		wait[1].fd = agent->loader ? start_thread__fd(agent->loader) : -1;
		if (poll(wait, 2, -1) < 0 && errno != EINTR) {
			status = fail_with("", -errno);
		} else if (wait[0].revents & POLLIN) {
			if (read(wait[0].fd, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
			    info.ssi_signo == SIGHUP)
				reload(agent);
		} else if (wait[1].revents & POLLIN) {
			status = started(agent);
		}
	}
	if (!status)
		log_info("stopping", "signal=%s", sigabbrev_np((int)info.ssi_signo));
	close(wait[0].fd);
	return status;
}

/* Blocked in all threads; the main one waits for them. */
static void take_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	/* A record beyond the limit of its file's size is an error of write(2), too. */
	(void)signal(SIGXFSZ, SIG_IGN);
	/* Ignored, it would be inherited from whoever started the agent, and no exit status be
	 * seen. */
	(void)signal(SIGCHLD, SIG_DFL);
}

int agent__main(int argc, char **argv)
{
	struct agent agent = {0};
	struct reason error;
	enum log_level level;
	int status;
	sigset_t signals;

	if (agent_config__load(&agent.config, argc, argv, &error)) {
		(void)fprintf(stderr, "dirtyscope agent: %s\n", error.text);
		agent_config__free(&agent.config);
		return STATUS_USAGE;
	}
	if (agent.config.help)
		return show_help();
	if (log__parse_level(agent.config.log_level, &level)) {
		(void)fprintf(stderr,
			      "dirtyscope agent: --log.level: \"%s\" is none of debug, info, warn, "
			      "error\n",
			      agent.config.log_level);
		return STATUS_USAGE;
	}
	log__set_level(level);
	take_signals(&signals);
	status = agent.config.replay ? start_replay(&agent) : start(&agent);
	if (status == STATUS_DONE)
		status = serve_until_signal(&agent, &signals);
	stop(&agent);
	return status;
}
