/* What --status tells of a queue, the holder first. KEY is the lock's. Time left is told where LEFT. Both return a new
 * string, or NULL when memory is short. */
#ifndef ETCDLOCKER_STATUS_FORMAT_H
#define ETCDLOCKER_STATUS_FORMAT_H

#include "lock/etcdlock.h"

#include <stdbool.h>
#include <stddef.h>

/* A table for people: ids are printable, and cut where they are long. */
char *status_text(const char *key, const struct etcdlock_contender *queue, size_t count, bool left);

/* One line for programs, a JSON object. */
char *status_json(const char *key, const struct etcdlock_contender *queue, size_t count, bool left);

#endif
