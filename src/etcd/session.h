/* Opening and closing a session with one etcd cluster. */
#ifndef ETCD_SESSION_H
#define ETCD_SESSION_H

#include "etcd/session_struct.h"

/* On the caller's BASE, which must outlive it. NULL, and in WHY (of SIZE bytes) a sentence. */
struct session *
session_new(struct event_base *base, const struct session_spec *spec, const struct logger *log, char *why, size_t size);

/* Nothing of it may be in use any more. NULL is fine. */
void session_free(struct session *session);

#endif
