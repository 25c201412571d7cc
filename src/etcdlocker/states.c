#include "etcdlocker/states.h"

static const char *const state_names[SUP_STATES] = {
	[SUP_ACQUIRING] = "ACQUIRING",
	[SUP_STARTING] = "STARTING",
	[SUP_RUNNING] = "RUNNING",
	[SUP_TERMINATING] = "TERMINATING",
	[SUP_SWEEPING] = "SWEEPING",
	[SUP_KILLING] = "KILLING",
	[SUP_RELEASING] = "RELEASING",
	[SUP_DONE] = "DONE",
};

static const char *const event_names[SUP_EVENTS] = {
	[EV_ACQUIRED] = "acquired",
	[EV_NOT_ACQUIRED] = "not acquired",
	[EV_STARTED] = "command started",
	[EV_START_FAILED] = "command not started",
	[EV_STOP] = "stop signal",
	[EV_STOP_AGAIN] = "another stop signal",
	[EV_EXPIRING] = "lock expiring",
	[EV_LOST] = "lock lost",
	[EV_PING_FAILED] = "ping failed",
	[EV_COMMAND_ENDED] = "command ended",
	[EV_GRACE_OVER] = "grace over",
	[EV_TREE_EMPTY] = "everything dead",
	[EV_UNKILLABLE] = "cannot be killed",
	[EV_RELEASED] = "released",
};

/* An entry has an action or another next state; what is not entered changes nothing. */
static const struct sup_step table[SUP_STATES][SUP_EVENTS] = {
	[SUP_ACQUIRING] = {
		[EV_ACQUIRED] = { SUP_STARTING, ACT_START },
		[EV_NOT_ACQUIRED] = { SUP_DONE, ACT_EXIT },
		[EV_STOP] = { SUP_RELEASING, ACT_RELEASE },
	},
	[SUP_STARTING] = {
		[EV_STOP] = { SUP_KILLING, ACT_KILL }, /* only where the exec hangs: else signals are held back */
		[EV_STOP_AGAIN] = { SUP_KILLING, ACT_KILL },
		[EV_STARTED] = { SUP_RUNNING, ACT_NONE },
		[EV_START_FAILED] = { SUP_SWEEPING, ACT_NONE },
		[EV_EXPIRING] = { SUP_TERMINATING, ACT_STOP },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
	},
	[SUP_RUNNING] = {
		[EV_STOP] = { SUP_TERMINATING, ACT_STOP },
		[EV_EXPIRING] = { SUP_TERMINATING, ACT_STOP },
		[EV_PING_FAILED] = { SUP_TERMINATING, ACT_STOP },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
		[EV_COMMAND_ENDED] = { SUP_SWEEPING, ACT_SWEEP },
	},
	[SUP_TERMINATING] = {
		[EV_STOP] = { SUP_TERMINATING, ACT_FORWARD },
		[EV_STOP_AGAIN] = { SUP_KILLING, ACT_KILL },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
		[EV_COMMAND_ENDED] = { SUP_SWEEPING, ACT_SWEEP },
		[EV_GRACE_OVER] = { SUP_KILLING, ACT_KILL },
	},
	[SUP_SWEEPING] = {
		[EV_STOP_AGAIN] = { SUP_KILLING, ACT_KILL },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
		[EV_GRACE_OVER] = { SUP_KILLING, ACT_KILL },
		[EV_TREE_EMPTY] = { SUP_RELEASING, ACT_RELEASE },
	},
	[SUP_KILLING] = {
		[EV_TREE_EMPTY] = { SUP_RELEASING, ACT_RELEASE },
		[EV_UNKILLABLE] = { SUP_DONE, ACT_EXIT },
	},
	[SUP_RELEASING] = {
		[EV_STOP_AGAIN] = { SUP_DONE, ACT_EXIT },
		[EV_NOT_ACQUIRED] = { SUP_DONE, ACT_EXIT },
		[EV_RELEASED] = { SUP_DONE, ACT_EXIT },
	},
};

struct sup_step
states_step(enum sup_state state, enum sup_event event)
{
	struct sup_step step = table[state][event];

	/* All zeros is SUP_ACQUIRING, which nothing leads back to. */
	if (step.next == SUP_ACQUIRING)
		step.next = state;
	return step;
}

const char *
states_name(enum sup_state state)
{
	return state_names[state];
}

const char *
states_event_name(enum sup_event event)
{
	return event_names[event];
}
