#ifndef CHILD_ENVIRONMENT_H
#define CHILD_ENVIRONMENT_H

#include <stddef.h>

/* COMMAND's environment: ours with CHANGES (COUNT of them): "NAME=VALUE" replaces or adds a variable, "NAME" takes it
 * away. The strings are borrowed. A new block, for free(); NULL when memory is short. */
char **environment_new(char *const changes[], size_t count);

#endif
