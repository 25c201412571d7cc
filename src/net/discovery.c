#include "net/discovery.h"

#include "base/sigmask.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names that have moved are found so soon; a name server is asked no more often. */
#define PAUSE NSEC_PER_SEC

/* One look-up. Its thread and the loop share it; the last of the two frees it. */
struct job {
	_Atomic int owners;
	char *domain;
	bool only_https;
	int done[2]; /* a pipe: [1] is the thread's, and closed when ANSWER is complete */
	struct srv_answer answer;
};

struct discovery {
	struct loop *loop;
	char *domain;
	bool only_https;
	void (*found)(void *arg, const struct srv_answer *answer);
	void *arg;
	struct job *job;
	struct loop_event *readable;
	struct timer again;
	nsec asked;
};

static void
job_leave(struct job *job)
{
	if (atomic_fetch_sub(&job->owners, 1) > 1)
		return;
	free(job->domain);
	free(job);
}

static void *
look(void *arg)
{
	struct job *job = arg;
	int done = job->done[1];

	srv_lookup(job->domain, job->only_https, &job->answer);
	close(done);
	job_leave(job);
	return NULL;
}

static void
drop_job(struct discovery *discovery)
{
	if (discovery->job == NULL)
		return;
	loop_event_free(discovery->readable);
	close(discovery->job->done[0]);
	job_leave(discovery->job);
	discovery->job = NULL;
}

static void
on_done(int fd, short what, void *arg)
{
	struct discovery *discovery = arg;
	struct srv_answer answer = discovery->job->answer;

	(void)fd;
	(void)what;
	drop_job(discovery);
	discovery->found(discovery->arg, &answer);
}

/* No signal is for the thread. Returns 0, or an errno. */
static int
start_thread(struct job *job)
{
	sigset_t all, before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	(void)sigmask_change(SIG_BLOCK, &all, &before);
	error = pthread_create(&thread, NULL, look, job);
	(void)sigmask_change(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_detach(thread);
	return error;
}

static void
begin(void *arg)
{
	struct discovery *discovery = arg;
	struct job *job = calloc(1, sizeof(*job));

	discovery->asked = clock_now();
	if (job == NULL)
		return;
	job->owners = 2;
	job->only_https = discovery->only_https;
	job->domain = strdup(discovery->domain);
	if (job->domain == NULL || pipe2(job->done, O_CLOEXEC | O_NONBLOCK) == -1)
		goto fail;
	discovery->job = job;
	discovery->readable = loop_watch(discovery->loop, job->done[0], EV_READ, PRIORITY_REST, on_done, discovery);
	if (discovery->readable != NULL && start_thread(job) == 0)
		return;
	if (discovery->readable != NULL)
		loop_event_free(discovery->readable);
	discovery->job = NULL;
	close(job->done[0]);
	close(job->done[1]);

fail:
	job->owners = 1;
	job_leave(job);
}

void
discovery_look(struct discovery *discovery)
{
	nsec at = discovery->asked == 0 ? 0 : discovery->asked + PAUSE;

	if (discovery->job != NULL || timer_armed(&discovery->again))
		return;
	if (clock_now() < at)
		timer_arm(discovery->loop, &discovery->again, at);
	else
		begin(discovery);
}

struct discovery *
discovery_new(struct loop *loop, const char *domain, bool only_https,
    void (*found)(void *arg, const struct srv_answer *answer), void *arg)
{
	struct discovery *discovery = calloc(1, sizeof(*discovery));

	if (discovery == NULL)
		return NULL;
	discovery->loop = loop;
	discovery->only_https = only_https;
	discovery->found = found;
	discovery->arg = arg;
	timer_init(&discovery->again, begin, discovery);
	discovery->domain = strdup(domain);
	if (discovery->domain != NULL)
		return discovery;
	free(discovery);
	return NULL;
}

void
discovery_free(struct discovery *discovery)
{
	if (discovery == NULL)
		return;
	timer_disarm(discovery->loop, &discovery->again);
	drop_job(discovery);
	free(discovery->domain);
	free(discovery);
}
