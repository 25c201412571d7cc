/* The keeper's process. */
#include "child/keeper.h"

#include "base/coverage.h"
#include "child/descriptors.h"
#include "child/environment.h"
#include "child/sys.h"
#include "child/tree.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* As ps(1) shows it: not what `killall etcdlocker` looks for. */
#define NAME "lock-keeper"

/* So many of the dead are reaped before we look at anything else. */
#define REAP_MOST 256

/* After so many rounds of killing the dead are left to the kernel. */
#define ROUNDS_REAPING 3

/* Between rounds of killing in which nothing died; twice as long each time. */
#define PAUSE_FIRST_MS 5
#define PAUSE_LAST_MS 500

struct process {
	struct keeper_setup setup;
	char **argv;
	int socket, child_fd;
	pid_t leader;          /* COMMAND, until it is reaped; 0 */
	bool busy;             /* something of the tree might be alive */
	bool killing;          /* round after round */
	bool progress;         /* something has died since the last one */
	bool kernel_reaps;     /* those that die now */
	bool orphaned;         /* the supervisor is gone */
	struct tree_pace pace; /* COMMAND's, while we hurry */
	int rounds;            /* so many were made */
	ssize_t found;         /* in the last round */
	int pause_ms;          /* until the next round, where nothing dies */
	char message[KEEPER_MESSAGE];
};

static void
tell(const struct process *keeper, struct keeper_news news)
{
	/* Waits while the supervisor does not read: it is stopped then, and has no orders either. */
	while (!keeper->orphaned && send(keeper->socket, &news, sizeof(news), MSG_NOSIGNAL) == -1 && errno == EINTR)
		continue;
}

/* Whether those that die from now on are reaped by the kernel. */
static void
leave_dead(struct process *keeper, bool to_kernel)
{
	if (keeper->kernel_reaps == to_kernel)
		return;
	keeper->kernel_reaps = to_kernel;
	tree_leave_dead(to_kernel);
	/* From then on somebody else might have its number. */
	keeper->leader = 0;
}

/* --- start --- */

/* What came with the order, in the order of struct keeper_order's fields. */
struct received {
	int fds[KEEPER_DESCRIPTORS];
	size_t count, taken;
};

static int
take(struct received *received, bool expected)
{
	return expected && received->taken < received->count ? received->fds[received->taken++] : -1;
}

/* An order outlives the supervisor that gave it, too. */
static bool
is_wanted(const struct process *keeper, int number)
{
	struct pollfd supervisor = { .fd = keeper->socket, .events = POLLIN };

	return poll(&supervisor, 1, 0) >= 0 && (supervisor.revents & POLLHUP) == 0 &&
	    keeper->setup.may_start(keeper->setup.arg, number);
}

static void
start_command(struct process *keeper, const struct keeper_order *order, size_t len, struct received *received)
{
	struct spawn_pass pass[2];
	struct spawn spawn = { .argv = keeper->argv,
		.signals = keeper->setup.signals,
		.cgroup = take(received, order->has_cgroup),
		.tty = take(received, order->has_tty),
		.pass = pass,
		.pass_count = order->pass_count,
		.leader = keeper->setup.leader,
		.pace = &keeper->pace,
		.failure = keeper->setup.failure };
	char *changes[ENVIRONMENT_CHANGES], *at = keeper->message + sizeof(*order), *end = keeper->message + len;
	char **environment;
	bool complete = true; /* no descriptor is missing */
	pid_t pid = -1;

	for (size_t i = 0; i < order->pass_count; i++) {
		pass[i] = (struct spawn_pass){ .from = take(received, true), .to = order->pass_to[i] };
		complete = complete && pass[i].from != -1;
	}
	for (size_t i = 0; i < order->count && at < end; i++) {
		changes[i] = at;
		at += strlen(at) + 1;
	}
	if (order->own_pid)
		spawn.own_pid = at - 1;
	environment = environment_block(changes, order->count);
	errno = ENOMEM;
	/* What there was to kill before this order is dead, or it would not have been given. */
	leave_dead(keeper, false);
	keeper->killing = false;
	if (environment != NULL && !is_wanted(keeper, order->number)) {
		errno = ECANCELED;
	} else if (!complete) {
		errno = EMFILE;
	} else if (environment != NULL) {
		errno = 0;
		spawn.envp = environment;
		pid = spawn_start(&spawn);
	}
	if (pid == -1)
		*keeper->setup.failure = (struct spawn_failure){ .stage = SPAWN_PROCESS, .errnum = errno };
	free(environment);
	keeper->busy = true;
	if (keeper->setup.failure->errnum != 0) {
		atomic_store(keeper->setup.leader, 0);
		tell(keeper, (struct keeper_news){ .what = KEEPER_FAILED, .failure = *keeper->setup.failure });
		return;
	}
	keeper->leader = pid;
	tell(keeper, (struct keeper_news){ .what = KEEPER_STARTED, .pid = pid });
	if (!keeper->setup.once)
		return;
	descriptors_close_inherited();
	/* Our working directory would keep a file system busy that COMMAND might want to unmount. */
	if (chdir("/") == -1)
		return;
}

/* --- orders --- */

static void
signal_leader(const struct process *keeper, const struct keeper_order *order)
{
	bool sent = false;

	/* It is ours to reap: as long as we have not, the number is its own. */
	if (keeper->leader == 0)
		return;
	if (keeper->setup.group && sys_kill(-keeper->leader, order->signo) == 0)
		sent = true;
	/* It might have left its group. */
	if (!sent && sys_kill(keeper->leader, order->signo) == -1 && errno != ESRCH)
		tell(keeper,
		    (struct keeper_news){ .what = KEEPER_UNSENT,
			.pid = keeper->leader,
			.status = order->signo,
			.failure.errnum = errno });
	if (order->asks_to_end)
		sys_kill(keeper->setup.group ? -keeper->leader : keeper->leader, SIGCONT);
}

/* The group first: that is at once, whatever /proc is like. */
static void
signal_all(const struct process *keeper, int signo)
{
	if (keeper->leader != 0)
		sys_kill(-keeper->leader, signo);
	if (tree_signal(NULL, signo) == -1 && keeper->leader == 0 && atomic_load(keeper->setup.leader) > 0)
		sys_kill(-atomic_load(keeper->setup.leader), signo);
}

static void
begin_killing(struct process *keeper)
{
	if (keeper->killing)
		return;
	keeper->killing = keeper->progress = true;
	keeper->pause_ms = PAUSE_FIRST_MS;
	keeper->rounds = 0;
}

static void
carry_out(struct process *keeper, size_t len, struct received *received)
{
	struct keeper_order order;

	memcpy(&order, keeper->message, sizeof(order));
	switch (order.verb) {
	case KEEPER_START:
		start_command(keeper, &order, len, received);
		break;
	case KEEPER_SIGNAL:
		signal_leader(keeper, &order);
		break;
	case KEEPER_SIGNAL_ALL:
		signal_all(keeper, order.signo);
		break;
	case KEEPER_KILL:
		begin_killing(keeper);
		tell(keeper, (struct keeper_news){ .what = KEEPER_ALIVE });
		break;
	}
}

/* Above every descriptor that COMMAND is to have of ORDER's, so that none is overwritten before its turn. */
static int
floor_of(const struct keeper_order *order)
{
	int floor = STDERR_FILENO;

	for (size_t i = 0; i < order->pass_count; i++)
		if (order->pass_to[i] > floor)
			floor = order->pass_to[i];
	return floor;
}

static void
receive_descriptors(struct msghdr *header, int floor, struct received *received)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0);
		     at + sizeof(int) <= part->cmsg_len && received->count < KEEPER_DESCRIPTORS; at += sizeof(int)) {
			int fd;

			memcpy(&fd, (char *)part + at, sizeof(fd));
			received->fds[received->count++] = descriptors_move_above(fd, floor);
		}
	}
}

/* Reads one order and carries it out. False where there is none for now. */
static bool
read_order(struct process *keeper)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * KEEPER_DESCRIPTORS)];
		struct cmsghdr align;
	} control;
	struct iovec data = { keeper->message, sizeof(keeper->message) - 1 };
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct received received = { .count = 0 };
	struct keeper_order order;
	ssize_t len = recvmsg(keeper->socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (len < (ssize_t)sizeof(struct keeper_order)) {
		/* The supervisor is gone: nothing of the tree may live on. */
		keeper->orphaned = true;
		if (keeper->busy)
			begin_killing(keeper);
		return false;
	}
	memcpy(&order, keeper->message, sizeof(order));
	receive_descriptors(&header, floor_of(&order), &received);
	keeper->message[len] = '\0';
	carry_out(keeper, (size_t)len, &received);
	for (size_t i = 0; i < received.count; i++)
		close(received.fds[i]);
	return true;
}

/* --- the loop --- */

/* Returns whether there are more. */
static bool
reap(struct process *keeper)
{
	struct keeper_news ended = { .what = KEEPER_ENDED };
	enum tree_news news;
	int status, count = 0;

	/* Some at a time, where they may die as fast as we reap; a heap that does not grow any more goes as a whole. */
	while ((news = tree_wait(keeper->leader, &status)) != TREE_NOTHING && news != TREE_EMPTY &&
	    (keeper->kernel_reaps || count++ < REAP_MOST)) {
		if (news == TREE_STOPPED) {
			tell(keeper, (struct keeper_news){ .what = KEEPER_STOPPED, .status = status });
			continue;
		}
		keeper->progress = true;
		if (news != TREE_LEADER)
			continue;
		ended.pid = keeper->leader;
		ended.status = status;
		keeper->leader = 0;
	}
	if (ended.pid != 0) {
		ended.emptied = news == TREE_EMPTY;
		tell(keeper, ended);
	} else if (news == TREE_EMPTY && keeper->busy) {
		tell(keeper, (struct keeper_news){ .what = KEEPER_EMPTIED });
	}
	if (news == TREE_EMPTY) {
		leave_dead(keeper, false);
		keeper->busy = keeper->killing = false;
	}
	return news != TREE_NOTHING && news != TREE_EMPTY;
}

/* Returns how long to sleep after it, as poll(2) has it. */
static int
kill_round(struct process *keeper)
{
	ssize_t found;

	if (!keeper->killing)
		return -1;
	if (keeper->progress)
		keeper->pause_ms = PAUSE_FIRST_MS;
	else if (keeper->pause_ms < PAUSE_LAST_MS)
		keeper->pause_ms *= 2;
	keeper->progress = false;
	/* It was not done quickly, and whatever COMMAND's status is now, it is no cause of anything. */
	if (++keeper->rounds > ROUNDS_REAPING)
		leave_dead(keeper, true);
	if (keeper->leader != 0)
		sys_kill(-keeper->leader, SIGKILL);
	/* Without /proc, what has left the group is reached by nothing. */
	found = keeper->kernel_reaps ? tree_kill(NULL) : tree_kill_children(NULL);
	(void)reap(keeper);
	if (!keeper->killing)
		return -1;
	/* Dead, but somebody who traces it has not waited for it: there is nothing left that could run. */
	if (keeper->kernel_reaps && tree_is_dead(NULL)) {
		keeper->busy = keeper->killing = false;
		leave_dead(keeper, false);
		tell(keeper, (struct keeper_news){ .what = KEEPER_EMPTIED });
		return -1;
	}
	/* Where the kernel reaps, it is seen by what is left that something has died. */
	keeper->progress = keeper->progress || found != keeper->found;
	keeper->found = found;
	return keeper->progress ? 0 : keeper->pause_ms;
}

static void
drain(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		continue;
}

_Noreturn static void
leave(int code)
{
	coverage_record();
	_exit(code);
}

_Noreturn static void
keep(struct process *keeper)
{
	bool behind = false;

	for (;;) {
		int pause_ms = kill_round(keeper);
		struct pollfd fds[] = {
			{ .fd = keeper->orphaned ? -1 : keeper->socket, .events = POLLIN },
			{ .fd = keeper->child_fd, .events = POLLIN },
		};

		if (keeper->orphaned && !keeper->busy)
			leave(KEEPER_EMPTY);
		/* An error is EINTR or a shortage that goes by: we look at everything anyway. */
		(void)poll(fds, 2, behind ? 0 : pause_ms);
		drain(keeper->child_fd);
		while (!keeper->orphaned && read_order(keeper))
			continue;
		behind = reap(keeper);
	}
}

/* COMMAND's words out of our command line, which is to be overwritten, in one piece. NULL where memory is short. */
static char **
copy_command(char *const *argv)
{
	size_t count = 0, size = sizeof(char *);
	char **copy, *text;

	for (; argv[count] != NULL; count++)
		size += sizeof(char *) + strlen(argv[count]) + 1;
	copy = malloc(size);
	if (copy == NULL)
		return NULL;
	text = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		copy[i] = text;
		text = stpcpy(text, argv[i]) + 1;
	}
	copy[count] = NULL;
	return copy;
}

/* For ps(1), and so that nobody takes us for the others by our name or our command line. */
static void
take_name(const struct keeper_setup *setup)
{
	(void)prctl(PR_SET_NAME, NAME);
	if (setup->own_words_len <= sizeof(NAME))
		return;
	memset(setup->own_words, 0, setup->own_words_len);
	memcpy(setup->own_words, NAME, sizeof(NAME));
}

/* What the keeper is forked with. */
struct birth {
	const struct keeper_setup *setup;
	int ends[2]; /* the supervisor's, ours */
};

static void
begin(struct process *keeper, const struct birth *birth)
{
	keeper->setup = *birth->setup;
	keeper->socket = birth->ends[1];
	/* It is to be seen when the supervisor's end is closed: that is, by its death. */
	close(birth->ends[0]);
	descriptors_close_ours(keeper->socket);
	/* Which wakes us, should somebody have stopped us. */
	(void)prctl(PR_SET_PDEATHSIG, SIGCONT);
	keeper->child_fd = signals_open();
	(void)setpgid(0, 0);
	keeper->argv = copy_command(keeper->setup.argv);
	if (keeper->child_fd == -1 || tree_adopt() == -1 || keeper->argv == NULL)
		leave(1);
	take_name(&keeper->setup);
	/* We have little to do, and what outruns us, or leaves its dead to us in heaps, must not have its way. */
	keeper->pace = tree_hurry();
	keep(keeper);
}

static void
live(void *arg)
{
	/* Memory that nobody touches is not there. */
	struct process *keeper = calloc(1, sizeof(*keeper));

	if (keeper != NULL)
		begin(keeper, arg);
	leave(1);
}

int
keeper_fork(struct keeper *keeper, const struct keeper_setup *setup)
{
	struct birth birth = { .setup = setup };
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, birth.ends) == -1)
		return -1;
	pid = sys_fork(live, &birth);
	if (pid == -1) {
		close(birth.ends[0]);
		close(birth.ends[1]);
		return -1;
	}
	/* Both processes do it, so that the first one has done it. */
	(void)setpgid(pid, pid);
	close(birth.ends[1]);
	*keeper = (struct keeper){ .pid = pid, .socket = birth.ends[0] };
	return 0;
}
