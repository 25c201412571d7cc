/* The socket that sd_notify(3) sends to: datagrams of lines such as WATCHDOG=1. See "Description" there. */
#ifndef CHILD_NOTIFY_H
#define CHILD_NOTIFY_H

#include <stddef.h>
#include <sys/types.h>

/* What $NOTIFY_SOCKET is to be: '@' and an abstract name. */
#define NOTIFY_ADDRESS 64

/* The longest message that is read. */
#define NOTIFY_MESSAGE 4096

/* A new socket, close-on-exec and non-blocking, and its name in ADDRESS. Returns it, or -1 with errno. */
__attribute__((warn_unused_result)) int notify_open(char address[NOTIFY_ADDRESS]);

/* Reads one message: of a process of COMMAND's user, of ours or of root's, NUL-terminated; others' are dropped. Returns
 * its length, 0 where there was none of these. */
size_t notify_read(int fd, pid_t command, char message[NOTIFY_MESSAGE + 1]);

/* The value of NAME ("WATCHDOG=") in MESSAGE, up to the end of its line: a pointer into it and *LEN; or NULL. */
const char *notify_find(const char *message, const char *name, size_t *len);

#endif
