/* A password from the terminal; and the traces of a password that came another way. */
#ifndef ETCDLOCKER_PASSWORD_H
#define ETCDLOCKER_PASSWORD_H

#include "etcdlocker/options.h"

/* Where the user's password is still missing, ask for it on the controlling terminal, without an echo. Returns 0, or -1
 * and in WHY a sentence. A signal that comes meanwhile has its way once the terminal is as it was. */
int password_ask(struct options *options, char why[OPTIONS_WHY]);

/* Take passwords out of our environment, so that COMMAND has none; and where we have one, no core is dumped and nobody
 * but root may look into us (prctl(2), PR_SET_DUMPABLE). COMMAND is not concerned: exec(2) undoes it. */
void password_hide(const struct options *options);

#endif
