/* Tokens for a session's user: fetched when one is wanted, and again when etcd has forgotten the last one. */
#ifndef ETCD_TOKEN_H
#define ETCD_TOKEN_H

#include "etcd/credentials.h"
#include "etcd/session_struct.h"

struct token;

/* For the user and the password of SPEC, on SESSION, whose loop, connections and endpoints are used. NULL when memory
 * is short. */
struct token *token_new(struct session *session, const struct session_spec *spec);

/* What it fills. They go with it. */
struct credentials *token_credentials(struct token *token);

/* No request may wait for a token any more. NULL is fine. */
void token_free(struct token *token);

#endif
