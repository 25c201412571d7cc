#include "etcdlocker/command.h"

#include "base/duration.h"
#include "base/strbuf.h"
#include "child/descriptors.h"
#include "child/spawn.h"

#include "etcdlocker/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* SIGKILL again after this, for what was forked meanwhile; twice as long each time up to the second. */
#define KILL_PAUSE_FIRST (10 * NSEC_PER_MSEC)
#define KILL_PAUSE_LAST (500 * NSEC_PER_MSEC)

/* More than two such pauses. */
#define KILL_HEARTBEAT (1500 * NSEC_PER_MSEC)

/* What is not dead by then sleeps in the kernel, and no signal will reach it. */
#define KILL_PATIENCE (10 * NSEC_PER_SEC)

/* What command_start() may be given. */
#define VARIABLES 8

/* By then the first request is under way. */
#define CGROUP_DELAY NSEC_PER_MSEC

static void
notify(struct command *command, enum sup_event event)
{
	command->notify(command->arg, event);
}

/* --- start --- */

static void
make_cgroup(struct command *command)
{
	if (cgroup_make(&command->setup->cgroup))
		atomic_store(&command->setup->link->shared->has_cgroup, true);
	else
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
	outcome_set(command->outcome, CAUSE_NOT_STARTED, 0, "cannot start '%.200s': %s: %s",
	    command->setup->options->command[0], what, strerror(errnum));
	notify(command, EV_START_FAILED);
}

static void
close_report(struct command *command)
{
	if (command->report_event != NULL)
		event_free(command->report_event);
	command->report_event = NULL;
	if (command->report_fd != -1)
		close(command->report_fd);
	command->report_fd = -1;
}

/* What was for COMMAND and is not for us: unless it may be started again. */
static void
let_go(const struct command *command)
{
	const struct options *options = command->setup->options;

	if (options->restart != RESTART_NEVER || options->relock)
		return;
	descriptors_close_inherited();
	/* Our working directory would keep a file system busy that COMMAND may want to unmount. */
	if (chdir("/") == -1)
		log_errno(command->log, LEVEL_DEBUG, errno, "cannot change to /");
}

/* Reads what the child says about its exec, if it has said it by now. */
static void
read_report(struct command *command)
{
	struct spawn_failure failure;
	ssize_t len;

	if (command->report_fd == -1)
		return;
	len = read(command->report_fd, &failure, sizeof(failure));
	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	close_report(command);
	if (len == sizeof(failure)) {
		start_failed(command, spawn_stage_text(failure.stage), failure.errnum);
		return;
	}
	let_go(command);
	notify(command, EV_STARTED);
	pinger_start(&command->pinger);
}

static void
on_report(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_report(arg);
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

	outcome_set(command->outcome, CAUSE_PING, 0, "the command %s", why);
	notify(command, EV_PING_FAILED);
}

/* The environment: VARIABLES, and what the ping channel needs. Returns the pid, or -1 with errno. */
static pid_t
spawn_command(struct command *command, char *const variables[], size_t count)
{
	struct spawn spawn = { .argv = command->setup->options->command,
		.signals = command->setup->signals,
		.cgroup = &command->setup->cgroup,
		.pass = command->pinger.far,
		.pass_count = command->pinger.far_count };
	char *changes[VARIABLES + PINGER_VARIABLES + 3], **environment = NULL;
	char listen_pid[sizeof("LISTEN_PID=") + SPAWN_PID] = "LISTEN_PID=", no_pidfd[] = "LISTEN_PIDFDID";
	size_t total = count;
	int own = pinger_variables(&command->pinger, changes);
	pid_t pid = -1;
	bool good = true;

	if (own >= 0 && command->listener.address[0] != '\0') {
		changes[own] = str_printf("NOTIFY_SOCKET=%s", command->listener.address);
		if (changes[own++] == NULL)
			good = false;
	}
	for (size_t i = 0; own >= 0 && i < count; i++)
		changes[(size_t)own + i] = variables[i];
	if (own >= 0 && command->setup->listening) {
		changes[(size_t)own + total++] = listen_pid;
		spawn.own_pid = listen_pid + strlen(listen_pid);
		/* Our pidfd's number, which would say that the sockets are not COMMAND's. */
		changes[(size_t)own + total++] = no_pidfd;
	}
	if (own >= 0 && good)
		environment = environment_new(changes, (size_t)own + total);
	spawn.envp = environment;
	spawn.tty = tty_for_start(&command->tty);
	errno = ENOMEM;
	if (environment != NULL)
		pid = spawn_start(&spawn, &command->report_fd);
	while (own > 0)
		free(changes[--own]);
	free(environment);
	return pid;
}

void
command_start(struct command *command, char *const variables[], size_t count)
{
	bool good = true;
	pid_t pid = -1;

	if (timer_armed(&command->cgroup)) {
		timer_disarm(command->loop, &command->cgroup);
		make_cgroup(command);
	}
	if (command->cgroup_worn && command->setup->cgroup.dir != -1)
		atomic_store(&command->setup->link->shared->has_cgroup, cgroup_make_anew(&command->setup->cgroup));
	errno = ENOMEM;
	for (size_t i = 0; i < count; i++)
		good = good && variables[i] != NULL;
	if (good && is_listening(command) && notify_open(&command->listener, command->loop) == -1)
		good = false;
	if (good && pinger_open(&command->pinger, command->loop, command->log) == 0)
		pid = spawn_command(command, variables, count);
	if (pid == -1) {
		start_failed(command, "making a process for it", errno);
		notify(command, EV_TREE_EMPTY);
		return;
	}
	pinger_handed_over(&command->pinger);
	command->listener.command = pid;
	command->tree.leader = pid;
	atomic_store(&command->setup->link->shared->leader, pid);
	command->report_event = loop_watch(command->loop, command->report_fd, EV_READ, PRIORITY_IO, on_report, command);
	if (command->report_event == NULL) {
		/* It runs, or will: end it as we would for a lost lock. */
		outcome_set(command->outcome, CAUSE_NOT_STARTED, 0, "no memory to watch the command");
		notify(command, EV_LOST);
	}
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
	notify(arg, EV_GRACE_OVER);
}

void
command_stop(struct command *command, int signo, nsec grace)
{
	pinger_quiet(&command->pinger);
	tree_signal_leader(&command->tree, signo, true);
	timer_arm(command->loop, &command->grace, clock_add(clock_now(), grace));
}

void
command_sweep(struct command *command)
{
	const struct options *options = command->setup->options;

	if (command->tree_empty)
		return;
	log_msg(command->log, LEVEL_DEBUG, "the command has left processes behind");
	tree_signal_all(&command->tree, options->signal);
	tree_signal_all(&command->tree, SIGCONT);
	if (!timer_armed(&command->grace))
		timer_arm(command->loop, &command->grace, clock_add(clock_now(), options->grace));
}

static void
kill_once(struct command *command)
{
	nsec now = clock_now();

	tree_signal_all(&command->tree, SIGKILL);
	/* That some of it takes long to die is no reason for the sentinel to kill us too, as long as we go on. */
	beacon_set(command->setup->link, now + KILL_HEARTBEAT);
	timer_arm(command->loop, &command->kill, now + command->kill_pause);
}

void
command_kill(struct command *command)
{
	pinger_quiet(&command->pinger);
	timer_disarm(command->loop, &command->grace);
	command->kill_pause = KILL_PAUSE_FIRST;
	command->kill_limit = clock_now() + KILL_PATIENCE;
	command->killing = true;
	kill_once(command);
}

static void
on_kill(void *arg)
{
	struct command *command = arg;
	char span[DURATION_TEXT];

	if (clock_now() >= command->kill_limit) {
		outcome_set(command->outcome, CAUSE_NOT_KILLED, 0,
		    "something that the command started cannot be killed (for %s): the lock is not released, its lease "
		    "ends by itself",
		    duration_text(KILL_PATIENCE, span));
		notify(command, EV_UNKILLABLE);
		return;
	}
	if (command->kill_pause < KILL_PAUSE_LAST)
		command->kill_pause *= 2;
	kill_once(command);
}

void
command_rest(struct command *command, nsec guard)
{
	timer_disarm(command->loop, &command->grace);
	timer_disarm(command->loop, &command->kill);
	tty_on_ended(&command->tty);
	tty_close(&command->tty);
	close_report(command);
	notify_close(&command->listener);
	pinger_close(&command->pinger);
	pinger_init(command);
	command->tree.leader = 0;
	command->tree.reaped = false;
	command->cgroup_worn = command->killing;
	command->tree_empty = command->killing = false;
	atomic_store(&command->setup->link->shared->leader, 0);
	beacon_set(command->setup->link, guard);
}

/* --- what it does --- */

static void
on_leader_ended(struct command *command, int status)
{
	char name[SIGNAL_NAME];

	command->typed = tty_typed(&command->tty, status);
	tty_on_ended(&command->tty);
	pinger_quiet(&command->pinger);
	/* One that is gone has said before whether its exec worked. */
	read_report(command);
	if (WIFSIGNALED(status))
		outcome_set(command->outcome, CAUSE_KILLED, WTERMSIG(status), "the command was killed by signal %s",
		    signal_name(WTERMSIG(status), name));
	else
		outcome_set(command->outcome, CAUSE_EXITED, WEXITSTATUS(status), "the command exited with %d",
		    WEXITSTATUS(status));
}

static void
say_stopped(struct command *command, int signo)
{
	char name[SIGNAL_NAME];

	if (tty_on_stopped(&command->tty, signo))
		log_msg(command->log, LEVEL_NOTICE, "the command goes on: stopped, it would keep the lock from others");
	else if (signo != SIGTTIN && signo != SIGTTOU)
		log_msg(command->log, LEVEL_NOTICE,
		    "the command was stopped by signal %s, and keeps the lock from others until it gets CONT",
		    signal_name(signo, name));
}

static void
reap(struct command *command)
{
	enum tree_news news;
	bool ended = false;
	int status;

	while ((news = tree_wait(&command->tree, &status)) != TREE_NOTHING && news != TREE_EMPTY) {
		if (news == TREE_LEADER) {
			on_leader_ended(command, status);
			ended = true;
		} else if (news == TREE_STOPPED) {
			say_stopped(command, WSTOPSIG(status));
		}
	}
	command->tree_empty = news == TREE_EMPTY;
	if (ended)
		notify(command, EV_COMMAND_ENDED);
	if (command->tree_empty)
		notify(command, EV_TREE_EMPTY);
}

/* Of what comes to ourselves only the end of a child counts: the sentinel gets all others, and passes them on. */
static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		continue;
	reap(arg);
}

/* --- set-up --- */

int
command_init(struct command *command, struct setup *setup, struct loop *loop)
{
	command->setup = setup;
	command->log = setup->log;
	command->loop = loop;
	command->tree = (struct tree){ .cgroup = &setup->cgroup, .log = setup->log };
	command->report_fd = -1;
	pinger_init(command);
	command->listener = (struct notify){ .heard = on_heard, .arg = command };
	timer_init(&command->grace, on_grace_over, command);
	timer_init(&command->kill, on_kill, command);
	timer_init(&command->cgroup, on_cgroup, command);
	timer_arm(loop, &command->cgroup, clock_now() + CGROUP_DELAY);
	tty_init(&command->tty, loop, &command->tree);
	command->child_fd = signals_open();
	if (command->child_fd == -1)
		return -1;
	command->child_event = loop_watch(loop, command->child_fd, EV_READ, PRIORITY_DEADLINE, on_child, command);
	return command->child_event == NULL ? -1 : 0;
}

void
command_free(struct command *command)
{
	if (command->setup == NULL)
		return;
	close_report(command);
	notify_close(&command->listener);
	pinger_close(&command->pinger);
	if (command->child_event != NULL)
		event_free(command->child_event);
	if (command->child_fd != -1)
		close(command->child_fd);
	tty_close(&command->tty);
	/* The sentinel would do it, too, if it lives. */
	if (command->setup->cgroup.dir != -1)
		cgroup_remove(&command->setup->cgroup);
}
