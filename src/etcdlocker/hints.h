/* What somebody might have meant who wrote a command line that cannot be what was meant. */
#ifndef ETCDLOCKER_HINTS_H
#define ETCDLOCKER_HINTS_H

#include "etcdlocker/options.h"

#include <stdbool.h>

/* The option NAME was the last one, without a value (ARGUMENT: NULL, it takes none; "[=A|B]", it may take one), and
 * WORDS are to be COMMAND. True, and in WHY a sentence, where the first of them is a value of the option. */
bool hint_value_apart(const char *name, const char *argument, char *const *words, char why[OPTIONS_WHY]);

/* Into WHY: there is no key. WORDS are to be COMMAND. */
void hint_no_key(char *const *words, char why[OPTIONS_WHY]);

/* KEY is from ETCD_LOCK_KEY. True, and in WHY a sentence, where an etcdlocker or an "etcdctl lock" around us has put it
 * there: it names their lock. */
bool hint_key_of_parent(const char *key, char why[OPTIONS_WHY]);

#endif
