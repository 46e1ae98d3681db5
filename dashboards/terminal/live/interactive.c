/* SPDX-License-Identifier: BSD-2-Clause */
#include "dashboards/terminal/live/interactive.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "dashboards/terminal/live/interactive_answers.h"
#include "dashboards/terminal/live/interactive_draw.h"
#include "dashboards/terminal/live/interactive_keys.h"
#include "dashboards/terminal/live/view.h"
#include "dashboards/terminal/tables/output.h"

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The list comes before the summary, which ends a refresh. One that is late is not asked twice. */
static void refresh(struct view *view)
{
	if (view->waits)
		return;
	view->waits = true;
	if (view->mode == MODE_DETAILS)
		view__ask(view, ASK_DETAILS, "GET", view->details.data, NULL);
	else
		view__ask_list(view);
	view__ask(view, ASK_SUMMARY, "GET", "/api/v1/summary", NULL);
}

static bool is_finished(const struct view *view)
{
	return view->quits ||
	       (view->options->iterations && view->refreshes >= view->options->iterations);
}

/* The signal that ends the view, or 0. */
static int take_signals(struct view *view, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH)
			return (int)info.ssi_signo;
		screen__resize(view->screen);
		pane__move(view__pane(view), 0, view__lines(view).rows);
		view__ask_list(view);
		view->dirty = true;
	}
	return 0;
}

static void take_keys(struct view *view)
{
	int key;

	while (!view->quits && (key = screen__key(view->screen)) != SCREEN_KEY_NONE)
		interactive__key(view, key);
}

static void take_answers(struct view *view)
{
	struct feed_answer answer;

	while (feed__next(view->feed, &answer))
		interactive__take_answer(view, &answer);
}

/* Until it is finished, or a signal comes, which is returned. */
static int loop(struct view *view, int signals)
{
	struct pollfd fds[] = {
		{.fd = signals, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = feed__fd(view->feed), .events = POLLIN},
	};
	double next = now();
	int number = 0;

	view->dirty = true;
	while (!number && !is_finished(view)) {
		double left = next - now();

		if (left <= 0 && !view->paused) {
			refresh(view);
			next = fmax(next + view->options->delay, now());
			continue;
		}
		if (view->dirty)
			interactive__draw(view);
		view->dirty = false;
		if (poll(fds, 3, view->paused ? -1 : (int)ceil(left * 1000)) < 0 && errno != EINTR)
			return 0;
		if (fds[0].revents)
			number = take_signals(view, signals);
		/* Always: a key may have come with a signal that ncurses handles. */
		take_keys(view);
		if (fds[2].revents)
			take_answers(view);
		/* The terminal is gone, though no signal came. */
		if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))
			number = SIGHUP;
	}
	return number;
}

static int open_signals(sigset_t *before)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	sigaddset(&signals, SIGWINCH);
	sigprocmask(SIG_BLOCK, &signals, before);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Ends the process by the signal that was blocked, so that its parent sees why it ended. */
static void end_by(int number, const sigset_t *before)
{
	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_SETMASK, before, NULL);
}

static void view__free(struct view *view)
{
	feed__free(view->feed);
	header__free(&view->header);
	text__free(&view->input);
	text__free(&view->search);
	text__free(&view->pager.text);
	text__free(&view->details);
	text__free(&view->tracked);
	json_decref(view->target);
}

int interactive__run(const struct interactive_options *options, struct client *client,
		     struct pane panes[PANES])
{
	struct view view = {.options = options, .panes = panes};
	const char *term = getenv("TERM");
	int signals, number = 0, err, status = STATUS_DONE;
	sigset_t before;

	signals = open_signals(&before);
	err = signals < 0 ? signals : feed__new(client, &view.feed);
	if (err) {
		status = output__fail(STATUS_FAILED, "cannot start: %s", strerror(-err));
		goto cleanup;
	}
	err = screen__open(options->colour, &view.screen);
	if (err == -ENOTSUP)
		status =
			output__fail(STATUS_FAILED,
				     "cannot draw on a terminal of the type '%s' (TERM); set TERM, "
				     "or use top --batch",
				     term ? term : "");
	else if (err)
		status = output__fail(STATUS_FAILED, "cannot start: %s", strerror(-err));
	if (err)
		goto cleanup;
	number = loop(&view, signals);
	/* At once: an answer may still be waited for. */
	screen__close(view.screen);
	if (view.trouble[0] && !view.quits && !number)
		status = output__fail(STATUS_FAILED, "%s", view.trouble);
cleanup:
	view__free(&view);
	if (signals >= 0)
		close(signals);
	if (number)
		end_by(number, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}
