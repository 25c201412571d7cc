#include "etcdlocker/supervisor.h"

#include "child/tree.h"
#include "etcdlocker/supervisor_act.h"
#include "etcdlocker/waiting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The same stop signal again so soon is the same one: timeout(1) sends it to us, and then to our group. */
#define SIGNAL_ECHO NSEC_PER_SEC

/* A round of killing takes some 100 ms: the next one has begun by then, or we are held up. */
#define KILL_HEARTBEAT (1500 * NSEC_PER_MSEC)

/* --- what the sentinel is told --- */

/* What we have in etcd. */
static void
publish_key(const struct supervisor *sup)
{
	deadman_set_key(sup->setup->deadman, etcdlock_owner_key(sup->lock), etcdlock_create_revision(sup->lock));
}

/* --- states --- */

/* What a change of state is to the service manager. */
static void
tell_service(struct supervisor *sup, enum sup_state state)
{
	struct service *service = sup->setup->service;

	if (state == SUP_RUNNING)
		service_started(service, !sup->options->ready_child, "holding %.200s since revision %" PRId64,
		    sup->options->key, etcdlock_revision(sup->lock));
	else if (sup->outcome.cause == CAUSE_TOLD || state == SUP_DONE)
		service_stopping(service, sup->outcome.text);
}

static void
stop_holding_back(struct supervisor *sup)
{
	timer_disarm(sup->loop, &sup->exec_limit);
	(void)loop_event_add(sup->lifeline_event);
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
		loop_event_del(sup->lifeline_event);
	else if (sup->state == SUP_STARTING)
		stop_holding_back(sup);
	sup->state = state;
	tell_service(sup, state);
}

/* An end after which COMMAND is started again, or with RELOCKS the lock waited for again, is no cause of ours: what
 * comes before that is. A CAUSE_TOLD that is set after this gives way to nothing: nothing is started any more. */
static void
supersede(struct supervisor *sup, bool relocks)
{
	if (restart_is_due(&sup->restarts, &sup->outcome) ||
	    (relocks && restart_relock_is_due(&sup->restarts, &sup->outcome)))
		sup->outcome = (struct outcome){ 0 };
}

static void
set_lost(struct supervisor *sup)
{
	supersede(sup, false);
	outcome_set(&sup->outcome, CAUSE_LOST, 0, "lock %.200s lost: %s", sup->options->key, etcdlock_error(sup->lock));
}

static void
handle(struct supervisor *sup, enum sup_event event)
{
	struct sup_step step;

	if (event == EV_TREE_EMPTY && restart_is_due(&sup->restarts, &sup->outcome)) {
		/* Where the lock was lost a moment ago, its event is still to come. */
		if (etcdlock_deadline(sup->lock) != 0)
			event = EV_TREE_EMPTY_RESTART;
		else
			set_lost(sup);
	} else if ((event == EV_RELEASED || event == EV_NOT_ACQUIRED) &&
	    restart_relock_is_due(&sup->restarts, &sup->outcome))
		event = EV_RELOCK;
	step = states_step(sup->state, event);
	set_state(sup, step.next, event);
	supervisor_perform(sup, step.action);
}

/* --- COMMAND --- */

static void
on_ended(struct supervisor *sup, int status, int typed)
{
	char name[SIGNAL_NAME];

	if (WIFSIGNALED(status))
		outcome_set(&sup->outcome, CAUSE_KILLED, WTERMSIG(status), "the command was killed by signal %s",
		    signal_name(WTERMSIG(status), name));
	else
		outcome_set(&sup->outcome, CAUSE_EXITED, WEXITSTATUS(status), "the command exited with %d",
		    WEXITSTATUS(status));
	/* A user who types Ctrl-C does not want COMMAND started again. */
	if (typed != 0) {
		supersede(sup, true);
		outcome_set(
		    &sup->outcome, CAUSE_TOLD, typed, "ended by signal %s from the terminal", signal_name(typed, name));
	}
	handle(sup, EV_COMMAND_ENDED);
}

/* Without a keeper nothing can be started any more. What it had is killed. */
static void
on_keeper_lost(struct supervisor *sup, bool begun)
{
	supersede(sup, true);
	outcome_set(&sup->outcome, CAUSE_TOLD, SIGKILL, "our keeper process was killed%s",
	    begun ? ": killing the command" : "");
	handle(sup, begun ? EV_LOST : EV_STOP);
}

static void
on_command_event(struct supervisor *sup, const struct command_event *event)
{
	switch (event->what) {
	case COMMAND_STARTED:
		handle(sup, EV_STARTED);
		break;
	case COMMAND_NOT_STARTED:
		outcome_set(&sup->outcome, CAUSE_NOT_STARTED, 0, "%s", event->text);
		handle(sup, EV_START_FAILED);
		break;
	case COMMAND_PING_FAILED:
		outcome_set(&sup->outcome, CAUSE_PING, 0, "the command %s", event->text);
		handle(sup, EV_PING_FAILED);
		break;
	case COMMAND_ENDED:
		on_ended(sup, event->status, event->typed);
		break;
	case COMMAND_GRACE_OVER:
		handle(sup, EV_GRACE_OVER);
		break;
	case COMMAND_TREE_EMPTY:
		handle(sup, EV_TREE_EMPTY);
		break;
	case COMMAND_KILLING:
		sup->heartbeat = clock_now() + KILL_HEARTBEAT;
		supervisor_guard(sup);
		break;
	case COMMAND_UNKILLABLE:
		outcome_set(&sup->outcome, CAUSE_NOT_KILLED, 0, "%s", event->text);
		handle(sup, EV_UNKILLABLE);
		break;
	case COMMAND_KEEPER_LOST:
		on_keeper_lost(sup, event->status != 0);
		break;
	}
}

/* Nothing else is on the stack. */
static void
on_command(void *arg)
{
	struct supervisor *sup = arg;
	struct command_event event;

	while (command_events_next(&sup->command.events, &event))
		on_command_event(sup, &event);
}

/* What COMMAND says to the service manager. */
static void
on_heard(void *arg, const char *message)
{
	struct supervisor *sup = arg;

	service_pass(sup->setup->service, message, sup->options->ready_child);
}

/* Half the period, as sd_watchdog_enabled(3) advises. */
static void
on_watchdog(void *arg)
{
	struct supervisor *sup = arg;

	service_watchdog(sup->setup->service);
	timer_arm(sup->loop, &sup->watchdog, clock_now() + sup->setup->service->watchdog / 2);
}

static void
on_hurry_over(void *arg)
{
	struct supervisor *sup = arg;

	snprintf(sup->leftover, sizeof(sup->leftover), "lock %.200s not released in time, its lease ends by itself",
	    sup->options->key);
	handle(sup, EV_HURRY_OVER);
}

static void
on_not_asked(void *arg)
{
	handle(arg, EV_NOT_ACQUIRED);
}

static void
on_pause_over(void *arg)
{
	handle(arg, EV_PAUSE_OVER);
}

/* --- signals --- */

static bool
is_stop_signal(const struct supervisor *sup, int signo)
{
	/* It was ignored when we were started: our parent wanted it to do nothing. */
	if (sigismember(&sup->setup->signals->ignored, signo) == 1)
		return false;
	if (signo == SIGTERM || signo == SIGINT || signo == SIGQUIT)
		return true;
	if (sup->state == SUP_ACQUIRING || sup->state == SUP_RESTING)
		return signal_ends_waiter(signo);
	/* Where there is no COMMAND to pass it on to, HUP is one, too. */
	return signo == SIGHUP && sup->command.leader == 0;
}

static void
on_one_signal(struct supervisor *sup, int signo)
{
	const nsec now = clock_now();
	bool again = sup->stop_signal != 0;
	char name[SIGNAL_NAME];

	log_msg(sup->log, LEVEL_DEBUG, "got signal %s", signal_name(signo, name));
	if (is_stop_signal(sup, signo)) {
		/* When a terminal goes, the kernel says so, and a shell says it again: nobody is impatient. */
		if (again && (signo == SIGHUP || (signo == sup->stop_signal && now < sup->stopped_at + SIGNAL_ECHO)))
			return;
		sup->stop_signal = signo;
		sup->stopped_at = now;
		supersede(sup, true);
		outcome_set(&sup->outcome, CAUSE_TOLD, signo, "ended by signal %s", signal_name(signo, name));
		handle(sup, again ? EV_STOP_AGAIN : EV_STOP);
		return;
	}
	signo = supervisor_rewritten(sup, signo);
	if (signo == SIGCONT)
		keeper_signal_all(&sup->command.keeper, signo);
	else if (signo != 0)
		keeper_signal(&sup->command.keeper, signo, false);
}

/* Signals that the sentinel passes on, or its end: then nobody guards the tree any more, and nobody would see how we
 * end. */
static void
on_lifeline(int fd, short what, void *arg)
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
	loop_event_del(sup->lifeline_event);
	supersede(sup, true);
	outcome_set(&sup->outcome, CAUSE_TOLD, SIGKILL, "our main process was killed: killing the command");
	handle(sup, sup->state == SUP_ACQUIRING || sup->state == SUP_RESTING ? EV_STOP : EV_LOST);
}

/* --- the lock --- */

static void
refuse_parent(struct supervisor *sup)
{
	outcome_set(&sup->outcome, CAUSE_NOT_ACQUIRED, 0,
	    "lock %.200s not acquired: the etcdlocker that runs us holds it itself (our own ETCD_LOCK_OWNER_KEY says so), and "
	    "would never end; use another -k inside of it",
	    sup->options->key);
	handle(sup, EV_STOP);
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
		if (sup->state == SUP_ACQUIRING && waiting_for_parent(sup->lock))
			refuse_parent(sup);
		else
			waiting_say(sup->setup, sup->lock, &sup->queue_said);
		break;
	case ETCDLOCK_ACQUIRED:
		publish_key(sup);
		if (sup->state != SUP_ACQUIRING)
			break;
		sup->queue_said = false;
		log_msg(sup->log, LEVEL_DEBUG, "lock %.200s acquired at revision %" PRId64, sup->options->key,
		    etcdlock_revision(lock));
		/* A loss might be on its way already, so near to the acquisition: then its event is the next one. */
		if (etcdlock_deadline(lock) != 0)
			supervisor_guard_until(sup, etcdlock_deadline(lock));
		handle(sup, EV_ACQUIRED);
		break;
	case ETCDLOCK_RENEWED:
		if (etcdlock_deadline(lock) != 0 && sup->state < SUP_RELEASING)
			supervisor_guard_until(sup, etcdlock_deadline(lock));
		break;
	case ETCDLOCK_EXPIRING:
	case ETCDLOCK_DROPPED:
		set_lost(sup);
		if (event == ETCDLOCK_DROPPED) {
			command_lock_lost(&sup->command);
			sup->deadline = 0;
		}
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
		else if (atomic_load(&sup->setup->deadman->shared->held) && sup->outcome.cause != CAUSE_LOST)
			log_msg(sup->log, LEVEL_DEBUG, "lock %.200s released", sup->options->key);
		handle(sup, EV_RELEASED);
		break;
	case ETCDLOCK_STATE:
		break;
	}
}

/* --- set-up --- */

/* Returns 0, or -1 with the outcome set. */
static int
set_up(struct supervisor *sup, const struct keeper *keeper)
{
	const struct options *options = sup->options;
	char why[256] = "no memory, or too few descriptors (ulimit -n)";
	const char *what;

	timer_init(&sup->exec_limit, on_exec_limit, sup);
	timer_init(&sup->hurry, on_hurry_over, sup);
	task_init(&sup->not_asked, on_not_asked, sup);
	timer_init(&sup->pause, on_pause_over, sup);
	timer_init(&sup->watchdog, on_watchdog, sup);
	restart_init(&sup->restarts, options);
	sup->loop = loop_new(NULL, &what);
	if (sup->loop == NULL)
		snprintf(why, sizeof(why), "cannot start: %s: %s", what, strerror(errno));
	if (sup->loop == NULL)
		goto fail;
	sup->lifeline_event =
	    loop_watch(sup->loop, sup->setup->deadman->lifeline[0], EV_READ, PRIORITY_DEADLINE, on_lifeline, sup);
	if (sup->lifeline_event == NULL ||
	    command_init(&sup->command, sup->setup, sup->loop, keeper, on_command, sup) == -1)
		goto fail;
	sup->client = etcdlock_client_new(
	    loop_base(sup->loop), options->config, sup->log->write, sup->log->arg, why, sizeof(why));
	if (sup->client == NULL)
		goto fail;
	sup->lock = etcdlock_new(sup->client, options->config, on_lock, sup);
	if (sup->lock == NULL)
		goto fail;
	if (sup->setup->service->watchdog > 0)
		on_watchdog(sup);
	return 0;

fail:
	outcome_set(&sup->outcome, CAUSE_NOT_ACQUIRED, 0, "%s", why);
	return -1;
}

static void
tear_down(struct supervisor *sup)
{
	etcdlock_free(sup->lock);
	etcdlock_client_free(sup->client);
	command_free(&sup->command);
	if (sup->lifeline_event != NULL)
		loop_event_free(sup->lifeline_event);
	loop_free(sup->loop);
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

/* Before any library is started: see keeper.h. Returns 0, or -1 with errno. */
static int
fork_keeper(struct setup *setup, struct keeper *keeper)
{
	const struct options *options = setup->options;
	struct keeper_setup needs = { .argv = options->command,
		.signals = setup->signals,
		.leader = &setup->deadman->shared->leader,
		.failure = &setup->deadman->shared->failure,
		.may_start = deadman_may_start,
		.arg = setup->deadman,
		.group = options->group,
		.once = restart_runs_once(options),
		.own_words = setup->words,
		.own_words_len = setup->words_len };

	if (keeper_fork(keeper, &needs) == -1)
		return -1;
	atomic_store(&setup->deadman->shared->keeper, keeper->pid);
	return 0;
}

int
supervisor_run(struct setup *setup)
{
	struct supervisor sup = { .setup = setup,
		.options = setup->options,
		.log = setup->log,
		.command = { .heard = on_heard, .arg = &sup } };
	struct keeper keeper = { .socket = -1 };

	if (tree_adopt() == -1 || deadman_attach(setup->deadman) == -1 || fork_keeper(setup, &keeper) == -1) {
		outcome_set(&sup.outcome, CAUSE_NOT_ACQUIRED, 0, "cannot guard a command: %s", strerror(errno));
		sup.state = SUP_DONE;
	} else if (set_up(&sup, &keeper) == -1 || etcdlock_lock(sup.lock) == -1) {
		sup.state = SUP_DONE;
	} else {
		loop_run(sup.loop);
	}
	/* Only with this word the sentinel believes our exit code. */
	if (sup.state == SUP_DONE)
		atomic_store(&setup->deadman->shared->done, true);
	say_outcome(&sup);
	tear_down(&sup);
	return outcome_code(&sup.outcome);
}
