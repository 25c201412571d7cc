#include "child/notify.h"

#include "base/random.h"
#include "child/descriptors.h"
#include "child/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* When to look which user COMMAND is: soon, for it says at its start that it is ready, and then ever less often. */
#define FOLLOW_FIRST (50 * NSEC_PER_MSEC)
#define FOLLOW_LAST (10 * NSEC_PER_SEC)

/* A new socket, close-on-exec and non-blocking, and its name in ADDRESS. Returns it, or -1 with errno. */
static int
open_socket(char address[NOTIFY_ADDRESS], const char *dir)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, saved;
	size_t len;

	if (fd == -1)
		return -1;
	if (dir[0] != '\0') {
		len = (size_t)snprintf(address, NOTIFY_ADDRESS, "%s/notify", dir);
		memcpy(name.sun_path, address, len);
	} else {
		/* A NUL stands where the address has its '@'. */
		len = (size_t)snprintf(
		    address, NOTIFY_ADDRESS, "@etcdlocker/%d/%016" PRIx64, (int)getpid(), random_uint64());
		memcpy(name.sun_path + 1, address + 1, len - 1);
	}
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
	    bind(fd, (const struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static bool
is_trusted(const struct ucred *sender, pid_t command)
{
	char path[32];
	struct stat info;

	if (sender->uid == 0 || sender->uid == geteuid())
		return true;
	/* COMMAND might have changed its user. */
	snprintf(path, sizeof(path), "/proc/%d", (int)command);
	return stat(path, &info) == 0 && info.st_uid == sender->uid;
}

/* Reads one message, NUL-terminated. Returns its length, 0 where there was none of somebody's whom we trust. */
static size_t
read_message(int fd, pid_t command, char message[NOTIFY_MESSAGE + 1])
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control;
	struct iovec data = { message, NOTIFY_MESSAGE };
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	ssize_t len = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	bool trusted = false;

	if (len == -1)
		return 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&header); part != NULL; part = CMSG_NXTHDR(&header, part)) {
		struct ucred sender;

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&sender, CMSG_DATA(part), sizeof(sender));
		trusted = is_trusted(&sender, command);
	}
	descriptors_drop_received(&header);
	message[len] = '\0';
	return trusted ? (size_t)len : 0;
}

static void
on_readable(int fd, short what, void *arg)
{
	const struct notify *notify = arg;
	char message[NOTIFY_MESSAGE + 1];

	(void)what;
	/* One a round: a flood of messages must not starve the rest. */
	if (read_message(fd, notify->command, message) > 0)
		notify->heard(notify->arg, message);
}

/* A daemon that becomes another user could not reach its socket any more. */
static void
on_follow(void *arg)
{
	struct notify *notify = arg;
	unsigned user;

	if (notify->command != 0 && proc_user(notify->command, &user) && user != notify->user) {
		notify->user = user;
		private_dir_give(notify->dir, user);
	}
	timer_arm(notify->loop, &notify->follow, clock_now() + notify->pause);
	notify->pause = notify->pause * 2 > FOLLOW_LAST ? FOLLOW_LAST : notify->pause * 2;
}

static int
open_private(struct notify *notify)
{
	int fd = -1;

	if (notify->dir != NULL && private_dir_make(notify->dir)) {
		fd = open_socket(notify->address, notify->dir);
		if (fd == -1) {
			private_dir_remove(notify->dir);
			notify->dir[0] = '\0';
		}
	}
	return fd;
}

int
notify_open(struct notify *notify, struct loop *loop)
{
	notify->loop = loop;
	notify->user = geteuid();
	notify->pause = FOLLOW_FIRST;
	timer_init(&notify->follow, on_follow, notify);
	notify->fd = open_private(notify);
	if (notify->fd != -1 && notify->user == 0)
		timer_arm(loop, &notify->follow, clock_now() + notify->pause);
	/* There might be no place to write to. */
	if (notify->fd == -1)
		notify->fd = open_socket(notify->address, "");
	if (notify->fd == -1) {
		notify->address[0] = '\0';
		return -1;
	}
	notify->readable = loop_watch(loop, notify->fd, EV_READ, PRIORITY_REST, on_readable, notify);
	if (notify->readable != NULL)
		return 0;
	notify_close(notify);
	errno = ENOMEM;
	return -1;
}

void
notify_close(struct notify *notify)
{
	if (notify->address[0] == '\0')
		return;
	if (notify->readable != NULL)
		loop_event_free(notify->readable);
	close(notify->fd);
	timer_disarm(notify->loop, &notify->follow);
	if (notify->dir != NULL) {
		private_dir_remove(notify->dir);
		notify->dir[0] = '\0';
	}
	notify->readable = NULL;
	notify->address[0] = '\0';
	notify->command = 0;
}

const char *
notify_find(const char *message, const char *name, size_t *len)
{
	for (const char *line = message; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		line += strlen(name);
		*len = strcspn(line, "\n");
		return line;
	}
	return NULL;
}
