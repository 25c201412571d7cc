/* What the supervisor tells the sentinel: a page of shared memory, and a timer in the kernel that only goes off when
 * the supervisor has stopped moving it. */
#ifndef ETCDLOCKER_DEADMAN_H
#define ETCDLOCKER_DEADMAN_H

#include "base/clock.h"
#include "child/private_dir.h"
#include "child/spawn.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct deadman_page {
	/* When the sentinel must kill the tree, on each of the two clocks: whichever comes first. 0: nothing to guard.
	 */
	_Atomic int64_t kill_by, kill_by_raw;
	_Atomic bool held;            /* the lock is or was held */
	_Atomic int wanted;           /* the number of the start of COMMAND that is to be; 0: none is */
	_Atomic bool done;            /* the supervisor's last word: its exit code is true, and nothing is left to do */
	_Atomic int cgroup;           /* the number of COMMAND's, which the supervisor has made; 0: none */
	_Atomic pid_t keeper;         /* 0: none */
	struct spawn_failure failure; /* between the keeper and what it starts */
	_Atomic pid_t leader;         /* COMMAND, and its process group; 0: not started */
	char private_dir[PRIVATE_DIR];   /* made for COMMAND's messages, to be removed; "": none */
	_Atomic int64_t create_revision; /* of OWNER_KEY; 0: nothing in etcd to release */
	char owner_key[];
};

/* Both ends: one object before the fork, used by both sides after it. */
struct deadman {
	struct deadman_page *shared;
	size_t size;         /* of the shared memory */
	int timer_fd;        /* CLOCK_BOOTTIME; set by the supervisor, read by the sentinel */
	int lifeline[2];     /* a pipe: the supervisor sees its end when the sentinel is gone */
	timer_t last_resort; /* the supervisor's: SIGKILL to itself, from the kernel */
};

/* Make one for keys of up to KEY_LEN bytes. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int deadman_open(struct deadman *deadman, size_t key_len);

/* The supervisor's side, once, after the fork. From now on a deadline that passes kills this process even while it and
 * the sentinel are stopped, and the keeper sees to COMMAND. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int deadman_attach(struct deadman *deadman);

/* The supervisor's side: it will have killed the tree by KILL_BY itself, or the sentinel does, a little later; 0: there
 * is none to guard. */
void deadman_set(struct deadman *deadman, nsec kill_by);

/* The sentinel's side: true where the supervisor has let its deadline pass. Where not, the timer is set to when to look
 * again. */
bool deadman_overdue(const struct deadman *deadman);

/* The keeper's side: true where the start of that NUMBER is still wanted, and the deadline has not passed. */
bool deadman_may_start(void *deadman, int number);

/* The supervisor's side: OWNER_KEY with CREATE_REVISION is what we have in etcd; 0: nothing. */
void deadman_set_key(struct deadman *deadman, const char *owner_key, int64_t create_revision);

#endif
