/* A file whose first line is a password. */
#ifndef ETCD_PASSWORD_FILE_H
#define ETCD_PASSWORD_FILE_H

#include <stdbool.h>

/* The first line of the file PATH, without its newline: a new secret (base/secret.h). Nothing behind that line is taken
 * out of a pipe. AGAIN: it was read before, and this must not block: one that is no regular file is not read. Returns
 * NULL with errno EINVAL, EMSGSIZE or ENOMEM, or the system's; and *WHY a text, where WHY is not NULL. */
__attribute__((warn_unused_result)) char *password_file_read(const char *path, bool again, const char **why);

#endif
