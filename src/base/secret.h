/* A password: on memory pages of its own that a core dump leaves out and that are wiped before they are given back. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>

/* The longest secret, in bytes. */
#define SECRET_MAX ((size_t)4000)

/* A copy of LEN bytes of TEXT with a NUL behind them. Returns NULL with errno EMSGSIZE (longer than SECRET_MAX) or
 * ENOMEM. Free it with secret_free(). */
__attribute__((warn_unused_result)) char *secret_new(const char *text, size_t len);

/* Wipes SECRET. NULL is fine. */
void secret_free(char *secret);

/* Wipes and frees TEXT, a string from malloc() that holds what is secret for a moment only. NULL is fine. */
void secret_wipe(char *text);

/* A copy of a secret; NULL of NULL, or with errno ENOMEM. */
__attribute__((warn_unused_result)) char *secret_copy(const char *secret);

#endif
