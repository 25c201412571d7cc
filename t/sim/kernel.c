#include "kernel.h"

#include "proc.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum file_kind { FILE_TIMER, FILE_STREAM, FILE_PACKETS, FILE_SIGNALS };

struct packet {
	size_t len;
	STAILQ_ENTRY(packet) link;
	char bytes[];
};

struct file {
	enum file_kind kind;
	int open; /* so many processes have it */
	/* A timer's. */
	struct host *host;
	struct alarm alarm;
	uint64_t expirations;
	/* A pipe's end, or a socket's. */
	struct file *peer;
	STAILQ_HEAD(, packet) packets;
};

/* --- files --- */

static struct file *
file_new(enum file_kind kind)
{
	struct file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		abort();
	file->kind = kind;
	STAILQ_INIT(&file->packets);
	return file;
}

/* A file is the world's: it outlives the process that made it. */
static struct file *
new_file(enum file_kind kind)
{
	struct proc *self = current;
	struct file *file;

	current = NULL;
	file = file_new(kind);
	current = self;
	file->host = self->host;
	return file;
}

static int
install(struct file *file)
{
	for (int i = 0; i < PROC_FDS; i++) {
		if (current->fds[i] != NULL)
			continue;
		current->fds[i] = file;
		file->open++;
		return PROC_FIRST_FD + i;
	}
	abort();
}

static struct file *
file_of(int fd)
{
	if (current == NULL || fd < PROC_FIRST_FD || fd >= PROC_FIRST_FD + PROC_FDS)
		return NULL;
	return current->fds[fd - PROC_FIRST_FD];
}

/* Whoever sleeps and has FILE open looks again. */
static void
file_ready(const struct file *file)
{
	struct proc *proc;

	TAILQ_FOREACH(proc, &procs, link)
	{
		if (!proc->waits || proc->dead)
			continue;
		for (int i = 0; i < PROC_FDS; i++)
			if (proc->fds[i] == file)
				proc_wake(proc, some_span(2000, 4 * NSEC_PER_MSEC));
	}
}

static void
file_put(struct file *file)
{
	struct packet *packet;

	if (--file->open > 0)
		return;
	if (file->peer != NULL) {
		file->peer->peer = NULL;
		file_ready(file->peer);
	}
	while ((packet = STAILQ_FIRST(&file->packets)) != NULL) {
		STAILQ_REMOVE_HEAD(&file->packets, link);
		free(packet);
	}
	alarm_stop(&file->alarm);
	free(file);
}

void
kernel_close_all(struct proc *proc)
{
	for (int i = 0; i < PROC_FDS; i++) {
		if (proc->fds[i] != NULL)
			file_put(proc->fds[i]);
		proc->fds[i] = NULL;
	}
}

void
kernel_inherit(struct proc *child, const struct proc *parent)
{
	for (int i = 0; i < PROC_FDS; i++) {
		child->fds[i] = parent->fds[i];
		if (child->fds[i] != NULL)
			child->fds[i]->open++;
	}
}

static bool
has_signal(const struct proc *proc)
{
	for (int signo = 1; signo < NSIG; signo++)
		if (proc->pending[signo] > 0)
			return true;
	return false;
}

void
kernel_signalled(struct proc *proc)
{
	for (int i = 0; i < PROC_FDS; i++)
		if (proc->waits && proc->fds[i] != NULL && proc->fds[i]->kind == FILE_SIGNALS)
			proc_wake(proc, some_span(2000, 4 * NSEC_PER_MSEC));
}

static bool
is_readable(const struct file *file)
{
	switch (file->kind) {
	case FILE_TIMER:
		return file->expirations > 0;
	case FILE_SIGNALS:
		return has_signal(current);
	case FILE_STREAM:
	case FILE_PACKETS:
		break;
	}
	return !STAILQ_EMPTY(&file->packets) || file->peer == NULL;
}

bool
kernel_readable(int fd)
{
	const struct file *file = file_of(fd);

	return file != NULL && is_readable(file);
}

/* --- reading and writing --- */

static ssize_t
again(void)
{
	errno = EAGAIN;
	return -1;
}

static ssize_t
take_packet(struct file *file, void *bytes, size_t room)
{
	struct packet *packet = STAILQ_FIRST(&file->packets);
	size_t len;

	if (packet == NULL)
		return file->peer == NULL ? 0 : again();
	len = packet->len < room ? packet->len : room;
	memcpy(bytes, packet->bytes, len);
	STAILQ_REMOVE_HEAD(&file->packets, link);
	free(packet);
	return (ssize_t)len;
}

static ssize_t
put_packet(struct file *file, const struct iovec *pieces, size_t count)
{
	struct packet *packet;
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += pieces[i].iov_len;
	if (file->peer == NULL) {
		errno = EPIPE;
		return -1;
	}
	packet = calloc(1, sizeof(*packet) + len);
	if (packet == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		memcpy(packet->bytes + packet->len, pieces[i].iov_base, pieces[i].iov_len);
		packet->len += pieces[i].iov_len;
	}
	STAILQ_INSERT_TAIL(&file->peer->packets, packet, link);
	file_ready(file->peer);
	return (ssize_t)len;
}

/* As the world: what is sent stays when the sender goes. */
static ssize_t
send_packet(struct file *file, const struct iovec *pieces, size_t count)
{
	struct proc *self = current;
	ssize_t sent;

	current = NULL;
	sent = put_packet(file, pieces, count);
	current = self;
	return sent;
}

static ssize_t
read_signal(void *bytes, size_t room)
{
	struct signalfd_siginfo info = { 0 };

	for (int signo = 1; signo < NSIG; signo++) {
		if (current->pending[signo] == 0)
			continue;
		current->pending[signo] = 0;
		info.ssi_signo = (uint32_t)signo;
		memcpy(bytes, &info, room < sizeof(info) ? room : sizeof(info));
		return sizeof(info);
	}
	return again();
}

ssize_t __real_read(int fd, void *bytes, size_t room);
ssize_t __wrap_read(int fd, void *bytes, size_t room);

ssize_t
__wrap_read(int fd, void *bytes, size_t room)
{
	struct file *file = file_of(fd);

	if (file == NULL)
		return __real_read(fd, bytes, room);
	switch (file->kind) {
	case FILE_TIMER:
		if (file->expirations == 0)
			return again();
		memcpy(bytes, &file->expirations, sizeof(file->expirations));
		file->expirations = 0;
		return sizeof(file->expirations);
	case FILE_SIGNALS:
		return read_signal(bytes, room);
	case FILE_STREAM:
	case FILE_PACKETS:
		break;
	}
	return take_packet(file, bytes, room);
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	struct file *file = file_of(fd);
	struct iovec piece = { .iov_len = len };

	memcpy(&piece.iov_base, &bytes, sizeof(bytes)); /* it is only read */
	return file == NULL ? __real_write(fd, bytes, len) : send_packet(file, &piece, 1);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);

ssize_t
__wrap_send(int fd, const void *bytes, size_t len, int flags)
{
	(void)flags;
	proc_interrupt();
	return __wrap_write(fd, bytes, len);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct file *file = file_of(fd);

	(void)flags;
	proc_interrupt();
	errno = EBADF;
	return file == NULL ? -1 : send_packet(file, message->msg_iov, message->msg_iovlen);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t room, int flags);

ssize_t
__wrap_recv(int fd, void *bytes, size_t room, int flags)
{
	(void)flags;
	return __wrap_read(fd, bytes, room);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

ssize_t
__wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	(void)flags;
	message->msg_controllen = 0;
	return __wrap_read(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
}

int __real_close(int fd);
int __wrap_close(int fd);

int
__wrap_close(int fd)
{
	struct file *file = file_of(fd);

	if (file == NULL)
		return current == NULL ? __real_close(fd) : 0;
	current->fds[fd - PROC_FIRST_FD] = NULL;
	file_put(file);
	return 0;
}

static int
look(struct pollfd *fds, nfds_t count)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		const struct file *file = fds[i].fd < 0 ? NULL : file_of(fds[i].fd);

		fds[i].revents = 0;
		if (file == NULL)
			continue;
		if (is_readable(file))
			fds[i].revents |= POLLIN;
		if ((file->kind == FILE_STREAM || file->kind == FILE_PACKETS) && file->peer == NULL)
			fds[i].revents |= POLLHUP;
		ready += fds[i].revents != 0;
	}
	return ready;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

int
__wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	nsec until = timeout < 0 ? NSEC_NEVER : host_boot(current->host, world.now) + timeout * NSEC_PER_MSEC;
	int ready;

	proc_interrupt();
	while ((ready = look(fds, count)) == 0 && timeout != 0 && proc_sleep(until))
		continue;
	return ready;
}

/* --- pairs --- */

static void
make_pair(enum file_kind kind, int fds[2])
{
	struct file *one = new_file(kind), *other = new_file(kind);

	one->peer = other;
	other->peer = one;
	fds[0] = install(one);
	fds[1] = install(other);
}

int __wrap_pipe2(int fds[2], int flags);

int
__wrap_pipe2(int fds[2], int flags)
{
	(void)flags;
	make_pair(FILE_STREAM, fds);
	return 0;
}

int __wrap_socketpair(int domain, int type, int protocol, int fds[2]);

int
__wrap_socketpair(int domain, int type, int protocol, int fds[2])
{
	(void)domain;
	(void)type;
	(void)protocol;
	make_pair(FILE_PACKETS, fds);
	return 0;
}

int __wrap_signalfd(int fd, const sigset_t *mask, int flags);

int
__wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
	(void)fd;
	(void)mask;
	(void)flags;
	return install(new_file(FILE_SIGNALS));
}

/* --- timers, all of them on CLOCK_BOOTTIME --- */

static nsec
when(const struct host *host, const struct itimerspec *spec)
{
	nsec boot = (nsec)spec->it_value.tv_sec * NSEC_PER_SEC + spec->it_value.tv_nsec;

	return boot == 0 ? NSEC_NEVER : host_true(host, boot);
}

static void
on_timer(void *arg)
{
	struct file *file = arg;

	file->expirations++;
	file_ready(file);
}

int __wrap_timerfd_create(int clock, int flags);

int
__wrap_timerfd_create(int clock, int flags)
{
	struct file *file = new_file(FILE_TIMER);

	(void)clock;
	(void)flags;
	file->alarm = (struct alarm){ .ring = on_timer, .arg = file };
	return install(file);
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *spec, struct itimerspec *before);

int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *spec, struct itimerspec *before)
{
	struct file *file = file_of(fd);
	nsec at;

	(void)flags;
	(void)before;
	if (file == NULL || current == NULL)
		broken("no timer is %d", fd);
	at = when(current->host, spec);
	file->expirations = 0;
	if (at == NSEC_NEVER)
		alarm_stop(&file->alarm);
	else
		alarm_set(&file->alarm, at);
	return 0;
}

int __wrap_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer);

int
__wrap_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
	(void)clock;
	(void)event;
	*timer = (timer_t)current;
	return 0;
}

int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *spec, struct itimerspec *before);

/* The one that there is: SIGKILL for the process itself. */
int
__wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *spec, struct itimerspec *before)
{
	nsec at = when(current->host, spec);

	(void)timer;
	(void)flags;
	(void)before;
	if (at == NSEC_NEVER)
		alarm_stop(&current->last_resort);
	else
		alarm_set(&current->last_resort, at);
	return 0;
}

/* --- memory --- */

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);

/* What is shared is the world's, until kernel_unmap(); the rest is a secret's. */
void *
__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	struct proc *self = current;
	void *page;

	if (self == NULL)
		return __real_mmap(at, len, protection, flags, fd, offset);
	if ((flags & MAP_SHARED) != 0)
		current = NULL;
	page = calloc(1, len);
	current = self;
	return page == NULL ? MAP_FAILED : page;
}

int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);

int
__wrap_munmap(void *at, size_t len)
{
	if (current == NULL)
		return __real_munmap(at, len);
	free(at);
	return 0;
}

int __wrap_mlock(const void *at, size_t len);

int
__wrap_mlock(const void *at, size_t len)
{
	(void)at;
	(void)len;
	return 0;
}

int __wrap_madvise(void *at, size_t len, int advice);

int
__wrap_madvise(void *at, size_t len, int advice)
{
	(void)at;
	(void)len;
	(void)advice;
	return 0;
}

void
kernel_unmap(void *page)
{
	free(page);
}
