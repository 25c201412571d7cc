#include "etcdlocker/supervisor_act.h"

#include "base/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* An impatient user waits so long for a release that is under way: a slow etcd needs as much. */
#define HURRY_LIMIT (2 * NSEC_PER_SEC)

/* An exec takes milliseconds; so long signals are held back for it. */
#define EXEC_LIMIT NSEC_PER_SEC

void
supervisor_guard(struct supervisor *sup)
{
	deadman_set(sup->setup->deadman, sup->heartbeat > sup->deadline ? sup->heartbeat : sup->deadline);
}

void
supervisor_guard_until(struct supervisor *sup, nsec deadline)
{
	sup->deadline = deadline;
	supervisor_guard(sup);
}

static void
act_start(struct supervisor *sup)
{
	struct environment environment = { 0 };

	environment_set(&environment, "ETCD_LOCK_REV=%" PRId64, etcdlock_revision(sup->lock));
	environment_set(&environment, "ETCD_LOCK_OWNER_KEY=%s", etcdlock_owner_key(sup->lock));
	environment_set(&environment, "ETCD_LOCK_CREATE_REV=%" PRId64, etcdlock_create_revision(sup->lock));
	restart_started(&sup->restarts);
	sup->exec_hangs = false;
	timer_arm(sup->loop, &sup->exec_limit, clock_now() + EXEC_LIMIT);
	command_start(&sup->command, &environment);
	environment_free(&environment);
}

int
supervisor_rewritten(const struct supervisor *sup, int signo)
{
	int to = sup->options->rewrite[signo];

	return to == 0 ? signo : to - 1;
}

static void
act_stop(struct supervisor *sup)
{
	bool told = sup->stop_signal != 0 && sup->outcome.cause == CAUSE_TOLD;
	/* A lock that expires leaves less time than a lock that goes on being renewed. */
	bool expiring = sup->outcome.cause == CAUSE_LOST;

	command_stop(&sup->command, told ? supervisor_rewritten(sup, sup->stop_signal) : sup->options->signal,
	    expiring ? etcdlock_config_ms(sup->options->config, "grace") * NSEC_PER_MSEC : sup->options->grace);
}

/* DEADLINE is the lease's, where the lock is kept to start COMMAND again; 0: there is nothing to guard. */
static void
all_is_dead(struct supervisor *sup, nsec deadline)
{
	command_reset(&sup->command);
	sup->heartbeat = 0;
	supervisor_guard_until(sup, deadline);
}

static void
act_sweep(struct supervisor *sup)
{
	command_sweep(&sup->command, sup->outcome.cause != CAUSE_EXITED && sup->outcome.cause != CAUSE_KILLED);
}

static void
act_release(struct supervisor *sup)
{
	all_is_dead(sup, 0);
	if (!sup->options->relock)
		command_dismiss(&sup->command);
	/* An acquisition that has just failed is giving up by itself: its event is coming. */
	(void)etcdlock_unlock(sup->lock);
}

/* What has ended is told now, for the next end has a cause of its own. */
static void
act_pause(struct supervisor *sup, bool relock)
{
	const char *line = sup->outcome.text;
	nsec pause = restart_pause(&sup->restarts, relock);
	char span[DURATION_TEXT];

	service_ended(sup->setup->service, "%s; %s in %s", line,
	    relock ? "waiting for the lock again" : "starting it again", duration_text(pause, span));
	log_msg(sup->log, LEVEL_NOTICE, "%s%s%s; %s in %s", line, sup->leftover[0] == '\0' ? "" : "; ", sup->leftover,
	    relock ? "waiting for the lock again" : "starting it again", duration_text(pause, span));
	sup->outcome = (struct outcome){ 0 };
	sup->leftover[0] = '\0';
	timer_arm(sup->loop, &sup->pause, clock_now() + pause);
}

static void
act_acquire(struct supervisor *sup)
{
	if (etcdlock_lock(sup->lock) == -1) {
		outcome_set(
		    &sup->outcome, CAUSE_NOT_ACQUIRED, 0, "cannot wait for the lock again: %s", strerror(errno));
		task_post(sup->loop, &sup->not_asked);
	}
}

void
supervisor_perform(struct supervisor *sup, enum sup_action action)
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
		keeper_signal(&sup->command.keeper, supervisor_rewritten(sup, sup->stop_signal), true);
		break;
	case ACT_SWEEP:
		act_sweep(sup);
		break;
	case ACT_KILL:
		command_kill(&sup->command);
		break;
	case ACT_PAUSE:
		all_is_dead(sup, etcdlock_deadline(sup->lock));
		act_pause(sup, false);
		break;
	case ACT_RELEASE:
		act_release(sup);
		break;
	case ACT_HURRY:
		if (!timer_armed(&sup->hurry))
			timer_arm(sup->loop, &sup->hurry, clock_now() + HURRY_LIMIT);
		break;
	case ACT_REST:
		atomic_store(&sup->setup->deadman->shared->held, false);
		act_pause(sup, true);
		break;
	case ACT_ACQUIRE:
		act_acquire(sup);
		break;
	case ACT_EXIT:
		loop_stop(sup->loop);
		break;
	}
}
