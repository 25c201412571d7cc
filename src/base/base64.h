/* Standard base64 with padding (RFC 4648 section 4), which is what etcd's JSON gateway wants: it
 * refuses unpadded and URL-safe input. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* LEN bytes as a new NUL-terminated string; NULL when memory is short. */
__attribute__((warn_unused_result)) char *base64_encode(const void *bytes, size_t len);

/* The bytes of TEXT, new and followed by a NUL that *LEN does not count. NULL with errno EINVAL where
 * TEXT is not strictly base64 (alphabet, padding, no stray bits), ENOMEM where memory is short. */
__attribute__((warn_unused_result)) char *base64_decode(const char *text, size_t *len);

#endif
