/* The supervisor's states as a table: what each event leads to, and what is to be done then. */
#ifndef ETCDLOCKER_STATES_H
#define ETCDLOCKER_STATES_H

enum sup_state {
	SUP_ACQUIRING,
	SUP_STARTING, /* forked, exec not yet done */
	SUP_RUNNING,
	SUP_TERMINATING, /* COMMAND was told to end, and has its grace */
	SUP_SWEEPING,    /* COMMAND has ended, what it started has what remains of the grace */
	SUP_KILLING,
	SUP_PAUSING,   /* everything is dead, the lock is held: COMMAND is to be started again */
	SUP_RELEASING, /* everything is dead and reaped */
	SUP_RESTING,   /* released: the lock is to be waited for again */
	SUP_DONE
};
#define SUP_STATES (SUP_DONE + 1)

enum sup_event {
	EV_ACQUIRED,
	EV_NOT_ACQUIRED,
	EV_STARTED,
	EV_START_FAILED,
	EV_STOP,        /* the first stop signal */
	EV_STOP_AGAIN,  /* another one */
	EV_KEEPER_LOST, /* who starts and reaps is gone: becomes EV_LOST or EV_STOP */
	EV_EXPIRING,    /* the lock cannot be renewed in time: the grace begins */
	EV_LOST,        /* the lock is gone: no grace */
	EV_PING_FAILED,
	EV_COMMAND_ENDED,
	EV_GRACE_OVER,
	EV_TREE_EMPTY,
	EV_TREE_EMPTY_RESTART, /* and COMMAND is to be started again */
	EV_UNKILLABLE,
	EV_RELEASED,
	EV_HURRY_OVER, /* the release has had its last try */
	EV_RELOCK,     /* released or not acquired, and the lock is to be waited for again */
	EV_PAUSE_OVER
};
#define SUP_EVENTS (EV_PAUSE_OVER + 1)

enum sup_action {
	ACT_NONE,
	ACT_START,   /* start COMMAND */
	ACT_STOP,    /* the stop signal to COMMAND, and the grace begins */
	ACT_FORWARD, /* a stop signal, while another reason to end is at work already */
	ACT_SWEEP,   /* the stop signal to what COMMAND has left */
	ACT_KILL,    /* SIGKILL to the whole tree, until it is empty */
	ACT_PAUSE,   /* until EV_PAUSE_OVER, with the lock */
	ACT_RELEASE,
	ACT_HURRY, /* the release under way has one more try */
	ACT_REST,  /* until EV_PAUSE_OVER, without it */
	ACT_ACQUIRE,
	ACT_EXIT
};
#define SUP_ACTIONS (ACT_EXIT + 1)

struct sup_step {
	enum sup_state next;
	enum sup_action action;
};

/* What EVENT leads to in STATE. An event that means nothing in STATE leaves it, with ACT_NONE. */
struct sup_step states_step(enum sup_state state, enum sup_event event);

const char *states_name(enum sup_state state);
const char *states_event_name(enum sup_event event);
const char *states_action_name(enum sup_action action);

#endif
