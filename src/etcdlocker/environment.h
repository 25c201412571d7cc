#ifndef ETCDLOCKER_ENVIRONMENT_H
#define ETCDLOCKER_ENVIRONMENT_H

#include <stdint.h>

/* COMMAND's environment: ours, with ETCD_LOCK_REV, ETCD_LOCK_OWNER_KEY and ETCD_LOCK_CREATE_REV. One new block, to be
 * freed with environment_free(); the other variables are borrowed from environ. NULL when memory is short. */
char **environment_new(int64_t revision, const char *owner_key, int64_t create_revision);
void environment_free(char **environment);

#endif
