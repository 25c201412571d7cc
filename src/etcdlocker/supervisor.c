#include "etcdlocker/supervisor.h"

#include "base/duration.h"
#include "child/descriptors.h"
#include "child/spawn.h"
#include "child/tree.h"
#include "child/tty.h"
#include "etcdlocker/environment.h"
#include "etcdlocker/outcome.h"
#include "etcdlocker/states.h"
#include "lock/etcdlock.h"
#include "net/loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* The sentinel acts this long after our own deadline: a quarter of the smallest margin. */
#define SENTINEL_LAG (50 * NSEC_PER_MSEC)

/* SIGKILL again after this, for what was forked meanwhile; twice as long each time up to the second. */
#define KILL_PAUSE_FIRST (10 * NSEC_PER_MSEC)
#define KILL_PAUSE_LAST (500 * NSEC_PER_MSEC)

/* An exec takes milliseconds; so long signals are held back for it. */
#define EXEC_LIMIT NSEC_PER_SEC

/* More than two such pauses. */
#define KILL_HEARTBEAT (1500 * NSEC_PER_MSEC)

/* What is not dead by then sleeps in the kernel, and no signal will reach it. */
#define KILL_PATIENCE (10 * NSEC_PER_SEC)

struct supervisor {
	const struct supervisor_setup *setup;
	const struct options *options;
	const struct logger *log;
	enum sup_state state;
	struct outcome outcome;
	char leftover[640]; /* what could not be released */
	struct loop *loop;
	struct etcdlock_client *client;
	struct etcdlock *lock;
	struct tree tree;
	bool tree_empty, killing, exec_hangs;
	int signal_fd, report_fd;
	struct tty tty;
	struct event *signal_event, *report_event, *lifeline_event;
	int stop_signal; /* the last stop signal that we got; 0: none */
	struct timer grace, kill, exec_limit;
	nsec kill_pause, kill_limit;
};

static void handle(struct supervisor *sup, enum sup_event event);

/* --- what the sentinel is told --- */

/* By when the tree must be dead. */
static void
publish(const struct supervisor *sup)
{
	/* Everything has got its SIGKILL. That some of it takes long to die is no reason for the sentinel to kill us
	 * too, as long as we go on. */
	nsec kill_by = sup->killing ? clock_now() + KILL_HEARTBEAT : etcdlock_deadline(sup->lock);

	beacon_set(sup->setup->link, kill_by + SENTINEL_LAG);
}

/* What we have in etcd. */
static void
publish_key(const struct supervisor *sup)
{
	beacon_set_key(sup->setup->link, etcdlock_owner_key(sup->lock), etcdlock_create_revision(sup->lock));
}

/* --- actions --- */

static void
stop_holding_back(struct supervisor *sup)
{
	timer_disarm(sup->loop, &sup->exec_limit);
	event_add(sup->lifeline_event, NULL);
}

/* An exec that takes so long hangs, on a network file system perhaps: signals count again. */
static void
on_exec_limit(void *arg)
{
	struct supervisor *sup = arg;

	sup->exec_hangs = true;
	stop_holding_back(sup);
}

static void
set_state(struct supervisor *sup, enum sup_state state, enum sup_event event)
{
	if (state == sup->state)
		return;
	log_msg(sup->log, LEVEL_DEBUG, "%s -> %s (%s)", states_name(sup->state), states_name(state),
	    states_event_name(event));
	/* Signals are held back until the exec: before, nobody knows which program would get them. */
	if (state == SUP_STARTING)
		event_del(sup->lifeline_event);
	else if (sup->state == SUP_STARTING)
		stop_holding_back(sup);
	sup->state = state;
}

static void
start_failed(struct supervisor *sup, const char *what, int errnum)
{
	outcome_set(&sup->outcome, CAUSE_NOT_STARTED, 0, "cannot start '%.200s': %s: %s", sup->options->command[0],
	    what, strerror(errnum));
	handle(sup, EV_START_FAILED);
}

static void
close_report(struct supervisor *sup)
{
	if (sup->report_event != NULL)
		event_free(sup->report_event);
	sup->report_event = NULL;
	if (sup->report_fd != -1)
		close(sup->report_fd);
	sup->report_fd = -1;
}

/* Reads what the child says about its exec, if it has said it by now. */
static void
read_report(struct supervisor *sup)
{
	struct spawn_failure failure;
	ssize_t len;

	if (sup->report_fd == -1)
		return;
	len = read(sup->report_fd, &failure, sizeof(failure));
	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	close_report(sup);
	if (len == sizeof(failure)) {
		start_failed(sup, spawn_stage_text(failure.stage), failure.errnum);
		return;
	}
	descriptors_close_inherited();
	/* Our working directory would keep a file system busy that COMMAND may want to unmount. */
	if (chdir("/") == -1)
		log_errno(sup->log, LEVEL_DEBUG, errno, "cannot change to /");
	handle(sup, EV_STARTED);
}

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_report(arg);
}

static void
act_start(struct supervisor *sup)
{
	struct spawn spawn = {
		.argv = sup->options->command, .signals = sup->setup->signals, .cgroup = &sup->setup->cgroup, .tty = -1
	};
	char **environment = environment_new(
	    etcdlock_revision(sup->lock), etcdlock_owner_key(sup->lock), etcdlock_create_revision(sup->lock));
	int errnum = ENOMEM;

	spawn.tty = tty_for_start(&sup->tty);
	if (environment != NULL) {
		spawn.envp = environment;
		sup->tree.leader = spawn_start(&spawn, &sup->report_fd);
		errnum = errno;
		environment_free(environment);
	}
	if (environment == NULL || sup->tree.leader == -1) {
		sup->tree.leader = 0;
		start_failed(sup, "making a process for it", errnum);
		handle(sup, EV_TREE_EMPTY);
		return;
	}
	atomic_store(&sup->setup->link->shared->leader, sup->tree.leader);
	timer_arm(sup->loop, &sup->exec_limit, clock_now() + EXEC_LIMIT);
	sup->report_event = loop_event(sup->loop, sup->report_fd, EV_READ, PRIORITY_IO, on_report, sup);
	if (sup->report_event == NULL || event_add(sup->report_event, NULL) == -1) {
		/* It runs, or will: end it as we would for a lost lock. */
		outcome_set(&sup->outcome, CAUSE_NOT_STARTED, 0, "no memory to watch the command");
		handle(sup, EV_LOST);
	}
}

static void
act_stop(struct supervisor *sup)
{
	bool told = sup->stop_signal != 0 && sup->outcome.cause == CAUSE_TOLD;
	/* The lock goes on being renewed while we obey a stop signal: the full grace. A lock that expires leaves less.
	 */
	nsec grace = told ? sup->options->grace : sup->options->timing.grace_ms * NSEC_PER_MSEC;

	tree_signal_leader(&sup->tree, told ? sup->stop_signal : sup->options->signal, true);
	timer_arm(sup->loop, &sup->grace, clock_add(clock_now(), grace));
}

static void
act_sweep(struct supervisor *sup)
{
	if (sup->tree_empty)
		return;
	log_msg(sup->log, LEVEL_DEBUG, "the command has left processes behind");
	tree_signal_all(&sup->tree, sup->options->signal);
	tree_signal_all(&sup->tree, SIGCONT);
	if (!timer_armed(&sup->grace))
		timer_arm(sup->loop, &sup->grace, clock_add(clock_now(), sup->options->grace));
}

static void
act_kill(struct supervisor *sup)
{
	timer_disarm(sup->loop, &sup->grace);
	tree_signal_all(&sup->tree, SIGKILL);
	sup->kill_pause = KILL_PAUSE_FIRST;
	sup->kill_limit = clock_now() + KILL_PATIENCE;
	sup->killing = true;
	publish(sup);
	timer_arm(sup->loop, &sup->kill, clock_now() + sup->kill_pause);
}

static void
on_kill(void *arg)
{
	struct supervisor *sup = arg;
	char span[DURATION_TEXT];

	if (clock_now() >= sup->kill_limit) {
		outcome_set(&sup->outcome, CAUSE_NOT_KILLED, 0,
		    "something that the command started cannot be killed (for %s): the lock is not released, its lease "
		    "ends by itself",
		    duration_text(KILL_PATIENCE, span));
		handle(sup, EV_UNKILLABLE);
		return;
	}
	tree_signal_all(&sup->tree, SIGKILL);
	if (sup->kill_pause < KILL_PAUSE_LAST)
		sup->kill_pause *= 2;
	publish(sup);
	timer_arm(sup->loop, &sup->kill, clock_now() + sup->kill_pause);
}

static void
act_release(struct supervisor *sup)
{
	timer_disarm(sup->loop, &sup->grace);
	timer_disarm(sup->loop, &sup->kill);
	tty_on_ended(&sup->tty);
	beacon_set(sup->setup->link, 0);
	/* An acquisition that has just failed is giving up by itself: its event is coming. */
	(void)etcdlock_unlock(sup->lock);
}

static void
perform(struct supervisor *sup, enum sup_action action)
{
	switch (action) {
	case ACT_NONE:
		break;
	case ACT_START:
		act_start(sup);
		break;
	case ACT_STOP:
		act_stop(sup);
		break;
	case ACT_FORWARD:
		tree_signal_leader(&sup->tree, sup->stop_signal, true);
		break;
	case ACT_SWEEP:
		act_sweep(sup);
		break;
	case ACT_KILL:
		act_kill(sup);
		break;
	case ACT_RELEASE:
		act_release(sup);
		break;
	case ACT_EXIT:
		event_base_loopbreak(loop_base(sup->loop));
		break;
	}
}

static void
handle(struct supervisor *sup, enum sup_event event)
{
	struct sup_step step = states_step(sup->state, event);

	set_state(sup, step.next, event);
	/* Last, for an action may bring the next event. */
	perform(sup, step.action);
}

/* --- what COMMAND does --- */

static void
on_command_ended(struct supervisor *sup, int status)
{
	char name[SIGNAL_NAME];

	tty_on_ended(&sup->tty);
	/* One that is gone has said before whether its exec worked. */
	read_report(sup);
	if (WIFSIGNALED(status))
		outcome_set(&sup->outcome, CAUSE_KILLED, WTERMSIG(status), "the command was killed by signal %s",
		    signal_name(WTERMSIG(status), name));
	else
		outcome_set(&sup->outcome, CAUSE_EXITED, WEXITSTATUS(status), "the command exited with %d",
		    WEXITSTATUS(status));
}

static void
reap(struct supervisor *sup)
{
	enum tree_news news;
	bool ended = false;
	int status;

	while ((news = tree_wait(&sup->tree, &status)) != TREE_NOTHING && news != TREE_EMPTY) {
		if (news == TREE_LEADER) {
			on_command_ended(sup, status);
			ended = true;
		} else if (news == TREE_STOPPED) {
			if (tty_on_stopped(&sup->tty, WSTOPSIG(status)))
				log_msg(sup->log, LEVEL_NOTICE,
				    "the command goes on: stopped, it would keep the lock from others");
		}
	}
	sup->tree_empty = news == TREE_EMPTY;
	if (ended)
		handle(sup, EV_COMMAND_ENDED);
	if (sup->tree_empty)
		handle(sup, EV_TREE_EMPTY);
}

static void
on_grace_over(void *arg)
{
	handle(arg, EV_GRACE_OVER);
}

/* --- signals --- */

static bool
is_stop_signal(const struct supervisor *sup, int signo)
{
	/* Ignored since before us: whoever started us wanted it to do nothing. */
	if (sigismember(&sup->setup->signals->ignored, signo) == 1)
		return false;
	return signo == SIGTERM || signo == SIGINT || signo == SIGQUIT ||
	    (signo == SIGHUP && sup->state == SUP_ACQUIRING);
}

static void
on_one_signal(struct supervisor *sup, int signo)
{
	bool again = sup->stop_signal != 0;
	char name[SIGNAL_NAME];

	log_msg(sup->log, LEVEL_DEBUG, "got signal %s", signal_name(signo, name));
	if (is_stop_signal(sup, signo)) {
		sup->stop_signal = signo;
		outcome_set(&sup->outcome, CAUSE_TOLD, signo, "ended by signal %s", signal_name(signo, name));
		handle(sup, again ? EV_STOP_AGAIN : EV_STOP);
		return;
	}
	if (signo == SIGCONT)
		tree_signal_all(&sup->tree, signo);
	else
		tree_signal_leader(&sup->tree, signo, false);
}

/* Of what comes to ourselves only the end of a child counts: the sentinel gets all others, and passes them on. */
static void
on_signals(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		continue;
	reap(arg);
}

/* Signals that the sentinel passes on, or its end: then nobody guards the tree any more, and nobody would see how we
 * end. */
static void
on_lifeline(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *sup = arg;
	unsigned char signo;
	ssize_t len = -1;

	(void)what;
	/* Held back from the start of COMMAND until its exec: stop reading in the middle, too. */
	while ((sup->state != SUP_STARTING || sup->exec_hangs) && (len = read(fd, &signo, 1)) == 1)
		on_one_signal(sup, signo);
	if (len != 0)
		return;
	event_del(sup->lifeline_event);
	outcome_set(&sup->outcome, CAUSE_TOLD, SIGKILL, "our main process was killed: killing the command");
	handle(sup, sup->state == SUP_ACQUIRING ? EV_STOP : EV_LOST);
}

/* --- the lock --- */

static void
say_queue(const struct supervisor *sup)
{
	const char *holder = etcdlock_holder(sup->lock);
	long ahead = etcdlock_ahead(sup->lock);

	if (!sup->options->verbose && !isatty(STDERR_FILENO))
		return;
	log_msg(sup->log, LEVEL_NOTICE, "waiting for %s: held by %s, %ld ahead of us", sup->options->key,
	    holder[0] != '\0' ? holder : "a client without an id", ahead);
}

static void
on_refused(struct supervisor *sup)
{
	const char *error = etcdlock_error(sup->lock);

	if (etcdlock_failure(sup->lock) == ETCDLOCK_FAILURE_CONFLICT)
		outcome_set(&sup->outcome, CAUSE_CONFLICT, sup->options->conflict_code, "lock %.200s not acquired: %s",
		    sup->options->key, error);
	else
		outcome_set(
		    &sup->outcome, CAUSE_NOT_ACQUIRED, 0, "lock %.200s not acquired: %s", sup->options->key, error);
	handle(sup, EV_NOT_ACQUIRED);
}

static void
on_lock(struct etcdlock *lock, enum etcdlock_event event, void *arg)
{
	struct supervisor *sup = arg;

	switch (event) {
	case ETCDLOCK_QUEUE:
		publish_key(sup);
		say_queue(sup);
		break;
	case ETCDLOCK_ACQUIRED:
		publish_key(sup);
		/* A loss may be on its way already, so near to the acquisition: then its event is the next one. */
		if (etcdlock_deadline(lock) != 0)
			publish(sup);
		handle(sup, EV_ACQUIRED);
		break;
	case ETCDLOCK_RENEWED:
		if (etcdlock_deadline(lock) != 0 && sup->state < SUP_RELEASING && !sup->killing)
			publish(sup);
		break;
	case ETCDLOCK_EXPIRING:
	case ETCDLOCK_DROPPED:
		outcome_set(
		    &sup->outcome, CAUSE_LOST, 0, "lock %.200s lost: %s", sup->options->key, etcdlock_error(lock));
		handle(sup, event == ETCDLOCK_DROPPED ? EV_LOST : EV_EXPIRING);
		break;
	case ETCDLOCK_REFUSED:
		publish_key(sup);
		on_refused(sup);
		break;
	case ETCDLOCK_RELEASED:
		publish_key(sup);
		if (etcdlock_failure(lock) != ETCDLOCK_FAILURE_NONE)
			snprintf(sup->leftover, sizeof(sup->leftover), "lock %.200s %s", sup->options->key,
			    etcdlock_error(lock));
		handle(sup, EV_RELEASED);
		break;
	}
}

/* --- set-up --- */

static struct event *
add_event(struct supervisor *sup, int fd, enum loop_priority priority, event_callback_fn callback)
{
	struct event *event = loop_event(sup->loop, fd, EV_READ, priority, callback, sup);

	if (event != NULL && event_add(event, NULL) == -1) {
		event_free(event);
		event = NULL;
	}
	return event;
}

/* Returns 0, or -1 with the outcome set. */
static int
set_up(struct supervisor *sup)
{
	const struct options *options = sup->options;
	char why[256] = "no memory or descriptors";

	timer_init(&sup->grace, on_grace_over, sup);
	timer_init(&sup->kill, on_kill, sup);
	timer_init(&sup->exec_limit, on_exec_limit, sup);
	sup->signal_fd = signals_open();
	sup->loop = loop_new(NULL);
	tty_init(&sup->tty, sup->loop, &sup->tree);
	if (sup->signal_fd == -1 || sup->loop == NULL)
		goto fail;
	sup->signal_event = add_event(sup, sup->signal_fd, PRIORITY_DEADLINE, on_signals);
	sup->lifeline_event = add_event(sup, sup->setup->link->lifeline[0], PRIORITY_DEADLINE, on_lifeline);
	if (sup->signal_event == NULL || sup->lifeline_event == NULL)
		goto fail;
	sup->client = etcdlock_client_new(
	    loop_base(sup->loop), options->endpoints, sup->log->write, sup->log->arg, why, sizeof(why));
	if (sup->client == NULL)
		goto fail;
	sup->lock = etcdlock_new(sup->client, options->key, options->id, &options->timing, on_lock, sup);
	if (sup->lock == NULL || etcdlock_set_renewal(sup->lock, options->renewal) == -1)
		goto fail;
	return 0;

fail:
	outcome_set(&sup->outcome, CAUSE_NOT_ACQUIRED, 0, "%s", why);
	return -1;
}

static void
tear_down(struct supervisor *sup)
{
	/* The sentinel would do it, too, if it lives. */
	cgroup_remove(&sup->setup->cgroup);
	etcdlock_free(sup->lock);
	etcdlock_client_free(sup->client);
	close_report(sup);
	if (sup->signal_event != NULL)
		event_free(sup->signal_event);
	if (sup->lifeline_event != NULL)
		event_free(sup->lifeline_event);
	loop_free(sup->loop);
	if (sup->signal_fd != -1)
		close(sup->signal_fd);
	tty_close(&sup->tty);
}

/* One line, whatever there is to say. */
static void
say_outcome(const struct supervisor *sup)
{
	const char *line = outcome_line(&sup->outcome);

	/* A lease that has run out needs no release. */
	if (line != NULL && (sup->leftover[0] == '\0' || sup->outcome.cause == CAUSE_LOST))
		log_msg(sup->log, LEVEL_ERROR, "%s", line);
	else if (sup->leftover[0] != '\0')
		log_msg(sup->log, LEVEL_WARNING, "%s%s%s", line == NULL ? "" : line, line == NULL ? "" : "; ",
		    sup->leftover);
}

int
supervisor_run(const struct supervisor_setup *setup)
{
	struct supervisor sup = { .setup = setup,
		.options = setup->options,
		.log = setup->log,
		.tree = { .cgroup = &setup->cgroup, .log = setup->log },
		.signal_fd = -1,
		.report_fd = -1,
		.tty = { .fd = -1 } };

	if (tree_adopt() == -1 || beacon_attach(setup->link) == -1)
		outcome_set(&sup.outcome, CAUSE_NOT_ACQUIRED, 0, "cannot guard a command: %s", strerror(errno));
	else if (set_up(&sup) == 0 && etcdlock_lock(sup.lock) == 0)
		event_base_dispatch(loop_base(sup.loop));
	say_outcome(&sup);
	tear_down(&sup);
	return outcome_code(&sup.outcome);
}
