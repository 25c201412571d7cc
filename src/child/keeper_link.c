/* The supervisor's end of the keeper: orders out, news in. */
#include "child/keeper.h"

#include "child/sys.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of START: the order, and its variables. */
#define PIECES (1 + ENVIRONMENT_CHANGES)

static int
send_order(const struct keeper *keeper, struct msghdr *message)
{
	if (keeper->pid == 0) {
		errno = ESRCH;
		return -1;
	}
	/* Somebody might have stopped it. */
	sys_kill(keeper->pid, SIGCONT);
	return sendmsg(keeper->socket, message, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -1 : 0;
}

static int
send_plain(const struct keeper *keeper, struct keeper_order order)
{
	struct iovec piece = { &order, sizeof(order) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	return send_order(keeper, &message);
}

int
keeper_start(const struct keeper *keeper, const struct keeper_start *start)
{
	struct keeper_order order = { .verb = KEEPER_START,
		.number = start->number,
		.own_pid = start->environment->own_pid,
		.has_cgroup = start->cgroup != -1,
		.has_tty = start->tty != -1,
		.count = start->environment->count,
		.pass_count = start->pass_count };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * KEEPER_DESCRIPTORS)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec pieces[PIECES] = { { &order, sizeof(order) } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 1 + order.count };
	int fds[KEEPER_DESCRIPTORS];
	size_t count = 0;

	if (order.has_cgroup)
		fds[count++] = start->cgroup;
	if (order.has_tty)
		fds[count++] = start->tty;
	for (size_t i = 0; i < start->pass_count; i++) {
		fds[count++] = start->pass[i].from;
		order.pass_to[i] = start->pass[i].to;
	}
	if (count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * count);
	}
	for (size_t i = 0; i < order.count; i++) {
		char *change = start->environment->changes[i];

		pieces[1 + i] = (struct iovec){ change, strlen(change) + 1 };
	}
	return send_order(keeper, &message);
}

void
keeper_signal(const struct keeper *keeper, int signo, bool asks_to_end)
{
	(void)send_plain(
	    keeper, (struct keeper_order){ .verb = KEEPER_SIGNAL, .signo = signo, .asks_to_end = asks_to_end });
}

void
keeper_signal_all(const struct keeper *keeper, int signo)
{
	(void)send_plain(keeper, (struct keeper_order){ .verb = KEEPER_SIGNAL_ALL, .signo = signo });
}

void
keeper_kill(const struct keeper *keeper)
{
	(void)send_plain(keeper, (struct keeper_order){ .verb = KEEPER_KILL });
}

void
keeper_dismiss(struct keeper *keeper)
{
	if (keeper->socket != -1)
		close(keeper->socket);
	keeper->socket = -1;
}

int
keeper_read(const struct keeper *keeper, struct keeper_news *news)
{
	ssize_t len;

	if (keeper->socket == -1)
		return -1;
	do
		len = recv(keeper->socket, news, sizeof(*news), MSG_DONTWAIT);
	while (len == -1 && errno == EINTR);
	if (len == sizeof(*news))
		return 1;
	return len == -1 && errno == EAGAIN ? 0 : -1;
}
