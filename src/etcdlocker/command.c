#include "etcdlocker/command.h"

#include "base/duration.h"
#include "base/strbuf.h"
#include "child/descriptors.h"
#include "child/sys.h"
#include "child/tree.h"
#include "etcdlocker/restart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* So often the keeper, which kills without a pause, is asked whether it does. */
#define KILL_PAUSE (100 * NSEC_PER_MSEC)

/* And where there is no keeper any more. */
#define KILL_PAUSE_ALONE (5 * NSEC_PER_MSEC)

/* A keeper that does not answer for so long is held up, by an exec that hangs perhaps: then it has to go, COMMAND goes
 * with it (PR_SET_PDEATHSIG), and the rest is ours to kill. */
#define KEEPER_SILENCE NSEC_PER_SEC

/* So many of the dead are reaped before we look at anything else. */
#define REAP_MOST 256

/* What lives so long after the lock was lost cannot be killed, and nothing is left to wait for. */
#define KILL_PATIENCE (10 * NSEC_PER_SEC)

/* By then the first request is under way. */
#define CGROUP_DELAY NSEC_PER_MSEC

/* Reports an event that has no text. */
static void
post(struct command *command, enum command_what what)
{
	command_events_post(&command->events, what, "%s", "");
}

/* --- start --- */

static void
make_cgroup(struct command *command)
{
	int number = cgroup_make(&command->setup->cgroup);

	atomic_store(&command->setup->deadman->shared->cgroup, number);
	if (number == 0)
		log_msg(command->log, LEVEL_DEBUG, "no cgroup of our own to put the command into");
}

static void
on_cgroup(void *arg)
{
	make_cgroup(arg);
}

static void
start_failed(struct command *command, const char *what, int errnum)
{
	const struct options *options = command->setup->options;
	const char *hint = "";

	if (errnum == EMFILE || errnum == ENFILE)
		hint = " (ulimit -n)";
	else if (errnum == ENOENT && options->ping == PING_WAY_NODE)
		hint = "; ETCD_LOCK_NODE=/path/to/node says where it is";
	command_events_post(&command->events, COMMAND_NOT_STARTED, "cannot start '%.200s': %s: %s%s",
	    options->command[0], what, strerror(errnum), hint);
}

/* What was for COMMAND and is not for us: unless it may be started again. */
static void
let_go(const struct command *command)
{
	if (!restart_runs_once(command->setup->options))
		return;
	descriptors_close_inherited();
	/* Our working directory would keep a file system busy that COMMAND might want to unmount. */
	if (chdir("/") == -1)
		log_errno(command->log, LEVEL_DEBUG, errno, "cannot change to /");
}

static void
on_heard(void *arg, const char *message)
{
	struct command *command = arg;

	pinger_hear(&command->pinger, message);
	command->heard(command->arg, message);
}

/* Whether COMMAND has somebody to talk to. */
static bool
is_listening(const struct command *command)
{
	const struct setup *setup = command->setup;

	return setup->options->ping == PING_WAY_NOTIFY || setup->options->ready_child ||
	    setup->service->address_len > 0;
}

static void
on_ping_failed(void *arg, const char *why)
{
	struct command *command = arg;

	command_events_post(&command->events, COMMAND_PING_FAILED, "%s", why);
}

/* What COMMAND's environment gets from us beside the lock's. */
static void
set_variables(const struct command *command, struct environment *environment)
{
	pinger_set_variables(&command->pinger, environment);
	if (command->listener.address[0] != '\0')
		environment_set(environment, "NOTIFY_SOCKET=%s", command->listener.address);
	if (!command->setup->listening)
		return;
	/* Our pidfd's number, which would say that the sockets are not COMMAND's. */
	environment_set(environment, "LISTEN_PIDFDID");
	environment_set_pid(environment, "LISTEN_PID");
}

/* Returns 0, or -1 with errno. */
static int
order_start(struct command *command, struct environment *environment)
{
	struct keeper_start start = { .environment = environment,
		.pass = command->pinger.far,
		.pass_count = command->pinger.far_count,
		.cgroup = command->setup->cgroup.dir };

	set_variables(command, environment);
	if (environment->failed) {
		errno = ENOMEM;
		return -1;
	}
	start.number = ++command->number;
	atomic_store(&command->setup->deadman->shared->wanted, start.number);
	start.tty = tty_for_start(&command->tty);
	return keeper_start(&command->keeper, &start);
}

void
command_start(struct command *command, struct environment *environment)
{
	if (timer_armed(&command->cgroup)) {
		timer_disarm(command->loop, &command->cgroup);
		make_cgroup(command);
	}
	if (command->cgroup_worn && command->setup->cgroup.dir != -1)
		atomic_store(&command->setup->deadman->shared->cgroup, cgroup_make_anew(&command->setup->cgroup));
	errno = ENOMEM;
	if ((is_listening(command) && notify_open(&command->listener, command->loop) == -1) ||
	    pinger_open(&command->pinger, command->loop, command->log) == -1 ||
	    order_start(command, environment) == -1) {
		start_failed(command, "ordering it", errno);
		post(command, COMMAND_TREE_EMPTY);
		return;
	}
	command->begun = true;
	pinger_handed_over(&command->pinger);
}

static void
pinger_init(struct command *command)
{
	const struct options *options = command->setup->options;

	command->pinger = (struct pinger){ .way = options->ping,
		.period = etcdlock_config_ms(options->config, "refresh") * NSEC_PER_MSEC,
		.limit = etcdlock_config_ms(options->config, "ttl") * NSEC_PER_MSEC,
		.failed = on_ping_failed,
		.arg = command };
	command->pinger.start_limit = options->ping_start > 0 ? options->ping_start : command->pinger.limit;
}

/* --- end --- */

static void
on_grace_over(void *arg)
{
	struct command *command = arg;

	post(command, COMMAND_GRACE_OVER);
}

void
command_stop(struct command *command, int signo, nsec grace)
{
	pinger_quiet(&command->pinger);
	keeper_signal(&command->keeper, signo, true);
	timer_arm(command->loop, &command->grace, clock_add(clock_now(), grace));
}

/* A user who puts a job into the background expects it to go on; of a command that was told to end nobody expects it.
 */
static void
say_left_behind(const struct command *command, bool told)
{
	const struct tree_spared spared = { .alone = command->keeper.pid };
	struct tree_survivor left;
	char others[48] = "", name[SIGNAL_NAME];

	if (!tree_find_survivor(&spared, &left))
		return;
	if (left.others > 0)
		snprintf(others, sizeof(others), " and %zu more", left.others);
	log_msg(command->log, told ? LEVEL_DEBUG : LEVEL_NOTICE,
	    "the command has ended and left process %d (%s)%s behind, which gets %s: what is to go on must stay in the "
	    "foreground (setsid -w, a daemon's foreground option)",
	    (int)left.pid, left.name, others, signal_name(command->setup->options->signal, name));
}

void
command_sweep(struct command *command, bool told)
{
	const struct options *options = command->setup->options;

	if (!command->begun)
		return;
	say_left_behind(command, told);
	keeper_signal_all(&command->keeper, options->signal);
	keeper_signal_all(&command->keeper, SIGCONT);
	if (!timer_armed(&command->grace))
		timer_arm(command->loop, &command->grace, clock_add(clock_now(), options->grace));
}

static void
kill_once(struct command *command)
{
	const bool alone = command->keeper.pid == 0;

	cgroup_kill(&command->setup->cgroup);
	if (alone) {
		(void)tree_kill(NULL);
	} else {
		keeper_kill(&command->keeper);
		/* Should the keeper be held up, at least COMMAND itself is dead. */
		tree_kill_one(atomic_load(&command->setup->deadman->shared->leader), command->keeper.pid);
	}
	/* The sentinel is to leave us alone as long as we go on, though some processes take long to die. */
	post(command, COMMAND_KILLING);
	timer_arm(command->loop, &command->kill, clock_now() + (alone ? KILL_PAUSE_ALONE : KILL_PAUSE));
}

void
command_lock_lost(struct command *command)
{
	/* Where nothing of COMMAND is left, a loss means nothing to it: the next start is under another acquisition. */
	if (command->begun)
		command->lost_at = clock_now();
}

void
command_kill(struct command *command)
{
	pinger_quiet(&command->pinger);
	timer_disarm(command->loop, &command->grace);
	/* The keeper would not tell that nothing is left, for it has started nothing. */
	if (!command->begun) {
		post(command, COMMAND_TREE_EMPTY);
		return;
	}
	command->killing = true;
	/* An order to start that has not been read yet comes too late. */
	atomic_store(&command->setup->deadman->shared->wanted, 0);
	command->answered = clock_now();
	patience_begin(&command->patience);
	kill_once(command);
}

/* What lives on, and what becomes of the lock. */
static void
say_survivor(struct command *command)
{
	const struct tree_spared spared = { .alone = command->keeper.pid };
	struct tree_survivor survivor;
	char others[48] = "";

	if (!patience_over(&command->patience) || !tree_find_survivor(&spared, &survivor))
		return;
	if (survivor.others > 0)
		snprintf(others, sizeof(others), ", nor can %zu more", survivor.others);
	log_msg(command->log, LEVEL_WARNING, "process %d (%s) cannot be killed%s: %s%s", (int)survivor.pid,
	    survivor.name, others, survivor.reason,
	    command->lost_at == 0 ? ". The lock is kept until all is dead"
				  : ". The lock is lost, so another command can start");
}

static void reap(struct command *command);
static void on_news(int fd, short what, void *arg);

static void
on_kill(void *arg)
{
	struct command *command = arg;
	nsec now = clock_now();
	char span[DURATION_TEXT];

	if (command->lost_at != 0 && now >= command->lost_at + KILL_PATIENCE) {
		command_events_post(&command->events, COMMAND_UNKILLABLE,
		    "something that the command started cannot be killed (for %s after the lock was lost): it may run beside "
		    "the next one",
		    duration_text(KILL_PATIENCE, span));
		return;
	}
	/* Its answer might be there already, where it is we that were held up. */
	on_news(command->keeper.socket, EV_READ, command);
	if (!command->begun)
		return;
	say_survivor(command);
	if (command->keeper.pid != 0 && now >= command->answered + KEEPER_SILENCE)
		sys_kill(command->keeper.pid, SIGKILL);
	/* With the kernel reaping, nothing else tells of the end. */
	if (command->keeper.pid == 0)
		reap(command);
	if (command->begun)
		kill_once(command);
}

void
command_reset(struct command *command)
{
	timer_disarm(command->loop, &command->grace);
	timer_disarm(command->loop, &command->kill);
	tty_on_ended(&command->tty);
	tty_close(&command->tty);
	notify_close(&command->listener);
	pinger_close(&command->pinger);
	pinger_init(command);
	command->tty.leader = command->leader = 0;
	command->cgroup_worn = command->killing;
	command->begun = command->killing = command->unsent_said = false;
	atomic_store(&command->setup->deadman->shared->wanted, 0);
	command->lost_at = 0;
	atomic_store(&command->setup->deadman->shared->leader, 0);
}

void
command_dismiss(struct command *command)
{
	if (command->news_event != NULL)
		loop_event_free(command->news_event);
	command->news_event = NULL;
	keeper_dismiss(&command->keeper);
}

/* --- what it does --- */

static void
on_emptied(struct command *command)
{
	if (!command->begun)
		return;
	command->begun = false;
	timer_disarm(command->loop, &command->kill);
	post(command, COMMAND_TREE_EMPTY);
}

static void
on_leader_ended(struct command *command, int status, bool emptied)
{
	command_events_post_fact(&command->events, COMMAND_ENDED, status, tty_typed(&command->tty, status));
	tty_on_ended(&command->tty);
	pinger_quiet(&command->pinger);
	command->leader = 0;
	/* Then there is nothing to sweep. */
	if (emptied)
		on_emptied(command);
}

static void
say_stopped(struct command *command, int signo)
{
	char name[SIGNAL_NAME];

	if (command->killing)
		return;
	if (tty_on_stopped(&command->tty, signo))
		log_msg(command->log, LEVEL_NOTICE, "the command goes on: stopped, it would keep the lock from others");
	else if (signo != SIGTTIN && signo != SIGTTOU)
		log_msg(command->log, LEVEL_NOTICE,
		    "the command was stopped by signal %s, and keeps the lock from others until it gets CONT",
		    signal_name(signo, name));
}

static void
say_unsent(struct command *command, const struct keeper_news *news)
{
	char name[SIGNAL_NAME];

	if (command->unsent_said)
		return;
	command->unsent_said = true;
	log_errno(command->log, LEVEL_WARNING, news->failure.errnum, "cannot send %s to the command, process %d",
	    signal_name(news->status, name), (int)news->pid);
}

static void
on_started(struct command *command, pid_t pid)
{
	command->tty.leader = command->leader = command->listener.command = pid;
	let_go(command);
	post(command, COMMAND_STARTED);
	if (!command->killing)
		pinger_start(&command->pinger);
}

static void
on_one_piece_of_news(struct command *command, const struct keeper_news *news)
{
	switch (news->what) {
	case KEEPER_STARTED:
		on_started(command, news->pid);
		break;
	case KEEPER_FAILED:
		start_failed(command, spawn_stage_text(news->failure.stage), news->failure.errnum);
		break;
	case KEEPER_ENDED:
		on_leader_ended(command, news->status, news->emptied);
		break;
	case KEEPER_STOPPED:
		say_stopped(command, WSTOPSIG(news->status));
		break;
	case KEEPER_UNSENT:
		say_unsent(command, news);
		break;
	case KEEPER_ALIVE:
		command->answered = clock_now();
		break;
	case KEEPER_EMPTIED:
		on_emptied(command);
		break;
	}
}

static void
on_news(int fd, short what, void *arg)
{
	struct command *command = arg;
	struct keeper_news news;
	int got = -1;

	(void)fd;
	(void)what;
	while (command->news_event != NULL && (got = keeper_read(&command->keeper, &news)) == 1)
		on_one_piece_of_news(command, &news);
	/* Its end is told by wait(2). */
	if (command->news_event != NULL && got == -1)
		loop_event_del(command->news_event);
}

/* The keeper is dead; COMMAND is, too (PR_SET_PDEATHSIG), and the processes that are left have become ours. */
static void
on_keeper_ended(struct command *command)
{
	const bool dismissed = command->keeper.socket == -1;

	/* What it has said before counts. */
	if (!dismissed)
		on_news(command->keeper.socket, EV_READ, command);
	command->keeper.pid = 0;
	atomic_store(&command->setup->deadman->shared->keeper, 0);
	if (dismissed)
		return;
	/* Of what it has left nobody wants to know how it ended. */
	tree_leave_dead(true);
	command_events_post_fact(&command->events, COMMAND_KEEPER_LOST, command->begun, 0);
}

static void
reap(struct command *command)
{
	bool keeper = false;
	int status, count = 0;
	pid_t pid = 0;

	while (count++ < REAP_MOST && ((pid = sys_wait(&status, WNOHANG)) > 0 || (pid == -1 && errno == EINTR)))
		keeper = keeper || pid == command->keeper.pid;
	if (keeper)
		on_keeper_ended(command);
	if (pid == -1 && command->keeper.pid == 0 && command->begun)
		on_emptied(command);
}

/* Of what comes to ourselves only the end of a child counts: the sentinel gets all others, and passes them on. */
static void
on_child(int fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		continue;
	reap(arg);
}

/* --- set-up --- */

int
command_init(struct command *command, struct setup *setup, struct loop *loop, const struct keeper *keeper,
    void (*run)(void *arg), void *arg)
{
	command->setup = setup;
	command->log = setup->log;
	command->loop = loop;
	command->keeper = *keeper;
	command->child_fd = -1;
	command_events_init(&command->events, loop, run, arg);
	pinger_init(command);
	command->listener = (struct notify){ .heard = on_heard, .arg = command };
	if (setup->options->ping == PING_WAY_NOTIFY)
		command->listener.dir = setup->deadman->shared->private_dir;
	timer_init(&command->grace, on_grace_over, command);
	timer_init(&command->kill, on_kill, command);
	timer_init(&command->cgroup, on_cgroup, command);
	timer_arm(loop, &command->cgroup, clock_now() + CGROUP_DELAY);
	tty_init(&command->tty, loop, &command->keeper, setup->home);
	command->news_event = loop_watch(loop, command->keeper.socket, EV_READ, PRIORITY_DEADLINE, on_news, command);
	command->child_fd = signals_open();
	if (command->child_fd == -1 || command->news_event == NULL)
		return -1;
	command->child_event = loop_watch(loop, command->child_fd, EV_READ, PRIORITY_DEADLINE, on_child, command);
	return command->child_event == NULL ? -1 : 0;
}

void
command_free(struct command *command)
{
	if (command->setup == NULL)
		return;
	command_events_clear(&command->events);
	command_dismiss(command);
	notify_close(&command->listener);
	pinger_close(&command->pinger);
	if (command->child_event != NULL)
		loop_event_free(command->child_event);
	if (command->child_fd != -1)
		close(command->child_fd);
	tty_close(&command->tty);
	/* The keeper takes a moment to go; a keeper that still has something to kill stays. */
	if (command->keeper.pid != 0 && !command->begun) {
		sys_kill(command->keeper.pid, SIGCONT);
		(void)waitpid(command->keeper.pid, NULL, 0);
		atomic_store(&command->setup->deadman->shared->keeper, 0);
	}
	/* The sentinel would do it, too, if it lives. */
	if (command->setup->cgroup.dir != -1)
		cgroup_remove(&command->setup->cgroup);
}
