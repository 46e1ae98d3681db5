/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/start_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define INTERRUPT SIGUSR1
/* One signal may come between two system calls and end neither. */
#define AGAIN_MS 5

struct start_thread {
	pthread_t thread;
	int (*run)(void *context);
	void *context;
	struct startup *startup;
	int done; /* eventfd */
	int status;
};

static void on_interrupt(int number)
{
}

static void *start_thread__main(void *context)
{
	struct start_thread *thread = context;
	sigset_t interrupt;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, INTERRUPT);
	pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL);
	thread->status = thread->run(thread->context);
	eventfd_write(thread->done, 1);
	return NULL;
}

int start_thread__new(int (*run)(void *context), void *context, struct startup *startup,
		      struct start_thread **out)
{
	/* Without SA_RESTART: a wait that is interrupted ends. */
	const struct sigaction action = {.sa_handler = on_interrupt};
	struct start_thread *thread = calloc(1, sizeof(*thread));
	int err = -ENOMEM;

	*out = NULL;
	if (!thread)
		return err;
	*thread = (struct start_thread){.run = run, .context = context, .startup = startup};
	thread->done = eventfd(0, EFD_CLOEXEC);
	err = thread->done < 0 || sigaction(INTERRUPT, &action, NULL) ? -errno : 0;
	if (!err)
		err = -pthread_create(&thread->thread, NULL, start_thread__main, thread);
	if (err) {
		if (thread->done >= 0)
			close(thread->done);
		free(thread);
		return err;
	}
	*out = thread;
	return 0;
}

int start_thread__fd(const struct start_thread *thread)
{
	return thread->done;
}

int start_thread__cancel(struct start_thread *thread, int timeout_ms)
{
	struct pollfd done = {.fd = thread->done, .events = POLLIN};

	startup__cancel(thread->startup);
	for (int waited = 0; waited < timeout_ms; waited += AGAIN_MS) {
		pthread_kill(thread->thread, INTERRUPT);
		if (poll(&done, 1, AGAIN_MS) == 1)
			return 0;
	}
	return -ETIMEDOUT;
}

int start_thread__finish(struct start_thread *thread)
{
	struct pollfd done = {.fd = thread->done, .events = POLLIN};

	while (poll(&done, 1, -1) != 1)
		if (startup__cancelled(thread->startup))
			(void)start_thread__cancel(thread, AGAIN_MS);
	return start_thread__join(thread);
}

int start_thread__join(struct start_thread *thread)
{
	int status;

	pthread_join(thread->thread, NULL);
	status = thread->status;
	close(thread->done);
	free(thread);
	return status;
}
