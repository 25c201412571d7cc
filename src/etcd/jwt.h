/* When a token ends: a JSON Web Token (RFC 7519) says so itself; etcd's simple tokens do not. */
#ifndef ETCD_JWT_H
#define ETCD_JWT_H

#include <stdint.h>

/* The seconds from NOW (of the wall's clock, as time(2) has it) until TOKEN ends: more than 0, and at most INT32_MAX. 0
 * where it does not say, or says nothing that could be: it is no JWT, has ended, or ends later than that. */
int32_t jwt_seconds_left(const char *token, int64_t now);

#endif
