#include "etcdlocker/service.h"

#include "base/log.h"
#include "child/descriptors.h"
#include "child/notify.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes, with what the kernel needs beside them, that may wait for the sentinel; the socket has room for twice as many.
 */
#define ROOM (96 * 1024)

/* False for what is no address of a manager: nobody is told then, as sd_notify(3) does it. */
static bool
take_address(struct service *service, const char *name)
{
	size_t len = name == NULL ? 0 : strlen(name);

	if (len < 2 || len >= sizeof(service->address.sun_path) || (name[0] != '/' && name[0] != '@'))
		return false;
	service->address.sun_family = AF_UNIX;
	memcpy(service->address.sun_path, name, len);
	/* An abstract name has a NUL where '@' stands for it. */
	if (name[0] == '@')
		service->address.sun_path[0] = '\0';
	service->address_len = (unsigned)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
	return true;
}

/* sd_watchdog_enabled(3). */
static nsec
take_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long span = usec == NULL ? 0 : atoll(usec);

	if (span <= 0 || span > INT64_MAX / 1000 || (pid != NULL && atoll(pid) != getpid()))
		return 0;
	return span * 1000;
}

int
service_take(struct service *service, int ready_fd)
{
	*service = (struct service){ .ready_fd = ready_fd, .news = { -1, -1 }, .socket = -1 };
	if (ready_fd != -1)
		descriptors_keep(ready_fd);
	if (!take_address(service, getenv("NOTIFY_SOCKET")))
		return 0;
	service->watchdog = take_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	service->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (service->socket == -1)
		return -1;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, service->news);
}

/* --- the supervisor's side --- */

/* Hands MESSAGE to the sentinel. What must get through has the second half of the socket for itself: while the manager
 * takes nothing, a COMMAND that talks without end fills the first. A sentinel that does not read is stopped: what we do
 * does not depend on it. Returns whether it went. */
static bool
say(const struct service *service, const char *message, bool must)
{
	int queued = 0;

	if (service->news[1] == -1)
		return false;
	if (!must && ioctl(service->news[1], SIOCOUTQ, &queued) == 0 && queued > ROOM)
		return false;
	return send(service->news[1], message, strlen(message), MSG_NOSIGNAL) != -1;
}

__attribute__((format(printf, 3, 0))) static bool
say_status(const struct service *service, const char *lines, const char *format, va_list arguments)
{
	char message[SERVICE_MESSAGE];
	size_t len = (size_t)snprintf(message, sizeof(message), "%sSTATUS=", lines);

	if (len >= sizeof(message))
		return say(service, lines, true);
	vsnprintf(message + len, sizeof(message) - len, format, arguments);
	/* What etcd tells could be lines of the protocol otherwise. */
	log_printable(message + len);
	return say(service, message, lines[0] != '\0');
}

bool
service_status(const struct service *service, const char *lines, const char *format, ...)
{
	va_list arguments;
	bool said;

	va_start(arguments, format);
	said = say_status(service, lines, format, arguments);
	va_end(arguments);
	return said;
}

/* For s6. */
static void
write_ready(struct service *service)
{
	if (service->ready_fd == -1)
		return;
	/* SIGPIPE is ignored in us. */
	if (write(service->ready_fd, "\n", 1) == -1)
		(void)0;
	close(service->ready_fd);
	service->ready_fd = -1;
}

/* Where READY=1 is to be said, now that we are: for the first time, or after a reload. */
static bool
is_news(const struct service *service)
{
	return !service->ready || service->reloading;
}

/* It was said. */
static void
note_ready(struct service *service)
{
	service->ready = true;
	service->reloading = false;
}

void
service_started(struct service *service, bool ready, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(service->holding, sizeof(service->holding), format, arguments);
	va_end(arguments);
	if (!ready) {
		service_status(service, "", "%s, the command is starting", service->holding);
		return;
	}
	write_ready(service);
	if (service_status(service, is_news(service) ? "READY=1\n" : "", "%s", service->holding))
		note_ready(service);
}

void
service_ended(struct service *service, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	/* A command that was reloading is gone, and its reload with it. */
	say_status(service, service->reloading && service->ready ? "READY=1\n" : "", format, arguments);
	va_end(arguments);
	service->reloading = false;
}

/* True where LINE, of LEN bytes, may be passed on. */
static bool
is_passed(const char *line, size_t len)
{
	static const char *const passed[] = {
		"STATUS=", "ERRNO=", "BUSERROR=", "RELOADING=", "MONOTONIC_USEC=", "EXTEND_TIMEOUT_USEC="
	};

	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (len >= strlen(passed[i]) && strncmp(line, passed[i], strlen(passed[i])) == 0)
			return true;
	return false;
}

static bool
is_said(const char *message, const char *name, const char *value)
{
	size_t len;
	const char *found = notify_find(message, name, &len);

	return found != NULL && len == strlen(value) && strncmp(found, value, len) == 0;
}

void
service_pass(struct service *service, const char *message, bool child)
{
	bool ready = is_said(message, "READY=", "1"), reloading = is_said(message, "RELOADING=", "1");
	bool news = ready && (child ? is_news(service) : service->reloading), said;
	char part[SERVICE_MESSAGE] = "";
	size_t at = 0, len;

	if (ready && child)
		write_ready(service);
	if (news)
		at = (size_t)snprintf(part, sizeof(part), "READY=1\n");
	for (const char *line = message; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		len = strcspn(line, "\n");
		if (is_passed(line, len) && at + len + 2 < sizeof(part))
			at += (size_t)snprintf(part + at, sizeof(part) - at, "%.*s\n", (int)len, line);
	}
	if (ready && child && notify_find(message, "STATUS=", &len) == NULL)
		said = service_status(service, part, "%s", service->holding);
	else
		said = at > 0 && say(service, part, news || reloading);
	if (news && said)
		note_ready(service);
	if (reloading && said)
		service->reloading = true;
}

void
service_watchdog(struct service *service)
{
	(void)say(service, "WATCHDOG=1", false);
}

void
service_stopping(struct service *service, const char *text)
{
	if (!service->stopping)
		service->stopping = service_status(service, "STOPPING=1\n", "%.300s", text);
}

/* --- the sentinel's side --- */

void
service_relay_start(struct service *service)
{
	if (service->news[1] != -1)
		close(service->news[1]);
	if (service->ready_fd != -1)
		close(service->ready_fd);
	service->news[1] = service->ready_fd = -1;
}

/* False where the manager has no room for it at the moment. A manager that has gone is told nothing. */
static bool
pass_on(struct service *service)
{
	if (sendto(service->socket, service->message, service->unsent, MSG_NOSIGNAL,
		(const struct sockaddr *)&service->address, service->address_len) == -1 &&
	    (errno == EAGAIN || errno == ENOBUFS))
		return false;
	service->unsent = 0;
	return true;
}

bool
service_relay(struct service *service)
{
	ssize_t len;

	for (;;) {
		/* In their order: what comes behind it waits in the socket. */
		if (service->unsent > 0 && !pass_on(service))
			return true;
		if (service->news[0] == -1)
			return false;
		len = recv(service->news[0], service->message, sizeof(service->message), 0);
		if (len == -1)
			return false;
		if (len == 0) {
			/* The supervisor is gone. */
			close(service->news[0]);
			service->news[0] = -1;
			return false;
		}
		service->unsent = (size_t)len;
	}
}
