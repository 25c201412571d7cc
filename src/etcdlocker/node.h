/* Where node is: a cron job's PATH rarely leads to it. */
#ifndef ETCDLOCKER_NODE_H
#define ETCDLOCKER_NODE_H

#include <stddef.h>

/* The program that runs Node.js modules: what ETCD_LOCK_NODE says, else "node" where PATH leads to one, else one at a
 * usual place, written into PATH of SIZE bytes; else "node" all the same. */
const char *node_find(char *path, size_t size);

#endif
