/* What the options take that are ours alone: checked, and put into struct options. */
#ifndef ETCDLOCKER_OPTION_VALUES_H
#define ETCDLOCKER_OPTION_VALUES_H

#include "etcdlocker/options.h"

#include <stddef.h>

/* VALUE is "" where the option has none. Returns 0, or -1 and in WHY what completes "option --NAME: ". */
typedef int option_setter(struct options *options, const char *value, char *why, size_t size);

option_setter set_try, set_grace, set_conflict_code, set_signal, set_rewrite, set_restart, set_ready, set_notify_fd,
    set_node, set_no_node, set_no_verbose, set_ping, set_ping_start, set_user, set_copy_to, refuse_password;

#endif
