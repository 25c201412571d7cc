/* A directory that nobody but its owner, and root, can reach into: for sockets that others must not fill. */
#ifndef CHILD_PRIVATE_DIR_H
#define CHILD_PRIVATE_DIR_H

#include <stdbool.h>
#include <sys/types.h>

/* With the name of a file in it, it fits into a unix socket's address. */
#define PRIVATE_DIR 80

/* Make one where such things belong ($XDG_RUNTIME_DIR, /run, $TMPDIR, /tmp), its path into PATH. False where there is
 * no place for it: then PATH is "". */
bool private_dir_make(char path[PRIVATE_DIR]);

/* It, and all that is in it, is USER's from now on, for root only. */
void private_dir_give(const char *path, uid_t user);

/* Remove it with the files in it; harmless where PATH is "", or it has gone. */
void private_dir_remove(const char *path);

#endif
