/* What the service manager above us is told: sd_notify(3)'s protocol over $NOTIFY_SOCKET, and s6's notification-fd.
 *
 * systemd takes such messages from a unit's main process only (NotifyAccess=main), which is the sentinel: the
 * supervisor hands it what is to be said, and it passes that on. */
#ifndef ETCDLOCKER_SERVICE_H
#define ETCDLOCKER_SERVICE_H

#include "base/clock.h"

#include <stdbool.h>
#include <sys/un.h>

/* The longest message. */
#define SERVICE_MESSAGE 4096

/* One object before the fork, used by both sides after it. */
struct service {
	struct sockaddr_un address; /* of the manager's socket */
	unsigned address_len;       /* 0: there is no manager */
	nsec watchdog;              /* it wants to hear from us so often; 0: never */
	int ready_fd;               /* gets a newline when we are ready; -1: none */
	bool ready, stopping;       /* that was said */
	bool reloading;             /* COMMAND has said so, and not yet that it is ready again */
	char holding[320];          /* what it is while COMMAND runs */
	int news[2];                /* from the supervisor to the sentinel; -1 */
	int socket;                 /* the sentinel's; -1 */
	size_t unsent;              /* bytes of MESSAGE that the manager has not taken yet */
	char message[SERVICE_MESSAGE];
};

/* Take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of our environment, for they are about us; READY_FD is the
 * descriptor of --notify-fd, or -1. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int service_take(struct service *service, int ready_fd);

/* --- the supervisor's side --- */

/* What happens, for people; control characters are replaced. LINES come before it: "", or some of the protocol's, each
 * with its newline. Returns whether it is on its way. */
__attribute__((format(printf, 3, 4))) bool
service_status(const struct service *service, const char *lines, const char *format, ...);

/* COMMAND runs, which FORMAT describes. READY: so we are ready; else that comes with service_pass(). */
__attribute__((format(printf, 3, 4))) void
service_started(struct service *service, bool ready, const char *format, ...);

/* COMMAND has ended, and is to be started again; FORMAT says why. */
__attribute__((format(printf, 2, 3))) void service_ended(struct service *service, const char *format, ...);

/* What COMMAND says to us: what may be passed on of MESSAGE is. CHILD: it says itself when it is ready. */
void service_pass(struct service *service, const char *message, bool child);

/* We are alive. */
void service_watchdog(struct service *service);

/* We are about to end, for the reason TEXT. Only the first time counts. */
void service_stopping(struct service *service, const char *text);

/* --- the sentinel's side --- */

/* Its end of NEWS is all that it keeps. */
void service_relay_start(struct service *service);

/* Pass on what has come. Needs no memory. True where the manager is too busy to take it: call it again soon. */
bool service_relay(struct service *service);

#endif
