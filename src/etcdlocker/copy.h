/* --copy-to: the program takes itself along into images that do not have it. */
#ifndef ETCDLOCKER_COPY_H
#define ETCDLOCKER_COPY_H

#include <stddef.h>

/* Copies this program to TO, or into the directory TO, executable for all; what was there before stays whole until the
 * copy is. Returns 0, or -1 and in WHY a sentence: it was not copied, and TO is as it was. A program that needs shared
 * libraries is not copied: where it is to go they might not be. */
int copy_program(const char *to, char *why, size_t size);

#endif
