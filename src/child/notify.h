/* The socket that sd_notify(3) sends to: datagrams of lines such as WATCHDOG=1. See "Description" there. */
#ifndef CHILD_NOTIFY_H
#define CHILD_NOTIFY_H

#include "base/loop.h"
#include "child/private_dir.h"

#include <stddef.h>
#include <sys/types.h>

/* What $NOTIFY_SOCKET is to be: a path, or '@' and an abstract name. */
#define NOTIFY_ADDRESS (PRIVATE_DIR + 16)

/* The longest message that is read. */
#define NOTIFY_MESSAGE 4096

/* HEARD to DIR are the owner's to set before notify_open(), COMMAND when it is known; the rest is the listener's own.
 */
struct notify {
	/* MESSAGE came from a process of COMMAND's user, of ours or of root's. Called from the loop. */
	void (*heard)(void *arg, const char *message);
	void *arg;
	/* Where the life of COMMAND hangs on its messages: room for a path, so that the sentinel can remove it.
	 * The socket is in a directory of ours then, where no other user can fill it; as root we give that to the user
	 * that COMMAND becomes, within seconds. NULL: the socket is abstract, for any user might have something to say;
	 * so it is where no directory can be had, too. */
	char *dir;
	pid_t command;

	char address[NOTIFY_ADDRESS]; /* what NOTIFY_SOCKET is to be; "": not open */
	int fd;
	struct loop_event *readable;
	struct loop *loop;
	struct timer follow; /* to see which user COMMAND is */
	nsec pause;
	unsigned user; /* the directory's */
};

/* Make the socket. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int notify_open(struct notify *notify, struct loop *loop);

/* Harmless where it is not open. */
void notify_close(struct notify *notify);

/* The value of NAME ("WATCHDOG=") in MESSAGE, up to the end of its line: a pointer into it and *LEN; or NULL. */
const char *notify_find(const char *message, const char *name, size_t *len);

#endif
