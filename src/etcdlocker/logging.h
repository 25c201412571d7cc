/* The program's logger: stderr. */
#ifndef ETCDLOCKER_LOGGING_H
#define ETCDLOCKER_LOGGING_H

#include "base/log.h"

#include <stdbool.h>

/* The one logger of this process. Lines are "etcdlocker: TEXT"; where VERBOSE, of every level and with the time and
 * the pid. Each line is one write(2). */
const struct logger *logging_start(bool verbose);

#endif
