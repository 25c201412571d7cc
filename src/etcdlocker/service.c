#include "etcdlocker/service.h"

#include "child/descriptors.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void
service_say(struct service *service, const char *format, ...)
{
	char message[SERVICE_MESSAGE];
	va_list arguments;
	int len;

	if (service->news[1] == -1)
		return;
	va_start(arguments, format);
	len = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	/* A sentinel that does not read is stopped: what we do does not depend on it. */
	if (len > 0 && (size_t)len < sizeof(message) &&
	    send(service->news[1], message, (size_t)len, MSG_NOSIGNAL) == -1)
		return;
}

void
service_say_ready(struct service *service, const char *status)
{
	service_say(service, "%sSTATUS=%s", service->ready ? "" : "READY=1\n", status);
	service->ready = true;
	if (service->ready_fd == -1)
		return;
	/* SIGPIPE is ignored in us. */
	if (write(service->ready_fd, "\n", 1) == -1)
		(void)0;
	close(service->ready_fd);
	service->ready_fd = -1;
}

bool
service_pass(struct service *service, const char *message)
{
	static const char *const passed[] = {
		"STATUS=", "ERRNO=", "BUSERROR=", "RELOADING=", "MONOTONIC_USEC=", "EXTEND_TIMEOUT_USEC="
	};
	char part[SERVICE_MESSAGE] = "";
	size_t at = 0;
	bool ready = false;

	for (const char *line = message; line != NULL; line = strchr(line, '\n')) {
		size_t len;

		line += *line == '\n';
		len = strcspn(line, "\n");
		ready = ready || (len == strlen("READY=1") && strncmp(line, "READY=1", len) == 0);
		for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
			if (strncmp(line, passed[i], strlen(passed[i])) == 0 && at + len + 2 < sizeof(part))
				at += (size_t)snprintf(part + at, sizeof(part) - at, "%.*s\n", (int)len, line);
	}
	if (at > 0)
		service_say(service, "%s", part);
	return ready;
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

void
service_relay(struct service *service)
{
	char message[SERVICE_MESSAGE];
	ssize_t len;

	while (service->news[0] != -1 && (len = recv(service->news[0], message, sizeof(message), 0)) != -1) {
		if (len == 0) {
			/* The supervisor is gone. */
			close(service->news[0]);
			service->news[0] = -1;
			return;
		}
		/* A manager that does not read, or has gone, is told nothing. */
		if (sendto(service->socket, message, (size_t)len, MSG_NOSIGNAL,
			(const struct sockaddr *)&service->address, service->address_len) == -1)
			continue;
	}
}
